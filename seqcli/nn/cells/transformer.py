"""A transformer layer (Vaswani et al. 2017), normalised before each half (Xiong et al. 2020), with
rotary positions (Su et al. 2021): what recurrence is to be compared with."""

from __future__ import annotations

from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seqcli.errors import SeqcliError
from seqcli.nn.cells.cell import State
from seqcli.nn.dropout import Dropout
from seqcli.nn.ragged import Padding, Ragged

# Dimensions: P carried tokens and T of the longest sequence, S = P + T, h heads of D features,
# K = 2·h·D of keys and values.


class Transformer(nn.Module):
    """Each token looks at the others of its text at once, by content and distance.

    causal: only at itself and the w − 1 tokens before, whose keys and values are all that is
    carried, so that lm and decoders can use it. Otherwise at all within w − 1 tokens each way, and
    there is no second direction. Pre-norm like torch.nn.TransformerEncoderLayer(norm_first=True),
    to which it is equal but for the positions. Cost a token: 24·H² + 4·H·w FLOP forward at most.
    """

    settings: ClassVar[tuple[str, ...]] = ("heads", "window", "dropout", "causal")
    recurrent_weights: ClassVar[tuple[str, ...]] = ()
    equations: ClassVar[str] = (
        "q, k, v = W_q x~, W_k x~, W_v x~          with x~ = norm(x), q and k turned by position\n"
        "a_ts    = softmax_s(q_t · k_s / √D)       in each head, t − w < s ≤ t\n"
        "x'      = x + W_o Σ_s a_ts v_s + b_o\n"
        "y       = x' + W_2 gelu(W_1 norm(x') + b_1) + b_2"
    )

    turns: Tensor

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        heads: int = 4,
        window: int = 256,
        dropout: float = 0.0,
        causal: bool = True,
    ) -> None:
        super().__init__()
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.heads = heads
        self.window = window
        self.causal = causal
        self.dropout = Dropout(dropout)
        same = input_size == hidden_size
        # Features turn in pairs: an even number of them a head, H altogether where that goes.
        each = 2 * -(-hidden_size // (2 * heads))
        self.parts = [heads * each, 2 * heads * each]
        self.enter = nn.Identity() if same else nn.Linear(input_size, hidden_size)
        self.norm_attention = nn.LayerNorm(hidden_size)
        self.ask = nn.Linear(hidden_size, 3 * heads * each)
        self.attended = nn.Linear(heads * each, hidden_size)
        self.norm_wide = nn.LayerNorm(hidden_size)
        self.wide = nn.Linear(hidden_size, 4 * hidden_size)
        self.narrow = nn.Linear(4 * hidden_size, hidden_size)
        pairs = torch.arange(0, each, 2) / each
        self.register_buffer("turns", 10_000.0**-pairs, persistent=False)

    def initial(self, batch: int) -> State:
        """Keys and values of past tokens (B, P, K), the newest last, and how many of them are real
        (B, 1); none at first."""
        weight = self.ask.weight
        return (
            weight.new_zeros(batch, 0, self.parts[1]),
            torch.zeros(batch, 1, dtype=torch.int64, device=weight.device),
        )

    def step(self, x_BI: Tensor, state: State) -> tuple[Tensor, State]:
        """One token after those carried; only where it looks back alone."""
        if not self.causal:
            raise SeqcliError("a transformer that looks both ways has no steps")
        past_BPK, real_B1 = state
        x_BH = self.enter(x_BI)
        q_BH, new_BK = self.ask(self.norm_attention(x_BH)).split(self.parts, dim=1)
        all_BSK = torch.cat([past_BPK, new_BK[:, None]], dim=1)[:, -self.window :]
        count = all_BSK.shape[1]
        real_B1 = (real_B1 + 1).clamp(max=count)
        ages_S = torch.arange(count - 1, -1, -1, device=x_BI.device)
        k_BhSD, v_BhSD = map(self._split, all_BSK.chunk(2, dim=2))
        k_BhSD = self._turn(k_BhSD, -ages_S)
        score_BhS = (self._split(q_BH[:, None]) * k_BhSD).sum(3) / k_BhSD.shape[3] ** 0.5
        score_BhS = score_BhS.masked_fill((ages_S >= real_B1)[:, None], float("-inf"))
        seen_BH = (torch.softmax(score_BhS, 2)[..., None] * v_BhSD).sum(2).flatten(1)
        x_BH = x_BH + self.attended(seen_BH)
        y_BH = x_BH + self.narrow(F.gelu(self.wide(self.norm_wide(x_BH))))
        return y_BH, self._trim(all_BSK, real_B1)

    def sequence(
        self, x: Ragged, state: State, *, reverse: bool = False, final: bool = True
    ) -> tuple[Ragged, State]:
        """Attention on a padded batch, all else token by token. In reverse a causal layer looks
        ahead instead of back."""
        if not len(x.values):
            return x.with_values(x.values.new_zeros(0, self.hidden_size)), state
        past_BPK, real_B1 = state
        device = x.values.device
        x_NH = self.enter(x.values)
        padding = Padding.of(x.offsets, reverse=reverse)
        asked_BTK = padding.pad(self.ask(self.norm_attention(x_NH)))
        q_BTH, new_BTK = asked_BTK.split(self.parts, dim=2)
        all_BSK = torch.cat([past_BPK.to(new_BTK.dtype), new_BTK], dim=1)
        past, steps = past_BPK.shape[1], q_BTH.shape[1]
        ages_P = torch.arange(past, 0, -1, device=device)
        real_BS = torch.cat([ages_P <= real_B1, padding.real_BT.to(device)], dim=1)
        seen_BTH = self._attend(q_BTH, all_BSK, real_BS, past)
        seen_NH = padding.unpad(seen_BTH)
        x_NH = x_NH + self.dropout(x.with_values(self.attended(seen_NH))).values
        wide_NF = self.dropout(x.with_values(F.gelu(self.wide(self.norm_wide(x_NH))))).values
        y_NH = x_NH + self.dropout(x.with_values(self.narrow(wide_NF))).values
        y = x.with_values(y_NH.to(self.ask.weight.dtype))
        if not (final and self.causal):
            return y, state
        # Each sequence's newest to the right: those that ended early move up.
        lengths_B1 = x.lengths.to(device)[:, None]
        ends_BS = torch.arange(past + steps, device=device) + lengths_B1 - steps
        moved_BSK = all_BSK.gather(1, ends_BS.clamp(min=0)[..., None].expand_as(all_BSK))
        return y, self._trim(moved_BSK.to(self.ask.weight.dtype), real_B1 + lengths_B1)

    def _attend(self, q_BTH: Tensor, all_BSK: Tensor, real_BS: Tensor, past: int) -> Tensor:
        """(B, T, H) what each query sees within the window, a block of queries at a time, so that
        memory grows with the text and not with its square."""
        w, steps = self.window, q_BTH.shape[1]
        found = []
        for begin in range(0, steps, w):
            end = min(begin + w, steps)
            low = max(begin + past - w + 1, 0)
            high = end + past if self.causal else min(end + past + w - 1, past + steps)
            at_T = torch.arange(begin, end, device=q_BTH.device) + past
            at_S = torch.arange(low, high, device=q_BTH.device)
            away_TS = at_T[:, None] - at_S
            near_TS = (away_TS < w) & (away_TS >= 0 if self.causal else away_TS > -w)
            # Padding sees itself: a softmax over nothing would have no gradient.
            open_BTS = (near_TS & real_BS[:, None, low:high]) | (away_TS == 0)
            k_BhSD, v_BhSD = map(self._split, all_BSK[:, low:high].chunk(2, dim=2))
            seen_BhTD = F.scaled_dot_product_attention(
                self._turn(self._split(q_BTH[:, begin:end]), at_T - at_T[0]),
                self._turn(k_BhSD, at_S - at_T[0]),
                v_BhSD,
                attn_mask=open_BTS[:, None],
            )
            found.append(seen_BhTD.transpose(1, 2).flatten(2))
        return torch.cat(found, dim=1)

    def _split(self, x_BTH: Tensor) -> Tensor:
        return x_BTH.unflatten(2, (self.heads, -1)).transpose(1, 2)

    def _turn(self, x_BhTD: Tensor, place_T: Tensor) -> Tensor:
        """Each pair of features turned by an angle that grows with the place, so that a product of
        two depends on how far apart they are."""
        angle_TD = place_T[:, None] * self.turns
        cos_TD, sin_TD = angle_TD.cos(), angle_TD.sin()
        one, other = x_BhTD.float().chunk(2, dim=3)
        turned = torch.cat([one * cos_TD - other * sin_TD, one * sin_TD + other * cos_TD], dim=3)
        return turned.to(x_BhTD.dtype)

    def _trim(self, all_BSK: Tensor, real_B1: Tensor) -> State:
        """As much of the past as any sequence has and the window needs."""
        kept = min(self.window - 1, int(real_B1.max()), all_BSK.shape[1])
        return all_BSK[:, all_BSK.shape[1] - kept :], real_B1.clamp(max=kept)
