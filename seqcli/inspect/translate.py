"""What a translator does with one sentence: the tree of its beam, its attention, a forced start.

Dimensions: K live hypotheses, S source and T target tokens, V target vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from seqcli.data.tokens import BOS, EOS
from seqcli.errors import UsageError
from seqcli.inspect.contribution import integrated_gradients
from seqcli.inspect.corpus import show_vocabulary
from seqcli.inspect.trace import Call, Layer, watched
from seqcli.nn.beam import Extensions, Search, beam_search, normalise
from seqcli.nn.likely import NEVER
from seqcli.nn.ragged import Ragged, ragged, to_ragged

MOST_STEPS = 60  # of a beam tree that can still be looked at


class Node(NamedTuple):
    """A hypothesis of the beam: its last token, log p of that token and of the whole, and fate:
    live, finished or dropped. parent: place of the hypothesis it extends, −1 for the root."""

    parent: int
    step: int
    token: int
    log_probability: float
    total: float
    fate: str


class Tree(NamedTuple):
    """All nodes that the search looked at, and the place of the best finished one."""

    nodes: list[Node]
    best: int

    def path(self, at: int) -> list[int]:
        """Token ids from the first to the node's own."""
        found: list[int] = []
        while at >= 0:
            found.insert(0, self.nodes[at].token)
            at = self.nodes[at].parent
        return found


def grow_tree(
    model: Any, source_ids: np.ndarray, *, beam: int, prefix: Sequence[int] = (), limit: int
) -> Tree:
    """Beam search over one sentence, every extension it weighed kept: of each live hypothesis its
    `beam` likeliest tokens and one more. A forced prefix comes first."""
    nodes: list[Node] = []
    live = [-1]

    def watch(weighed: Extensions, order_1K: Tensor) -> None:
        begin, step = len(nodes), nodes[-1].step + 1 if nodes else 0
        parts = (part.squeeze(0).tolist() for part in weighed[:4])
        order = order_1K.squeeze(0).tolist()
        for rank, (total, parent, token, ends) in enumerate(zip(*parts, strict=True)):
            if total == NEVER:  # of a hypothesis that is none: all the rest are too
                break
            before = nodes[live[parent]].total if begin else 0.0
            if ends:
                fate = "finished" if rank < beam else "dropped"
            else:
                fate = "live" if rank in order else "dropped"
            nodes.append(Node(live[parent], step, token, total - before, total, fate))
        live[:] = [begin + rank for rank in order]

    with torch.no_grad():
        source = model.encode(ragged([torch.from_numpy(source_ids.astype("int64"))]))
    search = Search(beam=beam, prefix=tuple(prefix))
    beam_search(model, source, search, begin=BOS, end=EOS, limits=[limit], watch=watch)
    places = range(len(nodes))
    ended = [at for at in places if nodes[at].fate == "finished"]
    # Out of room: the live ones are all there is.
    last = nodes[-1].step
    closed = ended or [at for at in places if nodes[at].step == last and nodes[at].fate == "live"]
    best = max(closed, key=lambda at: normalise(nodes[at].total, nodes[at].step + 1, 1.0))
    return Tree(nodes, best)


@torch.no_grad()
def read_translation(
    task: Any,
    model: Any,
    layers: Sequence[Layer],
    text: str,
    *,
    beam: int = 3,
    prefix: str | None = None,
) -> tuple[dict[str, Any], dict[str, Call]]:
    """Translate one sentence and look: tree, attention (T, S), integrated gradients of the
    translation's log p over the source tokens, and every cell's call while it was read again."""
    encoded = task.encode_source([text])
    forced: list[int] = []
    if prefix:
        forced = task.target.encode([prefix]).values.tolist()
        if not forced:
            raise UsageError("--forced-prefix has no tokens")
    limit = min(MOST_STEPS, len(forced) + 3 * len(encoded.values) + 20)
    tree = grow_tree(model, encoded.values, beam=beam, prefix=forced, limit=limit)
    written = [token for token in tree.path(tree.best) if token != EOS]
    source, read = to_ragged(encoded), ragged([torch.tensor([BOS, *written])])
    gold_T = torch.tensor([*written, EOS])
    with watched(layers) as calls:
        memory = model.encode(source)
        start = model.start(memory)
        scores_TV, _, weights = model.decode(read, memory, start, hypotheses=read.offsets)
    logs_T = torch.log_softmax(scores_TV.float(), dim=1).gather(1, gold_T[:, None]).squeeze(1)
    gradients_S = _explain(model, source, read, gold_T)
    sources, targets = show_vocabulary(task.source), show_vocabulary(task.target)
    facts = {
        "tokens": {
            "encoder": [sources[number] for number in encoded.values],
            "decoder": [targets[number] for number in read.values.tolist()],
        },
        "translation": task.target.decode(written),
        "forced": len(forced),
        "written": [targets[number] for number in gold_T.tolist()],
        "log_probabilities": [round(value, 5) for value in logs_T.tolist()],
        "attention": None if weights is None else _round_rows(weights.split()[0]),
        "source_gradients": [round(value, 5) for value in gradients_S.tolist()],
        "tree": [_show_node(node, targets) for node in tree.nodes],
        "chosen": tree.best,
        "beam": beam,
    }
    return facts, calls


def _explain(model: Any, source: Ragged, read: Ragged, gold_T: Tensor) -> Tensor:
    """(S,) integrated gradients of the log p of a whole translation over its source tokens."""

    def total(copies: Ragged) -> Tensor:
        many, steps = copies.batch, len(read.values)
        again = Ragged(read.values.repeat(many), torch.arange(0, many * steps + 1, steps))
        logs_MV = torch.log_softmax(model(copies, again).float(), dim=1)
        return logs_MV.gather(1, gold_T.repeat(many)[:, None]).view(many, -1).sum(1, keepdim=True)

    return integrated_gradients(model.source_embedding, source, total)[:, 0]


def _round_rows(values: Tensor) -> list[list[float]]:
    return [[round(value, 4) for value in row] for row in values.tolist()]


def _show_node(node: Node, names: Sequence[str]) -> list[Any]:
    """A node as the page takes it."""
    logs = round(node.log_probability, 4), round(node.total, 4)
    return [node.parent, node.step, names[node.token], *logs, node.fate]
