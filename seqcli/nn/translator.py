"""The encoder–decoder of translate (N → M).

    source  ──embed──► encoder ──────────────► memory, and a summary s
                                                  │              │
    target y ──embed──► lower layer ──query──► attention         │ first states (bridge)
                             │                    │ context c    ▼
                             └──────────────► upper layers ──► scores of the next token

With attention the lower decoder layer asks, and what it is told goes into the upper layers and the
output at every step (as in GNMT, Wu et al. 2016): no step waits for the attention of the step
before, so training runs each layer over whole sentences at once. Without attention the summary s
is fed to the decoder at every step (Cho et al. 2014).

With input feeding (Luong et al. 2015) the lower layer also reads the decoder's last output, so that
it knows what was attended to; then training, too, goes step by step.

Dimensions: N source and M target tokens of a batch, B sentences, R hypotheses, H units,
E embedding, V vocabulary.
"""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from seqcli.config import TranslateNetwork
from seqcli.nn import kernels
from seqcli.nn.attention import Attention, Weights
from seqcli.nn.cells.cell import has_hidden_states
from seqcli.nn.layers import make_dropout, make_embedding, make_recurrent
from seqcli.nn.ragged import Ragged, offsets
from seqcli.nn.recurrent import States


class Source(NamedTuple):
    """An encoded batch: memory and keys (N, H), summary (B, H), and the encoder's last states where
    the decoder starts from them."""

    memory: Ragged
    keys: Ragged
    summary_BH: Tensor
    last: States | None = None

    def select(self, rows_R: Tensor) -> Source:
        """The chosen sentences (int64, on the CPU), to be decoded further: without `last`."""
        keys = self.keys.select(rows_R)
        memory = keys if self.memory is self.keys else self.memory.select(rows_R)
        return Source(memory, keys, self.summary_BH[rows_R.to(self.summary_BH.device)])


class DecoderState(NamedTuple):
    """What a decoder carries from token to token, for R hypotheses. fed: the output (R, E) before,
    where it is fed back."""

    lower: States
    upper: States
    fed_RE: Tensor | None = None

    def select(self, rows: Tensor) -> DecoderState:
        """The states of the chosen hypotheses (with repeats)."""

        def pick(states: States) -> States:
            return [tuple(part.index_select(0, rows) for part in state) for state in states]

        fed_RE = None if self.fed_RE is None else self.fed_RE.index_select(0, rows)
        return DecoderState(pick(self.lower), pick(self.upper), fed_RE)


class Shared(nn.Module):
    """An embedding in a second place; its vectors are saved in the first."""

    def __init__(self, embedding: nn.Module) -> None:
        super().__init__()
        self.first = (embedding,)  # in a tuple, which torch does not look into

    def forward(self, tokens: Tensor) -> Tensor:
        return self.first[0](tokens)


class Translator(nn.Module):
    """See the drawing at the top of the file."""

    def __init__(
        self, source_vocabulary: int, target_vocabulary: int, network: TranslateNetwork
    ) -> None:
        super().__init__()
        hidden, width = network.hidden, network.embedding
        self.dropout = make_dropout(network)
        self.feeding = network.input_feeding
        if not network.share_vocabulary:
            self.source_embedding: nn.Module = make_embedding(network, source_vocabulary)
        self.target_embedding = make_embedding(network, target_vocabulary)
        if network.share_vocabulary:
            self.source_embedding = Shared(self.target_embedding)
        self.encoder = make_recurrent(network, width, bidirectional=network.bidirectional)
        self.project = nn.Linear(self.encoder.output_size, hidden)
        self.attention: Attention | None = None
        first = width + (width if self.feeding else 0)
        if network.attention == "none":
            first += hidden
        else:
            self.attention = Attention(network.attention, hidden)
        # Its states are what attention asks with: a feed-forward layer would make them longer, and
        # attention fall on single tokens before it has learnt which.
        plain = dataclasses.replace(network, feed_forward=0)
        self.lower = make_recurrent(plain, first, layers=1)
        if self.lower.norm is not None:
            # Longer queries would begin with all attention on one token, and stay there.
            nn.init.constant_(self.lower.norm.weight, hidden**-0.5)
        self.upper = make_recurrent(network, 2 * hidden)
        self.bridge: nn.Linear | None = None
        # A convolution and a transformer have no states to begin from: they attend, or are fed.
        cell: Any = self.lower.cells[0]
        bridge = network.bridge if has_hidden_states(cell) else "none"
        self.copies = bridge == "copy"
        if bridge == "linear":
            parts = sum(len(state) for state in [*self.lower.initial(1), *self.upper.initial(1)])
            self.bridge = nn.Linear(hidden, parts * hidden)
        self.output = nn.Linear(2 * hidden + width, width)
        self.head = nn.Linear(width, target_vocabulary)
        self.tie = self.target_embedding.tied = network.tie
        if self.tie:
            del self.head.weight
            self.head.register_parameter("weight", None)

    def encode(self, tokens: Ragged) -> Source:
        """(N,) source ids to what the decoder needs of them."""
        x = self.dropout(tokens.with_values(self.source_embedding(tokens.values)))
        h, last = self.encoder(x, final=self.copies)
        memory_NH = kernels.linear(h.values, self.project.weight, self.project.bias).tanh()
        memory = h.with_values(memory_NH)
        summary_BH = kernels.pool(memory.with_values(memory_NH.float()), "mean")
        keys = memory if self.attention is None else self.attention.keys(memory)
        return Source(memory, keys, summary_BH, last if self.copies else None)

    def start(self, source: Source) -> DecoderState:
        """The decoder's states before the first target token, one hypothesis a sentence."""
        batch = len(source.summary_BH)
        cells = [*self.lower.initial(batch), *self.upper.initial(batch)]
        if self.bridge is not None:
            parts = kernels.linear(source.summary_BH, self.bridge.weight, self.bridge.bias).tanh()
            pieces = iter(parts.float().split(self.lower.output_size, dim=1))
            cells = [tuple(next(pieces).contiguous() for _ in state) for state in cells]
        elif source.last is not None:
            # Decoder layer i starts where encoder layer i (or the top) ended, the mean of both
            # directions.
            ways = self.encoder.directions
            tops = [source.last[at : at + ways] for at in range(0, len(source.last), ways)]
            means = [tuple(sum(parts) / ways for parts in zip(*top, strict=True)) for top in tops]
            cells = [means[min(layer, len(means) - 1)] for layer in range(len(cells))]
        fed_BE = None
        if self.feeding:
            fed_BE = source.summary_BH.new_zeros(batch, self.output.out_features)
        split = len(self.lower.cells)
        return DecoderState(cells[:split], cells[split:], fed_BE)

    def decode(
        self, tokens: Ragged, source: Source, state: DecoderState, *, hypotheses: Tensor
    ) -> tuple[Tensor, DecoderState, Weights | None]:
        """Scores (M, V) of the token after each of the given (M,) target ids.

        tokens: R sequences of target ids, known ones in training, one step in decoding.
        hypotheses: (B + 1,) offsets into `tokens.values` of the tokens that belong to each
        sentence; a sentence may have none. Also returns the states after, and what each step
        attended to.
        """
        out_ME, state, weights = self.write(tokens, source, state, hypotheses=hypotheses)
        return self.scores(out_ME), state, weights

    def write(
        self, tokens: Ragged, source: Source, state: DecoderState, *, hypotheses: Tensor
    ) -> tuple[Tensor, DecoderState, Weights | None]:
        """As `decode`, but the outputs (M, E) that scores are computed of."""
        if self.feeding and len(tokens.values) > tokens.batch:
            found = self._step_by_step(tokens, source, state, hypotheses=hypotheses)
            if not any("sequence" in vars(cell) for cell in (*self.lower.cells, *self.upper.cells)):
                return found
            # Where somebody looks on, all steps once more together: what is fed is known by now.
            assert state.fed_RE is not None
            fed_ME = found[0].detach().float().roll(1, 0)
            fed_ME[tokens.first()] = state.fed_RE
            state = state._replace(fed_RE=fed_ME)
        e_ME = self.dropout(tokens.with_values(self.target_embedding(tokens.values))).values
        first = [e_ME]
        if state.fed_RE is not None:
            first.append(state.fed_RE)
        if self.attention is None:
            counts_B = hypotheses.diff().to(e_ME.device)
            summary_MH = source.summary_BH.repeat_interleave(counts_B, dim=0)
            first.append(summary_MH)
        first_MD = e_ME if len(first) == 1 else torch.cat(first, dim=1)
        h, lower = self.lower(tokens.with_values(first_MD), state.lower)
        weights = None
        if self.attention is None:
            context_MH = summary_MH
        else:
            queries = Ragged(h.values, hypotheses)
            context_MH, weights = self.attention(queries, source.keys, source.memory)
        below = tokens.with_values(torch.cat([h.values, context_MH], dim=1))
        h, upper = self.upper(self.dropout(below), state.upper)
        joined = torch.cat([h.values, context_MH, e_ME], dim=1)
        out_ME = kernels.linear(joined, self.output.weight, self.output.bias).tanh()
        out_ME = self.dropout(tokens.with_values(out_ME)).values
        fed_RE = out_ME[tokens.last()].float() if self.feeding else None
        return out_ME, DecoderState(lower, upper, fed_RE), weights

    def _step_by_step(
        self, tokens: Ragged, source: Source, state: DecoderState, *, hypotheses: Tensor
    ) -> tuple[Tensor, DecoderState, Weights | None]:
        """`write` where each step needs the one before: one target a sentence, and at each step
        the sentences that are not over. The state returned is that of the longest.

            a b c
            d e            step 0 reads a d f, step 1 reads b e, step 2 reads c
            f
        """
        if not torch.equal(tokens.offsets, hypotheses):
            raise ValueError("input feeding reads one known target a sentence")
        lengths_B = tokens.lengths
        device = tokens.values.device
        outputs, places, attended = [], [], []
        rows_B = torch.arange(tokens.batch)
        for step in range(int(lengths_B.max())):
            going = lengths_B[rows_B] > step
            if not bool(going.all()):
                state = state.select(going.nonzero().squeeze(1).to(device))
                rows_B = rows_B[going]
            place_R = tokens.offsets[:-1][rows_B] + step
            one = Ragged(tokens.values[place_R.to(device)], torch.arange(len(rows_B) + 1))
            counts_B = (lengths_B > step).to(torch.int64)
            groups = torch.cat([counts_B.new_zeros(1), counts_B.cumsum(0)])
            out_RE, state, weights = self.write(one, source, state, hypotheses=groups)
            outputs.append(out_RE)
            places.append(place_R)
            if weights is not None:
                attended.append(weights)
        back_M = torch.argsort(torch.cat(places))
        whole = _in_order(attended, back_M, hypotheses) if attended else None
        return torch.cat(outputs)[back_M.to(device)], state, whole

    def scores(self, out_ME: Tensor) -> Tensor:
        """(M, E) outputs to (M, V) scores."""
        return kernels.linear(out_ME, self.vectors(), self.head.bias)

    def vectors(self) -> Tensor:
        """(V, E) the output vectors of the target vocabulary."""
        return self.target_embedding.weight if self.tie else self.head.weight

    def forward(self, source: Ragged, read: Ragged) -> Tensor:
        """Teacher forcing: (M, V) scores of the token after each target token that is read."""
        return self.scores(self._outputs(source, read))

    def loss(self, source: Ragged, read: Ragged, gold_M: Tensor, *, smoothing: float) -> Tensor:
        """The mean nats of the tokens (M,) after those that are read, to be differentiated.
        smoothing: the share of the target that is spread evenly over the vocabulary."""
        out_ME = self._outputs(source, read)
        return kernels.cross_entropy(
            out_ME, self.vectors(), self.head.bias, gold_M, smoothing=smoothing
        )

    def nats(self, source: Ragged, read: Ragged, gold_M: Tensor) -> Tensor:
        """(M,) −log p of each token after those that are read."""
        out_ME = self._outputs(source, read)
        return kernels.nats(out_ME, self.vectors(), self.head.bias, gold_M)

    def _outputs(self, source: Ragged, read: Ragged) -> Tensor:
        encoded = self.encode(source)
        start = self.start(encoded)
        return self.write(read, encoded, start, hypotheses=read.offsets)[0]


def _in_order(attended: list[Weights], back_M: Tensor, hypotheses: Tensor) -> Weights:
    """The weights of each step as those of each sentence. back_M: where a query stands in time."""
    keys, values_P = attended[0].keys, torch.cat([step.values for step in attended])
    lengths_M = torch.cat(
        [torch.repeat_interleave(keys.diff(), step.queries.diff()) for step in attended]
    )
    in_time = Ragged(values_P, offsets(lengths_M))
    return Weights(in_time.select(back_M).values, hypotheses, keys)
