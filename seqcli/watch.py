"""Gradients while a network trains: how large in each layer, and how far back in time they reach.

Once an epoch a probe of fixed rows goes through the network as it is, without dropout, and the
gradient of its loss is followed back through each recurrent layer (`inspect.flow`). The norms by
layer are those of the training steps themselves, before clipping. Nothing here touches the weights
or draws a random number that the training would have drawn.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from seqcli import storage
from seqcli.data.rows import Rows
from seqcli.errors import SeqcliError
from seqcli.events import Step
from seqcli.inspect.corpus import make_corpus
from seqcli.inspect.flow import Flow, gradient_flow, say_horizon
from seqcli.inspect.trace import list_layers

GRADIENTS = "gradients.jsonl"
PROBE_TOKENS = 4_096
"""Validation tokens that the gradients are followed in."""
BARS = "▁▂▃▄▅▆▇█"
PLOTTED = 40  # lags drawn, a character each
FAINTEST = 1e-4
"""The share of a gradient that is drawn as the lowest bar."""


class Watch:
    """What the gradients of one training do. say: is told what to know, a sentence at a time."""

    def __init__(
        self, task: Any, model: nn.Module, rows: Rows, folder: Path, say: Callable[[str], None]
    ) -> None:
        self.task = task
        self.model = model
        self.folder = folder
        self.say = say
        self.corpus = make_corpus(task, rows, max_tokens=PROBE_TOKENS)
        try:
            self.layers = list_layers(model)
        except SeqcliError as error:
            self.layers = []
            say(f"--watch gradients shows norms only: {error}")
        self.groups = self._group()
        self.sums: dict[str, float] = defaultdict(float)
        self.steps = self.clipped = 0
        self.verdicts: dict[str, str] = {}
        self.flows: dict[str, Flow] = {}

    def _group(self) -> dict[str, list[nn.Parameter]]:
        """The parameters by layer, and those of no layer by the part of the network they are in."""
        owner = {
            id(parameter): f"layer {layer.key}"
            for layer in self.layers
            for parameter in layer.cell.parameters()
        }
        groups: dict[str, list[nn.Parameter]] = {}
        for name, parameter in self.model.named_parameters():
            group = owner.get(id(parameter), name.partition(".")[0])
            groups.setdefault(group, []).append(parameter)
        return groups

    def add(self, step: Step, gradient: Callable[[nn.Parameter], Tensor | None]) -> None:
        """What an update followed. gradient: that of a weight, which is still there."""
        norms = {}
        for group, parameters in self.groups.items():
            found = (gradient(parameter) for parameter in parameters)
            norms[group] = math.sqrt(sum(float(g.pow(2).sum()) for g in found if g is not None))
        # What clipping took is given back.
        after = math.sqrt(sum(norm**2 for norm in norms.values()))
        scale = step.gradient_norm / after if after else 0.0
        for group, norm in norms.items():
            self.sums[group] += norm * scale
        self.steps += 1
        limit = self.task.config.training.clip
        self.clipped += bool(limit and step.gradient_norm > limit)

    def look(self, epoch: int, step: int) -> None:
        """Measure the flow, write a line of gradients.jsonl, and say what changed."""
        if self.layers:
            self.flows = self._measure()
        count = max(self.steps, 1)
        line = {
            "epoch": epoch,
            "step": step,
            "norms": {group: self.sums[group] / count for group in self.groups if self.steps},
            "clipped": self.clipped / count,
            "layers": {
                key: {
                    "verdict": flow.verdict,
                    "kept_a_step": flow.factor,
                    "horizon": flow.horizon,
                    "typical_length": flow.length,
                    "by_lag": flow.norms,
                }
                for key, flow in self.flows.items()
            },
        }
        storage.append_line(self.folder / GRADIENTS, line)
        self.sums.clear()
        self.steps = self.clipped = 0
        for key, flow in self.flows.items():
            if flow.verdict != self.verdicts.get(key, "healthy"):
                self._warn(epoch, key, flow)
            self.verdicts[key] = flow.verdict

    def snapshot(self) -> dict[str, Any]:
        """What a checkpoint keeps of it: the epoch so far, and what was said last."""
        return {
            "sums": dict(self.sums),
            "steps": self.steps,
            "clipped": self.clipped,
            "verdicts": dict(self.verdicts),
        }

    def restore(self, facts: dict[str, Any]) -> None:
        """Go on from what `snapshot` gave."""
        self.sums.update(facts["sums"])
        self.steps, self.clipped = facts["steps"], facts["clipped"]
        self.verdicts = facts["verdicts"]

    def _measure(self) -> dict[str, Flow]:
        training = self.model.training
        weights = list(self.model.parameters())
        # Fused optimisers change weights unseen, and what is remembered of them must not be used.
        torch.autograd.graph.increment_version(weights)
        self.model.eval()
        devices = [weights[0].device] if weights[0].is_cuda else []
        try:
            with torch.random.fork_rng(devices=devices):
                return gradient_flow(self.corpus, self.model, self.layers)
        finally:
            self.model.train(training)

    def _warn(self, epoch: int, key: str, flow: Flow) -> None:
        when = f"epoch {epoch}" if epoch else "before training"
        if flow.verdict == "healthy":
            self.say(f"{when}: the gradient through layer {key} is healthy again")
        elif flow.verdict in ("vanishing", "exploding"):
            self.say(
                f"{when}: the gradient through layer {key} is {flow.verdict}, "
                f"{flow.factor:.2f} of it is left per step; "
                f"try {advise(self.task, flow.verdict)}"
            )

    def plot(self) -> None:
        """Say how much of the gradient is left by lag in each layer, as bars on a log scale."""
        for key, flow in self.flows.items():
            values = flow.norms["c" if "c" in flow.norms else "h"][:PLOTTED]
            kept = ""
            if flow.factor is not None:
                reach = say_horizon(flow.horizon, len(flow.norms["h"]) - 1)
                kept = f", {flow.factor:.2f} is left per step, {reach}"
            self.say(
                f"gradient by lag 0–{len(values) - 1}, layer {key}: {draw_bars(values)}  "
                f"{flow.verdict}{kept}"
            )


def advise(task: Any, verdict: str) -> str:
    """What helps against a gradient that vanishes or explodes, with the settings of a task."""
    network, training = task.config.network, task.config.training
    found = []
    if verdict == "exploding":
        if not training.clip:
            found.append("--clip 1")
        found.append("a smaller --learning-rate")
        if network.initialization != "orthogonal":
            found.append("--initialization orthogonal")
        if hasattr(training, "bptt"):
            found.append("a shorter --bptt")
    elif network.cell in ("rnn", "jordan"):
        found.append("a cell with gates (--cell gru or lstm)")
        if network.initialization != "orthogonal":
            found.append("--initialization orthogonal")
    else:
        if "lstm" in network.cell:
            found.append(f"--forget-bias {network.forget_bias + 1:g}")
        else:
            found.append("--cell lstm")
        if getattr(network, "pool", "max") == "last":
            found.append("--pool max, which reaches every step directly")
        if getattr(network, "attention", "") == "none":
            found.append("--attention general, which reaches every step directly")
        if hasattr(task.config.tokens, "max_length"):
            found.append("shorter sequences (--max-length)")
    return " or ".join(found)


def draw_bars(shares: list[float]) -> str:
    """A bar for each share of the first, on a logarithmic scale down to FAINTEST."""
    bars = []
    for share in shares:
        height = 1 - math.log(min(max(share, FAINTEST), 1)) / math.log(FAINTEST)
        bars.append(BARS[round(height * (len(BARS) - 1))])
    return "".join(bars)
