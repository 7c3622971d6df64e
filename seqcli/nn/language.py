"""The network of lm.

Dimensions: N tokens of a batch, E embedding, H states, V vocabulary.
"""

from __future__ import annotations

from torch import Tensor, nn

from seqcli.config import LanguageNetwork
from seqcli.nn.layers import make_dropout, make_embedding, make_recurrent
from seqcli.nn.ragged import Ragged
from seqcli.nn.recurrent import States
from seqcli.nn.softmax import Softmax, make_softmax


class LanguageModel(nn.Module):
    """Tokens → states → a score for each possible next token (N → N)."""

    def __init__(self, vocabulary: int, network: LanguageNetwork) -> None:
        super().__init__()
        self.dropout = make_dropout(network)
        self.embedding = make_embedding(
            vocabulary, network.embedding, dropout=network.embedding_dropout
        )
        self.recurrent = make_recurrent(network, network.embedding)
        width = self.recurrent.output_size
        # Tied (Press and Wolf 2017): the scores come from the token vectors themselves.
        tied = self.embedding if network.tie else None
        self.narrow = nn.Linear(width, network.embedding) if tied else None
        self.head: Softmax = make_softmax(
            network, network.embedding if tied else width, vocabulary, tied=tied
        )

    def forward(self, tokens: Ragged, states: States | None) -> tuple[Tensor, States]:
        """(N,) token ids and the carried states to (N, V) scores and the states after."""
        h_NH, states = self.read(tokens, states)
        return self.head.scores(h_NH), states

    def read(self, tokens: Ragged, states: States | None) -> tuple[Tensor, States]:
        """(N,) token ids and the carried states to what `head` takes and the states after."""
        h, states = self.recur(tokens, states)
        return self.project(self.dropout(h)), states

    def recur(self, tokens: Ragged, states: States | None) -> tuple[Ragged, States]:
        """(N,) token ids and the carried states to the top layer's outputs (N, H), before
        dropout, and the states after."""
        x = self.dropout(tokens.with_values(self.embedding(tokens.values)))
        return self.recurrent(x, states)

    def project(self, h: Ragged) -> Tensor:
        """(N, H) outputs to what `head` takes."""
        return h.values if self.narrow is None else self.narrow(h.values)
