"""What large and quickly changing states cost a language model in training.

Dimensions: N tokens of a batch, H states, M tokens that have one before them.
"""

from __future__ import annotations

import torch
from torch import Tensor

from seqcli.nn.ragged import Ragged


def penalise(h: Ragged, dropped: Ragged, *, ar: float, tar: float) -> Tensor:
    """Activation regularisation and its temporal form (Merity et al. 2017): a scalar.

        ar · mean(d_n²) + tar · mean((h_n − h_{n−1})²)      h: (N, H) states, d: after dropout

    Changes are within a sequence, never from one to the next.
    """
    penalty = ar * dropped.values.float().square().mean()
    inside_N = torch.ones(len(h.values), dtype=torch.bool)
    inside_N[h.offsets[:-1]] = False
    later = inside_N.nonzero().squeeze(1).to(h.values.device)
    if tar and len(later):
        change_MH = h.values.index_select(0, later) - h.values.index_select(0, later - 1)
        penalty = penalty + tar * change_MH.float().square().mean()
    return penalty
