"""Expected responses: how a token moves each unit, on average over every place where it occurs.

    Δs_t = s_t − s_{t−1}  (reverse: s_t − s_{t+1})        S[w, i] = mean of Δs_i where w is read

States start at zero with every example; a language model's state is carried. A word's response
mixes the word with its contexts, so it comes with n, sd, standard error and percentiles (Ming et
al. 2017, with the spread added).

Dimensions: N tokens, C candidate words, W words shown, R occurrences of a word that are kept for
percentiles, H units.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from seqcli.errors import UsageError
from seqcli.inspect.corpus import Tokens

PERCENTILES = (9, 25, 50, 75, 91)  # those that Ming et al. (2017) draw, and the median
CANDIDATES = 4
"""Words that are followed while reading, for each word that is shown in the end."""
SAMPLE_BYTES = 128 * 2**20
SAMPLES = (256, 128, 64, 32, 16, 8)  # occurrences kept of a word: the most that fits in memory


class Words(NamedTuple):
    """The words of one part that are followed: ids (C,), counts (C,), by falling count.

    place_of: (V,) place of each vocabulary id among them, −1 for the rest. slot: (N,) place of a
    token in the sample of occurrences, −1 for the rest. kept: (C,) occurrences in the sample.
    """

    ids: np.ndarray
    counts: np.ndarray
    place_of: np.ndarray
    slot: np.ndarray
    kept: np.ndarray
    forced: frozenset[int]
    left_out: int
    """Distinct tokens seen fewer than min_count times, or too rare to be followed."""
    coverage: float
    """Fraction of all tokens that the followed words make up."""
    shown: np.ndarray
    """(W,) the places among them of the words that every view shows."""


class Response(NamedTuple):
    """S of one site: mean, sd and standard error (W, H), percentiles (W, 5, H), n (W,), and how
    many occurrences the percentiles are of (W,)."""

    mean: np.ndarray
    sd: np.ndarray
    error: np.ndarray
    percentiles: np.ndarray
    n: np.ndarray
    sampled: np.ndarray


def choose_candidates(
    tokens: Tokens, *, min_count: int, top_k: int, forced: Sequence[str], units: int, seed: int
) -> Words:
    """The words to follow: the most frequent ones, and those asked for by name.

    units: of all sites of the part together, for the memory of the sample. Raises UsageError for
    a word that is not in the model's vocabulary or not in the data.
    """
    counts_V = np.bincount(tokens.ids, minlength=len(tokens.vocabulary))
    order_V = np.argsort(-counts_V, kind="stable")
    chosen = order_V[counts_V[order_V] >= min_count][: CANDIDATES * top_k].tolist()
    named = [find_word(tokens, word, counts_V) for word in forced]
    ids = np.array(sorted({*chosen, *named}, key=lambda at: -counts_V[at]), dtype=np.int64)
    if not len(ids):
        raise UsageError(
            f"no token occurs {min_count:,} times in {len(tokens.ids):,}; use a lower --min-count"
        )
    index = np.full(len(tokens.vocabulary), -1)
    index[ids] = np.arange(len(ids))
    counts = counts_V[ids]
    kept = np.minimum(counts, _sample_size(counts, units))
    slot = _draw_slots(index[tokens.ids], kept, seed)
    left_out = int((counts_V > 0).sum()) - len(ids)
    coverage = float(counts.sum() / len(tokens.ids))
    return Words(
        ids, counts, index, slot, kept, frozenset(named), left_out, coverage, np.arange(len(ids))
    )


def find_word(tokens: Tokens, word: str, counts_V: np.ndarray) -> int:
    """A word's id. Raises UsageError where the model does not know it or the data lack it."""
    shown = word.replace(" ", "␣").replace("\n", "⏎")
    for form in (shown, shown.lower(), "␣" + shown):
        if form in tokens.vocabulary:
            number = tokens.vocabulary.index(form)
            if counts_V[number]:
                return number
            raise UsageError(f"the word {word!r} never occurs in this data; try --split train")
    raise UsageError(f"the model does not know the word {word!r}: it is not in its vocabulary")


def _sample_size(counts: np.ndarray, units: int) -> int:
    for size in SAMPLES:
        if int(np.minimum(counts, size).sum()) * units * 2 <= SAMPLE_BYTES:
            return size
    return SAMPLES[-1]


def _draw_slots(word_N: np.ndarray, kept_C: np.ndarray, seed: int) -> np.ndarray:
    """(N,) a slot for `kept_C[w]` occurrences of each word, drawn evenly, words side by side."""
    shuffled = np.random.default_rng(seed).permutation(len(word_N))
    shuffled = shuffled[word_N[shuffled] >= 0]
    by_word = shuffled[np.argsort(word_N[shuffled], kind="stable")]
    words = word_N[by_word]
    starts = np.searchsorted(words, np.arange(len(kept_C)))
    rank = np.arange(len(by_word)) - starts[words]
    slot_N = np.full(len(word_N), -1)
    chosen = rank < kept_C[words]
    slot_N[by_word[chosen]] = np.arange(int(chosen.sum()))
    return slot_N


class Responses:
    """Sums over occurrences at one site, so that memory does not grow with the data."""

    def __init__(self, words: Words, units: int) -> None:
        self.words = words
        # One more row takes what belongs to no word.
        self.sum = torch.zeros(len(words.ids) + 1, units, dtype=torch.float64)
        self.squares = torch.zeros_like(self.sum)
        self.sample = np.zeros((int(words.kept.sum()), units), dtype=np.float16)

    def add(self, delta_NH: Tensor, ids_N: np.ndarray, places_N: np.ndarray) -> None:
        """Changes of state where the tokens `ids_N` at the positions `places_N` were read."""
        word_N = torch.from_numpy(self.words.place_of[ids_N] % len(self.sum))
        batch = torch.zeros(self.sum.shape)
        self.sum += batch.index_add_(0, word_N, delta_NH)
        self.squares += batch.zero_().index_add_(0, word_N, delta_NH.square())
        slot_N = self.words.slot[places_N]
        taken = np.flatnonzero(slot_N >= 0)
        self.sample[slot_N[taken]] = delta_NH[torch.from_numpy(taken)].numpy()

    def strength(self) -> np.ndarray:
        """(C,) √n · ‖S[w]‖: how strongly, and how surely, a word moves the units."""
        n_C = self.words.counts
        mean_CH = self.sum.numpy()[:-1] / n_C[:, None]
        return np.sqrt(n_C) * np.linalg.norm(mean_CH, axis=1)

    def result(self, chosen_W: np.ndarray) -> Response:
        """The responses of the words at these places among the candidates."""
        n_W1 = self.words.counts[chosen_W][:, None]
        mean_WH = self.sum.numpy()[chosen_W] / n_W1
        variance_WH = self.squares.numpy()[chosen_W] / n_W1 - mean_WH**2
        sd_WH = np.sqrt(np.maximum(variance_WH, 0) * n_W1 / np.maximum(n_W1 - 1, 1))
        ends_C = np.cumsum(self.words.kept)
        quantiles = [
            np.percentile(
                self.sample[ends_C[at] - self.words.kept[at] : ends_C[at]].astype(np.float32),
                PERCENTILES,
                axis=0,
            )
            for at in chosen_W
        ]
        return Response(
            mean_WH.astype(np.float32),
            sd_WH.astype(np.float32),
            (sd_WH / np.sqrt(n_W1)).astype(np.float32),
            np.stack(quantiles).astype(np.float32),
            self.words.counts[chosen_W],
            self.words.kept[chosen_W],
        )


def choose_words(words: Words, responses: Sequence[Responses], top_k: int) -> np.ndarray:
    """(W,) the places, among the candidates, of the words to show: those asked for, then those
    with the largest √n · ‖S‖ (each site in units of its own mean), by falling strength.

    All sites of a part show the same words.
    """
    strength_C = np.zeros(len(words.ids))
    for one in responses:
        found_C = one.strength()
        strength_C += found_C / max(float(found_C.mean()), 1e-12)
    asked = np.array([number in words.forced for number in words.ids])
    order = np.lexsort((-strength_C, ~asked))[:top_k]
    return order[np.argsort(-strength_C[order], kind="stable")]
