"""Names that columns, splits and languages go by, most usual first."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Sequence


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


TEXT = _words(
    "text sentence content review utterance query question comment tweet message sms body "
    "description document article statement phrase headline title input "
    "文本 内容 评论 正文 kommentar beschreibung"
)
LABEL = _words(
    "label_text label_name label labels category intent class sentiment target topic emotion "
    "rating stars score gold_label coarse_label fine_label "
    "标签 类别 情感倾向 情感 分类 kategorie klasse"
)
TOKENS = _words("tokens words form forms token word text sentence")
TAGS = _words(
    "tags ner_tags pos_tags upos slots labels tag ner pos upos_tags xpos xpos_tags chunk_tags"
)
SPANS = _words("entities spans annotations annotation labels label ner tags")
SENTENCE = _words(  # numbers of sentences, of which letters alone count
    "sentence sentenceid sentenceno sentencenum sentencenumber sentenceidx sentenceindex "
    "sentid sentno sentnum sentidx"
)
TEXT_PAIRS = (
    ("sentence1", "sentence2"),
    ("question1", "question2"),
    ("premise", "hypothesis"),
    ("text1", "text2"),
    ("text_a", "text_b"),
    ("sentence_a", "sentence_b"),
    ("#1 string", "#2 string"),
)
DOCUMENT = _words("doc docid docno document documentid documentno file fileid filename")
PAIRS = (("source", "target"), ("src", "tgt"), ("src", "trg"), ("input", "output"))

# ISO 639-1 codes, and the English names of languages that columns are called by.
LANGUAGES = frozenset(
    _words(
        "af am ar as az be bg bn bo br bs ca cs cy da de el en eo es et eu fa fi fo fr fy ga gd gl "
        "gu ha he hi hr ht hu hy id ig is it ja jv ka kk km kn ko ku ky la lb lo lt lv mg mi mk ml "
        "mn mr ms mt my nb ne nl nn no oc or pa pl ps pt ro ru rw sa sd si sk sl sn so sq sr su sv "
        "sw ta te tg th ti tk tl tr tt ug uk ur uz vi wa xh yi yo zh zu "
        "arabic bulgarian chinese croatian czech danish dutch english finnish french german greek "
        "hebrew hindi hungarian indonesian italian japanese korean norwegian persian polish "
        "portuguese romanian russian serbian spanish swedish thai turkish ukrainian vietnamese"
    )
)

SPLITS = {
    "train": _words("train training"),
    "validation": _words("validation valid val dev eval development testa"),
    "test": _words("test testing testb"),  # testa and testb: CoNLL 2003
}
SPLIT = _words("split set partition subset")  # columns that may say a row's split
CANONICAL = {word: split for split, words in SPLITS.items() for word in words}

_KNOWN = {
    *(*TEXT, *LABEL, *TOKENS, *TAGS, *SPANS, "translation"),
    *(name for pair in PAIRS for name in pair),
}


def find_split(name: str) -> tuple[str | None, str]:
    """The split that a file's or split's name tells, and what else is in the name: '' is the
    plainest. 'en_ewt-ud-dev' → ('validation', 'en_ewt_ud')."""
    words = [word for word in re.split(r"[^a-z0-9]+", name.lower()) if word]
    for i, word in enumerate(words):
        bare = word.rstrip("0123456789")
        if bare in CANONICAL:
            number = [word.removeprefix(bare)] if word != bare else []
            return CANONICAL[bare], "_".join([*words[:i], *number, *words[i + 1 :]])
    return None, "_".join(words)


def simplify(name: str) -> str:
    """A name as well-known ones are compared with: 'Label (0/1)' → 'label'."""
    return re.sub(r"\s*\([^()]*\)$", "", name.lower().strip()) or name.lower()


def is_language(name: str) -> bool:
    """Whether a column or file suffix names a language: en, zh_CN, pt-br, german."""
    return re.split(r"[-_]", name.lower())[0] in LANGUAGES


def _names_language(text: str) -> bool:
    """Whether a few words name a language in full: 'French words/sentences'."""
    words = re.findall(r"[a-z]+", text.lower())
    return len(words) < 4 and any(len(word) > 3 and word in LANGUAGES for word in words)


def has_header(
    records: Sequence[Sequence[str]], *, wanted: Collection[str] = (), assume: bool = True
) -> bool:
    """Whether the first of these records names the columns.

    A name that was asked for or is well known, and does not come again in its column, settles it;
    so does an empty cell above row numbers, as pandas writes them, while one above cells that are
    mostly empty says nothing. A first cell that comes again below it (a value) or is a number
    speaks against a header; a column that repeats itself without its first cell speaks for it, of
    names that are no identifiers only where new values are rare. Where nothing speaks, `assume` is
    the answer.
    """
    first = [cell.strip() for cell in records[0]]
    others = [record for record in records[1:] if record != records[0]]  # parts may repeat it
    below = [[record[i] for record in others if i < len(record)] for i in range(len(first))]
    pairs = list(zip(first, below, strict=True))
    known = {*_KNOWN, *(name.lower() for name in wanted)}
    named = {cell for cell in first if not known.isdisjoint((cell.lower(), simplify(cell)))}
    if any(cell in named and not _comes_often(cell, values) for cell, values in pairs):
        return True
    if len(first) > 1 and all(is_language(cell) or _names_language(cell) for cell in first):
        return True
    if not first[0] and len(below[0]) > 1 and _count_up(below[0]):
        return True
    pairs = [
        (cell, values) for cell, values in pairs if cell or 2 * values.count("") <= len(values)
    ]
    first = [cell for cell, _ in pairs]
    if len(set(first)) < len(first) or not all(first) or any(map(_is_number, first)):
        return False
    if any(cell in values for cell, values in pairs):
        return False
    if any(_expect_new(values) <= RARE for _, values in pairs):
        return True
    if not all(re.fullmatch(r"[A-Za-z_][\w-]*( [\w-]+)?", cell) for cell in first):
        return False
    if any(len(values) >= 10 and len(set(values)) <= len(values) / 2 for _, values in pairs):
        return True
    return assume


RARE = 0.05
"""Chance of a value that has not come before, up to which one that has not is probably a name."""


def _expect_new(values: Sequence[str]) -> float:
    """About the chance that one more value is a new one (after Good and Turing): the share of those
    that come once, were there one more of them; 1 where all are the same."""
    counts = Counter(values)
    once = sum(times == 1 for times in counts.values())
    return (once + 1) / (len(values) + 1) if len(counts) > 1 else 1.0


def _comes_often(cell: str, values: Sequence[str]) -> bool:
    """Whether a cell is one of a column's usual values, and not a text that happens to say so."""
    times = values.count(cell)
    return times > 1 or 10 * times >= max(len(values), 1)


def _is_number(cell: str) -> bool:
    return bool(re.fullmatch(r"[-+]?[\d.,]+%?", cell))


def _count_up(cells: Sequence[str]) -> bool:
    """Whether each cell is the number after the one before."""
    if not all(cell.isdecimal() for cell in cells):
        return False
    start = int(cells[0])
    return all(int(cell) == number for number, cell in enumerate(cells, start))
