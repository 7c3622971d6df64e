"""Every setting once: its type, default, help and bounds.

A task's configuration is a frozen dataclass of sections (data, tokens, network, training), each a
frozen dataclass of settings. The same dataclasses make the options of the command line, check
`--config FILE`, and are written to a model's config.json. A setting that a task cannot use is
absent from its sections; a task's own defaults are values in its composite at the end of the file.
"""

from __future__ import annotations

import contextlib
import dataclasses
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar, Literal, Union, get_args, get_origin

from seqcli.errors import UsageError


def setting(
    default: Any,
    help: str,
    *,
    minimum: float | None = None,
    maximum: float | None = None,
    above: float | None = None,
    argument: bool = False,
    hidden: bool = False,
) -> Any:
    """A dataclass field with what the command line and the checks need to know about it."""
    metadata = {
        "help": help,
        "minimum": minimum,
        "maximum": maximum,
        "above": above,
        "argument": argument,
        "hidden": hidden,
    }
    return field(default=default, metadata=metadata)


# ------------------------------------------------------------------------------------------ data


@dataclass(frozen=True, kw_only=True)
class Data:
    """Where rows come from."""

    data: str | None = setting(
        None,
        "A file (csv, tsv, json, jsonl, parquet, txt, conll, conllu, also .gz), a folder, a glob "
        "or a Hub id. Without it, the bundled sample.",
        argument=True,
    )
    train: str | None = setting(None, "File, glob or split name to train on.")
    validation: str | None = setting(
        None, "File, glob or split name to choose the best epoch on; cut from train if missing."
    )
    test: str | None = setting(None, "File, glob or split name to test on at the end.")
    subset: str | None = setting(None, "Configuration of a Hub data set that has several.")
    revision: str | None = setting(None, "Branch, tag or commit of a Hub data set.")
    limit: int | None = setting(None, "Take at most this many rows of each split.", minimum=1)


@dataclass(frozen=True, kw_only=True)
class ClassifyData(Data):
    """Texts and their labels."""

    text_column: str | None = setting(None, "Column that holds the text.")
    label_column: str | None = setting(None, "Column that holds the label.")


@dataclass(frozen=True, kw_only=True)
class TagData(Data):
    """Sentences of tokens, and a tag for each."""

    tokens_column: str | None = setting(None, "Column that holds the tokens.")
    tags_column: str | None = setting(
        None, "Column that holds the tags (conllu: upos, xpos, deprel, lemma)."
    )


@dataclass(frozen=True, kw_only=True)
class TranslateData(Data):
    """Pairs of source and target."""

    source: str | None = setting(None, "Source column, language code or file suffix.")
    target: str | None = setting(None, "Target column, language code or file suffix.")


@dataclass(frozen=True, kw_only=True)
class LanguageData(Data):
    """Running text."""

    text_column: str | None = setting(None, "Column that holds the text.")


# ---------------------------------------------------------------------------------------- tokens


@dataclass(frozen=True, kw_only=True)
class Tokens:
    """How text becomes tokens."""

    tokens: Literal["auto", "word", "character", "bpe"] = setting(
        "auto", "Unit of text; auto chooses by task and script."
    )
    vocabulary_size: int | None = setting(
        None,
        "Keep at most this many tokens; default: all (bpe: a 64th of the words, at most 8,000).",
        minimum=2,
    )
    min_count: int = setting(1, "Tokens seen less often in train are unknown.", minimum=1)
    lowercase: bool = setting(False, "Fold case before looking a token up.")
    max_length: int | None = setting(
        None, "Cut longer sequences to this many tokens and say how many were cut.", minimum=1
    )


# --------------------------------------------------------------------------------------- network

CellName = Literal["rnn", "jordan", "lstm", "gru", "mingru", "minlstm", "birnn", "bilstm", "bigru"]
SHORT_FORMS = {"birnn": "rnn", "bilstm": "lstm", "bigru": "gru"}


@dataclass(frozen=True, kw_only=True)
class Network:
    """The recurrent layers every task has."""

    cell: CellName = setting("gru", "Recurrent cell; `seqcli cells` explains them.")  # noqa: RUF009
    layers: int = setting(1, "Recurrent layers, one above the other.", minimum=1, maximum=64)
    hidden: int = setting(128, "Units of a layer and direction.", minimum=1)
    embedding: int = setting(128, "Width of a token's vector.", minimum=1)
    dropout: float = setting(
        0.3, "Fraction of features dropped between layers in training.", minimum=0, maximum=0.95
    )
    nonlinearity: Literal["tanh", "relu"] = setting("tanh", "Activation of rnn and jordan cells.")


@dataclass(frozen=True, kw_only=True)
class ClassifyNetwork(Network):
    """From the states of a text to one vector."""

    bidirectional: bool = setting(True, "Read the text from both ends.")
    pool: Literal["last", "mean", "max", "attention"] = setting(
        "max", "How the states of a text become one vector."
    )
    word_dropout: float = setting(
        0.1, "Fraction of tokens replaced by unknown in training.", minimum=0, maximum=0.95
    )


@dataclass(frozen=True, kw_only=True)
class TagNetwork(Network):
    """A token's vector, and from its state to a tag."""

    bidirectional: bool = setting(True, "Read the tokens from both ends.")
    characters: Literal["none", "rnn"] = setting(
        "rnn", "Build part of a token's vector from its characters."
    )
    character_hidden: int = setting(50, "Units of the character network, a direction.", minimum=1)
    word_dropout: float = setting(
        0.1, "Fraction of tokens replaced by unknown in training.", minimum=0, maximum=0.95
    )


@dataclass(frozen=True, kw_only=True)
class TranslateNetwork(Network):
    """Encoder, attention and decoder."""

    bidirectional: bool = setting(True, "Read the source from both ends.")
    attention: Literal["none", "dot", "general", "additive"] = setting(
        "general", "How the decoder looks back at the source."
    )
    tie: bool = setting(True, "Share target embedding and output projection.")


@dataclass(frozen=True, kw_only=True)
class LanguageNetwork(Network):
    """From a state to the next token."""

    tie: bool = setting(False, "Share embedding and output projection.")
    softmax: Literal["full", "adaptive", "sampled"] = setting(
        "full",
        "Output layer: exact, or for large vocabularies clusters of rarer words, or trained "
        "against 1,024 words drawn at random.",
    )


# -------------------------------------------------------------------------------------- training


@dataclass(frozen=True, kw_only=True)
class Training:
    """How the weights are found."""

    epochs: int = setting(20, "Passes over the training rows.", minimum=1)
    optimizer: Literal["adamw", "sgd"] = setting("adamw", "Rule of the update.")
    learning_rate: float = setting(2e-3, "Peak step size.", above=0)
    schedule: Literal["constant", "linear", "cosine", "plateau"] = setting(
        "linear", "How the step size falls: to zero at the last epoch, or halved on a plateau."
    )
    warmup: float = setting(
        0.05, "Fraction of all updates in which the step size rises.", minimum=0, maximum=1
    )
    weight_decay: float = setting(0.0, "Decoupled weight decay.", minimum=0)
    clip: float = setting(
        1.0, "Largest norm of all gradients together; 0 does not clip.", minimum=0
    )
    patience: int = setting(
        8, "Stop after this many epochs without a better validation score; 0 never.", minimum=0
    )
    seed: int = setting(1, "Seed of weights, order and dropout.", minimum=0)
    device: Literal["auto", "cpu", "cuda", "mps"] = setting("auto", "Where to compute.")
    precision: Literal["auto", "fp32", "bf16"] = setting(
        "auto", "Operands of the matrix products; sums are always fp32."
    )
    threads: int | None = setting(None, "Processor threads; default: all cores.", minimum=1)
    checkpoint_every: float = setting(
        60.0, "Seconds between checkpoints within an epoch; 0 only after epochs.", minimum=0
    )


@dataclass(frozen=True, kw_only=True)
class RowTraining(Training):
    """Training on separate rows, in batches of like lengths."""

    batch_tokens: int | None = setting(
        None,
        "Tokens of a batch, about; default: a 200th of the training tokens, between 256 and 4,096.",
        minimum=1,
    )


@dataclass(frozen=True, kw_only=True)
class ClassifyTraining(RowTraining):
    """Training of classify."""

    label_smoothing: float = setting(
        0.0, "Probability spread evenly over the other labels.", minimum=0, maximum=0.9
    )
    bptt: int | None = setting(
        None, "Steps a gradient flows back; default: the whole text.", minimum=1
    )


@dataclass(frozen=True, kw_only=True)
class TagTraining(RowTraining):
    """Training of tag."""

    bptt: int | None = setting(
        None, "Steps a gradient flows back; default: the whole sentence.", minimum=1
    )


@dataclass(frozen=True, kw_only=True)
class TranslateTraining(RowTraining):
    """Training of translate."""

    label_smoothing: float = setting(
        0.1, "Probability spread evenly over the other tokens.", minimum=0, maximum=0.9
    )


@dataclass(frozen=True, kw_only=True)
class LanguageTraining(Training):
    """Training on contiguous streams, by truncated back-propagation through time."""

    bptt: int | None = setting(
        None,
        "Steps a gradient flows back; 0: the whole stream (full BPTT); "
        "default: 64 characters, 35 words or 50 byte pairs.",
        minimum=0,
    )
    streams: int = setting(
        32, "Contiguous streams the corpus is laid out in; one batch row each.", minimum=1
    )


# ------------------------------------------------------------------------------------- composites


@dataclass(frozen=True, kw_only=True)
class ClassifyConfig:
    """text → label (N → 1)"""

    task: ClassVar[str] = "classify"
    data: ClassifyData = ClassifyData()
    tokens: Tokens = Tokens(lowercase=True)
    network: ClassifyNetwork = ClassifyNetwork()
    training: ClassifyTraining = ClassifyTraining()


@dataclass(frozen=True, kw_only=True)
class TagConfig:
    """tokens → a tag for each (N → N)"""

    task: ClassVar[str] = "tag"
    data: TagData = TagData()
    tokens: Tokens = Tokens(tokens="word", lowercase=True)
    network: TagNetwork = TagNetwork(cell="lstm")
    training: TagTraining = TagTraining()


@dataclass(frozen=True, kw_only=True)
class TranslateConfig:
    """sequence → sequence (N → M)"""

    task: ClassVar[str] = "translate"
    data: TranslateData = TranslateData()
    tokens: Tokens = Tokens()
    network: TranslateNetwork = TranslateNetwork(hidden=256, embedding=256)
    training: TranslateTraining = TranslateTraining()


@dataclass(frozen=True, kw_only=True)
class LanguageConfig:
    """next token (N → N) and generation (1 → N)"""

    task: ClassVar[str] = "lm"
    data: LanguageData = LanguageData()
    tokens: Tokens = Tokens()
    network: LanguageNetwork = LanguageNetwork(hidden=512)
    training: LanguageTraining = LanguageTraining(epochs=15)


Config = ClassifyConfig | TagConfig | TranslateConfig | LanguageConfig
CONFIGS: dict[str, type[Any]] = {
    config.task: config for config in (ClassifyConfig, TagConfig, TranslateConfig, LanguageConfig)
}

# ------------------------------------------------------------------- checks, reading and writing


@dataclass(frozen=True)
class Setting:
    """One setting of a task as the command line and the configuration file see it."""

    section: str
    name: str
    kind: Any  # the bare type: int, float, str, bool or a Literal
    optional: bool
    default: Any
    metadata: Mapping[str, Any]


def list_settings(task: str) -> list[Setting]:
    """All settings of a task, in the order of the file, with the task's own defaults."""
    config = CONFIGS[task]()
    found = []
    for section in fields(config):
        value = getattr(config, section.name)
        kinds = typing.get_type_hints(type(value))
        for item in fields(value):
            kind, optional = _strip_optional(kinds[item.name])
            found.append(
                Setting(
                    section.name,
                    item.name,
                    kind,
                    optional,
                    getattr(value, item.name),
                    item.metadata,
                )
            )
    return found


def make_config(task: str, values: Mapping[str, Any]) -> Config:
    """A task's configuration from flat values by setting name; what is absent keeps its default.

    Raises UsageError for an unknown name, a value of the wrong type or out of bounds.
    """
    known = {item.name: item for item in list_settings(task)}
    sections: dict[str, dict[str, Any]] = {}
    for name, value in values.items():
        key = name.replace("-", "_")
        if key not in known:
            raise UsageError(f"unknown setting {name!r} for {task}; known: {', '.join(known)}")
        item = known[key]
        sections.setdefault(item.section, {})[key] = _check(item, value)
    config = CONFIGS[task]()
    parts = {
        name: dataclasses.replace(getattr(config, name), **changed)
        for name, changed in sections.items()
    }
    return _normalise(dataclasses.replace(config, **parts))


def flatten(config: Config) -> dict[str, Any]:
    """Flat values by setting name, as `make_config` takes them and config.json holds them."""
    return {
        item.name: getattr(getattr(config, section.name), item.name)
        for section in fields(config)
        for item in fields(getattr(config, section.name))
    }


def _normalise(config: Config) -> Config:
    """Turn a short form such as bilstm into its cell and direction."""
    network = config.network
    if network.cell in SHORT_FORMS:
        if not hasattr(network, "bidirectional"):
            raise UsageError(
                f"--cell {network.cell} reads from both ends, and {config.task} must not see what "
                f"comes next; use --cell {SHORT_FORMS[network.cell]}"
            )
        cell: Any = SHORT_FORMS[network.cell]
        network = dataclasses.replace(network, cell=cell, bidirectional=True)  # type: ignore[arg-type]
    return dataclasses.replace(config, network=network)  # type: ignore[arg-type]


def _strip_optional(kind: Any) -> tuple[Any, bool]:
    if get_origin(kind) in (Union, types.UnionType):
        kinds = [one for one in get_args(kind) if one is not type(None)]
        return kinds[0], True
    return kind, False


def _check(item: Setting, value: Any) -> Any:
    """The value in the setting's type, or UsageError."""
    option = "--" + item.name.replace("_", "-")
    if value is None:
        if item.optional:
            return None
        raise UsageError(f"{option} needs a value")
    if get_origin(item.kind) is Literal:
        choices = get_args(item.kind)
        if value not in choices:
            raise UsageError(f"{option} is {value!r}; it can be {', '.join(map(str, choices))}")
        return value
    if item.kind is float and type(value) in (int, str):  # str: YAML reads 1e-3 as text
        with contextlib.suppress(ValueError, OverflowError):
            value = float(value)
    if type(value) is not item.kind:
        raise UsageError(f"{option} is {value!r}; it must be of type {item.kind.__name__}")
    if item.kind in (int, float):
        low, high, above = (item.metadata[k] for k in ("minimum", "maximum", "above"))
        finite = value == value and abs(value) != float("inf")
        if not finite:
            raise UsageError(f"{option} is {value}; it must be finite")
        if low is not None and value < low:
            raise UsageError(f"{option} is {value}; it must be at least {low}")
        if high is not None and value > high:
            raise UsageError(f"{option} is {value}; it must be at most {high}")
        if above is not None and value <= above:
            raise UsageError(f"{option} is {value}; it must be above {above}")
    return value
