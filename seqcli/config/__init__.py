"""Every setting once: its type, default, help and bounds.

A task's configuration is a frozen dataclass of sections (data, tokens, network, training), each a
frozen dataclass of settings. The same dataclasses make the options of the command line, check
`--config FILE`, and are written to a model's config.json. A setting that a task cannot use is
absent from its sections; a task's own defaults are values in its composite, in this file.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar

from seqcli.config.data import (
    ClassifyData,
    Data,
    LanguageData,
    TagData,
    TranslateData,
    for_other_rows,
)
from seqcli.config.duration import parse_duration
from seqcli.config.inspection import Comparing, Inspecting
from seqcli.config.network import (
    NO_RECURRENT_WEIGHTS,
    SHORT_FORMS,
    CellName,
    ClassifyNetwork,
    LanguageNetwork,
    Network,
    TagNetwork,
    TranslateNetwork,
)
from seqcli.config.request import Decoding, Request
from seqcli.config.setting import Setting, check, find_useless, list_fields
from seqcli.config.tokens import SequenceTokens, Tokens
from seqcli.config.training import (
    ClassifyTraining,
    LanguageTraining,
    RowTraining,
    TagTraining,
    Training,
    TranslateTraining,
)
from seqcli.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class ClassifyConfig:
    """text → label (N → 1)"""

    task: ClassVar[str] = "classify"
    data: ClassifyData = ClassifyData()
    tokens: SequenceTokens = SequenceTokens(lowercase=True)
    network: ClassifyNetwork = ClassifyNetwork()
    training: ClassifyTraining = ClassifyTraining()


@dataclass(frozen=True, kw_only=True)
class TagConfig:
    """tokens → a tag for each (N → N)"""

    task: ClassVar[str] = "tag"
    data: TagData = TagData()
    tokens: Tokens = Tokens(tokens="word", lowercase=True)
    network: TagNetwork = TagNetwork(cell="lstm", hidden=256, layer_norm=True)
    training: TagTraining = TagTraining(adversarial=0.15)


@dataclass(frozen=True, kw_only=True)
class TranslateConfig:
    """sequence → sequence (N → M)"""

    task: ClassVar[str] = "translate"
    data: TranslateData = TranslateData()
    tokens: SequenceTokens = SequenceTokens()
    network: TranslateNetwork = TranslateNetwork(hidden=256, embedding=256)
    training: TranslateTraining = TranslateTraining()


@dataclass(frozen=True, kw_only=True)
class LanguageConfig:
    """next token (N → N) and generation (1 → N)"""

    task: ClassVar[str] = "lm"
    data: LanguageData = LanguageData()
    tokens: Tokens = Tokens()
    network: LanguageNetwork = LanguageNetwork(hidden=512)
    training: LanguageTraining = LanguageTraining(learning_rate=5e-3, warmup=0.1, average=0.998)


SMALLER_STEPS = {
    "translate": {"rnn": 1e-3, "birnn": 1e-3, "jordan": 1e-3, "transformer": 5e-4},
    "lm": {"rnn": 3e-3, "jordan": 3e-3, "mogrifier": 3e-3, "transformer": 1e-3},
}
"""Peak step sizes of cells that the task's own throws off (docs/cells.md has figures)."""
Config = ClassifyConfig | TagConfig | TranslateConfig | LanguageConfig
LACKING = {"initialization": ("esn", "tree"), "bridge": ("cnn", "transformer")}
"""Cells that have no use for a setting of all others."""
RETIRED = {"max_length"}
"""Settings that some tasks had before and never used."""
COLUMNS = (
    *("text_column", "pair_column", "label_column", "tokens_column", "tags_column", "with_label"),
    *("source", "target", "subset"),
)
"""Settings that say where in a data set things stand."""
CONFIGS: dict[str, type[Any]] = {
    config.task: config for config in (ClassifyConfig, TagConfig, TranslateConfig, LanguageConfig)
}


def list_settings(task: str) -> list[Setting]:
    """All settings of a task, in the order of its sections, with the task's own defaults."""
    config = CONFIGS[task]()
    return [
        item
        for section in fields(config)
        for item in list_fields(getattr(config, section.name), section.name)
    ]


def list_columns() -> list[Setting]:
    """The settings of all tasks that may differ when a finished model reads other rows."""
    found = {item.name: item for item in list_data_settings()}
    return [dataclasses.replace(found[name], section="columns") for name in COLUMNS]


def list_data_settings() -> list[Setting]:
    """The data settings of all tasks together."""
    found = {item.name: item for task in CONFIGS for item in list_settings(task)}
    return [item for item in found.values() if item.section == "data"]


def check_values(task: str, values: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Flat values by setting name as values by section and name, of the right types.

    Raises UsageError for an unknown name, a value of the wrong type or out of bounds.
    """
    known = {item.name: item for item in list_settings(task)}
    sections: dict[str, dict[str, Any]] = {}
    for name, value in values.items():
        key = name.replace("-", "_")
        if key not in known:
            raise UsageError(f"unknown setting {name!r} for {task}; known: {', '.join(known)}")
        item = known[key]
        sections.setdefault(item.section, {})[key] = check(item, value)
    return sections


def make_config(task: str, values: Mapping[str, Any]) -> Config:
    """A task's configuration from flat values by setting name; what is absent keeps its default.

    Raises UsageError for an unknown name, a value of the wrong type or out of bounds, and for
    values that contradict each other.
    """
    sections = check_values(task, values)
    network = sections.setdefault("network", {})
    if network.get("vectors"):
        network.setdefault("embedding", 0)
    untied = _keeps_vectors(network) or network.get("softmax") == "adaptive"
    if untied and hasattr(CONFIGS[task]().network, "tie"):
        network.setdefault("tie", False)
    if network.get("cell") in SHORT_FORMS and network.get("bidirectional") is False:
        raise UsageError(
            f"--cell {network['cell']} reads from both ends; leave out --no-bidirectional, or use "
            f"--cell {SHORT_FORMS[network['cell']]}"
        )
    training = sections.setdefault("training", {})
    if training.get("optimizer", "adamw") != "adamw":
        training.setdefault("average", 0.0)
    elif smaller := SMALLER_STEPS.get(task, {}).get(network.get("cell", "")):
        training.setdefault("learning_rate", smaller)
    config = CONFIGS[task]()
    parts = {
        name: dataclasses.replace(getattr(config, name), **changed)
        for name, changed in sections.items()
    }
    return _settle(dataclasses.replace(config, **parts))


def drop_useless(
    task: str, values: Mapping[str, Any], *, keep: Collection[str] = ()
) -> dict[str, Any]:
    """The values without those that the chosen cell, or by now the task, has no use for. Names in
    `keep` stay, so that they are refused. For values from a recipe, a file, a sweep or an earlier
    model."""
    known = {item.name: item for item in list_settings(task)}
    cell = values.get("cell", CONFIGS[task]().network.cell)
    bare = SHORT_FORMS.get(cell, cell)
    useless = RETIRED - known.keys()
    useless |= {
        name
        for name, item in known.items()
        if item.metadata["cells"] and bare not in item.metadata["cells"]
    }
    useless |= {name for name, cells in LACKING.items() if bare in cells}
    if cell in SHORT_FORMS and values.get("bidirectional") is False:
        useless.add("bidirectional")
    return {name: value for name, value in values.items() if name in keep or name not in useless}


def _keeps_vectors(network: Mapping[str, Any]) -> bool:
    """Whether these settings keep the token vectors fixed while a network learns."""
    trained = network.get("train_embedding")
    if trained is None:
        trained = network.get("cell") != "esn"
    return network.get("vectors_frozen", False) or not trained


def flatten(config: Config) -> dict[str, Any]:
    """Flat values by setting name, as `make_config` takes them and config.json holds them."""
    return {
        item.name: getattr(getattr(config, section.name), item.name)
        for section in fields(config)
        for item in fields(getattr(config, section.name))
    }


def _settle(config: Config) -> Config:
    """Replace a short form such as bilstm by its cell and direction. Raises UsageError for settings
    that contradict each other."""
    for contradiction in _find_contradictions(config):
        raise UsageError(contradiction)
    network = config.network
    if network.cell not in SHORT_FORMS:
        return config
    cell: Any = SHORT_FORMS[network.cell]
    network = dataclasses.replace(network, cell=cell, bidirectional=True)  # type: ignore[arg-type]
    return dataclasses.replace(config, network=network)  # type: ignore[arg-type]


def _find_contradictions(config: Config) -> Iterator[str]:
    """What is wrong with the combination of settings: a sentence each, which says what to do."""
    network, training = config.network, config.training
    cell = network.cell
    if training.time is not None:
        parse_duration(training.time, "--time")
    if training.optimizer == "asgd" and training.average:
        yield "--optimizer asgd keeps its own mean of the weights; give --average 0"
    if isinstance(config, LanguageConfig) and config.data.condition and config.training.random_bptt:
        yield "with --condition rows are separate texts; leave out --random-bptt"
    if isinstance(network, TranslateNetwork) and network.input_feeding:
        for name in ("locked_dropout", "weight_dropout", "embedding_dropout"):
            if getattr(network, name):
                yield (
                    f"with --input-feeding each step draws its own dropout mask; leave out "
                    f"--{name.replace('_', '-')}"
                )
    if not network.embedding and not network.vectors:
        yield "--embedding is 0; it must be at least 1 where no --vectors are given"
    if network.vectors_frozen and not network.vectors:
        yield "--vectors-frozen is given without --vectors"
    if cell in SHORT_FORMS and not hasattr(network, "bidirectional"):
        yield (
            f"--cell {cell} reads from both ends, and {config.task} must not see what comes next; "
            f"use --cell {SHORT_FORMS[cell]}"
        )
    if network.initialization == "uniform" and cell in LACKING["initialization"]:
        yield f"--cell {cell} initializes its weights in its own way; leave out --initialization"
    if getattr(network, "bridge", "linear") != "linear" and cell in LACKING["bridge"]:
        yield f"--bridge passes a state on, and --cell {cell} has none; leave it out"
    if found := find_useless(network, "cells", SHORT_FORMS.get(cell, cell)):
        option, users = found
        yield f"{option} is for --cell {users}, and --cell {cell} has no use for it; leave it out"
    if network.weight_dropout and cell in NO_RECURRENT_WEIGHTS:
        yield (
            f"--weight-dropout drops recurrent weights, and --cell {cell} has none; "
            f"use --locked-dropout"
        )
    bptt = getattr(training, "bptt", None)
    if cell == "transformer" and config.task != "lm" and bptt is not None:
        yield "--bptt truncates the way back through time, and a transformer has none; use --window"
    if isinstance(config, ClassifyConfig) and cell == "tree":
        for option, given in (
            ("--layers", network.layers > 1),
            ("--weight-dropout", network.weight_dropout > 0),
            ("--residual", network.residual),
            ("--layer-norm", network.layer_norm),
            ("--feed-forward", network.feed_forward > 0),
            ("--max-length", config.tokens.max_length is not None),
            ("--bptt", bptt is not None),
            (f"--tokens {config.tokens.tokens}", config.tokens.tokens not in ("auto", "word")),
        ):
            if given:
                yield f"--cell tree has no use for {option}; leave it out"
