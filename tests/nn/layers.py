"""The recurrent layers that have kernels, each with the equations that it is held against.

Dimensions: N tokens of B sequences, T tokens of one sequence, I inputs, H hidden units.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seqcli.nn.native import KINDS, ops
from seqcli.nn.native.jordan import jordan
from seqcli.nn.native.mogrifier import mogrifier
from seqcli.nn.native.sru import sru
from seqcli.nn.ragged import offsets

Tensors = dict[str, Tensor]
State = tuple[Tensor, ...]
Found = tuple[Tensor, State]
"""Outputs, and the state after them."""
Draw = Callable[..., Tensor]

HIGHWAY = 1.7


class Layer(NamedTuple):
    """One direction of one layer.

    draw: its weights by name, of I inputs and H units, from normal numbers of any shape. native:
    its kernels, as `ops.sequence`. steps: the truth for one sequence of at least a token. states:
    what it carries from step to step. sharp: a gradient of it jumps somewhere.
    """

    name: str
    draw: Callable[[Draw, int, int], Tensors]
    native: Callable[..., Found]
    steps: Callable[[Tensor, State, Sequence[Tensor]], Found]
    states: tuple[str, ...] = ("h",)
    sharp: bool = False

    def __str__(self) -> str:
        return self.name


class Problem(NamedTuple):
    """A layer at work, with the gradients that flow into its outputs."""

    layer: Layer
    lengths: list[int]
    reverse: bool
    tensors: Tensors  # x, the state and the weights
    dy: Tensor
    dlast: list[Tensor]


def make_problem(
    layer: Layer,
    lengths: list[int],
    *,
    inputs: int,
    hidden: int,
    reverse: bool = False,
    seed: int = 0,
) -> Problem:
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator)

    tokens, batch = sum(lengths), len(lengths)
    first = {name: normal(batch, hidden) for name in layer.states}
    tensors = {"x": normal(tokens, inputs), **first, **layer.draw(normal, inputs, hidden)}
    dlast = [normal(batch, hidden) for _ in layer.states]
    return Problem(layer, lengths, reverse, tensors, normal(tokens, hidden), dlast)


def away_from_jumps(problem: Problem) -> Problem:
    """The same, where gradients jump with sums inside the gates far from zero: rounding, or a
    finite step, across a jump changes a gradient for good."""
    if not problem.layer.sharp:
        return problem
    calm = {name: 0.1 * tensor for name, tensor in problem.tensors.items()}
    return problem._replace(tensors={**calm, "b_ih": problem.tensors["b_ih"].sign()})


def split(layer: Layer, tensors: Tensors) -> tuple[Tensor, State, list[Tensor]]:
    """x, the state and the weights."""
    x, *rest = tensors.values()
    return x, tuple(rest[: len(layer.states)]), rest[len(layer.states) :]


def run_native(problem: Problem, tensors: Tensors, precision: str = "fp32") -> Found:
    x, state, weights = split(problem.layer, tensors)
    starts = offsets(torch.tensor(problem.lengths))
    options = {"reverse": problem.reverse, "precision": precision}
    return problem.layer.native(x, starts, tuple(weights), state, **options)


def run_truth(problem: Problem, tensors: Tensors) -> Found:
    """Each sequence by itself, token by token."""
    x_NI, state, weights = split(problem.layer, tensors)
    outputs, lasts = [], []
    for b, x_TI in enumerate(x_NI.split(problem.lengths)):
        y, last = state[0][:0], tuple(part[b] for part in state)
        if len(x_TI):
            y, last = problem.layer.steps(x_TI.flip(0) if problem.reverse else x_TI, last, weights)
        outputs.append(y.flip(0) if problem.reverse else y)
        lasts.append(last)
    return torch.cat(outputs), tuple(torch.stack(parts) for parts in zip(*lasts, strict=True))


def weigh(problem: Problem, found: Found) -> Tensor:
    """The loss whose gradients with respect to the outputs are those of the problem."""
    pairs = [(found[0], problem.dy), *zip(found[1], problem.dlast, strict=True)]
    return sum(((part * weight).sum() for part, weight in pairs), torch.zeros(()))


def results(problem: Problem, precision: str | None) -> Tensors:
    """Outputs and gradients by name: of the kernels, or for None of the truth in double."""
    tensors = {
        name: (tensor.double() if precision is None else tensor.clone()).requires_grad_()
        for name, tensor in problem.tensors.items()
    }
    if precision is None:
        found = run_truth(problem, tensors)
    else:
        found = run_native(problem, tensors, precision)
    gradients = torch.autograd.grad(weigh(problem, found), list(tensors.values()))
    lasts = zip(problem.layer.states, found[1], strict=True)
    return {
        "y": found[0].detach(),
        **{f"last {name}": part.detach() for name, part in lasts},
        **{f"d{name}": part for name, part in zip(tensors, gradients, strict=True)},
    }


def draw_recurrent(kind: str, normal: Draw, inputs: int, hidden: int) -> Tensors:
    width, scan = ops.GATES[kind] * hidden, kind in ops.SCANS
    return {
        "w_ih": normal(width, inputs) / inputs**0.5,
        **({} if scan else {"w_hh": normal(width, hidden) / hidden**0.5}),
        "b_ih": normal(width),
        **({} if scan else {"b_hh": normal(width)}),
    }


def step_torch(kind: str, x: Tensor, first: State, weights: Sequence[Tensor]) -> Found:
    module = {"lstm": nn.LSTM, "gru": nn.GRU}.get(kind, nn.RNN)
    options = {"nonlinearity": kind[4:]} if module is nn.RNN else {}
    layer = module(x.shape[1], len(first[0]), **options).double()
    names = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")
    state = tuple(part[None] for part in first)
    arguments = x, state if kind == "lstm" else state[0]
    own = dict(zip(names, weights, strict=True))
    y, last = torch.func.functional_call(layer, own, arguments)
    return y, tuple(part[0] for part in (last if kind == "lstm" else (last,)))


def step_min(kind: str, x: Tensor, first: State, weights: Sequence[Tensor]) -> Found:
    """Feng et al. 2024, appendix B without logarithms."""
    h, outputs = first[0], []
    for row in F.linear(x, *weights):
        *gates, v = row.split(len(h))
        candidate = torch.where(v >= 0, v + 0.5, v.sigmoid())
        z, *forget = (gate.sigmoid() for gate in reversed(gates))
        if forget:
            z = z / (forget[0] + z)
        h = (1 - z) * h + z * candidate
        outputs.append(h)
    return torch.stack(outputs), (h,)


def draw_jordan(normal: Draw, inputs: int, hidden: int) -> Tensors:
    return {
        "w_ih": normal(hidden, inputs) / inputs**0.5,
        "w_yh": normal(hidden, hidden) / hidden**0.5,
        "w_hy": normal(hidden, hidden) / hidden**0.5,
        **{name: normal(hidden) for name in ("b_ih", "b_yh", "b_hy")},
    }


def run_jordan(
    relu: bool, x: Tensor, starts: Tensor, weights: State, state: State, **options
) -> Found:
    y, last = jordan(x, starts, weights, *state, relu=relu, **options)
    return y, (last,)


def step_jordan(relu: bool, x: Tensor, first: State, weights: Sequence[Tensor]) -> Found:
    """Jordan 1986: what is carried is the output."""
    w_ih, w_yh, w_hy, b_ih, b_yh, b_hy = weights
    (y,), outputs = first, []
    for x_t in x:
        into = w_ih @ x_t + b_ih + w_yh @ y + b_yh
        y = torch.tanh(w_hy @ (into.relu() if relu else into.tanh()) + b_hy)
        outputs.append(y)
    return torch.stack(outputs), (y,)


def draw_sru(normal: Draw, inputs: int, hidden: int) -> Tensors:
    products = 3 if inputs == hidden else 4
    return {
        "weight": normal(products * hidden, inputs) / inputs**0.5,
        "v": normal(2 * hidden),
        "bias": normal(2 * hidden),
    }


def run_sru(x: Tensor, starts: Tensor, weights: State, state: State, **options) -> Found:
    y, last = sru(x, starts, weights, *state, scale=HIGHWAY, **options)
    return y, (last,)


def step_sru(x: Tensor, first: State, weights: Sequence[Tensor]) -> Found:
    """Lei et al. 2018, equations 3 to 7."""
    (c,), outputs, (weight, v, bias) = first, [], weights
    (v_f, v_r), (b_f, b_r) = v.split(len(c)), bias.split(len(c))
    for x_t in x:
        u, a_f, a_r, *wide = (weight @ x_t).split(len(c))
        f, r = (a_f + v_f * c + b_f).sigmoid(), (a_r + v_r * c + b_r).sigmoid()
        c = f * c + (1 - f) * u
        outputs.append(r * c + (1 - r) * HIGHWAY * (wide[0] if wide else x_t))
    return torch.stack(outputs), (c,)


def draw_mogrifier(rounds: int, normal: Draw, inputs: int, hidden: int) -> Tensors:
    shapes = [(hidden, inputs) if number % 2 else (inputs, hidden) for number in range(rounds)]
    scales = {f"scale{i}": normal(*shape) / shape[1] ** 0.5 for i, shape in enumerate(shapes)}
    return {**draw_recurrent("lstm", normal, inputs, hidden), **scales}


def step_mogrifier(x: Tensor, first: State, weights: Sequence[Tensor]) -> Found:
    """Melis et al. 2020, equations 1 to 3."""
    w_ih, w_hh, b_ih, b_hh, *scales = weights
    (h, c), outputs = first, []
    for x_t in x:
        for number, scale in enumerate(scales, 1):
            if number % 2:
                x_t = 2 * (scale @ h).sigmoid() * x_t
            else:
                h = 2 * (scale @ x_t).sigmoid() * h
        i, f, g, o = (w_ih @ x_t + b_ih + w_hh @ h + b_hh).chunk(4)
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        h = o.sigmoid() * c.tanh()
        outputs.append(h)
    return torch.stack(outputs), (h, c)


def make_recurrent(kind: str) -> Layer:
    scan = kind in ops.SCANS
    return Layer(
        kind,
        partial(draw_recurrent, kind),
        partial(ops.sequence, kind),
        partial(step_min if scan else step_torch, kind),
        states=("h", "c") if kind == "lstm" else ("h",),
        sharp=scan or kind == "rnn_relu",
    )


def make_jordan(name: str, *, relu: bool) -> Layer:
    run, steps = partial(run_jordan, relu), partial(step_jordan, relu)
    return Layer(name, draw_jordan, run, steps, ("y",), sharp=relu)


def make_mogrifier(rounds: int) -> Layer:
    draw = partial(draw_mogrifier, rounds)
    return Layer("mogrifier", draw, mogrifier, step_mogrifier, ("h", "c"))


RECURRENT = {kind: make_recurrent(kind) for kind in sorted(KINDS)}
"""The layers of the operator `recurrent`, by kind."""
LAYERS = [
    *RECURRENT.values(),
    make_jordan("jordan_tanh", relu=False),
    make_jordan("jordan_relu", relu=True),
    Layer("sru", draw_sru, run_sru, step_sru, ("c",)),
    make_mogrifier(5),
]
