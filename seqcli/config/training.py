"""Settings of how the weights are found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from seqcli.config.setting import setting

UPDATES = 200
"""Updates an epoch with which the fewest epochs are enough."""
MOST_TIMES = 4
"""A default of epochs at most, in the fewest."""
LARGEST_SEED = 2**32 - 1
STEP = "Peak step size; by default smaller for rnn, jordan and some other cells."


def epochs_setting(fewest: int) -> Any:
    """The setting `epochs` of a task that trains for `fewest` epochs unless its data are small."""
    return setting(
        None,
        f"Passes over the training rows; default: {fewest}, or for small data more, up to "
        f"{MOST_TIMES * fewest}, to reach about {UPDATES * fewest:,} updates.",
        minimum=1,
    )


@dataclass(frozen=True, kw_only=True)
class Training:
    """How the weights are learned."""

    fewest_epochs: ClassVar[int] = 20
    epochs: int | None = epochs_setting(20)
    time: str | None = setting(
        None,
        "Finish within this time (90s, 10m, 2h; per seed): where the epochs would take longer, "
        "the step size falls by the clock. The result then depends on the machine's speed.",
    )
    optimizer: Literal["adamw", "sgd", "asgd"] = setting(
        "adamw",
        "Update rule; asgd is sgd that, once validation stalls, averages the weights from there "
        "on.",
    )
    average: float = setting(
        0.0,
        "Decay of a running mean of the weights, which is evaluated and saved in their place "
        "(0.999: over about the last thousand updates). 0: no mean, the default with sgd and "
        "asgd.",
        minimum=0,
        maximum=0.99999,
    )
    learning_rate: float = setting(2e-3, "Peak step size.", above=0)
    schedule: Literal["constant", "linear", "cosine", "plateau"] = setting(
        "linear",
        "How the step size falls. linear, cosine: to zero at the last epoch; plateau: by half "
        "whenever validation stalls.",
    )
    warmup: float = setting(
        0.05, "Fraction of all updates over which the step size rises.", minimum=0, maximum=1
    )
    weight_decay: float = setting(0.0, "Decoupled weight decay.", minimum=0)
    adversarial: float = setting(
        0.0,
        "Adversarial training, against memorising small data: each batch is learned once more "
        "with its token vectors moved by this share of their size in the worst direction; doubles "
        "the time.",
        minimum=0,
        maximum=1,
    )
    clip: float = setting(1.0, "Largest norm of all gradients together; 0: no clipping.", minimum=0)
    patience: int = setting(
        8, "Stop after this many epochs without a better validation score; 0: never.", minimum=0
    )
    watch: Literal["none", "gradients"] = setting(
        "none",
        "Record the gradients by layer and by time lag in gradients.jsonl, and warn where they "
        "vanish or explode.",
    )
    seed: int = setting(1, "Seed for weights, order and dropout.", minimum=0, maximum=LARGEST_SEED)
    device: Literal["auto", "cpu", "cuda"] = setting(
        "auto", "Where to compute; auto: on a CUDA GPU if there is one."
    )
    precision: Literal["auto", "fp32", "bf16"] = setting(
        "auto", "Operands of matrix products (sums are in fp32); auto: bf16 where it is fast."
    )
    threads: int | None = setting(None, "Number of CPU threads; default: all cores.", minimum=1)
    checkpoint_every: float = setting(
        60.0, "Seconds between checkpoints within an epoch; 0: only after epochs.", minimum=0
    )


@dataclass(frozen=True, kw_only=True)
class RowTraining(Training):
    """Training on separate rows, in batches of like lengths."""

    batch_tokens: int | None = setting(
        None,
        "Approximate number of tokens per batch; default: a 200th of the training tokens, from 64 "
        "to 2,048; of more than a million a 500th, up to 4,096.",
        minimum=1,
    )


@dataclass(frozen=True, kw_only=True)
class ClassifyTraining(RowTraining):
    """Training of classify."""

    fewest_epochs: ClassVar[int] = 10
    epochs: int | None = epochs_setting(10)
    adversarial: float | None = setting(  # type: ignore[assignment]
        None,
        "Adversarial training, against memorising small data: each batch is learned once more "
        "with its token vectors moved by this share of their size in the worst direction; doubles "
        "the time. Default: 0.15, but 0 if tokens are seen hundreds of times each.",
        minimum=0,
        maximum=1,
    )
    label_smoothing: float = setting(
        0.0, "Share of the target that is spread evenly over all labels.", minimum=0, maximum=0.9
    )
    balance: Literal["none", "weights", "over", "under"] = setting(
        "none",
        "Make rare labels count as much as frequent ones: by weights in the loss, by repeating "
        "rows of rare labels (over), or by leaving out rows of frequent ones (under). The best "
        "epoch is then the one with the best macro F1.",
    )
    focal: float = setting(
        0.0,
        "Exponent of the focal loss: above 0, easy rows count less; 2 is usual.",
        minimum=0,
        maximum=10,
    )
    threshold: bool = setting(
        False,
        "With two labels: answer the rarer one from the probability on that gives it the best F1 "
        "on validation.",
    )
    bptt: int | None = setting(
        None, "Number of steps a gradient flows back; default: the whole text.", minimum=1
    )


@dataclass(frozen=True, kw_only=True)
class TagTraining(RowTraining):
    """Training of tag."""

    bptt: int | None = setting(
        None, "Number of steps a gradient flows back; default: the whole sentence.", minimum=1
    )


@dataclass(frozen=True, kw_only=True)
class TranslateTraining(RowTraining):
    """Training of translate."""

    learning_rate: float = setting(2e-3, STEP, above=0)
    label_smoothing: float = setting(
        0.1,
        "Share of the target that is spread evenly over the vocabulary.",
        minimum=0,
        maximum=0.9,
    )
    scheduled_sampling: float = setting(
        0.0,
        "Share of the known target tokens that the model's own guesses replace; it rises evenly "
        "from 0 to this in the last epoch.",
        minimum=0,
        maximum=1,
    )


@dataclass(frozen=True, kw_only=True)
class LanguageTraining(Training):
    """Training on contiguous streams, by truncated back-propagation through time."""

    fewest_epochs: ClassVar[int] = 15
    epochs: int | None = epochs_setting(15)
    learning_rate: float = setting(2e-3, STEP, above=0)
    bptt: int | None = setting(
        None,
        "Number of steps a gradient flows back; 0: the whole stream (full BPTT); default: 64 "
        "characters, 35 words or 50 byte pairs.",
        minimum=0,
    )
    random_bptt: bool = setting(
        False, "Vary the length of each block around --bptt, and scale the step size with it."
    )
    streams: int = setting(
        32,
        "Number of contiguous streams the text is laid out in, one per row of the batch.",
        minimum=1,
    )
    ar: float = setting(
        0.0,
        "Activation regularisation (AR): weight of the mean square of the states, which keeps "
        "them small.",
        minimum=0,
    )
    tar: float = setting(
        0.0,
        "Temporal activation regularisation (TAR): weight of the mean square of the states' "
        "changes from token to token.",
        minimum=0,
    )
