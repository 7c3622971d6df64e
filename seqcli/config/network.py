"""Settings of the networks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from seqcli.config.setting import setting

CellName = Literal[
    "rnn",
    "jordan",
    "lstm",
    "gru",
    "mingru",
    "minlstm",
    "sru",
    "mogrifier",
    "esn",
    "cnn",
    "transformer",
    "birnn",
    "bilstm",
    "bigru",
]
NO_RECURRENT_WEIGHTS = ("mingru", "minlstm", "sru", "esn", "cnn", "transformer")
"""Cells that weight dropout finds nothing to act on in."""
SHORT_FORMS = {"birnn": "rnn", "bilstm": "lstm", "bigru": "gru"}


@dataclass(frozen=True, kw_only=True)
class Network:
    """The recurrent layers every task has."""

    cell: CellName = setting("gru", "Recurrent cell; `seqcli cells` explains them.")
    layers: int = setting(1, "Recurrent layers, one above the other.", minimum=1, maximum=64)
    hidden: int = setting(128, "Units per layer and direction.", minimum=1)
    embedding: int = setting(
        128, "Width of a token's vector; 0 takes that of the --vectors file.", minimum=0
    )
    vectors: str | None = setting(
        None,
        "Pretrained vectors of words to start from: a file of GloVe, word2vec (text or binary) or "
        "fastText .vec, also .gz. The model keeps those it needs.",
    )
    vectors_frozen: bool = setting(False, "Leave the vectors as they are in training.")
    dropout: float = setting(
        0.3, "Fraction of features dropped between layers in training.", minimum=0, maximum=0.95
    )
    locked_dropout: bool = setting(
        False, "Drop the same features for all tokens of a sequence (variational dropout)."
    )
    weight_dropout: float = setting(
        0.0, "Fraction of recurrent weights dropped in training.", minimum=0, maximum=0.95
    )
    embedding_dropout: float = setting(
        0.0, "Fraction of word types dropped from each batch.", minimum=0, maximum=0.95
    )
    residual: bool = setting(
        False, "Residual connections: add a layer's input to its output where widths agree."
    )
    layer_norm: bool = setting(False, "Layer normalisation of what each layer reads.")
    initialization: Literal["orthogonal", "uniform"] = setting(
        "orthogonal",
        "Initial weights of the recurrent layers: orthogonal from state to state, or all of them "
        "uniform between ±1/√hidden.",
    )
    train_embedding: bool | None = setting(
        None, "Train the token vectors; default: yes, but not below an esn."
    )
    nonlinearity: Literal["tanh", "relu"] = setting("tanh", "Activation.", cells=("rnn", "jordan"))
    forget_bias: float = setting(
        1.0,
        "Initial bias of the forget gate.",
        cells=("lstm", "minlstm", "mogrifier", "tree"),
    )
    rounds: int = setting(
        5,
        "Rounds in which input and state scale each other.",
        minimum=0,
        maximum=64,
        cells=("mogrifier",),
    )
    spectral_radius: float = setting(
        0.9,
        "Largest eigenvalue of the reservoir: how long it remembers.",
        minimum=0,
        cells=("esn",),
    )
    leak: float = setting(
        0.5, "Share of a unit that is new at each step.", above=0, maximum=1, cells=("esn",)
    )
    sparsity: float = setting(
        0.9, "Fraction of recurrent weights that are zero.", minimum=0, maximum=1, cells=("esn",)
    )
    width: int = setting(3, "Tokens that a layer sees at once.", minimum=1, cells=("cnn",))
    heads: int = setting(4, "Attention heads.", minimum=1, cells=("transformer",))
    window: int = setting(
        256,
        "How many tokens back it looks; lm carries as many on.",
        minimum=1,
        cells=("transformer",),
    )


@dataclass(frozen=True, kw_only=True)
class ClassifyNetwork(Network):
    """From the states of a text to one vector."""

    cell: Literal[CellName, "tree"] = setting(  # type: ignore[assignment]
        "gru", "Recurrent cell; `seqcli cells` explains them. tree: texts are bracketed trees."
    )
    tree: Literal["childsum", "binary"] = setting(
        "childsum",
        "Form of the trees: any number of children, or a left and a right one.",
        cells=("tree",),
    )
    bidirectional: bool = setting(True, "Read the text from both ends.")
    pool: Literal["last", "mean", "max", "attention"] = setting(
        "max", "How the states of a text are made into one vector."
    )
    word_dropout: float | None = setting(
        None,
        "Fraction of tokens replaced by unknown in training; default: 0.1, but 0 where each token "
        "is seen hundreds of times.",
        minimum=0,
        maximum=0.95,
    )
    ngrams: bool = setting(
        True,
        "Average the network's scores with those of a linear model on words and pairs of words "
        "(characters: up to three in a row) and, with --spelling, on word forms.",
    )
    spelling: bool = setting(
        True,
        "Read words also by their first and last letters and their capitals, unknown words by "
        "these alone.",
    )


@dataclass(frozen=True, kw_only=True)
class TagNetwork(Network):
    """A token's vector, and from its state to a tag."""

    bidirectional: bool = setting(True, "Read the tokens from both ends.")
    characters: Literal["none", "rnn", "cnn"] = setting(
        "rnn",
        "Build part of a token's vector from its characters: read from both ends, or the maximum "
        "over windows of three.",
    )
    character_hidden: int = setting(
        50, "Units of the character network per direction; cnn has twice as many in all.", minimum=1
    )
    crf: bool | None = setting(
        None,
        "Conditional random field: choose the tags of a sentence together and never break their "
        "scheme; default: where tags mark spans.",
    )
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
    input_feeding: bool = setting(
        False, "Feed each output, and with it what was attended to, into the next step; slower."
    )
    bridge: Literal["none", "copy", "linear"] = setting(
        "linear",
        "Where the decoder starts. none: at zero; copy: where the encoder ended; linear: at a "
        "learned map of the source's mean.",
    )
    share_vocabulary: bool = setting(
        False, "One vocabulary and one embedding for source and target."
    )
    tie: bool = setting(
        True,
        "Share target embedding and output projection; by default not where the token vectors "
        "stay as they are.",
    )


@dataclass(frozen=True, kw_only=True)
class LanguageNetwork(Network):
    """From a state to the next token."""

    tie: bool = setting(
        True,
        "Share embedding and output projection; by default not with --softmax adaptive, nor where "
        "the token vectors stay as they are.",
    )
    softmax: Literal["full", "adaptive", "sampled"] = setting(
        "full",
        "Output layer. full: exact; for large vocabularies adaptive: rarer words in clusters, and "
        "sampled: trained against 1,024 words drawn at random.",
    )
