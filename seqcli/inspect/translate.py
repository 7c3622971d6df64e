"""What a translator does with one sentence: the tree of its beam, its attention, a forced start.

Dimensions: R live hypotheses, S source and T target tokens, V target vocabulary.
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
from seqcli.nn.beam import normalise
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


@torch.no_grad()
def grow_tree(
    model: Any, source_ids: np.ndarray, *, beam: int, prefix: Sequence[int] = (), limit: int
) -> Tree:
    """Beam search over one sentence, every extension it weighed kept: each live hypothesis with
    its `beam` likeliest tokens. A forced prefix comes first, whatever its probability."""
    source = model.encode(ragged([torch.from_numpy(source_ids.astype("int64"))]))
    state = model.start(source)
    nodes: list[Node] = []
    live = [-1]
    last = [BOS]
    for step in range(limit):
        rows = len(live)
        batch = Ragged(torch.tensor(last), torch.arange(rows + 1))
        scores, state, _ = model.decode(batch, source, state, hypotheses=torch.tensor([0, rows]))
        logs_RV = torch.log_softmax(scores.float(), dim=1)
        if step < len(prefix):
            log = float(logs_RV[0, prefix[step]])
            total = log + (nodes[live[0]].total if live[0] >= 0 else 0.0)
            nodes.append(Node(live[0], step, prefix[step], log, total, "live"))
            live, last = [len(nodes) - 1], [prefix[step]]
            continue
        found = _extend(logs_RV, live, nodes, beam, step)
        begin = len(nodes)
        nodes += [node for _, node in found]
        kept = [(row, begin + at) for at, (row, node) in enumerate(found) if node.fate == "live"]
        ended = [at for at, node in enumerate(nodes) if node.fate == "finished"]
        if not kept or len(ended) >= beam:
            break
        state = state.select(torch.tensor([row for row, _ in kept]))
        live = [at for _, at in kept]
        last = [nodes[at].token for at in live]
    ended = [at for at, node in enumerate(nodes) if node.fate == "finished"]
    # Out of room: the live ones are all there is.
    closed = ended or live
    best = max(closed, key=lambda at: normalise(nodes[at].total, nodes[at].step + 1, 1.0))
    return Tree(nodes, best)


def _extend(
    logs_RV: Tensor, live: list[int], nodes: list[Node], beam: int, step: int
) -> list[tuple[int, Node]]:
    """The extensions of all live hypotheses, best first: the first `beam` go on or are finished,
    the rest are dropped. With the row each came from."""
    top_RK, token_RK = logs_RV.topk(min(beam + 1, logs_RV.shape[1]), dim=1)
    found = []
    for row, parent in enumerate(live):
        before = nodes[parent].total if parent >= 0 else 0.0
        for log, token in zip(top_RK[row].tolist(), token_RK[row].tolist(), strict=True):
            found.append((row, Node(parent, step, token, log, before + log, "dropped")))
    found.sort(key=lambda pair: -pair[1].total)
    result, alive = [], 0
    for rank, (row, node) in enumerate(found):
        if node.token == EOS and rank < beam:
            node = node._replace(fate="finished")
        elif node.token != EOS and alive < beam:
            node = node._replace(fate="live")
            alive += 1
        result.append((row, node))
    return result


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
