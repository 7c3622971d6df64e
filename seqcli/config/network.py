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
    layers: int = setting(
        1, "Number of recurrent layers, one on top of another.", minimum=1, maximum=64
    )
    hidden: int = setting(128, "Units per layer and direction.", minimum=1)
    embedding: int = setting(
        128, "Size of a token's vector; 0: that of the --vectors file.", minimum=0
    )
    vectors: str | None = setting(
        None,
        "File of pretrained word vectors to start from: GloVe, word2vec (text or binary) or "
        "fastText .vec; may be gzipped. The model keeps those it needs.",
    )
    vectors_frozen: bool = setting(False, "Keep the pretrained vectors fixed during training.")
    dropout: float = setting(
        0.3, "Fraction of features dropped between layers during training.", minimum=0, maximum=0.95
    )
    locked_dropout: bool = setting(
        False, "Drop the same features for all tokens of a sequence (variational dropout)."
    )
    weight_dropout: float = setting(
        0.0, "Fraction of recurrent weights dropped during training.", minimum=0, maximum=0.95
    )
    embedding_dropout: float = setting(
        0.0, "Fraction of word types dropped from each batch.", minimum=0, maximum=0.95
    )
    residual: bool = setting(
        False, "Residual connections: add a layer's input to its output where their sizes agree."
    )
    layer_norm: bool = setting(False, "Layer normalisation of each layer's input.")
    feed_forward: int = setting(
        0,
        "Behind each recurrent layer a feed-forward layer this many times as wide; 0: none. A "
        "transformer has its own.",
        minimum=0,
        maximum=16,
    )
    initialization: Literal["orthogonal", "uniform"] = setting(
        "orthogonal",
        "Initial weights of the recurrent layers. orthogonal: orthogonal matrices from state to "
        "state; uniform: all weights uniform between ±1/√hidden.",
    )
    train_embedding: bool | None = setting(
        None, "Train the token vectors; default: yes, except below an esn."
    )
    nonlinearity: Literal["tanh", "relu"] = setting(
        "tanh", "Activation function.", cells=("rnn", "jordan")
    )
    forget_bias: float = setting(
        1.0,
        "Initial bias of the forget gate.",
        cells=("lstm", "minlstm", "mogrifier", "tree"),
    )
    rounds: int = setting(
        5,
        "Number of rounds in which input and state gate each other.",
        minimum=0,
        maximum=64,
        cells=("mogrifier",),
    )
    spectral_radius: float = setting(
        0.9,
        "Largest absolute eigenvalue of the reservoir: the larger, the longer it remembers.",
        minimum=0,
        cells=("esn",),
    )
    leak: float = setting(
        0.5, "Share of a unit's state that is new at each step.", above=0, maximum=1, cells=("esn",)
    )
    sparsity: float = setting(
        0.9, "Fraction of recurrent weights that are zero.", minimum=0, maximum=1, cells=("esn",)
    )
    width: int = setting(
        3, "Number of tokens that a layer sees at once.", minimum=1, cells=("cnn",)
    )
    heads: int = setting(4, "Number of attention heads.", minimum=1, cells=("transformer",))
    window: int = setting(
        256,
        "How many tokens back it looks; lm carries as many over to the next block.",
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
        "Kind of tree. childsum: any number of children; binary: a left and a right child.",
        cells=("tree",),
    )
    bidirectional: bool = setting(True, "Read the text from both ends.")
    pool: Literal["last", "mean", "max", "attention"] = setting(
        "max", "How the states of a text become one vector."
    )
    word_dropout: float | None = setting(
        None,
        "Fraction of tokens replaced by the unknown token during training; default: 0.1, but 0 if "
        "tokens are seen hundreds of times each.",
        minimum=0,
        maximum=0.95,
    )
    ngrams: bool = setting(
        True,
        "Average the network's scores with those of a linear model on words and pairs of words "
        "(characters: runs of up to three) and, with --spelling, on word forms.",
    )
    spelling: bool = setting(
        True,
        "Also read words by their first and last letters and their capitals; unknown words by "
        "these alone.",
    )


@dataclass(frozen=True, kw_only=True)
class TagNetwork(Network):
    """A token's vector, and from its state to a tag."""

    bidirectional: bool = setting(True, "Read the tokens from both ends.")
    characters: Literal["none", "rnn", "cnn"] = setting(
        "rnn",
        "Build part of a token's vector from its characters. rnn: read from both ends; cnn: the "
        "maximum over windows of three.",
    )
    character_hidden: int = setting(
        50,
        "Units of the character network per direction; cnn has twice as many in total.",
        minimum=1,
    )
    crf: bool | None = setting(
        None,
        "Conditional random field: choose the tags of a sentence jointly, never breaking their "
        "scheme; default: where tags mark spans.",
    )
    word_dropout: float = setting(
        0.1,
        "Fraction of tokens replaced by the unknown token during training.",
        minimum=0,
        maximum=0.95,
    )


@dataclass(frozen=True, kw_only=True)
class TranslateNetwork(Network):
    """Encoder, attention and decoder."""

    bidirectional: bool = setting(True, "Read the source from both ends.")
    attention: Literal["none", "dot", "general", "additive"] = setting(
        "general", "How the decoder looks back at the source."
    )
    input_feeding: bool = setting(
        False, "Feed each output, together with what was attended to, into the next step; slower."
    )
    bridge: Literal["none", "copy", "linear"] = setting(
        "linear",
        "Initial state of the decoder. none: zeros; copy: where the encoder ended; linear: a "
        "learned map of the source's mean state.",
    )
    share_vocabulary: bool = setting(
        False, "Use one vocabulary and one embedding for source and target."
    )
    tie: bool = setting(
        True,
        "Share the weights of target embedding and output projection; off by default where token "
        "vectors are not trained.",
    )


@dataclass(frozen=True, kw_only=True)
class LanguageNetwork(Network):
    """From a state to the next token."""

    tie: bool = setting(
        True,
        "Share the weights of embedding and output projection; off by default with --softmax "
        "adaptive and where token vectors are not trained.",
    )
    softmax: Literal["full", "adaptive", "sampled"] = setting(
        "full",
        "Output layer. full: exact. For large vocabularies: adaptive puts rarer words into "
        "clusters, sampled trains against 1,024 words drawn at random.",
    )
    ngrams: int | None = setting(
        None,
        "Longest run of tokens that is counted: the network's probabilities are mixed with those "
        "of an n-gram model. 0: network alone. Default: 7 characters, 5 byte pairs or 4 words.",
        minimum=0,
        maximum=12,
    )
