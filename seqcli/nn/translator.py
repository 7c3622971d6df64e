"""The encoder–decoder of translate (N → M).

    source  ──embed──► encoder ──────────────► memory, and a summary s
                                                  │              │
    target y ──embed──► lower layer ──query──► attention         │ first states
                             │                    │ context c    ▼
                             └──────────────► upper layers ──► scores of the next token

With attention the lower decoder layer asks, and what it is told goes into the upper layers and the
output at every step (as in GNMT, Wu et al. 2016): no step waits for the attention of the step
before, so training runs each layer over whole sentences at once. Without attention the summary s
is fed to the decoder at every step (Cho et al. 2014).

Dimensions: N source and M target tokens of a batch, B sentences, R hypotheses, H units,
E embedding, V vocabulary.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seqcli.config import TranslateNetwork
from seqcli.nn.attention import Attention
from seqcli.nn.layers import make_dropout, make_embedding, make_recurrent
from seqcli.nn.ragged import Ragged
from seqcli.nn.recurrent import States


class Source(NamedTuple):
    """An encoded batch: memory and keys (N, H), summary (B, H)."""

    memory: Ragged
    keys: Ragged
    summary_BH: Tensor

    def select(self, rows_R: Tensor) -> Source:
        """The chosen sentences (int64, on the CPU)."""
        keys = self.keys.select(rows_R)
        memory = keys if self.memory is self.keys else self.memory.select(rows_R)
        return Source(memory, keys, self.summary_BH[rows_R.to(self.summary_BH.device)])


class DecoderState(NamedTuple):
    """What a decoder carries from token to token, for R hypotheses."""

    lower: States
    upper: States
    summary_RH: Tensor

    def select(self, rows: Tensor) -> DecoderState:
        """The states of the chosen hypotheses (with repeats)."""

        def pick(states: States) -> States:
            return [tuple(part[rows] for part in state) for state in states]

        return DecoderState(pick(self.lower), pick(self.upper), self.summary_RH[rows])


class Translator(nn.Module):
    """See the drawing at the top of the file."""

    def __init__(
        self, source_vocabulary: int, target_vocabulary: int, network: TranslateNetwork
    ) -> None:
        super().__init__()
        hidden, width = network.hidden, network.embedding
        self.dropout = make_dropout(network)
        types = network.embedding_dropout
        self.source_embedding = make_embedding(source_vocabulary, width, dropout=types)
        self.target_embedding = make_embedding(target_vocabulary, width, dropout=types)
        self.encoder = make_recurrent(network, width, bidirectional=network.bidirectional)
        self.project = nn.Linear(self.encoder.output_size, hidden)
        self.attention: Attention | None = None
        first = width + hidden
        if network.attention != "none":
            self.attention = Attention(network.attention, hidden)
            first = width
        self.lower = make_recurrent(network, first, layers=1)
        self.upper = make_recurrent(network, 2 * hidden)
        parts = sum(len(cell.initial(1)) for cell in [*self.lower.cells, *self.upper.cells])
        self.bridge = nn.Linear(hidden, parts * hidden)
        self.output = nn.Linear(2 * hidden + width, width)
        self.head = nn.Linear(width, target_vocabulary)
        self.tie = network.tie
        if self.tie:
            del self.head.weight
            self.head.register_parameter("weight", None)

    def encode(self, tokens: Ragged) -> Source:
        """(N,) source ids to what the decoder needs of them."""
        x = self.dropout(tokens.with_values(self.source_embedding(tokens.values)))
        h, _ = self.encoder(x, final=False)
        memory = h.with_values(torch.tanh(self.project(h.values)))
        lengths_B = h.lengths.to(memory.values.device)
        summary_BH = torch.segment_reduce(memory.values.float(), "mean", lengths=lengths_B)
        keys = memory if self.attention is None else self.attention.keys(memory)
        return Source(memory, keys, summary_BH)

    def start(self, source: Source) -> DecoderState:
        """The decoder's states before the first target token, one hypothesis a sentence."""
        parts = torch.tanh(self.bridge(source.summary_BH)).float()
        hidden = self.lower.cells[0].hidden_size
        pieces = iter(parts.split(hidden, dim=1))

        def fill(cells: nn.ModuleList) -> States:
            return [tuple(next(pieces).contiguous() for _ in cell.initial(1)) for cell in cells]

        return DecoderState(fill(self.lower.cells), fill(self.upper.cells), source.summary_BH)

    def decode(
        self, tokens: Ragged, source: Source, state: DecoderState, *, hypotheses: Tensor
    ) -> tuple[Tensor, DecoderState, Tensor | None]:
        """Scores (M, V) of the token after each of the given (M,) target ids.

        tokens: R sequences of target ids, known ones in training, one step in decoding.
        hypotheses: (B + 1,) offsets into `tokens.values` of the tokens that belong to each
        sentence. Also returns the states after, and the attention weights (B, T, S) or None.
        """
        e_ME = self.dropout(tokens.with_values(self.target_embedding(tokens.values))).values
        summary_MH = state.summary_RH[tokens.segments()]
        first = e_ME if self.attention is not None else torch.cat([e_ME, summary_MH], dim=1)
        h, lower = self.lower(tokens.with_values(first), state.lower)
        weights = None
        context_MH = summary_MH
        if self.attention is not None:
            queries = Ragged(h.values, hypotheses)
            context_MH, weights = self.attention(queries, source.keys, source.memory)
        below = tokens.with_values(torch.cat([h.values, context_MH], dim=1))
        h, upper = self.upper(self.dropout(below), state.upper)
        joined = torch.cat([h.values, context_MH, e_ME], dim=1)
        out_ME = self.dropout(tokens.with_values(torch.tanh(self.output(joined)))).values
        return self.scores(out_ME), DecoderState(lower, upper, state.summary_RH), weights

    def scores(self, out_ME: Tensor) -> Tensor:
        """(M, E) outputs to (M, V) scores."""
        weight_VE = self.target_embedding.weight if self.tie else self.head.weight
        return F.linear(out_ME, weight_VE, self.head.bias)

    def forward(self, source_tokens: Ragged, target_tokens: Ragged) -> Tensor:
        """Teacher forcing: (M, V) scores of the token after each given target token."""
        source = self.encode(source_tokens)
        scores_MV, _, _ = self.decode(
            target_tokens, source, self.start(source), hypotheses=target_tokens.offsets
        )
        return scores_MV
