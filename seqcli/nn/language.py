"""The network of lm.

Dimensions: N tokens of a batch, E embedding, H states, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn

from seqcli.config import LanguageNetwork
from seqcli.nn import kernels
from seqcli.nn.condition import Conditioning
from seqcli.nn.layers import make_dropout, make_embedding, make_recurrent
from seqcli.nn.ngram_model import NgramModel
from seqcli.nn.ragged import Ragged
from seqcli.nn.recurrent import States
from seqcli.nn.softmax import Softmax, make_softmax


class LanguageModel(nn.Module):
    """Tokens → states → a score for each possible next token (N → N)."""

    def __init__(
        self,
        vocabulary: int,
        network: LanguageNetwork,
        *,
        conditioning: Callable[[int], Conditioning] | None = None,
        ngrams: NgramModel | None = None,
        bptt: int | None = None,
    ) -> None:
        """conditioning: makes what whole texts are written from, for outputs of a width. ngrams:
        counts beside the network, of which `forward` and training know nothing. bptt: as in
        `Recurrent`."""
        super().__init__()
        self.ngrams = ngrams
        self.dropout = make_dropout(network)
        self.embedding = make_embedding(network, vocabulary)
        self.conditioning = conditioning(network.hidden) if conditioning else None
        extra = self.conditioning.width if self.conditioning else 0
        self.recurrent = make_recurrent(network, network.embedding + extra, bptt=bptt)
        width = self.recurrent.output_size
        # Tied (Press and Wolf 2017): the scores come from the token vectors themselves.
        self.embedding.tied = network.tie
        tied = self.embedding if network.tie else None
        self.narrow = nn.Linear(width, network.embedding) if tied else None
        self.head: Softmax = make_softmax(
            network, network.embedding if tied else width, vocabulary, tied=tied
        )

    def forward(
        self, tokens: Ragged, states: States | None, given: Tensor | None = None
    ) -> tuple[Tensor, States]:
        """(N,) token ids, the carried states and what the texts are written from to (N, V) scores
        and the states after."""
        h_NH, states = self.read(tokens, states, given)
        return self.head.scores(h_NH), states

    def read(
        self, tokens: Ragged, states: States | None, given: Tensor | None = None
    ) -> tuple[Tensor, States]:
        """Like `forward`, to what `head` takes and the states after."""
        h, states = self.recur(tokens, states, given)
        return self.project(self.dropout(h), given), states

    def recur(
        self, tokens: Ragged, states: States | None, given: Tensor | None = None
    ) -> tuple[Ragged, States]:
        """Like `forward`, to the top layer's outputs (N, H), before dropout, and the states
        after."""
        x = self.dropout(tokens.with_values(self.embedding(tokens.values)))
        return self.recurrent(
            self.conditioning.extend(x, given) if self.conditioning else x, states
        )

    def project(self, h: Ragged, given: Tensor | None = None) -> Tensor:
        """(N, H) outputs to what `head` takes."""
        if self.conditioning:
            h = self.conditioning.add(h, given)
        if self.narrow is None:
            return h.values
        return kernels.step_linear(h.values, self.narrow.weight, self.narrow.bias)
