"""Output layers against cross-entropy, torch's adaptive softmax and the full gradient."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from conftest import Quiet, Result, tiny
from torch import Tensor, nn

from seqcli import run
from seqcli.config import LanguageNetwork
from seqcli.errors import UsageError
from seqcli.nn.language import LanguageModel
from seqcli.nn.ragged import ragged
from seqcli.nn.softmax import (
    AdaptiveSoftmax,
    FullSoftmax,
    SampledSoftmax,
    check_softmax,
    cutoffs,
)

pytestmark = pytest.mark.usefixtures("one_thread")
VOCABULARY, WIDTH = 3_100, 32
KINDS = (FullSoftmax, AdaptiveSoftmax, SampledSoftmax)


def zipf(count: int, vocabulary: int = VOCABULARY) -> Tensor:
    """Tokens as frequent as the words of a text."""
    return torch.multinomial(1 / torch.arange(3.0, vocabulary + 3), count, replacement=True)


def make(kind: Callable[..., Any], seed: int = 0) -> tuple[Any, Tensor, Tensor]:
    torch.manual_seed(seed)
    head = kind(WIDTH, VOCABULARY)
    return head, torch.randn(60, WIDTH, requires_grad=True), zipf(60)


def gradients(loss: Tensor, inputs: list[Tensor]) -> list[Tensor]:
    return list(torch.autograd.grad(loss, inputs))


@pytest.mark.parametrize("tied", [False, True])
def test_full_is_cross_entropy(tied: bool) -> None:
    torch.manual_seed(0)
    embedding = nn.Embedding(VOCABULARY, WIDTH)
    head = FullSoftmax(WIDTH, VOCABULARY, tied=embedding if tied else None)
    h_NH, gold_N = torch.randn(60, WIDTH), zipf(60)
    linear = nn.Linear(WIDTH, VOCABULARY)
    linear.weight, linear.bias = (embedding.weight if tied else head.weight), head.bias
    expected = F.cross_entropy(linear(h_NH), gold_N, reduction="none")
    torch.testing.assert_close(head.nats(h_NH, gold_N), expected)
    torch.testing.assert_close(head.loss(h_NH, gold_N), expected.mean())
    torch.testing.assert_close(head.scores(h_NH), linear(h_NH))
    assert set(head.state_dict()) == ({"bias"} if tied else {"weight", "bias"})


@torch.no_grad()
def test_nats_in_parts_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    head, h_NH, gold_N = make(FullSoftmax)
    whole = head.nats(h_NH, gold_N)
    monkeypatch.setattr("seqcli.nn.kernels.runs_natively", lambda x: False)
    torch.testing.assert_close(head.nats(h_NH, gold_N), whole)
    monkeypatch.setattr("seqcli.nn.kernels.LARGEST", 7 * VOCABULARY)
    torch.testing.assert_close(head.nats(h_NH, gold_N), whole)


@pytest.mark.parametrize("gold", ["zipf", "frequent", "rare"])
def test_adaptive_is_that_of_torch(gold: str) -> None:
    head, h_NH, gold_N = make(AdaptiveSoftmax)
    if gold != "zipf":  # clusters that no token of the batch is in
        gold_N = torch.full_like(gold_N, 5 if gold == "frequent" else VOCABULARY - 1)
    theirs = head.weights(h_NH, gold_N)
    torch.testing.assert_close(head.nats(h_NH, gold_N), -theirs.output)
    torch.testing.assert_close(head.log_probabilities(h_NH), head.weights.log_prob(h_NH))
    inputs = [h_NH, *head.parameters()]
    ours = gradients(head.loss(h_NH, gold_N), inputs)
    for one, other in zip(
        ours,
        torch.autograd.grad(theirs.loss, inputs, allow_unused=True, materialize_grads=True),
        strict=True,
    ):
        torch.testing.assert_close(one, other, atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_probabilities_sum_to_one_and_are_the_nats(kind: Callable[..., Any]) -> None:
    head, h_NH, gold_N = make(kind)
    logs_NV = head.log_probabilities(h_NH)
    assert logs_NV.shape == (60, VOCABULARY)
    torch.testing.assert_close(logs_NV.exp().sum(1), torch.ones(60))
    torch.testing.assert_close(-logs_NV.gather(1, gold_N[:, None])[:, 0], head.nats(h_NH, gold_N))
    torch.testing.assert_close(head.scores(h_NH).log_softmax(1), logs_NV)


@pytest.mark.parametrize("vocabulary", [3_000, 5_000, 10_000, 33_278, 1_000_000])
def test_cutoffs_rise(vocabulary: int) -> None:
    first, second = cutoffs(vocabulary)
    assert 500 < first < second < vocabulary


# ------------------------------------------------------------------------------------- sampled


def test_drawn_tokens_follow_their_probabilities() -> None:
    head, _, _ = make(SampledSoftmax)
    drawn, log_q = head.draw(200_000)
    every = torch.arange(VOCABULARY, dtype=torch.float64)
    chance = ((every + 2) / (every + 1)).log() / torch.tensor(VOCABULARY + 1.0).log()
    assert chance.sum().item() == pytest.approx(1.0, abs=1e-6)
    torch.testing.assert_close(log_q.double(), chance[drawn].log(), atol=1e-5, rtol=1e-5)
    shares = torch.bincount(drawn, minlength=VOCABULARY) / 200_000
    error = 4 * (chance * (1 - chance) / 200_000).sqrt() + 1e-5
    assert int(((shares - chance).abs() > error).sum()) <= 3


def test_sampled_gradient_approaches_the_full_one() -> None:
    head, h_NH, gold_N = make(SampledSoftmax)
    inputs = [h_NH, head.weight, head.bias]
    exact = gradients(FullSoftmax.loss(head, h_NH, gold_N), inputs)

    def error(negatives: int) -> list[float]:
        rounds = [
            gradients(head.loss(h_NH, gold_N, negatives=negatives), inputs) for _ in range(20)
        ]
        means = [torch.stack(parts).mean(0) for parts in zip(*rounds, strict=True)]
        return [
            float((mean - truth).norm() / truth.norm())
            for mean, truth in zip(means, exact, strict=True)
        ]

    few, many = error(100), error(20_000)
    assert all(one < 0.03 for one in many), many
    assert all(one < other / 3 for one, other in zip(many, few, strict=True)), (few, many)


def test_sampled_loss_never_counts_the_gold_token_twice() -> None:
    head, h_NH, _ = make(SampledSoftmax)
    with torch.no_grad():
        head.weight.zero_()
        head.bias.fill_(-50.0)
        head.bias[0] = 50.0  # drawn most often, and the gold token of all
    gold_N = torch.zeros(60, dtype=torch.int64)
    assert head.loss(h_NH, gold_N).item() == pytest.approx(0.0, abs=1e-6)


# ------------------------------------------------------------------------------------ training


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_learns(kind: Callable[..., Any], precision: str) -> None:
    """Eight states, each with its token, frequent or rare."""
    head, h_NH, _ = make(kind)
    h_NH, gold_N = h_NH[:8].detach(), torch.tensor([3, 4, 90, 600, 700, 1500, 2000, 3000])
    optimizer = torch.optim.Adam(head.parameters(), lr=0.05)
    before = head.nats(h_NH, gold_N).mean().item()
    for _ in range(40):
        optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
            loss = head.loss(h_NH, gold_N)
        assert loss.dtype == torch.float32
        loss.backward()
        optimizer.step()
    after = head.nats(h_NH, gold_N).mean().item()
    assert before > 6
    assert after < 0.3


@pytest.mark.parametrize(
    ("softmax", "tie"),
    [("full", False), ("full", True), ("sampled", False), ("sampled", True), ("adaptive", False)],
)
def test_models_give_scores(softmax: Any, tie: bool) -> None:
    torch.manual_seed(0)
    network = LanguageNetwork(hidden=16, embedding=9, softmax=softmax, tie=tie)
    model = LanguageModel(VOCABULARY, network).eval()
    tokens = ragged([zipf(5), zipf(3)])
    scores_NV, states = model(tokens, None)
    h_NH, _ = model.read(tokens, None)
    assert scores_NV.shape == (8, VOCABULARY)
    assert len(states) == 1
    expected = F.cross_entropy(scores_NV, tokens.values, reduction="none")
    torch.testing.assert_close(model.head.nats(h_NH, tokens.values), expected)
    again = LanguageModel(VOCABULARY, network).eval()
    again.load_state_dict(model.state_dict())
    torch.testing.assert_close(again(tokens, None)[0], scores_NV)


@pytest.mark.parametrize(
    ("settings", "vocabulary", "said"),
    [
        (
            {"softmax": "adaptive", "tie": False},
            2_999,
            "at least 3,000 tokens, and this one has 2,999",
        ),
        ({"softmax": "sampled"}, 30, "use --softmax full"),
        ({"softmax": "adaptive", "tie": True}, 9_000, "leave out --tie"),
        ({"softmax": "adaptive", "hidden": 15, "tie": False}, 9_000, "--hidden of at least 16"),
    ],
)
def test_refused(settings: dict[str, Any], vocabulary: int, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        check_softmax(LanguageNetwork(**settings), vocabulary)


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A corpus with more than 3,000 words, most of them rare."""
    torch.manual_seed(0)
    words = [*range(3_000), *zipf(2_000).tolist()]
    lines = [" ".join(f"w{word}" for word in words[at : at + 20]) for at in range(0, 5_000, 20)]
    path = tmp_path_factory.mktemp("words") / "text.txt"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.mark.parametrize("softmax", ["adaptive", "sampled"])
def test_trained_resumed_and_used(
    cli: Callable[..., Result], text: Path, tmp_path: Path, softmax: str
) -> None:
    config = tiny(
        "lm", text, softmax=softmax, hidden=16, tokens="word", streams=8, bptt=35, epochs=2
    )
    run.train(config, tmp_path / "whole", Quiet())
    asked = iter(range(100))
    with pytest.raises(run.Interrupted):
        run.train(config, tmp_path / "part", Quiet(), stop=lambda: 15 * (next(asked) == 20))
    run.resume(tmp_path / "part", Quiet())
    files = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("whole", "part")]
    assert files[0] == files[1]
    scored = cli("evaluate", tmp_path / "whole", text, "--json")
    assert scored.status == 0, scored.err
    assert json.loads(scored.out)
    assert cli("generate", tmp_path / "whole", "--length", 5, "--prompt", "w5").status == 0


def test_a_small_vocabulary_leaves_nothing_behind(
    cli: Callable[..., Result], data: Path, tmp_path: Path
) -> None:
    result = cli("lm", data, "--softmax", "adaptive", "--out", tmp_path / "m")
    assert result.status == 2
    assert "use --softmax full" in result.errors[0]
    assert not (tmp_path / "m").exists()
