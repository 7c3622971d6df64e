"""Running means of weights: steadier than the last weights of a noisy training, at no cost in use.

Source: Polyak and Juditsky (1992); as an exponential mean, Tarvainen and Valpola (2017).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class Average:
    """The running mean of a model's weights w over the updates t = 1, 2, … of its training.

        mean_t = d_t · mean_{t−1} + (1 − d_t) · w_t
        d_t    = min(decay, (1 + t) / (10 + t))     the last ninth of what was, at first
        d_t    = (t − 1) / t                        with decay None: all alike

    decay: in [0, 1), or None for the plain mean of all weights since this average began.
    """

    def __init__(self, model: nn.Module, decay: float | None) -> None:
        self.decay = decay
        self.updates = 0
        self.weights = [weight for weight in model.parameters() if weight.requires_grad]
        self.mean = [weight.detach().clone() for weight in self.weights]

    def update(self) -> None:
        """Take in the weights as they are now."""
        self.updates += 1
        t = self.updates
        kept = (t - 1) / t if self.decay is None else min(self.decay, (1 + t) / (10 + t))
        # Plain tensors: the weights themselves ask for a gradient.
        torch._foreach_lerp_(self.mean, [weight.detach() for weight in self.weights], 1 - kept)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """The model with the mean as its weights, until the end of the block."""
        own = [weight.detach().clone() for weight in self.weights]
        _copy(self.mean, self.weights)
        try:
            yield
        finally:
            _copy(own, self.weights)

    def restore(self, mean: list[Tensor], updates: int) -> None:
        """Go on from a mean that was saved. Raises ValueError where its shapes are not these."""
        if [one.shape for one in mean] != [one.shape for one in self.mean]:
            raise ValueError("the averaged weights are of another shape")
        _copy(mean, self.mean)
        self.updates = updates


@torch.no_grad()
def _copy(source: Sequence[Tensor], target: Sequence[Tensor]) -> None:
    for values, tensor in zip(source, target, strict=True):
        tensor.copy_(values)
