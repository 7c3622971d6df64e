"""A trained model in a form that other programs run: ONNX graphs, and a script that uses them.

    model.onnx    the network (translate: encoder.onnx and decoder.onnx)
    model.json    tokenizer, labels and whatever else is not in the graph
    predict.py    lines in, answers out, with onnxruntime and without seqcli
    tokens.py     the tokenizers, which predict.py imports
    schemes.py    of tag: how tags mark spans
    backoff.py    of lm: how likely counts find a token; ngrams.npz, if there are any: the counts
    README.md     what goes into each graph and what comes out

Before anything is written the graphs are run on batches of unlike lengths, and their scores
compared with those of the model.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from seqcli import __version__, bundle, storage
from seqcli.errors import SeqcliError

PACKAGE = Path(__file__).parents[1]
TOLERANCE = 1e-3
"""Largest difference of a score, as a share of the largest score (at least 1)."""
SHARED = {"tag": {"schemes.py": "data/schemes.py"}, "lm": {"backoff.py": "data/backoff.py"}}
"""Modules of this package that a script needs, too."""
LARGEST = 2**31 - 2**20
"""Bytes of a file in the format of ONNX, at most."""


class Exported(NamedTuple):
    """files: what was written. difference: of any score from the model's, at most, in the
    comparison before."""

    files: list[Path]
    difference: float


def export(folder: Path, out: Path) -> Exported:
    """Write a model as ONNX into a folder. Raises SeqcliError without the packages it takes, for
    a folder that cannot be written or holds a model, for a network that has no such form, and where
    the graphs do not answer as the model does."""
    need_onnx()
    from seqcli.export import facts
    from seqcli.export.agreement import compare, open_session
    from seqcli.export.networks import build

    task, model, _ = bundle.load(folder)
    storage.check_folder(out)
    if (out / "config.json").exists():
        raise SeqcliError(
            f"{out} is a model folder and has a card of its own; choose another --out"
        )
    graphs = build(task, model)
    contents = {
        name: graph.build(name, f"seqcli {__version__}").SerializeToString()
        for name, graph in graphs.items()
    }
    for name, content in contents.items():
        if len(content) > LARGEST:
            raise SeqcliError(
                f"{name}.onnx would take {len(content) / 2**30:.1f} GiB, and a file of ONNX holds "
                "2; train with a smaller --vocabulary-size or --hidden"
            )
    sessions = {name: open_session(content) for name, content in contents.items()}
    found = compare(task, model, sessions)
    if not found.difference <= TOLERANCE * max(1.0, found.largest):
        raise SeqcliError(
            f"the exported network's scores differ by {found.difference:.2g} from those of "
            f"{folder}, so nothing was written; please report it"
        )
    storage.make_folder(out)
    for name, content in contents.items():
        storage.write_bytes(out / f"{name}.onnx", content)
    storage.write_json(out / "model.json", facts.collect(task, model))
    arrays = facts.pack_counts(task)
    for name, content in arrays.items():
        storage.write_bytes(out / name, content)
    scripts = list_scripts(task.name)
    for name, source in scripts.items():
        storage.write_text(out / name, (PACKAGE / source).read_text("utf-8"))
    storage.write_text(out / "README.md", facts.describe(task, folder, graphs, found.difference))
    graph_files = (f"{name}.onnx" for name in contents)
    names = (*graph_files, "model.json", *arrays, *scripts, "README.md")
    return Exported([out / name for name in names], found.difference)


def list_scripts(task: str) -> dict[str, str]:
    """The scripts of an export, and where this package has them."""
    found = {
        "predict.py": f"export/scripts/{task}.py",
        "tokens.py": "export/scripts/tokens.py",
    }
    return found | SHARED.get(task, {})


def need_onnx() -> None:
    """Raise SeqcliError where the packages that are needed are missing."""
    try:
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401
    except ImportError:
        raise SeqcliError(
            "export needs onnx and onnxruntime; install them with: pip install 'seqcli[export]'"
        ) from None
