"""Bracketed trees as texts, and their words as tokens.

    (3 (2 It) (4 (4 's) (2 good)))     with a label at every node, as in the Stanford treebank
    (It ('s good))                     the same tree without labels

A tree is its nodes in pre-order, each as one number that tells its depth and its word:

    node      ·  It  ·  's  good        value   depth · (V + 1) + word, with V for none
    depth     0  1   1  2   2

so that a batch of trees is ragged like any other, and its links are found for all at once.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from seqcli.data.sequences import Sequences
from seqcli.data.tokens import SPECIALS, UNK, Tokenizer, WordTokenizer, tokenizer_from_json
from seqcli.data.vocabulary import train_tokenizer as train_words
from seqcli.errors import SeqcliError

Node = tuple[int, str | None]
"""Depth, and the word of a leaf."""
SHAPE = "a tree looks like (3 (2 It) (4 works)) or (It works)"
WIDEST = {"childsum": None, "binary": 2}


@dataclass(frozen=True)
class TreeTokenizer:
    """Trees by their words. labelled: whether the first word in a bracket is a label, not a word of
    the text. widest: children of a node at most, None for any number."""

    words: WordTokenizer
    labelled: bool
    widest: int | None
    kind = "tree"

    @property
    def vocabulary(self) -> list[str]:
        return self.words.vocabulary

    def split(self, text: str) -> list[str]:
        return [word for _, word in self.read(text) if word is not None]

    def read(self, text: str) -> list[Node]:
        """The nodes of a tree in pre-order; an empty text is one unknown word. Raises SeqcliError
        for a tree that is none, or too wide."""
        if not text.strip():
            return [(0, SPECIALS[UNK])]
        return flatten(parse(text), labelled=self.labelled, widest=self.widest)

    def encode(self, texts: Sequence[str], *, bos: bool = False, eos: bool = False) -> Sequences:
        trees = [_numbered(row, self.read, text) for row, text in enumerate(texts, 1)]
        none = len(self.vocabulary)
        leaves = self.words.encode_tokens([[w for _, w in tree if w is not None] for tree in trees])
        depth_N = np.array([depth for tree in trees for depth, _ in tree], dtype=np.int32)
        words_N = np.full(len(depth_N), none, dtype=np.int32)
        words_N[[word is not None for tree in trees for _, word in tree]] = leaves.values
        ends = np.cumsum([0, *map(len, trees)])
        return Sequences(depth_N * np.int32(none + 1) + words_N, ends.astype(np.int64))

    def encode_tokens(self, rows: Sequence[Sequence[str]]) -> Sequences:
        return self.words.encode_tokens(rows)

    def decode(self, ids: Iterable[int]) -> str:
        return self.words.decode(ids)

    def to_json(self) -> dict[str, Any]:
        own = {"labelled": self.labelled, "widest": self.widest}
        return {**self.words.to_json(), "tree": own}


def train_trees(
    texts: Sequence[str],
    form: str,
    *,
    vocabulary_size: int | None = None,
    min_count: int = 1,
    lowercase: bool = False,
) -> TreeTokenizer:
    """A tokenizer from trees. form: childsum, or binary for at most two children a node.

    Raises SeqcliError with the
    number of the first row that is no tree.
    """
    trees = [_numbered(row, parse, text) for row, text in enumerate(texts, 1) if text.strip()]
    labelled = have_labels(trees)
    widest = WIDEST[form]
    rows = [
        [
            word
            for _, word in _numbered(row, flatten, tree, labelled=labelled, widest=widest)
            if word
        ]
        for row, tree in enumerate(trees, 1)
    ]
    words = train_words(
        "word", rows, vocabulary_size=vocabulary_size, min_count=min_count, lowercase=lowercase
    )
    assert isinstance(words, WordTokenizer)
    return TreeTokenizer(words, labelled, widest)


def trees_from_json(values: Mapping[str, Any]) -> TreeTokenizer:
    """The tokenizer that `to_json` described. Raises SeqcliError if it cannot be one."""
    words = tokenizer_from_json(values)
    own: Any = values.get("tree")
    known = isinstance(own, dict) and type(own.get("labelled")) is bool
    if not known or own.get("widest") not in WIDEST.values():
        raise SeqcliError("the model's tokenizer is corrupt; train or copy the model again")
    assert isinstance(words, WordTokenizer)
    return TreeTokenizer(words, own["labelled"], own["widest"])


def leaves(tokenizer: Tokenizer, sequences: Sequences) -> Sequences:
    """The words of encoded texts in order: of trees without what joins them, of others all."""
    if not isinstance(tokenizer, TreeTokenizer):
        return sequences
    words_N = sequences.values % (len(tokenizer.vocabulary) + 1)
    is_word_N = words_N < len(tokenizer.vocabulary)
    counts_N1 = np.concatenate([[0], np.cumsum(is_word_N)])
    return Sequences(words_N[is_word_N], counts_N1[sequences.offsets])


def words(tokenizer: Tokenizer, texts: Sequence[str]) -> Sequence[str]:
    """Texts; of trees the words alone. Raises SeqcliError for what is to be a tree and is none."""
    if not isinstance(tokenizer, TreeTokenizer):
        return texts
    return [" ".join(tokenizer.split(text)) for text in texts]


def _numbered(row: int, read: Any, *arguments: Any, **options: Any) -> Any:
    try:
        return read(*arguments, **options)
    except SeqcliError as error:
        raise SeqcliError(f"row {row}: {error}") from None


def parse(text: str) -> list[Any]:
    """The outermost bracket as nested lists of words. Raises SeqcliError for what is no tree."""
    found: list[Any] | None = None
    within: list[list[Any]] = []
    for item in re.findall(r"[()]|[^\s()]+", text):
        if found is not None:
            raise SeqcliError(f"{item!r} follows the end of the tree")
        if item == "(":
            within.append([])
        elif not within:
            raise SeqcliError(f"{item!r} stands outside of a tree; {SHAPE}")
        elif item == ")":
            done = within.pop()
            if within:
                within[-1].append(done)
            else:
                found = done
        else:
            within[-1].append(item)
    if found is None:
        raise SeqcliError(f"{len(within)} brackets of the tree do not close; {SHAPE}")
    return found


FEW = 20
"""Brackets that are too few to tell by their first words."""


def have_labels(trees: Sequence[list[Any]]) -> bool:
    """Whether every bracket is a label and a word, or a label and brackets, and the labels repeat:
    a right-branching tree without labels, (No (film ever)), reads like that too."""
    labels: list[str] = []
    waiting = list(trees)
    while waiting:
        label, *rest = waiting.pop() or [[]]
        below = [part for part in rest if isinstance(part, list)]
        is_leaf = len(rest) == 1 and not below
        is_node = len(rest) == len(below) > 0
        if isinstance(label, list) or not (is_leaf or is_node):
            return False
        labels.append(label)
        waiting += below
    return len(labels) < FEW or len(set(labels)) <= len(labels) / 2


def flatten(tree: list[Any], *, labelled: bool, widest: int | None) -> list[Node]:
    """The nodes in pre-order, those with one child left out. Raises SeqcliError where a node has
    no word, or more children than `widest`."""
    found: list[Node] = []
    waiting: list[tuple[int, Any]] = [(0, tree)]
    while waiting:
        depth, part = waiting.pop()
        while isinstance(part, list):
            below = part[1:] if labelled and len(part) > 1 and isinstance(part[0], str) else part
            if len(below) != 1:
                break
            part = below[0]
        if isinstance(part, str):
            found.append((depth, part))
            continue
        if not below:
            raise SeqcliError(f"a node of the tree has no word; {SHAPE}")
        if widest is not None and len(below) > widest:
            raise SeqcliError(
                f"a node has {len(below)} children; --tree childsum takes any number of them"
            )
        found.append((depth, None))
        waiting += [(depth + 1, child) for child in reversed(below)]
    return found
