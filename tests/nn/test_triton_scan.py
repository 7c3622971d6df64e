"""The scan in Triton against its equation in double precision, step by step, and the cells that use
it against those without.

Where no GPU is, Triton's interpreter runs it: in a program of its own, since that is chosen when
Triton is loaded.
"""

from __future__ import annotations

import subprocess
import sys

import pytest

pytest.importorskip("triton", reason="Triton is not installed (it comes with torch for GPUs)")

CHECK = """
import torch
from seqcli.nn.ragged import offsets
from seqcli.nn.triton_scan import scan

device = "cuda" if torch.cuda.is_available() else "cpu"
generator = torch.Generator().manual_seed(0)
LENGTHS = [3, 0, 1, 9, 5, 0]
for hidden in (1, 64, 70):
    for reverse in (False, True):
        shapes = (sum(LENGTHS), hidden), (sum(LENGTHS), hidden), (len(LENGTHS), hidden)
        a, b, first = (torch.randn(shape, generator=generator).double() for shape in shapes)
        dh = torch.randn(shapes[0], generator=generator).double()
        truth = [part.clone().requires_grad_() for part in (a, b, first)]
        rows, at = [None] * sum(LENGTHS), 0
        for sequence, length in enumerate(LENGTHS):
            state, places = truth[2][sequence], range(at, at + length)
            for place in reversed(places) if reverse else places:
                state = rows[place] = truth[0][place] * state + truth[1][place]
            at += length
        expected = torch.stack(rows)
        gradients = torch.autograd.grad(expected, truth, dh, materialize_grads=True)
        ours = [part.float().to(device).requires_grad_() for part in (a, b, first)]
        starts = offsets(torch.tensor(LENGTHS)).to(device)
        h = scan(*ours, starts, reverse=reverse)
        found = torch.autograd.grad(h, ours, dh.float().to(device))
        for one, other in zip((h, *found), (expected, *gradients), strict=True):
            torch.testing.assert_close(one.cpu().double(), other, atol=1e-5, rtol=1e-5)

from seqcli.nn import kernels
from seqcli.nn.cells import make_cell
from seqcli.nn.ragged import ragged

with torch.inference_mode():  # the first layer that asks may only predict
    assert kernels.scans_rightly(scan, device)
    assert not kernels.scans_rightly(lambda *parts, **how: scan(*parts, **how) + 1, device)
kernels.runs_natively = lambda x: False
for name in ("mingru", "minlstm"):
    cell = make_cell(name, 4, 7).to(device)
    for reverse in (False, True):
        x = ragged([torch.randn(length, 4, device=device) for length in LENGTHS])
        both = []
        for find in (kernels.find_scan, lambda device: (scan, "")):
            kernels.find_scan, before = find, kernels.find_scan
            first = torch.ones(len(LENGTHS), 7, device=device, requires_grad=True)
            y, (last,) = cell.sequence(x, (first,), reverse=reverse)
            wanted = [first, *cell.parameters()]
            gradients = torch.autograd.grad(y.values.sum() + last.square().sum(), wanted)
            both.append((y.values, last, *gradients))
            kernels.find_scan = before
        for one, other in zip(*both, strict=True):
            torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-5)
print("agrees")
"""


@pytest.mark.parametrize("mode", ["interpreter", pytest.param("GPU", marks=pytest.mark.gpu)])
def test_agrees_with_its_equation(mode, monkeypatch):
    if mode == "interpreter":
        monkeypatch.setenv("TRITON_INTERPRET", "1")
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    done = subprocess.run(
        [sys.executable, "-c", CHECK], capture_output=True, text=True, check=False
    )
    assert done.stdout == "agrees\n", done.stderr[-2000:]
