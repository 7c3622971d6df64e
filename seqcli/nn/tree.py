"""Tree-LSTMs (Tai et al. 2015) and the network of classify over trees.

Trees come as numbers of nodes in pre-order (see data/trees.py). Nodes of all trees of a batch that
have the same height are computed together, from the leaves up:

    height 2          ·                 ·            height 0 takes It 's good | No
    height 1     It       ·                          height 1 takes the inner node of the first
    height 0         's     good        No

Dimensions: N nodes of a batch, P parents of one height, K their children, E embedding, H units.
"""

from __future__ import annotations

from itertools import pairwise
from typing import ClassVar, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seqcli.config import ClassifyNetwork
from seqcli.nn import kernels
from seqcli.nn.layers import drop_words, make_dropout, make_embedding
from seqcli.nn.pooling import Pool
from seqcli.nn.ragged import Ragged
from seqcli.nn.spelling import LinearModels


class Level(NamedTuple):
    """The nodes of one height above the leaves, by their place in the order of computation.

    children: (K,) places, those of a parent together. parents: (K,) which of the P parents each
    child belongs to. width: P.
    """

    children: Tensor
    parents: Tensor
    width: int


class Forest(NamedTuple):
    """A batch of trees: words of the leaves, levels above them, and the nodes by tree.

    nodes: (N,) places in the order of computation, tree by tree, the root last.
    """

    words: Ragged
    levels: list[Level]
    nodes: Ragged


def plant(trees: Ragged, vocabulary: int) -> Forest:
    """Find the links of all trees at once, a depth and a height at a time."""
    codes_N = trees.values.cpu().numpy()
    depth_N, word_N = np.divmod(codes_N, vocabulary + 1)
    size = len(codes_N)
    by_depth = [np.flatnonzero(depth_N == d) for d in range(int(depth_N.max(initial=0)) + 1)]
    parent_N = np.full(size, -1)
    for above, below in pairwise(by_depth):
        # In pre-order the parent is the last node before that is one level up.
        parent_N[below] = above[np.searchsorted(above, below) - 1]
    height_N = np.zeros(size, dtype=np.int64)
    for below in reversed(by_depth[1:]):
        np.maximum.at(height_N, parent_N[below], height_N[below] + 1)
    order_N = np.argsort(height_N, kind="stable")
    place_N = np.empty(size, dtype=np.int64)
    place_N[order_N] = np.arange(size)
    inner = np.flatnonzero(parent_N >= 0)
    levels = []
    for height in range(1, int(height_N.max(initial=0)) + 1):
        here = np.flatnonzero(height_N == height)
        children = inner[height_N[parent_N[inner]] == height]
        children = children[np.argsort(parent_N[children], kind="stable")]
        parents = np.searchsorted(here, parent_N[children])
        levels.append(
            Level(torch.from_numpy(place_N[children]), torch.from_numpy(parents), len(here))
        )
    device = trees.values.device
    leaf_N = word_N < vocabulary
    bounds = np.concatenate([[0], np.cumsum(leaf_N)])[trees.offsets.numpy()]
    words = Ragged(torch.from_numpy(word_N[leaf_N]).to(device), torch.from_numpy(bounds))
    tree_N = np.repeat(np.arange(trees.batch), trees.lengths.numpy())
    nodes = torch.from_numpy(place_N[np.lexsort((height_N, tree_N))]).to(device)
    levels = [level._replace(children=level.children.to(device)) for level in levels]
    levels = [level._replace(parents=level.parents.to(device)) for level in levels]
    return Forest(words, levels, trees.with_values(nodes))


class TreeLSTM(nn.Module):
    """An LSTM whose steps go up a tree: a node reads the states of its children.

    Differs from LSTM: several states come in, each with its own forget gate; words stand at the
    leaves alone. binary tells the left child from the right, childsum adds them up.
    Cost a word: 6·H·E + 10·H² FLOP forward where nodes have two children, 6·H·E + 20·H² for binary.
    """

    equations: ClassVar[str] = (
        "leaf       i, o = σ(W x + b)    u = tanh(W_u x + b_u)    c = i ⊙ u\n"
        "childsum   h~ = Σ h_k    i, o = σ(U h~ + b)    u = tanh(U_u h~ + b_u)\n"
        "           f_k = σ(U_f h_k + b_f)\n"
        "binary     i, o = σ(U_1 h_1 + U_2 h_2 + b)    u likewise with tanh\n"
        "           f_k = σ(U_f1k h_1 + U_f2k h_2 + b_f)\n"
        "node       c = i ⊙ u + Σ f_k ⊙ c_k\n"
        "h = o ⊙ tanh(c)"
    )

    def __init__(
        self, input_size: int, hidden_size: int, form: str = "childsum", forget_bias: float = 1.0
    ) -> None:
        super().__init__()
        self.hidden_size = hidden_size
        self.form = form
        self.leaf = nn.Linear(input_size, 3 * hidden_size)
        width = 2 * hidden_size if form == "binary" else hidden_size
        self.node = nn.Linear(width, 3 * hidden_size)
        self.forget = nn.Linear(width, width)
        for layer in (self.leaf, self.node, self.forget):
            nn.init.zeros_(layer.bias)
            for block in layer.weight.detach().split(hidden_size):
                nn.init.xavier_uniform_(block)
        nn.init.constant_(self.forget.bias, forget_bias)

    @property
    def flop(self) -> int:
        """Of the products forward, a word, where nodes have two children: such a tree has as many
        nodes as words but for one. childsum opens a forget gate for each child."""
        gates = 1 if self.form == "binary" else 2
        leaf, node, forget = (layer.weight.numel() for layer in (self.leaf, self.node, self.forget))
        return 2 * (leaf + node + gates * forget)

    def forward(self, x_NE: Tensor, levels: list[Level]) -> Tensor:
        """Vectors of the leaves to states (N, H) of all nodes, in the order of computation."""
        h, c = self._open(_apply(self.leaf, x_NE))
        hs, cs = [h], [c]
        for level in levels:
            below_KH, memory_KH = torch.cat(hs)[level.children], torch.cat(cs)[level.children]
            if self.form == "binary":
                both_PD = below_KH.view(level.width, -1)
                forget_KH = _apply(self.forget, both_PD).view_as(below_KH)
                sums_PG = _apply(self.node, both_PD)
            else:
                forget_KH = _apply(self.forget, below_KH)
                sums_PG = _apply(self.node, _add(below_KH, level))
            kept_PH = _add(kernels.sigmoid(forget_KH) * memory_KH, level)
            h, c = self._open(sums_PG, kept_PH)
            hs.append(h)
            cs.append(c)
        return torch.cat(hs)

    def _open(self, sums_PG: Tensor, kept_PH: Tensor | None = None) -> tuple[Tensor, Tensor]:
        i, o, u = sums_PG.float().chunk(3, dim=1)
        c_PH = kernels.sigmoid(i) * torch.tanh(u)
        if kept_PH is not None:
            c_PH = c_PH + kept_PH
        return kernels.sigmoid(o) * torch.tanh(c_PH), c_PH


def _apply(layer: nn.Linear, x_ND: Tensor) -> Tensor:
    return kernels.linear(x_ND, layer.weight, layer.bias)


def _add(values_KH: Tensor, level: Level) -> Tensor:
    """(P, H) the sum over each parent's children."""
    sums_PH = values_KH.new_zeros(level.width, values_KH.shape[1])
    return sums_PH.index_add(0, level.parents, values_KH)


class TreeClassifier(nn.Module):
    """Trees → states of nodes → one vector → a score for each label. Pool last: the root alone."""

    def __init__(
        self, vocabulary: int, labels: int, network: ClassifyNetwork, *, linear: LinearModels | None
    ) -> None:
        super().__init__()
        self.vocabulary = vocabulary
        self.dropout = make_dropout(network)
        self.word_dropout = network.word_dropout or 0.0
        self.embedding = make_embedding(network, vocabulary)
        self.tree = TreeLSTM(
            network.embedding, network.hidden, network.tree, forget_bias=network.forget_bias
        )
        self.pool = Pool(network.pool, network.hidden, bidirectional=False)
        self.head = nn.Linear(network.hidden, labels)
        self.ngrams = linear.ngrams if linear else None

    def forward(self, trees: Ragged) -> Tensor:
        """(N,) numbers of nodes to (B, L) scores."""
        forest = self.prepare(trees)
        found = [self.read(forest), self.recall(forest)]
        return torch.stack([scores_BL for scores_BL in found if scores_BL is not None]).mean(0)

    def prepare(self, trees: Ragged) -> Forest:
        """What is read from a batch whatever the weights."""
        return plant(trees, self.vocabulary)

    def recall(self, forest: Forest) -> Tensor | None:
        """(B, L) scores of the n-grams, if any; they do not depend on token vectors."""
        return self.ngrams(forest.words) if self.ngrams else None

    def read(self, forest: Forest) -> Tensor:
        """(B, L) scores of the trees alone."""
        words = drop_words(forest.words, self.word_dropout, training=self.training)
        x = self.dropout(words.with_values(self.embedding(words.values)))
        h_NH = self.tree(x.values, forest.levels)[forest.nodes.values]
        pooled_BH = self.pool(forest.nodes.with_values(h_NH))
        pooled_BH = F.dropout(pooled_BH, self.dropout.fraction, self.training)
        return _apply(self.head, pooled_BH).float()
