"""What is left out in training: against torch.nn with the same masks, and by hand."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from seqcli.nn.cells import CELLS, make_cell
from seqcli.nn.dropout import Dropout, Embedding, weights_dropped
from seqcli.nn.ragged import Ragged, ragged
from seqcli.nn.recurrent import Recurrent, to_torch


def batch(width: int = 6) -> Ragged:
    generator = torch.Generator().manual_seed(0)
    return ragged([torch.randn(length, width, generator=generator) for length in (5, 1, 7, 3)])


def test_locked_dropout_leaves_out_the_same_features_of_a_whole_sequence() -> None:
    torch.manual_seed(1)
    x = batch(400).with_values(torch.ones(16, 400))
    found = Dropout(0.3, locked=True)(x)
    masks = [one[0] for one in found.split()]
    for mask, one in zip(masks, found.split(), strict=True):
        assert torch.equal(one, mask.expand_as(one))
        assert set(mask.tolist()) == {0.0, torch.tensor(1 / 0.7).item()}
        assert 0.2 < float((mask == 0).float().mean()) < 0.4
    assert not torch.equal(masks[0], masks[1])


def test_unlocked_dropout_follows_the_seed_of_torch() -> None:
    x = batch()
    torch.manual_seed(2)
    first, second = Dropout(0.4)(x).values, Dropout(0.4)(x).values
    torch.manual_seed(2)
    assert torch.equal(Dropout(0.4)(x).values, first)
    assert not torch.equal(first, second)
    torch.testing.assert_close(first, torch.where(first == 0, 0.0, x.values / 0.6))


def test_nothing_is_dropped_outside_of_training() -> None:
    x = batch()
    assert Dropout(0.5, locked=True).eval()(x) is x
    embedding = Embedding(9, 4, dropout=0.5).eval()
    tokens = torch.arange(9)
    assert torch.equal(embedding(tokens), embedding.weight)


def test_embedding_dropout_leaves_out_whole_types() -> None:
    torch.manual_seed(3)
    embedding = Embedding(1000, 4, dropout=0.2)
    tokens = torch.arange(1000).repeat(2)
    found = embedding(tokens)
    first, second = found.split(1000)
    assert torch.equal(first, second)
    gone = (first == 0).all(dim=1)
    assert 0.15 < float(gone.float().mean()) < 0.25
    torch.testing.assert_close(first[~gone], embedding.weight[~gone] / 0.8)
    found.sum().backward()
    assert embedding.weight.grad is not None
    assert torch.equal(embedding.weight.grad[gone], torch.zeros(int(gone.sum()), 4))


@pytest.mark.parametrize("name", ["rnn", "lstm", "gru"])
def test_weight_dropout_is_torch_with_a_masked_weight(name: str) -> None:
    torch.manual_seed(4)
    recurrent = Recurrent(
        lambda size: make_cell(name, size, 9), 6, bidirectional=True, weight_dropout=0.5
    )
    oracle = to_torch(recurrent)
    masks = {}
    torch.manual_seed(5)
    with torch.no_grad():
        for at, cell in enumerate(recurrent.cells):
            mask = nn.functional.dropout(torch.ones_like(cell.weight_hh), 0.5)
            key = "weight_hh_l0" + ("_reverse" if at else "")
            masks[key] = mask
            dict(oracle.named_parameters())[key].mul_(mask)
    torch.manual_seed(5)
    y, _ = recurrent(batch())
    y.values.square().sum().backward()
    truth = torch.cat([oracle(one[None])[0][0] for one in batch().split()])
    truth.square().sum().backward()
    torch.testing.assert_close(y.values, truth, atol=1e-5, rtol=1e-5)
    for at, cell in enumerate(recurrent.cells):
        key = "weight_hh_l0" + ("_reverse" if at else "")
        expected = dict(oracle.named_parameters())[key].grad * masks[key]
        torch.testing.assert_close(cell.weight_hh.grad, expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("name", [name for name in CELLS if CELLS[name].recurrent_weights])
def test_weight_dropout_reaches_every_recurrent_cell_and_leaves_its_weights_alone(
    name: str,
) -> None:
    torch.manual_seed(6)
    cell = make_cell(name, 6, 9)
    before = {key: value.clone() for key, value in cell.state_dict().items()}
    x = batch()
    whole, _ = cell.sequence(x, cell.initial(4))
    with weights_dropped(cell, 0.5):
        dropped, _ = cell.sequence(x, cell.initial(4))
    again, _ = cell.sequence(x, cell.initial(4))
    assert not torch.allclose(whole.values, dropped.values)
    assert torch.equal(whole.values, again.values)
    assert {key: value.tolist() for key, value in cell.state_dict().items()} == {
        key: value.tolist() for key, value in before.items()
    }


def test_one_mask_of_weights_for_all_blocks_of_truncated_backpropagation() -> None:
    def outputs(bptt: int | None) -> torch.Tensor:
        torch.manual_seed(7)
        recurrent = Recurrent(
            lambda size: make_cell("gru", size, 5), 6, weight_dropout=0.5, bptt=bptt
        )
        return recurrent(batch())[0].values

    torch.testing.assert_close(outputs(2), outputs(None), atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("feed_forward", [0, 3])
@pytest.mark.parametrize("layer_norm", [False, True])
@pytest.mark.parametrize("residual", [False, True])
def test_stack_is_that_of_torch_put_together_by_hand(
    residual: bool, layer_norm: bool, feed_forward: int
) -> None:
    torch.manual_seed(8)
    recurrent = Recurrent(
        lambda size: make_cell("lstm", size, 4),
        6,
        layers=3,
        bidirectional=True,
        residual=residual,
        layer_norm=layer_norm,
        final_norm=residual and layer_norm,
        feed_forward=feed_forward,
    )
    for norm in [one for one in recurrent.modules() if isinstance(one, nn.LayerNorm)]:
        nn.init.normal_(norm.weight)
        nn.init.normal_(norm.bias)
    found, _ = recurrent(batch())
    truth = []
    for x in batch().split():
        for layer in range(3):
            oracle = nn.LSTM(x.shape[1], 4, bidirectional=True)
            for at, suffix in enumerate(("", "_reverse")):
                for name, value in recurrent.cells[2 * layer + at].named_parameters():
                    getattr(oracle, f"{name}_l0{suffix}").data.copy_(value)
            read = recurrent.norms[layer](x) if layer_norm else x
            y = oracle(read)[0]
            x = x + y if residual and layer else y
            if feed_forward:
                part = recurrent.feed_forwards[layer]
                wide = nn.functional.linear(part.norm(x), part.wide.weight, part.wide.bias)
                assert wide.shape[1] == 3 * x.shape[1]
                x = x + nn.functional.linear(wide.relu(), part.narrow.weight, part.narrow.bias)
        truth.append(recurrent.norm(x) if recurrent.norm else x)
    torch.testing.assert_close(found.values, torch.cat(truth), atol=1e-5, rtol=1e-5)


def test_what_goes_past_a_layer_is_not_dropped() -> None:
    """A second layer that answers zeros leaves the first one's output as it is."""
    torch.manual_seed(9)
    recurrent = Recurrent(
        lambda size: make_cell("rnn", size, 4), 6, layers=2, dropout=0.9, residual=True
    )
    for weight in recurrent.cells[1].parameters():
        nn.init.zeros_(weight)
    first, _ = recurrent.cells[0].sequence(batch(), recurrent.cells[0].initial(batch().batch))
    assert torch.equal(recurrent.train()(batch())[0].values, first.values)
