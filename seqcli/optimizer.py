"""The rules by which weights change: AdamW (Loshchilov and Hutter 2019) and SGD.

AdamW moves every weight at every step, also the vectors of the many words that a batch does not
hold: for a large vocabulary that takes longer than the recurrent network itself. What such a vector
does until its word comes again is known in advance, since its gradient is zero: `Rows` lets it lie
and makes up for all those steps at once when it is read, on the kernels (native/rows.h). The result
is that of plain AdamW to rounding.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from seqcli.config import Training
from seqcli.errors import SeqcliError
from seqcli.nn import kernels
from seqcli.nn.native import library, lookup
from seqcli.nn.native.lookup import Entries

BETAS, EPSILON = (0.9, 0.999), 1e-8
LEAST = 100_000
"""Weights of a table from which on `Rows` is faster than touching all (BENCHMARKS.md)."""
STRONGEST = 0.1
"""The share of a vector that a step's weight decay takes, up to which `Rows` can make up for it."""
LEAST_LEFT = -300.0
"""The logarithm of what decay leaves of a vector, below which all rows are brought up to date."""
LONG = 300  # (β₁ / √β₂)^300 = 2e-14
FADING = (BETAS[0] / BETAS[1] ** 0.5) ** np.arange(LONG, 0, -1)


class Optimizer:
    """The update of all weights of a model, with the norm of their gradients.

    The `pace` of a module that has one is the step size of its weights in that of the others. A
    module that reads a weight by rows names it in `by_rows`: where it is large, `Rows` takes care
    of it as the module's `reader`.
    """

    def __init__(self, model: nn.Module, training: Training) -> None:
        self.names: dict[Any, str] = {weight: name for name, weight in model.named_parameters()}
        self.rows: list[Rows] = []
        module: Any
        for module in model.modules():
            if hasattr(module, "by_rows"):
                module.reader = None
                if _wants_rows(module, training):
                    self.rows.append(Rows(module, training.weight_decay))
        lazy = {rows.weight for rows in self.rows}
        self.paces: dict[Any, Any] = {
            weight: module.pace
            for module in model.modules()
            if hasattr(module, "pace")
            for weight in module.parameters()
        }
        by_pace: dict[float, list[nn.Parameter]] = {}
        for weight in self.names:
            if weight not in lazy:
                by_pace.setdefault(self.paces.get(weight, 1.0), []).append(weight)
        groups = [{"params": weights, "pace": pace} for pace, weights in by_pace.items()]
        options: dict[str, Any] = {
            "lr": training.learning_rate,
            "weight_decay": training.weight_decay,
            "fused": True,
        }
        self.dense: torch.optim.Optimizer
        if training.optimizer in ("sgd", "asgd"):
            self.dense = torch.optim.SGD(groups, **options)
        else:
            self.dense = torch.optim.AdamW(groups, betas=BETAS, eps=EPSILON, **options)

    def clear(self) -> None:
        """Forget all gradients."""
        for weight in self.names:
            weight.grad = None
        for rows in self.rows:
            rows.clear()

    def gradient(self, weight: nn.Parameter) -> Tensor | None:
        """The gradient of a weight; of `Rows` that of the rows which were read."""
        for rows in self.rows:
            if rows.weight is weight:
                return rows.gather()
        return weight.grad

    def clip(self, limit: float) -> float:
        """Scale all gradients together to a norm of at most `limit` (0: leave them); the norm
        before."""
        found = map(self.gradient, self.names)
        gradients = [gradient for gradient in found if gradient is not None]
        norm = float(nn.utils.get_total_norm(gradients))
        if limit and norm > limit:
            torch._foreach_mul_(gradients, limit / (norm + 1e-6))
        return norm

    def step(self, rate: float) -> None:
        """Change the weights by their gradients with a step size of `rate`."""
        for group in self.dense.param_groups:
            group["lr"] = rate * group["pace"]
        self.dense.step()
        for rows in self.rows:
            rows.step(rate * self.paces.get(rows.weight, 1.0))

    def settle(self) -> None:
        """Make up for all that was put off: the weights are then what they should be."""
        for rows in self.rows:
            rows.settle()

    def tensors(self) -> dict[str, Tensor]:
        """Everything that is not in the weights, by name; not copied."""
        found = {
            f"{self.names[weight]}.{field}": torch.as_tensor(value)
            for weight, state in self.dense.state.items()
            for field, value in state.items()
        }
        for rows in self.rows:
            name = self.names[rows.weight]
            found |= {f"{name}.{field}": value for field, value in rows.tensors().items()}
        return found

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Go on from `tensors`. Raises ValueError or KeyError where they are not of this model,
        SeqcliError where rows were updated by kernels that are not there."""
        lazy = {rows.weight: rows for rows in self.rows}
        weights = {name: weight for weight, name in self.names.items()}
        states: dict[str, dict[str, Tensor]] = {}
        for name, value in tensors.items():
            owner, _, field = name.rpartition(".")
            if field in ("seen", "log") and weights[owner] not in lazy:
                raise SeqcliError(
                    "the training began with native kernels and needs them to go on; resume it "
                    "where `seqcli info --system` shows them, without SEQCLI_NATIVE=0"
                )
            # Fused updates read beyond the end of what is too short.
            wrong = value.dim() and weights[owner] not in lazy
            if wrong and value.shape != weights[owner].shape:
                raise ValueError(f"{name} is of another shape")
            states.setdefault(owner, {})[field] = value
        for rows in self.rows:
            rows.restore(states.pop(self.names[rows.weight]))
        whole = self.dense.state_dict()
        order = [
            self.names[weight] for group in self.dense.param_groups for weight in group["params"]
        ]
        numbered = {order.index(owner): state for owner, state in states.items()}
        self.dense.load_state_dict({**whole, "state": numbered})


def _wants_rows(module: Any, training: Training) -> bool:
    """Not where all rows are used at every step: as scores, or for a running mean."""
    tied = getattr(module, "tied", False)
    pace = getattr(module, "pace", 1.0)
    mild = training.learning_rate * pace * training.weight_decay <= STRONGEST
    able = training.optimizer == "adamw" and not training.average and not tied and mild
    weight = getattr(module, module.by_rows)
    here = weight.requires_grad and kernels.runs_natively(weight)
    return able and here and weight.numel() >= LEAST


class Rows:
    """AdamW for the rows of a table of which a batch reads a few.

    After t₀ a vector w without gradients, with decaying means m and v of gradients and squares,
    goes on by  −a_j m / (√v + ε)  at each step j, which only scalars tell apart:

        a_j = rate_j √(1 − β₂^j) / (1 − β₁^j) · (β₁ / √β₂)^(j − t₀)

    (ε is scaled by its bias correction at t₀ instead of at j.) So one multiplication with the sum
    of a_j makes up for all steps. The sums for every t₀ since the last `settle` are kept: at each
    step the last LONG of them grow, the others by less than rounding.

    With weight decay, w shrinks by 1 − rate_j · decay at each step; with C_j the running sum of
    the logarithms, w_t = exp(C_t − C_t₀) w_t₀ − exp(C_t) Σ_j exp(−C_j) a_j · m / (√v + ε).
    """

    def __init__(self, module: Any, weight_decay: float) -> None:
        self.weight: nn.Parameter = getattr(module, module.by_rows)
        self.weight_decay = weight_decay
        self.mean_VE = torch.zeros_like(self.weight, requires_grad=False)
        self.square_VE = torch.zeros_like(self.mean_VE)
        # The steps since `settle` when a row was up to date; of one read since the last step −1 −
        # its slot.
        self.seen_V = torch.zeros(len(self.weight), dtype=torch.int64)
        self.slots_V = torch.zeros_like(self.seen_V)
        self.read_now = 0
        self.steps = 0  # of the training
        self.now = 0  # of these since `settle`
        self.log = torch.zeros(2, 1, dtype=torch.float64)  # sums of a_j, and C_j, by t₀; has room
        self.taken: list[tuple[Tensor, Entries]] = []
        self.gradient_RE: Tensor | None = None
        module.reader = self

    def read(self, places: Tensor) -> None:
        """Let these rows (repeats allowed) be where plain AdamW would have them by now."""
        sums, decays = (part.data_ptr() for part in self.log)
        found = library.load().read_rows(
            self._call(places=places.data_ptr(), entries=len(places), sums=sums, decays=decays)
        )
        if found < 0:
            raise IndexError("index out of range in the table")
        self.read_now = found

    def take(self, dy: Tensor, entries: Entries) -> None:
        """Keep the gradients (B, E) of sums of rows until `gather`."""
        self.taken.append((dy.contiguous(), entries))

    def clear(self) -> None:
        """Forget all gradients."""
        self.taken, self.gradient_RE = [], None

    def gather(self) -> Tensor | None:
        """(R, E) the gradients of the rows that were read since the last step; None without any."""
        if self.taken and self.gradient_RE is None:
            self.gradient_RE = torch.zeros(self.read_now, self.weight.shape[1])
            for dy, entries in self.taken:
                size, seen = len(self.weight), self.seen_V.data_ptr()
                lookup.call(self.gradient_RE, dy, entries, backward=True, size=size, seen=seen)
        return self.gradient_RE

    def step(self, rate: float) -> None:
        """One update by the gradients gathered; a row that was read without any has zeros."""
        gradient_RE = self.gather()
        self.steps += 1
        unbiased, root = 1 - BETAS[0] ** self.steps, math.sqrt(1 - BETAS[1] ** self.steps)
        self._remember(rate, unbiased, root)
        if gradient_RE is None:
            gradient_RE = torch.zeros(self.read_now, self.weight.shape[1])
        library.load().step_rows(
            self._call(
                gradient=gradient_RE.data_ptr(),
                kept=1 - rate * self.weight_decay,
                rate=rate / unbiased,
                root=root,
            )
        )
        self.read_now = 0
        if self.log[1, self.now] < LEAST_LEFT:  # soon its inverse would be no number
            self.settle()

    def _call(self, **fields: Any) -> library.Rows:
        return library.Rows(
            size=len(self.weight),
            width=self.weight.shape[1],
            threads=torch.get_num_threads(),
            steps=self.steps,
            now=self.now,
            count=self.read_now,
            first=BETAS[0],
            second=BETAS[1],
            epsilon=EPSILON,
            seen=self.seen_V.data_ptr(),
            slots=self.slots_V.data_ptr(),
            table=self.weight.data_ptr(),
            mean=self.mean_VE.data_ptr(),
            square=self.square_VE.data_ptr(),
            **fields,
        )

    def _remember(self, rate: float, unbiased: float, root: float) -> None:
        if self.now + 1 == self.log.shape[1]:
            self.log = torch.cat([self.log, torch.zeros_like(self.log)], dim=1)
        sums, decays = self.log.numpy()
        total = decays[self.now] + math.log1p(-rate * self.weight_decay)
        recent = sums[max(self.now + 1 - LONG, 0) : self.now + 1]
        recent += math.exp(-total) * rate * root / unbiased * FADING[-len(recent) :]
        self.now += 1
        sums[self.now], decays[self.now] = 0, total

    def settle(self) -> None:
        """Catch up with all rows, and begin a new log."""
        self.read(torch.arange(len(self.weight)))
        self.read_now = 0
        self.seen_V.zero_()
        self.now = 0
        self.log.zero_()

    def tensors(self) -> dict[str, Tensor]:
        """What is not in the weights."""
        return {
            "exp_avg": self.mean_VE,
            "exp_avg_sq": self.square_VE,
            "seen": self.seen_V,
            "step": torch.tensor(float(self.steps)),
            "log": self.log[:, : self.now + 1].contiguous(),
        }

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Go on from `tensors`, also from those of plain AdamW. Raises ValueError or KeyError where
        they do not fit."""
        settled = {"seen": torch.zeros_like(self.seen_V), "log": torch.zeros(2, 1)}
        tensors = settled | tensors
        own = {"exp_avg": self.mean_VE, "exp_avg_sq": self.square_VE, "seen": self.seen_V}
        for name, tensor in own.items():
            if tensors[name].shape != tensor.shape:
                raise ValueError(f"{name} is of another shape")
            tensor.copy_(tensors[name])
        log = tensors["log"].double().clone()
        if log.dim() != 2 or len(log) != 2:
            raise ValueError("the log of step sizes is of another shape")
        if not 0 <= int(self.seen_V.min()) <= int(self.seen_V.max()) < log.shape[1]:
            raise ValueError("rows are ahead of the log of step sizes")
        self.steps, self.now, self.log = int(tensors["step"]), log.shape[1] - 1, log
