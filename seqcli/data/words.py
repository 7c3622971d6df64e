"""Words and punctuation marks of a text, of any script, by one regular expression."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from enum import StrEnum

JOINER = "￭"

# Han and kana stand by themselves as words; the other scripts here also write without spaces, so
# that for them too a character is a better token than a run between two spaces.
HAN_KANA = "\u2e80-\u2fdf\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff" + (
    "\uf900-\ufaff\uff66-\uff9f\U00020000-\U0003ffff"
)
UNSPACED = HAN_KANA + "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"
# Vowel signs and accents that `\w` leaves out and that would tear Indic or decomposed words apart.
MARKS = "\u0300-\u036f\u0483-\u0489\u0591-\u05c7\u0610-\u061a\u064b-\u065f\u0670\u06d6-\u06ed" + (
    "\u0711\u0730-\u074a\u0900-\u0963\u0966-\u0dff\u0e00-\u0fff\u1000-\u109f\u1780-\u17d3\u200c\u200d"
)
LETTER = rf"(?:(?![{HAN_KANA}])[\w{MARKS}])"
ENCLITIC = rf"(?:['’](?:s|m|d|re|ve|ll)|n['’]t)(?!{LETTER})"
PIECE = re.compile(
    rf"""  <\w+> | @[^\w\s]@ | -[lr][crs]b-             # forms of text that was split before
         | [{HAN_KANA}]
         | (?:[^\W\d_{HAN_KANA}]\.){{2,}}              # U.S.  a.m.
         | \d+(?:[.,:]\d+)*{LETTER}*                   # 12,000  3.5  10:45  12th
         | {ENCLITIC}                                  # what 's   do n't
         | {LETTER}+?(?={ENCLITIC})
         | {LETTER}+['’](?={LETTER})                   # l' homme
         | {LETTER}+
         | \.\.+ | --+ | `` | ''
         | \S""",
    re.VERBOSE | re.IGNORECASE,
)

TAGGED = re.compile(rf"[{UNSPACED}]|{PIECE.pattern}", PIECE.flags)
"""Words that are tagged: where a script has no spaces, a word between two tells no spans apart."""


def face_each_other(pairs: Sequence[tuple[str, str]]) -> bool:
    """Whether two columns hold text in which each character faces one: of a script without spaces,
    and nearly always of equal length, as the two lines of a Chinese couplet."""
    written = [(a, b) for a, b in pairs if a and b]
    letter = re.compile(f"[{UNSPACED}]+.*[{UNSPACED}]")
    equal = sum(
        len(a) == len(b) > 1 and bool(letter.match(a) and letter.match(b)) for a, b in written
    )
    return equal > 0.95 * len(written)


def are_characters(words: Sequence[str]) -> bool:
    """Whether these are single characters, most of them of a script without spaces."""
    unspaced = sum(bool(re.fullmatch(f"[{UNSPACED}]", word)) for word in words)
    return unspaced > len(words) / 2 and all(len(word) == 1 for word in words)


class Cut(StrEnum):
    """What tag takes for the tokens of a line: what stands between spaces, characters, or words
    and marks, as where spans are marked in texts."""

    SPACES = "spaces"
    CHARACTERS = "characters"
    WORDS = "words"

    def find_tokens(self, line: str) -> list[str]:
        """The tokens of a line."""
        if self is Cut.WORDS:
            return TAGGED.findall(line)
        chunks = line.split()
        return list("".join(chunks)) if self is Cut.CHARACTERS else chunks

    def write_line(self, tokens: Iterable[str]) -> str:
        """A line that is split into these tokens again."""
        return ("" if self is Cut.CHARACTERS else " ").join(tokens)


def locate_words(text: str) -> list[tuple[int, int]]:
    """Where the tokens of `Cut.WORDS` begin and end."""
    return [match.span() for match in TAGGED.finditer(text)]


def split_chunk(chunk: str, *, joiner: bool = False) -> list[str]:
    """The words and marks of a run without spaces; with `joiner`, marked where they touch."""
    pieces = PIECE.findall(chunk)
    if not joiner or len(pieces) == 1:
        return pieces
    marked = [pieces[0]]
    for piece in pieces[1:]:
        if not marked[-1][-1].isalnum() and piece[0].isalnum():
            marked[-1] += JOINER
            marked.append(piece)
        else:
            marked.append(JOINER + piece)
    return marked


def count_words(texts: Iterable[str], *, joiner: bool = False) -> Counter[str]:
    """How often each word comes in the texts.

    Text in which commas nearly always stand alone was split before: its words are what stands
    between spaces. (Commas, because a full stop stays with its abbreviation even there.)
    """
    chunks: Counter[str] = Counter()
    for text in texts:
        chunks.update(text.split())
    attached = sum(
        times for chunk, times in chunks.items() if len(chunk) > 1 and chunk[-1] in ",，"
    )
    if chunks[","] + chunks["，"] > 10 * attached:
        return chunks
    counts: Counter[str] = Counter()
    for chunk, times in chunks.items():
        for piece in split_chunk(chunk, joiner=joiner):
            counts[piece] += times
    return counts
