"""What runs on a GPU, where there is one; and what a GPU asks for that can be checked without."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from seqcli.nn import kernels
from seqcli.nn.cells import CELLS, make_cell
from seqcli.nn.ragged import Ragged

HAS_GPU = torch.cuda.is_available()
on_gpu = [pytest.mark.gpu, pytest.mark.skipif(not HAS_GPU, reason="torch sees no GPU here")]
OFFSETS = torch.tensor([0, 5, 5, 6, 13, 16, 16])


def run_cell(name: str, device: str, *, reverse: bool) -> list[torch.Tensor]:
    """Outputs, last state and gradients of a cell on sequences of unequal length."""
    torch.manual_seed(0)
    cell = make_cell(name, 6, 8, nonlinearity="tanh").to(device)
    x = Ragged(torch.randn(16, 6).to(device).requires_grad_(), OFFSETS)
    y, last = cell.sequence(x, cell.initial(6), reverse=reverse)
    loss = y.values.square().sum() + sum(part.sum() for part in last if part.is_floating_point())
    gradients = torch.autograd.grad(loss, [x.values, *cell.parameters()])
    return [part.detach().cpu() for part in (y.values, *last, *gradients)]


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("name", [pytest.param(name, marks=on_gpu) for name in CELLS])
def test_a_cell_does_on_a_gpu_what_it_does_on_the_cpu(name: str, reverse: bool) -> None:
    ours, truth = (run_cell(name, device, reverse=reverse) for device in ("cuda", "cpu"))
    for one, other in zip(ours, truth, strict=True):
        torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize(
    "task", [pytest.param(task, marks=on_gpu) for task in ("classify", "tag", "lm", "translate")]
)
def test_trains_on_a_gpu(task: str, precision: str, cli, data: Path, tmp_path: Path) -> None:
    asked = task, str(data), "--device", "cuda", "--precision", precision, "--epochs", "2"
    trained = cli(*asked, "--watch", "gradients", "--json", "--out", str(tmp_path / "model"))
    assert trained.status == 0, trained.err
    assert json.loads(trained.out)


@pytest.mark.parametrize("kind", sorted(kernels.LIBRARY))
def test_torch_layers_are_told_of_gradients(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """cuDNN keeps what its backward pass needs only where it is called for training."""
    told, layer = [], kernels.LIBRARY[kind]

    def record(*arguments: object) -> object:
        told.append(arguments[6])
        return layer(*arguments)

    monkeypatch.setitem(kernels.LIBRARY, kind, record)
    monkeypatch.setattr(kernels, "runs_natively", lambda x: False)
    cell = make_cell(kind.split("_")[0], 3, 4, nonlinearity=kind[4:])
    x = Ragged(torch.randn(16, 3), OFFSETS)
    cell.eval()
    cell.sequence(x, cell.initial(6), final=False)
    with torch.no_grad():
        cell.sequence(x, cell.initial(6), final=False)
    assert told == [True, False]
