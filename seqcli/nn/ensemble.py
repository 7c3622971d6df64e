"""Several translators that write together.

Dimensions: M target tokens of a batch, B sentences, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seqcli.nn.attention import Weights
from seqcli.nn.ragged import Ragged
from seqcli.nn.translator import DecoderState, Source, Translator


class Sources(NamedTuple):
    """A batch as each model has encoded it."""

    parts: tuple[Source, ...]


class States(NamedTuple):
    """What each model carries from token to token."""

    parts: tuple[DecoderState, ...]


class Ensemble(nn.Module):
    """Translators of the same vocabularies whose log-probabilities are averaged at each token:
    the geometric mean of their probabilities. It is decoded like one of them."""

    def __init__(self, models: Sequence[Translator]) -> None:
        super().__init__()
        self.models = nn.ModuleList(models)

    def encode(self, tokens: Ragged) -> Sources:
        """(N,) source ids to what each decoder needs of them."""
        return Sources(tuple(model.encode(tokens) for model in self.models))  # type: ignore[operator]

    def start(self, source: Sources) -> States:
        """The states before the first target token."""
        pairs = zip(self.models, source.parts, strict=True)
        return States(tuple(model.start(part) for model, part in pairs))  # type: ignore[operator]

    def decode(
        self, tokens: Ragged, source: Sources, state: States, *, hypotheses: Tensor
    ) -> tuple[Tensor, States, Weights | None]:
        """Mean log-probabilities (M, V), each row up to a constant, of the token after each given
        one; the states after; and the mean attention of the models that have attention."""
        logs, after, attended = [], [], []
        for model, one, before in zip(self.models, source.parts, state.parts, strict=True):
            scores_MV, now, weights = model.decode(tokens, one, before, hypotheses=hypotheses)  # type: ignore[operator]
            logs.append(scores_MV.float().log_softmax(1))
            after.append(now)
            attended.append(weights)
        return torch.stack(logs).mean(0), States(tuple(after)), average(attended)

    def forward(self, source: Ragged, read: Ragged) -> Tensor:
        """Teacher forcing: (M, V) mean log-probabilities of the token after each that is read."""
        encoded = self.encode(source)
        start = self.start(encoded)
        return self.decode(read, encoded, start, hypotheses=read.offsets)[0]

    def nats(self, source: Ragged, read: Ragged, gold_M: Tensor) -> Tensor:
        """(M,) −log p of each token after those that are read."""
        return F.cross_entropy(self(source, read), gold_M, reduction="none")


def average(parts: Sequence[Weights | None]) -> Weights | None:
    """The mean attention over the same tokens, of those that there are."""
    attended = [weights for weights in parts if weights is not None]
    if not attended:
        return None
    return attended[0]._replace(values=torch.stack([one.values for one in attended]).mean(0))
