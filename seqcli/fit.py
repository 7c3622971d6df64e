"""The training loop: a generator of events that knows nothing of files, rich or Typer.

    for event in Fit(task, model, rows, judge).events():
        Step        after each update
        Trouble     once, where the loss stays finite but rises for good
        Evaluation  after each epoch, with the validation scores

Progress, history, checkpoints and signals are consumers of the events. Between any two events
`snapshot` holds all that is needed to go on bit for bit in another process.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from seqcli.average import Average
from seqcli.config import Training
from seqcli.config.duration import parse_duration
from seqcli.divergence import Level
from seqcli.errors import SeqcliError
from seqcli.events import Evaluation, Event, Step, Trouble
from seqcli.nn.adversary import Adversary
from seqcli.nn.device import autocast
from seqcli.nn.native import packing
from seqcli.optimizer import Optimizer
from seqcli.tasks.task import Loss, Scores, Task

KEPT = "The best epoch and the last checkpoint before stay as they are"
NON_MONOTONE = 5
"""Epochs before the last whose best the last must beat, or asgd begins to average."""


@dataclass
class Position:
    """Where a training stands; plain numbers, written into a checkpoint. ranks: what each epoch is
    compared by. elapsed: seconds of it all, judging: of the last evaluation; they matter to a
    training that has a time only."""

    epoch: int = 1
    position: int = 0
    step: int = 0
    loss_sum: float = 0.0
    items: int = 0
    tokens: int = 0
    seconds: float = 0.0
    best_epoch: int = 0
    stale: int = 0
    factor: float = 1.0
    finished: bool = False
    ranks: list[list[float]] = field(default_factory=list)
    elapsed: float = 0.0
    judging: float = 0.0


class Snapshot(NamedTuple):
    """The complete state of a training between two updates."""

    tensors: dict[str, Tensor]
    facts: dict[str, Any]


class Fit:
    """One training, from its first update or from a snapshot.

    judge: gives the validation scores of the model as it is. prepared: seconds that went into
    reading data, closing: evaluations' worth of time that the final scores will take; both are
    part of the time that a training is given. Raises SeqcliError from `events` when
    a loss, gradient or validation score is not finite, before any update with it, and at once when
    the snapshot is not one of this training.
    """

    def __init__(
        self,
        task: Task,
        model: nn.Module,
        encoded: Any,
        judge: Callable[[], Scores],
        *,
        precision: str = "fp32",
        snapshot: Snapshot | None = None,
        prepared: float = 0.0,
        closing: float = 0.0,
    ) -> None:
        self.task = task
        self.model = model
        self.encoded = encoded
        self.judge = judge
        self.precision = precision
        self.training: Training = task.config.training
        self.epochs = self.training.epochs or self.training.fewest_epochs
        self.device = next(model.parameters()).device
        self.optimizer = Optimizer(model, self.training)
        size = self.training.adversarial
        self.adversary = Adversary(model, size) if size else None
        decay = self.training.average
        self.average = Average(model, decay) if decay else None
        self.at = Position()
        self.level = Level()
        self.state: Any = None
        torch.manual_seed(self.training.seed)
        if snapshot is not None:
            try:
                self._restore(snapshot)
            except (KeyError, IndexError, RuntimeError, TypeError, ValueError) as error:
                reason = str(error).partition("\n")[0]
                raise SeqcliError(
                    f"the checkpoint does not fit this training ({reason}); start it anew"
                ) from None
        self.at.elapsed += prepared
        self.closing = closing
        given = self.training.time
        self.limit = math.inf if given is None else parse_duration(given, "--time")

    def events(self) -> Iterator[Event]:
        """Train to the end, or until a consumer stops asking."""
        at = self.at
        while not at.finished:
            plan = self.task.plan(self.encoded, at.epoch)
            if at.position == 0:
                self.state = None
            for batch in self.task.batches(self.encoded, plan, at.position):
                yield self._update(batch, len(plan))
                if not self.level.told and (trouble := self.level.diverged()):
                    self.level.told = True
                    where = f"step {at.step} (epoch {at.epoch})"
                    sentence = f"training diverges at {where}: {trouble}; {advise(self.training)}"
                    yield Trouble(at.epoch, at.step, sentence)
                if self._spent() >= 1:
                    break
            yield self._evaluate()

    def _update(self, batch: Any, batches: int) -> Step:
        at, began = self.at, time.perf_counter()
        if not self.model.training:  # it goes through all modules
            self.model.train()
        self.optimizer.clear()
        with packing.unchanged():
            loss = self._differentiate(batch)
        value = loss.whole.item()
        norm = self.optimizer.clip(self.training.clip)
        if not (math.isfinite(value) and math.isfinite(norm)):
            raise SeqcliError(
                f"the loss is {value} and the gradient norm {norm} at step {at.step + 1} (epoch "
                f"{at.epoch}): training diverged; {advise(self.training)}. {KEPT}"
            )
        self.level.add(value)
        done = (at.epoch - 1 + at.position / batches) / self.epochs
        # By the clock where the time is up before the epochs are.
        progress = min(max(done, self._spent()), 1)
        rate = self.training.learning_rate * at.factor * schedule(self.training, progress)
        rate *= loss.rate
        self.optimizer.step(rate)
        if self.average:
            self.average.update()
        self.state = loss.state
        at.step += 1
        at.position += 1
        at.items += loss.count
        at.tokens += loss.tokens
        at.loss_sum += value * loss.count
        seconds = time.perf_counter() - began
        at.seconds += seconds
        at.elapsed += seconds
        return Step(
            epoch=at.epoch,
            epochs=self.epochs,
            position=at.position,
            batches=batches,
            step=at.step,
            loss=value,
            learning_rate=rate,
            gradient_norm=norm,
            tokens=loss.tokens,
            seconds=seconds,
            elapsed=at.elapsed,
        )

    def _differentiate(self, batch: Any) -> Loss:
        """The loss of a batch; its gradients are added to the weights."""
        prepared = self.task.prepare(self.model, batch)

        def compute(*, again: bool = False) -> Loss:
            with autocast(self.device, self.precision):
                return self.task.loss(self.model, prepared, self.state, again=again)

        if self.adversary is None:
            loss = compute()
            loss.whole.backward()
            return loss
        found: list[Loss] = []

        def first() -> Tensor:
            found.append(loss := compute())
            return loss.mean if loss.apart is None else loss.mean + 2 * loss.apart  # of both passes

        self.adversary.backward(first, lambda: compute(again=True).mean)
        return found[0]

    def _spent(self) -> float:
        """The share of the time limit that is used up, with the last evaluations set aside."""
        room = self.limit - (1 + self.closing) * self.at.judging
        return self.at.elapsed / room if room > 0 else math.inf

    def _evaluate(self) -> Evaluation:
        at, training, began = self.at, self.training, time.perf_counter()
        spent = self._spent()
        scores = self._judge()
        at.judging = time.perf_counter() - began
        at.elapsed += at.judging
        value = float(scores[self.task.watched])
        if not math.isfinite(value):
            raise SeqcliError(
                f"{self.task.watched} on validation is {value} after step {at.step} (epoch "
                f"{at.epoch}): training diverged; {advise(self.training)}. {KEPT}"
            )
        rank = rank_epoch(self.task, scores)
        # Of equal epochs the later is kept: it has seen more at a smaller step size.
        best = not at.ranks or rank >= max(at.ranks)
        if best:
            at.best_epoch = at.epoch
        if improves(rank, at.ranks):
            at.stale = 0
        else:
            at.stale += 1
            if training.schedule == "plateau":
                at.factor /= 2
        at.ranks.append(rank)
        if self.training.optimizer == "asgd" and not self.average and stalls(at.ranks):
            self.average = Average(self.model, None)
        event = Evaluation(
            at.epoch,
            self.epochs,
            at.step,
            at.loss_sum / max(at.items, 1),
            scores,
            self.task.watched,
            value,
            best,
            at.seconds,
            at.tokens,
        )
        tired = training.patience and at.stale >= training.patience
        late = max(spent, self._spent()) >= 1
        at.finished = bool(at.epoch >= self.epochs or tired or late)
        at.epoch, at.position = at.epoch + 1, 0
        at.loss_sum, at.items, at.tokens, at.seconds = 0.0, 0, 0, 0.0
        return event

    def _judge(self) -> Scores:
        """The validation scores, with the weights frozen so that they are packed only once."""
        self.optimizer.settle()
        weights = [weight for weight in self.model.parameters() if weight.requires_grad]
        # Fused optimisers change weights unseen, and what is remembered of them must not be used.
        torch.autograd.graph.increment_version(weights)
        self.model.eval()
        for weight in weights:
            weight.requires_grad_(False)
        try:
            with self.averaged():
                return self.judge()
        finally:
            for weight in weights:
                weight.requires_grad_(True)

    def averaged(self) -> AbstractContextManager[None]:
        """The model with the weights that are judged and saved: their mean, if one is kept."""
        return self.average.applied() if self.average else nullcontext()

    def snapshot(self) -> Snapshot:
        """Weights, optimiser, carried state, random numbers and position. Tensors are not copied:
        write them before the next event."""
        tensors = {f"model.{name}": value for name, value in self.model.state_dict().items()}
        for name, value in self.optimizer.tensors().items():
            tensors[f"optimizer.{name}"] = value
        if self.average:
            for number, value in enumerate(self.average.mean):
                tensors[f"average.{number}"] = value
        carried = 0
        if self.state is not None:
            carried = len(self.state)
            for cell, parts in enumerate(self.state):
                for part, value in enumerate(parts):
                    tensors[f"state.{cell}.{part}"] = value
        tensors["random.cpu"] = torch.get_rng_state()
        if self.device.type == "cuda":
            tensors["random.cuda"] = torch.cuda.get_rng_state(self.device)
        facts = {
            "position": asdict(self.at),
            "level": asdict(self.level),
            "carried": carried,
            "averaged": self.average.updates if self.average else None,
            "threads": torch.get_num_threads(),
        }
        return Snapshot(tensors, facts)

    def _restore(self, snapshot: Snapshot) -> None:
        tensors, facts = snapshot
        self.model.load_state_dict(_under(tensors, "model."))
        self.optimizer.restore(_under(tensors, "optimizer."))
        if facts["averaged"] is not None:
            means = _under(tensors, "average.")
            self.average = self.average or Average(self.model, None)
            in_order = [means[str(number)] for number in range(len(means))]
            self.average.restore(in_order, facts["averaged"])
        parts: dict[int, dict[int, Tensor]] = {}
        for name, value in _under(tensors, "state.").items():
            cell, part = map(int, name.split("."))
            parts.setdefault(cell, {})[part] = value.to(self.device)
        if facts["carried"]:
            self.state = [
                tuple(parts[cell][part] for part in sorted(parts[cell]))
                for cell in range(facts["carried"])
            ]
        torch.set_rng_state(tensors["random.cpu"])
        if "random.cuda" in tensors and self.device.type == "cuda":
            torch.cuda.set_rng_state(tensors["random.cuda"], self.device)
        self.at = Position(**facts["position"])
        self.level = Level(**facts["level"])


def _under(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {
        name[len(prefix) :]: value for name, value in tensors.items() if name.startswith(prefix)
    }


def advise(training: Training) -> str:
    """What to try where a training diverges."""
    clips = 0 < training.clip <= 1
    return "start again with a smaller --learning-rate" + (
        "" if clips else ", or a --clip of 1 or less"
    )


def schedule(training: Training, progress: float) -> float:
    """The share of the peak step size after a fraction `progress` of all updates, in [0, 1]:
    a linear warm-up, then constant, linear or cosine decay (plateau: constant here)."""
    if progress < training.warmup:
        return max(progress / training.warmup, 0.01)
    rest = (progress - training.warmup) / max(1 - training.warmup, 1e-9)
    if training.schedule == "linear":
        return 1 - rest
    if training.schedule == "cosine":
        return (1 + math.cos(math.pi * rest)) / 2
    return 1.0


def rank_epoch(task: Task, scores: Scores) -> list[float]:
    """What an epoch is compared by: the watched score, or what the task says; higher is better."""
    if ranked := getattr(task, "rank", None):
        return ranked(scores)
    value = float(scores[task.watched])
    return [value if task.higher_is_better else -value]


def improves(rank: list[float], earlier: list[list[float]]) -> bool:
    """Whether any score of a rank is better than all that were in its place."""
    if not earlier:
        return True
    return any(now > max(before) for now, *before in zip(rank, *earlier, strict=True))


def stalls(ranks: list[list[float]]) -> bool:
    """Whether the last rank is below those more than `NON_MONOTONE` epochs before it in a score,
    and above them in none: the trigger of NT-ASGD (Merity et al. 2018)."""
    earlier = ranks[: -1 - NON_MONOTONE]
    best = [max(before) for before in zip(*earlier, strict=True)]
    return bool(best) and ranks[-1] != best and not improves(ranks[-1], earlier)
