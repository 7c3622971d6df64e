"""What is put off for the vectors of rare words comes out as torch's AdamW does it at once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from seqcli import optimizer
from seqcli.config import make_config
from seqcli.errors import SeqcliError
from seqcli.nn.dropout import Embedding
from seqcli.nn.native import status
from seqcli.optimizer import Optimizer

pytestmark = pytest.mark.skipif(not status().available, reason=status().reason)
TRAINING = make_config("classify", {}).training
SIZE, WIDTH, STEPS = 60, 4, 250


@pytest.fixture(autouse=True)
def rows_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(optimizer, "LEAST", 0)


class Toy(nn.Module):
    """An embedding and a layer above it."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.embedding = Embedding(SIZE, WIDTH)
        self.head = nn.Linear(WIDTH, 1)

    def forward(self, tokens: Tensor) -> Tensor:
        return self.head(torch.tanh(self.embedding(tokens))).squeeze(1)


def batches(steps: int = STEPS) -> Iterator[tuple[int, float, Tensor, Tensor]]:
    """Step, step size, tokens (common ones are common, some never come) and signs."""
    generator = torch.Generator().manual_seed(1)
    for step in range(steps):
        tokens = (torch.rand(6, generator=generator) ** 3 * (SIZE - 5)).long()
        sign = torch.randn(6, generator=generator) * 10 ** torch.rand(1, generator=generator)
        yield step, 0.02 * (1 - step / steps), tokens, sign


@pytest.mark.parametrize("decay", [0.0, 0.1])
@pytest.mark.parametrize("settle", [0, 90])
def test_the_same_as_adamw_of_torch(decay: float, settle: int, instruction_set: str) -> None:
    ours, theirs = Toy(), Toy()
    update = Optimizer(ours, replace(TRAINING, weight_decay=decay))
    plain = torch.optim.AdamW(theirs.parameters(), weight_decay=decay)
    assert len(update.rows) == 1
    for step, rate, tokens, sign in batches():
        update.clear()
        plain.zero_grad()
        found = [(model(tokens) * sign).sum() for model in (ours, theirs)]
        torch.testing.assert_close(found[0], found[1], rtol=1e-3, atol=1e-3)
        for loss in found:
            loss.backward()
        norm = nn.utils.clip_grad_norm_(theirs.parameters(), 1.0)
        assert update.clip(1.0) == pytest.approx(norm.item(), rel=1e-3)
        for group in plain.param_groups:
            group["lr"] = rate
        update.step(rate)
        plain.step()
        if settle and step % settle == settle - 1:
            update.settle()
    moved = (theirs.embedding.weight - Toy().embedding.weight).abs().mean()
    assert moved > 0.1
    assert not torch.equal(ours.embedding.weight, theirs.embedding.weight)  # some still wait
    update.settle()
    torch.testing.assert_close(ours.embedding.weight, theirs.embedding.weight, rtol=0, atol=2e-4)


def test_much_decay_between_two_settlements() -> None:
    """What is left of a vector is soon too little to divide by."""
    ours, theirs = Toy(), Toy()
    update = Optimizer(ours, replace(TRAINING, weight_decay=90.0, learning_rate=0.001))
    plain = torch.optim.AdamW(theirs.parameters(), weight_decay=90.0, lr=0.005)
    for step in range(1_300):  # exp(−1,300 log(1 − 0.45)) is no number
        update.clear()
        plain.zero_grad()
        for model in (ours, theirs):
            model.embedding(torch.tensor([step % 7, step // 100])).sum().backward()
        update.step(0.005)
        plain.step()
    (rows,) = update.rows
    assert rows.now < 1_300
    update.settle()
    torch.testing.assert_close(ours.embedding.weight, theirs.embedding.weight, rtol=0, atol=1e-4)


def run(model: Toy, update: Optimizer, *, first: int, last: int) -> None:
    for step, rate, tokens, sign in batches():
        if first <= step < last:
            update.clear()
            (model(tokens) * sign).sum().backward()
            update.clip(1.0)
            update.step(rate)


def test_goes_on_bit_for_bit_from_its_tensors() -> None:
    whole, begun = Toy(), Toy()
    update, other = Optimizer(whole, TRAINING), Optimizer(begun, TRAINING)
    run(whole, update, first=0, last=90)
    run(begun, other, first=0, last=40)
    resumed = Toy()
    resumed.load_state_dict(begun.state_dict())
    again = Optimizer(resumed, TRAINING)
    again.restore({name: value.clone() for name, value in other.tensors().items()})
    run(resumed, again, first=40, last=90)
    for one, two in zip(update.tensors().values(), again.tensors().values(), strict=True):
        assert torch.equal(one, two)
    pairs = zip(whole.parameters(), resumed.parameters(), strict=True)
    assert all(torch.equal(*pair) for pair in pairs)


def test_tensors_of_another_model_are_refused() -> None:
    model = Toy()
    update = Optimizer(model, TRAINING)
    run(model, update, first=0, last=3)
    known = {name: value.clone() for name, value in update.tensors().items()}
    for name in known:
        if known[name].dim():
            with pytest.raises((ValueError, RuntimeError)):
                Optimizer(Toy(), TRAINING).restore({**known, name: torch.zeros(3)})
    with pytest.raises(KeyError):
        Optimizer(Toy(), TRAINING).restore({"nobody.exp_avg": torch.zeros(3)})


@pytest.mark.parametrize("change", [{"optimizer": "sgd"}, {"average": 0.9}])
def test_left_alone_where_every_vector_is_read_at_every_step(change: dict) -> None:
    assert not Optimizer(Toy(), replace(TRAINING, **change)).rows
    model = Toy()
    model.embedding.pace = 15.0
    strong = {"learning_rate": 0.01, "weight_decay": 0.7}
    assert not Optimizer(model, replace(TRAINING, **strong)).rows
    assert Optimizer(Toy(), replace(TRAINING, **strong)).rows
    model = Toy()
    model.embedding.tied = True
    assert not Optimizer(model, TRAINING).rows
    model = Toy()
    model.embedding.weight.requires_grad_(False)
    assert not Optimizer(model, TRAINING).rows
    assert model.embedding.reader is None


def test_a_pass_without_gradients_sees_vectors_that_are_up_to_date() -> None:
    ours, theirs = Toy(), Toy()
    update = Optimizer(ours, TRAINING)
    run(ours, update, first=0, last=20)
    run(theirs, other := Optimizer(theirs, TRAINING), first=0, last=20)
    other.settle()
    tokens = torch.arange(SIZE)
    with torch.no_grad():
        assert torch.equal(ours(tokens), theirs(tokens))


def test_several_passes_of_an_update_add_up() -> None:
    one, two = Toy(), Toy()
    update, other = Optimizer(one, TRAINING), Optimizer(two, TRAINING)
    for step, rate, tokens, sign in batches(20):
        update.clear()
        (one(tokens) * sign).sum().backward()
        one(tokens)  # read, and no more
        (one(tokens + step % 5) * sign).sum().backward()
        other.clear()
        ((two(tokens) + two(tokens + step % 5)) * sign).sum().backward()
        assert update.clip(1.0) == pytest.approx(other.clip(1.0), rel=1e-4)
        update.step(rate)
        other.step(rate)
    update.settle()
    other.settle()
    torch.testing.assert_close(one.embedding.weight, two.embedding.weight, rtol=0, atol=1e-5)


def test_goes_on_from_what_adamw_of_all_vectors_left() -> None:
    ours, theirs = Toy(), Toy()
    plain = torch.optim.AdamW(theirs.parameters(), weight_decay=TRAINING.weight_decay)
    for step, _, tokens, sign in batches(30):
        if step == 20:
            ours.load_state_dict(theirs.state_dict())
            update = Optimizer(ours, TRAINING)
            update.restore(
                {
                    f"{name}.{field}": value.clone()
                    for name, weight in theirs.named_parameters()
                    for field, value in plain.state[weight].items()
                }
            )
        plain.zero_grad()
        (theirs(tokens) * sign).sum().backward()
        plain.step()
        if step >= 20:
            update.clear()
            (ours(tokens) * sign).sum().backward()
            update.step(1e-3)
    update.settle()
    torch.testing.assert_close(ours.embedding.weight, theirs.embedding.weight, rtol=0, atol=1e-5)


def test_rows_do_not_go_on_without_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    model = Toy()
    update = Optimizer(model, TRAINING)
    run(model, update, first=0, last=5)
    monkeypatch.setattr("seqcli.optimizer.LEAST", 10**9)
    with pytest.raises(SeqcliError, match="began with native kernels and needs them"):
        Optimizer(model, TRAINING).restore(update.tensors())


def test_no_clipping_only_measures() -> None:
    model = Toy()
    update = Optimizer(model, TRAINING)
    (model(torch.tensor([1, 1, 2])) * 100).sum().backward()
    before = model.head.weight.grad.clone()
    assert update.clip(0) > 1
    assert torch.equal(model.head.weight.grad, before)
