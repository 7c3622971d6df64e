"""A device that is none, on which to find without a GPU what would fail on one.

    python tests/far.py DATA FOLDER '[["lm", {"cell": "lstm"}], …]'

trains with each of these settings, a line for each that fails. Tensors on the device hold their
numbers on the CPU, and no operation may take some of them together with tensors of the CPU. torch
knows a device "lazy" that computes nothing by itself and whose gradients need no threads of a GPU.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

DEVICE = torch.device("lazy:0")
aten = torch.ops.aten
INDEXED = {aten.index.Tensor, aten.index_put_.default, aten._index_put_impl_.default}
"""These take numbers of the CPU on a GPU, too."""
SHAPES: dict[Any, Callable[[Tensor], Any]] = {
    aten.sym_size.default: Tensor.size,
    aten.sym_stride.default: Tensor.stride,
    aten.sym_numel.default: Tensor.numel,
    aten.sym_storage_offset.default: Tensor.storage_offset,
    aten.dim.default: Tensor.dim,
    aten.is_contiguous.default: Tensor.is_contiguous,
    aten.is_non_overlapping_and_dense.default: lambda near: True,
}


class Far(Tensor):
    """A tensor on the device; `near` holds its numbers."""

    near: Tensor
    __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment]

    @staticmethod
    def __new__(cls, near: Tensor) -> Far:
        found = Tensor._make_wrapper_subclass(  # type: ignore[attr-defined]
            cls,
            near.size(),
            strides=near.stride(),
            storage_offset=near.storage_offset(),
            dtype=near.dtype,
            device=DEVICE,
            dispatch_sizes_strides_policy="sizes",
        )
        found.near = near
        return found

    def tolist(self) -> Any:
        return self.near.tolist()

    @classmethod
    def __torch_dispatch__(
        cls, operation: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        return compute(operation, args, kwargs or {})


class Devices(TorchDispatchMode):
    """While it lasts tensors can be made on the device."""

    def __torch_dispatch__(
        self, operation: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        return compute(operation, args, kwargs or {})


def compute(operation: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """The result of an operation. Raises RuntimeError where it mixes both devices."""
    if operation in SHAPES:
        return SHAPES[operation](args[0].near)
    if operation is aten.transpose_.default:  # changes no numbers
        args[0].near.transpose_(*args[1:])
        return args[0]
    tensors = [one for one in tree_leaves((args, kwargs)) if isinstance(one, Tensor)]
    far = [one for one in tensors if isinstance(one, Far)]
    near = [one for one in tensors if not isinstance(one, Far) and one.dim()]
    moves = operation in (aten._to_copy.default, aten.copy_.default)
    if operation in INDEXED:
        near = [one for one in near if one.is_floating_point()]
    if far and near and not moves:
        shapes = [tuple(one.shape) for one in near]
        raise RuntimeError(f"{operation} takes tensors {shapes} of the CPU beside some of a GPU")
    to = kwargs.get("device")
    here = bool(far) if to is None else torch.device(to) == DEVICE
    if operation is aten.copy_.default:
        here = isinstance(args[0], Far)
    if to is not None:
        kwargs = {**kwargs, "device": torch.device("cpu")}
    found = operation(*tree_map(_near, args), **tree_map(_near, kwargs))
    if not here:
        return found
    known = {id(one.near): one for one in far}  # of operations in place
    return tree_map(
        lambda one: known.get(id(one), Far(one)) if isinstance(one, Tensor) else one, found
    )


def _near(one: Any) -> Any:
    return one.near if isinstance(one, Far) else one


def _stand_in() -> None:
    """Have torch take the device for one of its own, before seqcli is loaded."""
    made = torch.tensor

    def tensor(data: Any, *, device: Any = None, **options: Any) -> Tensor:
        return made(data, **options).to(device or "cpu")

    torch.tensor = tensor  # type: ignore[assignment]
    # Nor can tensors that hold others be made without a history.
    torch.inference_mode = lambda mode=True: (  # type: ignore[assignment,misc]
        torch.no_grad() if mode else torch.enable_grad()
    )
    for module in [one for name, one in sys.modules.items() if name.startswith("torch.")]:
        if hasattr(module, "_get_fused_kernels_supported_devices"):
            module._get_fused_kernels_supported_devices = lambda: ["cpu", DEVICE.type]


def main(data: str, folder: str, cases: str) -> None:
    import torch.optim

    _stand_in()
    from conftest import Quiet, give

    from seqcli import fit, run
    from seqcli.config import make_config

    torch.set_num_threads(1)
    run.choose_device = lambda name: DEVICE
    run.describe = lambda device, precision: "far"
    fit.autocast = lambda device, precision: torch.autocast(
        "cpu", torch.bfloat16, enabled=precision == "bf16"
    )
    for number, (task, settings) in enumerate(json.loads(cases)):
        steps = {"bptt": 40} if task == "lm" else {"batch_tokens": 200}  # an operation takes long
        config = make_config(task, {**give(task, Path(data), **steps), **settings})
        try:
            with Devices():
                run.train(config, Path(folder) / str(number), Quiet())
        except RuntimeError as error:
            print(task, settings, error)


if __name__ == "__main__":
    main(*sys.argv[1:])
