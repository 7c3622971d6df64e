"""A search for good settings: trials of short trainings, chosen by optuna on validation.

    FOLDER/sweep.json   what is searched: task, fixed settings, the space
    FOLDER/sweep.db     every trial, by optuna (SQLite): a sweep that was stopped goes on from it
    FOLDER/best.toml    the settings of the best trial, for --config
    FOLDER              the model of the best trial

A trial proposes settings by what the ones before it scored (tree-structured Parzen estimator,
Bergstra et al. 2011) and is given up where it stands below the median of earlier trials at the
same epoch. The test rows are scored once, at the end, by the best model.
"""

from __future__ import annotations

import dataclasses
import json
import math
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from seqcli import __version__, bundle, run, storage
from seqcli.config import Setting, drop_useless, list_settings, make_config
from seqcli.config.setting import parse
from seqcli.data.rows import Splits
from seqcli.errors import SeqcliError, UsageError
from seqcli.events import Evaluation, Event
from seqcli.report import Report
from seqcli.tasks import TASKS

PLAN = "sweep.json"
STORE = "sweep.db"
BEST = "best.toml"
WEIGHED = 20
"""Complete trials from which on it is worth asking which setting decides."""
COMMON = ("learning_rate=5e-4:1e-2", "dropout=0:0.6", "hidden=64,128,256")
SPACES = {
    "classify": (*COMMON, "cell=gru,lstm", "pool=max,attention", "word_dropout=0:0.3"),
    "tag": (*COMMON, "cell=gru,lstm", "word_dropout=0:0.3", "character_hidden=25,50"),
    "translate": (*COMMON, "cell=gru,lstm", "attention=general,additive", "layers=1:2"),
    "lm": (*COMMON, "cell=gru,lstm", "layers=1:2", "tie=true,false"),
}
"""What is searched where nothing is named, by task."""


class Categorical(NamedTuple):
    """Some values, of which a trial takes one."""

    values: list[Any]


class Range(NamedTuple):
    """From low to high, both included; in even steps of the logarithm where `log`."""

    low: float
    high: float
    log: bool


class Trial(NamedTuple):
    """value: the best validation score; None where it failed. state: complete, pruned or failed.
    reason: why it failed, if that is known."""

    number: int
    state: str
    value: float | None
    settings: dict[str, Any]
    seconds: float
    reason: str | None = None


class Swept(NamedTuple):
    """watched: the score that trials are compared by. report: of the best trial, with the test
    scored. importance: by setting, adds up to 1."""

    task: str
    folder: Path
    watched: str
    higher_is_better: bool
    trials: list[Trial]
    best: int
    report: Report
    importance: dict[str, float]


def read_space(task: str, over: Sequence[str]) -> dict[str, Categorical | Range]:
    """A search space from `name=a,b,c` and `name=low:high`, by default the task's own. Raises
    UsageError for what is no setting of the task or no value of it, and for a choice between
    trials that cannot be compared."""
    known = {item.name: item for item in list_settings(task) if item.section != "data"}
    space: dict[str, Categorical | Range] = {}
    for text in over or SPACES[task]:
        name, equals, values = text.partition("=")
        name = name.strip().replace("-", "_")
        if name not in known or not equals or not values:
            raise UsageError(
                f"--over {text!r}: write name=a,b,c or name=low:high; the names of {task} are "
                f"{', '.join(known)}"
            )
        space[name] = _read_values(known[name], values, text)
        _check_scale(task, known[name], space[name], text)
    return space


def _check_scale(task: str, item: Setting, one: Categorical | Range, text: str) -> None:
    """Raise UsageError for a choice between trials that are not judged by the same figure."""
    if isinstance(one, Categorical) and len(set(one.values)) == 1:
        return
    why = ""
    if task == "lm" and item.section == "tokens":
        why = "surprise at other tokens is of another scale"
    elif item.name == "balance" and isinstance(one, Categorical) and "none" in one.values:
        why = "with balance they are judged by macro F1, and without it not"
    if why:
        raise UsageError(
            f"--over {text!r}: such trials cannot be compared, since {why}; give it one value"
        )


def _read_values(item: Setting, values: str, text: str) -> Categorical | Range:
    if ":" in values and item.kind in (int, float):
        low, high = (_read_value(item, one, text) for one in values.split(":", 1))
        if low >= high:
            raise UsageError(f"--over {text!r}: {low} is not below {high}")
        return Range(low, high, low > 0 and high / low >= 10)
    return Categorical([_read_value(item, one, text) for one in values.split(",")])


def _read_value(item: Setting, text: str, whole: str) -> Any:
    """A value of a setting from its text, checked."""
    if item.optional and text.strip() == "none":
        return None
    try:
        return parse(item, text.strip())
    except ValueError as error:
        raise UsageError(f"--over {whole!r}: {error}") from None


# ---------------------------------------------------------------------------------------- search


def search(
    task: str,
    settings: Mapping[str, Any],
    folder: Path,
    over: Sequence[str],
    *,
    trials: int,
    seconds: float = math.inf,
    tell: Callable[[Trial], None] = lambda trial: None,
    stop: Callable[[], int] = lambda: 0,
) -> Swept:
    """Search a new folder full. settings: of all trials, those alone that were given, since
    defaults may depend on what a trial proposes. over: as `read_space` takes it.

    tell: hears of each trial at its end. Ends after `trials` trials or so many seconds; raises
    `run.Interrupted` on a signal. Raises SeqcliError where optuna is missing, no trial ended well
    or, before anything is written, where none could because of the data.
    """
    until = time.monotonic() + seconds
    read_space(task, over)
    config = make_config(task, drop_useless(task, settings))
    _optuna()
    splits = run.prepare(config)
    plan = {
        "task": task,
        "version": __version__,
        "over": list(over),
        "trials": trials,
        "settings": dict(settings),
    }
    with storage.claimed(folder):
        storage.write_json(folder / PLAN, plan)
        return _search(folder, plan, splits, until, tell, stop)


def resume(
    folder: Path,
    *,
    trials: int | None = None,
    seconds: float = math.inf,
    tell: Callable[[Trial], None] = lambda trial: None,
    stop: Callable[[], int] = lambda: 0,
) -> Swept:
    """Go on with a sweep, up to `trials` trials in all; by default as many as it began with. One
    that was interrupted does not count. Raises SeqcliError where the sweep is at work."""
    until = time.monotonic() + seconds
    with storage.locked(folder):
        plan = bundle.read_json(folder / PLAN)
        if not isinstance(plan, dict) or not {"task", "over", "trials", "settings"} <= plan.keys():
            raise SeqcliError(f"{folder / PLAN} is not the plan of a sweep; start anew")
        if trials is not None:
            plan["trials"] = trials
            storage.write_json(folder / PLAN, plan)
        config = make_config(plan["task"], drop_useless(plan["task"], plan["settings"]))
        return _search(folder, plan, run.prepare(config), until, tell, stop)


def _search(
    folder: Path,
    plan: Mapping[str, Any],
    splits: Splits,
    until: float,
    tell: Callable[[Trial], None],
    stop: Callable[[], int],
) -> Swept:
    task, settings = plan["task"], plan["settings"]
    space = read_space(task, plan["over"])
    study = _open(folder, task, seed=make_config(task, drop_useless(task, settings)).training.seed)
    optuna = _optuna()
    for trial in study.get_trials(states=[optuna.trial.TrialState.RUNNING]):  # cut off before
        study.tell(trial.number, state=optuna.trial.TrialState.FAIL)
    distributions = {name: _distribution(one) for name, one in space.items()}
    while (ended := _count_ended(study)) < plan["trials"]:
        left = until - time.monotonic()
        if left <= 0 and ended:  # one is tried however slowly the program started
            break
        trial = study.ask(distributions)
        _try(task, settings, folder, study, trial, splits, left=left, stop=stop)
        tell(_describe(study.trials[trial.number]))
    return _finish(folder, task, study)


def _count_ended(study: Any) -> int:
    """How many trials came to an end, whether good or bad: those that failed have a reason, unlike
    those that were interrupted or killed."""
    failed = _optuna().trial.TrialState.FAIL
    return sum(one.state is not failed or "reason" in one.user_attrs for one in study.trials)


class _Pruned(Exception):
    """A trial that was given up early."""


class _Watch:
    """An observer that reports each epoch's score to Optuna and gives up a poor trial."""

    def __init__(self, trial: Any) -> None:
        self.trial = trial
        self.best: float | None = None
        self.watched = ""

    def note(self, sentence: str) -> None:
        pass

    def facts(self, facts: dict[str, str]) -> None:
        pass

    def event(self, event: Event) -> None:
        if isinstance(event, Evaluation):
            self.watched = event.watched
            if event.best:
                self.best = event.value
            self.trial.report(self.best, event.epoch)
            if self.trial.should_prune():
                raise _Pruned


def _try(
    task: str,
    settings: Mapping[str, Any],
    folder: Path,
    study: Any,
    trial: Any,
    splits: Splits,
    *,
    left: float,
    stop: Callable[[], int],
) -> None:
    """One trial: its model becomes the folder's where it is the best so far."""
    state = _optuna().trial.TrialState
    place = folder / f"trial-{trial.number}"
    watch = _Watch(trial)
    proposed = drop_useless(task, {**settings, **trial.params})
    try:
        chosen = make_config(task, proposed)
        training = chosen.training
        if math.isfinite(left) and training.time is None:  # the last trial is cut short by it
            training = dataclasses.replace(training, time=f"{max(left, 1):.0f}s")
        timed = dataclasses.replace(chosen, training=training)  # type: ignore[arg-type]
        run.train(timed, place, watch, stop=stop, score=False, splits=splits)
    except _Pruned:
        study.tell(trial, state=state.PRUNED)
    except run.Interrupted as interruption:
        study.tell(trial, state=state.FAIL)
        raise run.Interrupted(folder, interruption.signal) from None
    except SeqcliError as error:  # such as a divergence
        trial.set_user_attr("reason", str(error))
        study.tell(trial, state=state.FAIL)
    else:
        trial.set_user_attr("watched", watch.watched)
        study.tell(trial, watch.best)
        if study.best_trial.number == trial.number:
            bundle.copy(place, folder)
            storage.write_text(folder / BEST, to_toml(task, proposed))
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _finish(folder: Path, task: str, study: Any) -> Swept:
    complete = _optuna().trial.TrialState.COMPLETE
    trials = [_describe(trial) for trial in study.trials]
    if not any(trial.state is complete for trial in study.trials):
        reasons = [trial.user_attrs.get("reason") for trial in study.trials]
        why = next(reason for reason in reasons if reason)
        raise SeqcliError(f"no trial of {_count_ended(study)} came to its end: {why}")
    report = run.score(folder)
    best = study.best_trial
    return Swept(
        task,
        folder,
        best.user_attrs["watched"],
        TASKS[task].higher_is_better,
        trials,
        best.number,
        report,
        _weigh(study, complete),
    )


def _weigh(study: Any, complete: Any) -> dict[str, float]:
    """The importance of each setting (PED-ANOVA, Watanabe et al. 2023); none after only a few
    trials, where it would be noise."""
    if sum(trial.state is complete for trial in study.trials) < WEIGHED:
        return {}
    importance = _optuna().importance
    found = importance.get_param_importances(
        study, evaluator=importance.PedAnovaImportanceEvaluator()
    )
    return {name: float(value) for name, value in found.items()}


# ---------------------------------------------------------------------------------------- optuna


def _optuna() -> Any:
    try:
        import optuna
    except ImportError:
        raise SeqcliError(
            "sweep needs optuna; install it with: pip install 'seqcli[sweep]'"
        ) from None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna


def _open(folder: Path, task: str, *, seed: int) -> Any:
    """The study of a folder; the trials it holds have been made."""
    optuna = _optuna()
    store = f"sqlite:///{(folder / STORE).resolve()}"
    study = optuna.create_study(
        storage=store,
        study_name="sweep",
        load_if_exists=True,
        direction="maximize" if TASKS[task].higher_is_better else "minimize",
        pruner=optuna.pruners.MedianPruner(n_startup_trials=4, n_warmup_steps=1),
    )
    # A sampler that goes on must not draw again what it drew before.
    study.sampler = optuna.samplers.TPESampler(seed=seed + len(study.trials), n_startup_trials=8)
    return study


def _distribution(one: Categorical | Range) -> Any:
    distributions = _optuna().distributions
    if isinstance(one, Categorical):
        return distributions.CategoricalDistribution(one.values)
    if isinstance(one.low, int):
        return distributions.IntDistribution(one.low, one.high, log=one.log)
    return distributions.FloatDistribution(one.low, one.high, log=one.log)


def _describe(trial: Any) -> Trial:
    states = {"COMPLETE": "complete", "PRUNED": "pruned"}
    return Trial(
        trial.number,
        states.get(trial.state.name, "failed"),
        trial.value,
        dict(trial.params),
        trial.duration.total_seconds() if trial.duration else 0.0,
        trial.user_attrs.get("reason"),
    )


def to_toml(task: str, settings: Mapping[str, Any]) -> str:
    """Settings as --config reads them, without those of the data."""
    data = {item.name for item in list_settings(task) if item.section == "data"}
    lines = [
        f"{name} = {json.dumps(value, ensure_ascii=False)}\n"
        for name, value in settings.items()
        if name not in data and value is not None
    ]
    return f"# The best of a sweep of {task}.\n{''.join(lines)}"
