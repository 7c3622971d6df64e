"""Load the compiled kernels and describe their C interface to ctypes (see interface.h)."""

from __future__ import annotations

import ctypes
import functools
import os
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import torch

PATH = Path(__file__).with_name("_kernels.so")
INTERFACE = tuple(
    Path(__file__).with_name(f"{name}.h") for name in ("interface", "training", "sru", "mogrifier")
)
MATRIX_NUMBERS = {"hidden": 0, "hidden backward": 1, "rows of": 2, "columns of": 3}
KIND_NUMBERS = {
    "rnn_tanh": 0,
    "rnn_relu": 1,
    "lstm": 2,
    "gru": 3,
    "mingru": 4,
    "minlstm": 5,
    "rnn_relu_tanh": 6,
}


def _fields(integers: str, pointers: str, *, reals: str = "") -> list[tuple[str, Any]]:
    return [
        *((name, ctypes.c_int64) for name in integers.split()),
        *((name, ctypes.c_double) for name in reals.split()),
        *((name, ctypes.c_void_p) for name in pointers.split()),
    ]


class Recurrent(ctypes.Structure):
    """`struct Recurrent` of interface.h."""

    _fields_ = _fields(
        "kind batch tokens hidden gradients reverse bf16 keep dfirst threads y_stride dy_stride",
        "offsets inputs b_ih b_hh panels odd_panels h_first c_first y before gates other "
        "h_last c_last dy dgates dbias dh dc",
    )


class Packing(ctypes.Structure):
    """`struct Packing` of interface.h."""

    _fields_ = _fields("matrix kind width depth bf16 threads", "w panels")


class Linear(ctypes.Structure):
    """`struct Linear` of interface.h."""

    _fields_ = _fields("tokens depth width bf16 threads x_stride y_operand", "x panels bias y")


class Choice(ctypes.Structure):
    """`struct Choice` of interface.h."""

    _fields_ = _fields(
        "rows depth width count bf16 threads x_stride without", "x panels bias logs tokens"
    )


class Runs(ctypes.Structure):
    """`struct Runs` of interface.h."""

    _fields_ = _fields("rows vocabulary longest threads", "sizes keys own rest tokens runs chances")


class Vocabulary(ctypes.Structure):
    """`struct Vocabulary` of training.h."""

    _fields_ = _fields(
        "tokens depth width bf16 threads",
        "x panels bias gold nats d dbias",
        reals="smoothing scale",
    )


class Dropout(ctypes.Structure):
    """`struct Dropout` of training.h."""

    _fields_ = _fields("count seed threads", "x y", reals="fraction")


class Pooling(ctypes.Structure):
    """`struct Pooling` of training.h."""

    _fields_ = _fields("batch width threads x_stride", "offsets x y place dx")


class Chain(ctypes.Structure):
    """`struct Chain` of training.h."""

    _fields_ = _fields(
        "batch labels threads",
        "offsets gold scores first after last odds before behind next total "
        "weight dscores dweights",
    )


class Lookup(ctypes.Structure):
    """`struct Lookup` of training.h."""

    _fields_ = _fields(
        "batch entries size width threads backward", "offsets places weights seen table y"
    )


class Ngrams(ctypes.Structure):
    """`struct Ngrams` of training.h."""

    _fields_ = _fields(
        "batch tokens size vocabulary longest before",
        "offsets values keys weights places x bounds",
    )


class Rows(ctypes.Structure):
    """`struct Rows` of training.h."""

    _fields_ = _fields(
        "entries size width threads steps now count",
        "places sums decays seen slots gradient table mean square",
        reals="first second epsilon kept rate root",
    )


class Attention(ctypes.Structure):
    """`struct Attention` of interface.h."""

    _fields_ = _fields(
        "batch depth width threads",
        "queries keys pairs q k v energy weights context dcontext dscores dq dk dv denergy",
    )


class Sru(ctypes.Structure):
    """`struct Sru` of sru.h."""

    _fields_ = _fields(
        "batch tokens hidden products reverse bf16 threads dy_stride",
        "offsets inputs x v bias c_first y c c_last dy dinputs dx sums dc",
        reals="scale",
    )


class Mogrifier(ctypes.Structure):
    """`struct Mogrifier` of mogrifier.h."""

    _fields_ = _fields(
        "batch tokens inputs hidden rounds rows reverse bf16 keep threads stride dy_stride",
        "offsets scales w_ih w_hh bias h_first c_first sums xs hs x_shares h_shares gates c y "
        "h_last c_last dy dgates dx_sums dh_sums dx dbias dh dc",
    )


Structure = TypeVar("Structure", bound=ctypes.Structure)


def fill(structure: type[Structure], **fields: Any) -> Structure:
    """A structure of numbers and of the addresses of tensors, which the caller keeps alive; of a
    field that is left out, 0."""
    for name, value in fields.items():
        if isinstance(value, torch.Tensor):
            fields[name] = value.data_ptr()
    return structure(**fields)


class Unavailable(Exception):
    """Why the kernels cannot be used."""


class Library:
    """The loaded kernels for one instruction set."""

    def __init__(self, path: Path, instruction_set: str) -> None:
        try:
            handle = ctypes.CDLL(str(path))
        except OSError as error:
            raise Unavailable(f"the compiled kernels cannot be loaded: {error}") from error
        interface = zlib.crc32(b"".join(header.read_bytes() for header in INTERFACE))
        if hasattr(handle, "seqcli_interface"):
            handle.seqcli_interface.restype = ctypes.c_int64
        if not hasattr(handle, "seqcli_interface") or handle.seqcli_interface() != interface:
            raise Unavailable("the compiled kernels are of another version; install seqcli again")
        handle.seqcli_choose.restype = ctypes.c_char_p
        handle.seqcli_choose.argtypes = [ctypes.c_char_p]
        handle.seqcli_has_bf16.restype = ctypes.c_int64
        handle.seqcli_borrow_team.argtypes = [ctypes.c_void_p]
        handle.seqcli_borrow_team.restype = None

        chosen = handle.seqcli_choose(instruction_set.encode())
        if chosen is None:
            raise Unavailable(f"this library or processor has no {instruction_set!r} kernels")
        self.instruction_set: str = chosen.decode()
        self.bf16 = bool(handle.seqcli_has_bf16())
        handle.seqcli_borrow_team(_torch_team())

        def take(name: str, structure: type[ctypes.Structure]) -> Callable[[Any], int]:
            function = getattr(handle, f"seqcli_{name}")
            function.argtypes = [ctypes.POINTER(structure)]
            function.restype = ctypes.c_int64
            return function

        self.panel_elements = take("panel_elements", Packing)
        self.pack = take("pack", Packing)
        self.linear = take("linear", Linear)
        self.choose = take("choose_tokens", Choice)
        self.follow_runs = take("follow_runs", Runs)
        self._steps = {"forward": handle.seqcli_forward, "backward": handle.seqcli_backward}
        for step in self._steps.values():
            step.argtypes = [ctypes.POINTER(Recurrent), ctypes.c_int64]
            step.restype = ctypes.c_int64
        self.attend_forward = take("attend_forward", Attention)
        self.attend_backward = take("attend_backward", Attention)
        self.cross = take("cross", Vocabulary)
        self.drop = take("drop", Dropout)
        self.sru_forward = take("sru_forward", Sru)
        self.sru_backward = take("sru_backward", Sru)
        self.mogrifier_forward = take("mogrifier_forward", Mogrifier)
        self.mogrifier_backward = take("mogrifier_backward", Mogrifier)
        self.pool = take("pool", Pooling)
        self.chains = take("chains", Chain)
        self.chains_backward = take("chains_backward", Chain)
        self.look_up = take("look_up", Lookup)
        self.find_ngrams = take("find_ngrams", Ngrams)
        self.read_rows = take("read_rows", Rows)
        self.step_rows = take("step_rows", Rows)

    def run(self, step: str, calls: ctypes.Array[Recurrent]) -> int:
        """`forward` or `backward` of the directions of a layer; not 0 for wrong offsets."""
        return self._steps[step](calls, len(calls))


def _torch_team() -> ctypes.c_void_p | None:
    """The entry of the OpenMP library that torch uses, or None where it has none."""
    folder = Path(torch.__file__).parent / "lib"
    for name in ("libtorch_cpu.so", "libtorch_cpu.dylib"):
        try:
            return ctypes.cast(ctypes.CDLL(str(folder / name)).GOMP_parallel, ctypes.c_void_p)
        except (OSError, AttributeError):
            continue
    return None


@functools.cache
def load() -> Library:
    """The library, loaded once. Raises Unavailable with a reason."""
    if os.environ.get("SEQCLI_NATIVE") == "0":
        raise Unavailable("disabled by SEQCLI_NATIVE=0")
    if not PATH.exists():
        raise Unavailable("the kernels were not compiled when seqcli was installed")
    return Library(PATH, os.environ.get("SEQCLI_ISA", ""))
