"""Language models judged with a memory of what they have just read: a cache, or by learning on.

What such a memory needs to be told (how sharp, how strong, how fast) is chosen on the validation
text, never on the text that is judged.
"""

from __future__ import annotations

import copy
import functools
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from seqcli.data.rows import Rows
from seqcli.errors import UsageError
from seqcli.nn import dynamic
from seqcli.nn.cache import Cache, mix
from seqcli.nn.language import LanguageModel
from seqcli.tasks.likelihood import Judged, count_stream, walk
from seqcli.tasks.lm import LanguageModeling
from seqcli.tasks.task import Scores, device_of

SHARPNESS = (0.0, 0.5, 1.0, 2.0, 3.0, 4.0, 6.0)
"""θ to choose from, in standard deviations of what it multiplies."""
SHARES = (0.0, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4)  # λ of the cache
RATES = (1e-4, 3e-4, 1e-3, 3e-3)  # η of learning on
DECAYS = (0.001, 0.01, 0.1)  # λ of learning on
SEGMENT = 20
"""Tokens that are scored before the weights learn from them."""
MEASURED = 20_000
"""Tokens of the training text that tell how large gradients are."""
TRIED = 10_000
"""Tokens of the validation text that each rate and decay is tried on."""


def with_cache(
    task: LanguageModeling, model: LanguageModel, rows: Rows, *, size: int, validation: Rows
) -> Scores:
    """The metrics of a model with a cache of `size` states beside it."""
    _check(task)
    thetas_Q, nats_QS = _try_cache(task, model, validation, size)
    theta_at, share_at = divmod(int(nats_QS.argmin()), len(SHARES))
    theta, share = thetas_Q[theta_at : theta_at + 1], SHARES[share_at]
    tokens_N = task.encode_stream(rows).tokens
    mixed_N = np.empty(len(tokens_N) - 1)
    for places, nats_T, p_QT in _walk(model, tokens_N, size, theta):
        mixed_N[places] = mix(nats_T, p_QT[0], share).double().cpu().numpy()
    chosen = {"size": size, "theta": float(theta), "share": share}
    return _note(task.scores_of(mixed_N, rows), "cache", chosen)


def _try_cache(
    task: LanguageModeling, model: LanguageModel, rows: Rows, size: int
) -> tuple[Tensor, Tensor]:
    """The values of θ (Q,), and the nats of a text for each of them and each share (Q, S)."""
    tokens_N = task.encode_stream(rows).tokens
    h_NH = next(walk(model, tokens_N)).h.values[:512]
    spread = float((h_NH @ h_NH.T).std().clamp(min=1e-6))
    thetas_Q = torch.tensor([sharpness / spread for sharpness in SHARPNESS])
    shares_S1 = torch.tensor(SHARES)[:, None]
    nats_QS = torch.zeros(len(thetas_Q), len(SHARES))
    for _, nats_T, p_QT in _walk(model, tokens_N, size, thetas_Q):
        for at, p_T in enumerate(p_QT.cpu()):
            nats_QS[at] += mix(nats_T.cpu(), p_T, shares_S1).sum(1)
    return thetas_Q, nats_QS


@torch.inference_mode()
def _walk(
    model: LanguageModel, tokens_N: np.ndarray, size: int, thetas_Q: Tensor
) -> Iterator[tuple[np.ndarray, Tensor, Tensor]]:
    """Passage by passage of each stream: places, the model's nats (T,) and the probabilities of
    the cache (Q, T)."""
    caches: list[Cache] = []
    counted_N = count_stream(model, tokens_N)
    for places, h, gold_N in walk(model, tokens_N):
        caches += [Cache(size) for _ in range(h.batch - len(caches))]
        logs_N = -model.head.nats(h.values, gold_N)
        counted = None if counted_N is None else counted_N[places]
        nats_N = -Judged(logs_N, counted).mixed(model.ngrams)
        lengths = h.lengths.tolist()
        tensors = h.values.split(lengths), gold_N.split(lengths), nats_N.split(lengths)
        parts = np.split(places, h.offsets[1:-1].numpy())
        for part, h_TH, gold_T, nats_T, cache in zip(parts, *tensors, caches, strict=True):
            if len(part):
                yield part, nats_T, cache.probabilities(h_TH, gold_T, thetas_Q)


def with_learning(
    task: LanguageModeling, model: LanguageModel, rows: Rows, *, train: Rows, validation: Rows
) -> Scores:
    """The metrics of a model that goes on learning as it reads: one stream, in segments."""
    _check(task)
    device = device_of(model)

    def stream(source: Rows, limit: int | None = None) -> Tensor:
        return torch.from_numpy(task.encode_stream(source).tokens[:limit]).to(device)

    def adapt(tokens_N: Tensor, rule: dynamic.Rule) -> Judged:
        nats_N = dynamic.evaluate(model, tokens_N, roots, rule, SEGMENT).double().cpu()
        return Judged(-nats_N, count_stream(model, tokens_N.cpu().numpy()))

    model.eval().requires_grad_(True)
    roots = dynamic.measure(model, stream(train, MEASURED), SEGMENT)
    tried = stream(validation, TRIED)
    ngrams = copy.copy(model.ngrams)  # with the share that is right beside a network that adapts

    @functools.cache
    def attempt(rule: dynamic.Rule) -> Judged:
        return adapt(tried, rule)

    def cost(rule: dynamic.Rule) -> float:
        found = attempt(rule)
        found.choose_share(ngrams)
        nats = -float(found.mixed(ngrams).sum())
        return nats if math.isfinite(nats) else math.inf

    best = min((dynamic.Rule(rate, DECAYS[1]) for rate in RATES), key=cost)
    best = min((dynamic.Rule(best.rate, decay) for decay in DECAYS), key=cost)
    attempt(best).choose_share(ngrams)
    nats_N = -adapt(stream(rows), best).mixed(ngrams).numpy()
    model.requires_grad_(False)
    chosen = {"segment": SEGMENT, **best._asdict()} | ({"share": ngrams.share} if ngrams else {})
    return _note(task.scores_of(nats_N, rows), "dynamic", chosen)


def _check(task: LanguageModeling) -> None:
    if task.condition is not None:
        raise UsageError(
            "--cache and --dynamic remember running text, and this model's texts are separate ones"
        )


def _note(scores: Scores, name: str, chosen: dict[str, Any]) -> Scores:
    """The scores, with what was chosen on validation, and a signature that tells of it."""
    details = ",".join(f"{key}={value:.4g}" for key, value in chosen.items())
    scores |= {name: chosen, "signature": f"{scores['signature']}|{name}:{details}"}
    return scores
