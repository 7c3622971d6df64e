"""Worst-case nudges of token vectors, which keep a network from memorising small data.

Source: Goodfellow et al. (2015); for the vectors of words and recurrent networks, Miyato et al.
(2017). Each update has two passes over its batch:

    1   the loss as it is; its gradient g at the token vectors x
    2   the loss at x + r, with r = size · ‖x‖ · g / ‖g‖, the step that harms most

and follows the sum of both gradients. Differs from the source: ‖·‖ runs over a batch, and r is
measured by x, so that no width of vectors, length of text or growth of x changes what a size means.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from seqcli.nn.dropout import Embedding
from seqcli.nn.spelling import SpelledEmbedding


class Adversary:
    """The second pass, for every token embedding of a model.

    size: ‖r‖ / ‖x‖, in (0, 1].
    """

    def __init__(self, model: nn.Module, size: float) -> None:
        modules = list(model.modules())
        inner = {module.words for module in modules if isinstance(module, SpelledEmbedding)}
        kinds = (Embedding, SpelledEmbedding)
        self.embeddings = [one for one in modules if isinstance(one, kinds) and one not in inner]
        self.size = size

    def backward(
        self, loss: Callable[[], Tensor], again: Callable[[], Tensor] | None = None
    ) -> Tensor:
        """Add the gradients of both passes to the weights; the loss of the first.

        loss: computes the loss of the batch. again: computes it anew for the second pass, where
        that is another: what no vector enters is the same in both, and may come in the first twice.
        """
        vectors: list[Tensor] = []

        def watch(module: nn.Module, inputs: object, x: Tensor) -> Tensor:
            if not x.requires_grad:  # frozen vectors
                x = x.detach().requires_grad_()
            x.retain_grad()
            vectors.append(x)
            return x

        mean = self._hooked(watch, loss)
        mean.backward()
        nudges = [self._nudge(x) for x in vectors]

        def nudge(module: nn.Module, inputs: object, x: Tensor) -> Tensor:
            return x + nudges.pop(0)

        self._hooked(nudge, again or loss).backward()
        return mean.detach()

    def _hooked(self, hook: Callable[..., Tensor], loss: Callable[[], Tensor]) -> Tensor:
        handles = [embedding.register_forward_hook(hook) for embedding in self.embeddings]
        try:
            return loss()
        finally:
            for handle in handles:
                handle.remove()

    def _nudge(self, x: Tensor) -> Tensor:
        if x.grad is None:
            return torch.zeros_like(x)
        g = x.grad
        return self.size * x.detach().norm() / g.norm().clamp_min(1e-12) * g
