"""Training that people trust: repeatable, resumable bit for bit, clipped, stopped in time."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import TASKS, Quiet, make_rows, tiny, write_jsonl

from seqcli import bundle, run
from seqcli.data.load import load
from seqcli.errors import SeqcliError
from seqcli.events import Evaluation, Step, Trouble
from seqcli.fit import Fit, improves, schedule, stalls
from seqcli.tasks import TASKS as BY_NAME

EPOCHS = 3
SIGNAL = 15


def train(config: Any, folder: Path, **options: Any) -> Quiet:
    observer = Quiet()
    run.train(config, folder, observer, **options)
    return observer


def weights(folder: Path) -> bytes:
    return (folder / bundle.WEIGHTS).read_bytes()


def history(folder: Path) -> list[dict[str, Any]]:
    lines = (folder / bundle.HISTORY).read_text().splitlines()
    return [{k: v for k, v in json.loads(line).items() if k != "seconds"} for line in lines]


def stop_at(*events: int) -> Callable[[], int]:
    """A question that is answered with a signal after these events, counted from 1."""
    seen = [0]

    def stop() -> int:
        seen[0] += 1
        return SIGNAL if seen[0] in events else 0

    return stop


def make_fit(data: Path, scores: list[float], **settings: Any) -> Fit:
    """A training of classify whose validation scores are given."""
    torch.set_num_threads(1)
    config = tiny("classify", data, **settings)
    splits = load("classify", config.data)
    assert splits.train
    task = BY_NAME["classify"].learn(config, splits.train)
    torch.manual_seed(config.training.seed)
    given = iter(scores)
    return Fit(task, task.build(), task.encode(splits.train), lambda: {"accuracy": next(given)})


# ------------------------------------------------------------------------------ same seed, same net


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, data: Path) -> Callable[[str], Path]:
    """The folder of an uninterrupted training of each task."""
    made: dict[str, Path] = {}

    def get(task: str) -> Path:
        if task not in made:
            made[task] = tmp_path_factory.mktemp("whole") / task
            train(tiny(task, data, epochs=EPOCHS, dropout=0.3), made[task])
        return made[task]

    return get


@pytest.mark.parametrize("task", TASKS)
def test_seed_decides_the_weights(
    tmp_path: Path, data: Path, whole: Callable[[str], Path], task: str
) -> None:
    train(tiny(task, data, epochs=EPOCHS, dropout=0.3), tmp_path / "same")
    assert weights(tmp_path / "same") == weights(whole(task))
    assert history(tmp_path / "same") == history(whole(task))
    train(tiny(task, data, epochs=EPOCHS, dropout=0.3, seed=2), tmp_path / "other")
    assert weights(tmp_path / "other") != weights(whole(task))


@pytest.mark.parametrize("task", TASKS)
def test_resumed_training_is_the_same_to_the_bit(
    tmp_path: Path, data: Path, whole: Callable[[str], Path], task: str
) -> None:
    """Interrupted within the first epoch, within the second, and at its end."""
    folder = tmp_path / "m"
    config = tiny(task, data, epochs=EPOCHS, dropout=0.3)
    observer = Quiet()
    stops = [2, 7, 2, 1]  # events between two interruptions
    with pytest.raises(run.Interrupted) as caught:
        run.train(config, folder, observer, stop=stop_at(stops[0]))
    assert (caught.value.folder, caught.value.signal) == (folder, SIGNAL)
    assert isinstance(observer.events[-1], Step)  # in mid-epoch
    assert observer.events[-1].position < observer.events[-1].batches
    for events in stops[1:]:
        with pytest.raises(run.Interrupted):
            run.resume(folder, observer, stop=stop_at(events))
    report = run.resume(folder, observer)
    assert weights(folder) == weights(whole(task))
    assert history(folder) == history(whole(task))
    stored = json.loads((whole(task) / "metrics.json").read_text())
    assert json.loads(json.dumps(report.scores)) == stored["scores"]
    steps = [event.step for event in observer.events if isinstance(event, Step)]
    assert steps == list(range(1, len(steps) + 1))  # none twice, none left out
    assert not (folder / "checkpoint").exists()


@pytest.mark.parametrize("cell", ["jordan", "sru", "mogrifier", "esn", "cnn", "transformer"])
def test_resume_with_a_carried_state(tmp_path: Path, data: Path, cell: str) -> None:
    """What these carry from block to block is of many forms, and all of it is saved."""
    window = {"window": 5} if cell == "transformer" else {}
    config = tiny("lm", data, cell=cell, epochs=2, **window)
    train(config, tmp_path / "whole")
    with pytest.raises(run.Interrupted):
        train(config, tmp_path / "parts", stop=stop_at(3))
    run.resume(tmp_path / "parts", Quiet())
    assert weights(tmp_path / "parts") == weights(tmp_path / "whole")
    assert history(tmp_path / "parts") == history(tmp_path / "whole")


DROPPED = {"locked_dropout": True, "weight_dropout": 0.3, "embedding_dropout": 0.2}
OTHERS = [{"optimizer": "sgd"}, {"schedule": "plateau"}, {"average": 0.9}, DROPPED]


@pytest.mark.parametrize("settings", OTHERS)
def test_resume_with_other_settings(tmp_path: Path, data: Path, settings: dict[str, Any]) -> None:
    config = tiny("classify", data, epochs=2, **settings)
    train(config, tmp_path / "whole")
    with pytest.raises(run.Interrupted):
        train(config, tmp_path / "parts", stop=stop_at(3))
    run.resume(tmp_path / "parts", Quiet())
    assert weights(tmp_path / "parts") == weights(tmp_path / "whole")


@pytest.mark.parametrize("task", ["classify", "lm"])
def test_resume_while_rare_words_wait_for_their_updates(
    tmp_path: Path, data: Path, task: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("seqcli.optimizer.LEAST", 0)
    config = tiny(task, data, epochs=2, dropout=0.3)
    train(config, tmp_path / "whole")
    with pytest.raises(run.Interrupted):
        train(config, tmp_path / "parts", stop=stop_at(3))
    run.resume(tmp_path / "parts", Quiet())
    assert weights(tmp_path / "parts") == weights(tmp_path / "whole")


def test_interrupted_after_the_last_epoch(tmp_path: Path, data: Path) -> None:
    """Only the final scores are missing, and `resume` gives them."""
    config = tiny("classify", data)
    train(config, tmp_path / "whole")
    events = len(train(config, tmp_path / "count").events)
    with pytest.raises(run.Interrupted):
        train(config, tmp_path / "parts", stop=stop_at(events))
    run.resume(tmp_path / "parts", Quiet())
    for name in ("metrics.json", bundle.WEIGHTS):
        assert (tmp_path / "parts" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_crash_between_history_and_checkpoint(
    tmp_path: Path, data: Path, whole: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The epoch whose checkpoint is missing is run again, and stands in the history once."""
    folder, saved, save = tmp_path / "m", [0], bundle.save_checkpoint

    def crash(*arguments: Any) -> None:
        saved[0] += 1
        if saved[0] == 2:
            raise RuntimeError("power cut")
        save(*arguments)

    monkeypatch.setattr(bundle, "save_checkpoint", crash)
    with pytest.raises(RuntimeError):
        train(tiny("lm", data, epochs=EPOCHS, dropout=0.3), folder)
    with (folder / bundle.HISTORY).open("a") as file:
        file.write('{"epoch": 3, "ste')
    monkeypatch.undo()
    run.resume(folder, Quiet())
    assert [line["epoch"] for line in history(folder)] == [1, 2, 3]
    assert history(folder) == history(whole("lm"))
    assert weights(folder) == weights(whole("lm"))


def test_checkpoints_within_an_epoch(
    tmp_path: Path, data: Path, whole: Callable[[str], Path]
) -> None:
    """With --checkpoint-every a crash loses little, and the weights come out the same."""
    folder = tmp_path / "m"

    class Crash(Quiet):
        def event(self, event: Any) -> None:
            super().event(event)
            if isinstance(event, Step) and event.step == 3:
                raise RuntimeError("power cut")

    config = tiny("lm", data, epochs=EPOCHS, dropout=0.3, checkpoint_every=1e-9)
    with pytest.raises(RuntimeError):
        run.train(config, folder, Crash())
    _, facts = bundle.load_checkpoint(folder)
    assert (facts["position"]["epoch"], facts["position"]["step"]) == (1, 3)
    assert facts["carried"]
    run.resume(folder, Quiet())
    assert weights(folder) == weights(whole("lm"))


# --------------------------------------------------------------------------------- wrong resumes


def test_resume_of_what_cannot_go_on(
    tmp_path: Path, data: Path, whole: Callable[[str], Path]
) -> None:
    with pytest.raises(SeqcliError, match="its training is finished"):
        run.resume(whole("classify"), Quiet())
    with pytest.raises(SeqcliError, match="is not a model folder"):
        run.resume(data, Quiet())
    with pytest.raises(SeqcliError, match="no model folder"):
        run.resume(tmp_path / "gone", Quiet())


@pytest.fixture
def stopped(tmp_path: Path, data: Path) -> Path:
    """The folder of an interrupted training on data of its own."""
    own = tmp_path / "own"
    own.mkdir()
    for path in data.iterdir():
        (own / path.name).write_bytes(path.read_bytes())
    with pytest.raises(run.Interrupted):
        train(tiny("classify", own), tmp_path / "m", stop=stop_at(2))
    return tmp_path / "m"


@pytest.mark.parametrize("split", ["train", "validation"])
def test_data_changed_since_the_interruption(stopped: Path, split: str) -> None:
    path = stopped.parent / "own" / f"{split}.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    rows[0]["text"] += " now"
    write_jsonl(path, rows)
    with pytest.raises(SeqcliError, match="data changed"):
        run.resume(stopped, Quiet())
    path.unlink()
    with pytest.raises(SeqcliError):
        run.resume(stopped, Quiet())


def test_damaged_checkpoint(stopped: Path) -> None:
    path = stopped / bundle.CHECKPOINT
    tensors, facts = bundle.load_checkpoint(stopped)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(SeqcliError, match="corrupt"):
        run.resume(stopped, Quiet())
    for name in ("model.head.weight", "random.cpu", "optimizer.head.weight.exp_avg"):
        bundle.save_checkpoint(stopped, {**tensors, name: torch.zeros(3)}, facts)
        with pytest.raises(SeqcliError, match="does not fit"):
            run.resume(stopped, Quiet())
    bundle.save_checkpoint(stopped, tensors, {**facts, "position": {"epoch": "one", "x": 1}})
    with pytest.raises(SeqcliError, match="does not fit"):
        run.resume(stopped, Quiet())


# ----------------------------------------------------------------------------------- divergence


@pytest.mark.parametrize("task", TASKS)
def test_divergence_is_told(tmp_path: Path, data: Path, task: str) -> None:
    config = tiny(task, data, learning_rate=1e38, clip=0, epochs=4, warmup=0)
    with pytest.raises(SeqcliError) as caught:
        train(config, tmp_path / "m")
    message = str(caught.value)
    assert "at step " in message or "after step " in message
    assert "--learning-rate" in message
    assert "\n" not in message


def test_divergence_leaves_the_last_good_state(
    tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, loss, calls = tmp_path / "m", BY_NAME["classify"].loss, [0]

    def spoil(*arguments: Any, **options: Any) -> Any:
        found = loss(*arguments, **options)
        calls[0] += 1
        return found._replace(mean=found.mean * math.nan) if calls[0] == 9 else found

    config = tiny("classify", data, epochs=2, adversarial=0.0)
    train(config, tmp_path / "whole")
    monkeypatch.setattr(BY_NAME["classify"], "loss", spoil)
    with pytest.raises(SeqcliError, match=r"loss is nan .* at step 9 \(epoch 2\)"):
        train(config, folder)
    monkeypatch.undo()
    assert bundle.load(folder).model  # the best epoch so far can be used
    run.resume(folder, Quiet())  # and the checkpoint is good
    assert weights(folder) == weights(tmp_path / "whole")


def test_validation_score_that_is_not_finite(data: Path) -> None:
    fit = make_fit(data, [math.nan])
    with pytest.raises(SeqcliError, match="accuracy on validation is nan"):
        list(fit.events())


def test_divergence_that_stays_finite_is_told_once(tmp_path: Path, data: Path) -> None:
    settings: dict[str, Any] = {"optimizer": "sgd", "learning_rate": 300.0, "clip": 0}
    settings |= {"epochs": 30, "schedule": "constant", "patience": 0}
    wild = train(tiny("classify", data, **settings), tmp_path / "wild").events
    told = [event.sentence for event in wild if isinstance(event, Trouble)]
    assert len(told) == 1
    assert "untrained" in told[0]
    assert "smaller --learning-rate" in told[0]
    calm = train(tiny("classify", data, **settings | {"learning_rate": 0.3}), tmp_path / "calm")
    assert not [event for event in calm.events if isinstance(event, Trouble)]


# ------------------------------------------------------------------------------ averaged weights


def test_the_mean_is_judged_and_saved(tmp_path: Path, data: Path) -> None:
    config = tiny("classify", data, average=0.9, epochs=2)
    train(config, tmp_path / "m")
    train(tiny("classify", data, epochs=2), tmp_path / "plain")
    assert weights(tmp_path / "m") != weights(tmp_path / "plain")
    stored = json.loads((tmp_path / "m" / "metrics.json").read_text())
    best = [line for line in history(tmp_path / "m") if line["best"]][-1]
    assert stored["scores"]["validation"]["accuracy"] == best["accuracy"]


def test_asgd_averages_once_validation_stalls(data: Path) -> None:
    """The mean is of the weights after the trigger only, and the training goes on from its own."""
    scores = [0.1, 0.9, 0.2, 0.2, 0.2, 0.2, 0.2, 0.2, 0.3, 0.3]
    fit = make_fit(data, scores, optimizer="asgd", epochs=10, patience=0, dropout=0)
    seen: list[torch.Tensor] = []
    for event in fit.events():
        if isinstance(event, Evaluation):
            assert bool(fit.average) == (event.epoch >= 8)
        elif event.epoch >= 9:
            seen.append(fit.average.weights[0].detach().clone())
    assert fit.average
    torch.testing.assert_close(fit.average.mean[0], torch.stack(seen).mean(0))
    assert not torch.equal(fit.average.weights[0], fit.average.mean[0])
    again = make_fit(data, [], optimizer="asgd", epochs=10, patience=0, dropout=0)
    again._restore(fit.snapshot())
    assert again.average
    assert again.average.updates == len(seen)


def test_trigger_of_asgd() -> None:
    def trigger(*scores: float) -> bool:
        return stalls([[score] for score in scores])

    assert not trigger(*[0.5] * 9)
    assert not trigger(0.9, 0.1, 0.1, 0.1, 0.1, 0.1)  # the best is not long enough ago
    assert trigger(0.9, 0.1, 0.1, 0.1, 0.1, 0.1, 0.8)
    assert not trigger(0.9, 0.1, 0.1, 0.1, 0.1, 0.1, 0.9)
    between = [[0.1, 9.0]] * 5
    assert stalls([[0.9, 2.0], *between, [0.8, 2.0]])
    assert not stalls([[0.9, 2.0], *between, [0.8, 3.0]])


def test_a_rank_improves_by_any_score() -> None:
    assert improves([0.1, 0.1], [])
    assert improves([0.1, 0.6], [[0.2, 0.5], [0.3, 0.4]])
    assert not improves([0.3, 0.5], [[0.2, 0.5], [0.3, 0.4]])


# ---------------------------------------------------------------------------- how it is trained


def test_early_stopping_keeps_the_best_epoch(data: Path) -> None:
    fit = make_fit(data, [0.1, 0.5, 0.4, 0.5, 0.3], epochs=9, patience=3)
    found = [event for event in fit.events() if isinstance(event, Evaluation)]
    assert [event.best for event in found] == [True, True, False, True, False]
    assert (fit.at.best_epoch, max(fit.at.ranks)) == (4, [0.5])
    endless = make_fit(data, [0.5] * 9, epochs=9, patience=0)
    assert sum(isinstance(event, Evaluation) for event in endless.events()) == 9


def make_ranked(data: Path, ranks: list[list[float]], **settings: Any) -> Fit:
    """A training whose watched score never changes, and whose task ranks its epochs."""
    fit, given = make_fit(data, [0.5] * len(ranks), epochs=len(ranks), **settings), iter(ranks)
    fit.task.rank = lambda scores: next(given)
    return fit


def test_while_a_score_of_a_rank_improves_training_is_not_stale(data: Path) -> None:
    """The first of them decides which epoch is kept, then the next."""
    ranks = [[-math.inf, 1.0], [-math.inf, 3.0], [-math.inf, 2.0], [0.2, 4.0], [0.1, 5.0]]
    ranks += [[0.1, 5.0], [0.2, 3.0], [0.9, 9.0]]
    fit = make_ranked(data, ranks, patience=3)
    found = [event.best for event in fit.events() if isinstance(event, Evaluation)]
    assert found == [True, True, False, True, False, False, False, True]
    tired = make_ranked(data, ranks, patience=2, schedule="plateau")
    found = [event.best for event in tired.events() if isinstance(event, Evaluation)]
    assert (len(found), tired.at.best_epoch, tired.at.factor) == (7, 4, 1 / 8)
    again = make_fit(data, [])
    again._restore(tired.snapshot())
    assert again.at == tired.at


def test_the_best_epoch_is_what_is_saved(tmp_path: Path, data: Path) -> None:
    config = tiny("classify", data, epochs=6, learning_rate=0.3, schedule="constant")
    observer = train(config, tmp_path / "m")
    epochs = [event for event in observer.events if isinstance(event, Evaluation)]
    best = [event for event in epochs if event.best][-1]
    stored = json.loads((tmp_path / "m" / "metrics.json").read_text())
    assert best.value == max(event.value for event in epochs)
    assert stored["scores"]["validation"]["accuracy"] == best.value


def test_gradients_are_clipped(data: Path) -> None:
    def norms(clip: float) -> list[tuple[float, float]]:
        fit, found = make_fit(data, [0.5], clip=clip), []
        for event in fit.events():
            if isinstance(event, Step):
                grads = [one.grad.norm() for one in fit.model.parameters() if one.grad is not None]
                found.append((event.gradient_norm, float(torch.stack(grads).norm())))
        return found

    assert all(before > 0.011 and after < 0.01001 for before, after in norms(0.01))
    assert all(before == pytest.approx(after, rel=1e-4) for before, after in norms(0))


@pytest.mark.parametrize(
    ("name", "values"),
    [  # at 0, half the warm-up, its end, the middle of the rest, the end
        ("constant", [0.01, 0.5, 1, 1, 1]),
        ("linear", [0.01, 0.5, 1, 0.5, 0]),
        ("cosine", [0.01, 0.5, 1, 0.5, 0]),
        ("plateau", [0.01, 0.5, 1, 1, 1]),
    ],
)
def test_schedule(name: str, values: list[float]) -> None:
    training = tiny("classify", None, schedule=name, warmup=0.2).training
    found = [schedule(training, progress) for progress in (0, 0.1, 0.2, 0.6, 1)]
    assert found == pytest.approx(values)
    none = tiny("classify", None, schedule=name, warmup=0).training
    assert schedule(none, 0) == 1
    quarter = tiny("classify", None, schedule="cosine", warmup=0).training
    assert schedule(quarter, 0.25) == pytest.approx((1 + math.sqrt(0.5)) / 2)


def test_plateau_halves_the_step(data: Path) -> None:
    settings = {"schedule": "plateau", "epochs": 5, "warmup": 0, "learning_rate": 0.01}
    fit = make_fit(data, [0.5, 0.4, 0.6, 0.6, 0.1], **settings)
    rates = {e.epoch: e.learning_rate for e in fit.events() if isinstance(e, Step)}
    assert list(rates.values()) == pytest.approx([0.01, 0.01, 0.005, 0.005, 0.0025])


@pytest.mark.parametrize("task", TASKS)
def test_eight_rows_are_learnt_by_heart(tmp_path: Path, task: str) -> None:
    write_jsonl(tmp_path / "train.jsonl", make_rows(8, seed=1))
    settings = {"epochs": 60, "hidden": 24, "embedding": 16, "dropout": 0, "patience": 0}
    settings |= {"learning_rate": 0.02, "validation": str(tmp_path / "train.jsonl")}
    if task in ("classify", "tag"):
        settings["word_dropout"] = 0
    if task == "translate":
        settings |= {"label_smoothing": 0, "tokens": "word"}
    config = tiny(task, tmp_path / "train.jsonl", **settings)
    run_scores = run.train(config, tmp_path / "m", Quiet()).scores["validation"]
    if task == "lm":
        assert run_scores["cross_entropy"] < 0.5
    else:
        score = {"classify": "accuracy", "tag": "token_accuracy", "translate": "chrf"}[task]
        assert run_scores[score] > 0.95
