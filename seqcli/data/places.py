"""Where rows lie on this machine: a file, parallel files, a glob, or a folder with its splits.

A place is found by names alone, and read later. In a folder, the files whose names differ only in
the split word (train, dev, test, …) are a family; several families are tried on the task, the
plainest name first.
"""

from __future__ import annotations

import dataclasses
import glob
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from seqcli.data import arrow, conll, delimited, files, folders
from seqcli.data.columns import choose
from seqcli.data.names import CANONICAL, SPLITS, TAGS, TOKENS, find_split, is_language
from seqcli.data.tables import Columns, Table
from seqcli.data.words import face_each_other
from seqcli.errors import SeqcliError, UsageError

KINDS = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".json": "json",
    ".jsonl": "json",
    ".ndjson": "json",
    ".parquet": "parquet",
    ".arrow": "arrow",
    ".conllu": "conllu",
    ".conll": "conll",
    ".bio": "conll",
    ".iob": "conll",
    ".iob2": "conll",
    ".txt": "txt",
    ".text": "txt",
}
USUAL = {"tag": "conll", "translate": "parallel", "lm": "txt"}  # where a name comes in many formats
SIDES = {"src", "tgt", "trg", "source", "target"}  # suffixes of parallel text, beside languages
DOCUMENTS = {"readme", "license", "licence", "requirements", "changelog", "notice"}  # not data
ABOUT = {"dataset_info.json", "dataset_infos.json", "dataset_dict.json", "state.json"}
"""What the library datasets writes beside its data."""

Asked = Mapping[str, str | None]  # the column that the user named for a role
Reader = Callable[[], Table]
Family = tuple[str, str]  # the kind of its files, and their names without the split word


@dataclass(frozen=True)
class Found:
    """What a DATA argument led to, not read yet."""

    splits: dict[str, Reader] = field(default_factory=dict)  # train, validation, test, and others
    notes: tuple[str, ...] = ()
    single: bool = False  # one file, which is whatever split is asked for
    whole: Reader | None = None  # all rows of a file that a column divides into splits


@dataclass(frozen=True)
class Item:
    """The file or files of one split: parts to be read in order, or sides of parallel text."""

    name: str  # without suffixes; for parallel text the prefix
    kind: str
    files: tuple[Path, ...]

    def __str__(self) -> str:
        first = self.files[0].name
        if self.kind == "parallel":
            return f"{self.name}.{{{','.join(map(_side, self.files))}}}"
        return first if len(self.files) == 1 else f"{first} and {len(self.files) - 1} more"


def kind_of(path: Path) -> str | None:
    """The format that a file's name tells, .gz aside, or None. A name that ends in a split
    (eng.testa, ptb.train) is one of text."""
    suffix = Path(path.name.lower().removesuffix(".gz")).suffix
    return KINDS.get(suffix) or ("txt" if suffix.removeprefix(".") in CANONICAL else None)


def find_local(task: str, place: str, asked: Asked) -> Found | None:
    """The rows at a path, glob, prefix or pair of files; None where there is no such place.

    Raises SeqcliError where the place exists and holds nothing for the task.
    """
    path = _expand(place)
    if path.is_dir():
        if task == "classify" and (parts := folders.find_labelled(path)):
            readers: dict[str, Reader] = {
                split: partial(folders.read_labelled, one) for split, one in parts.items()
            }
            return Found(readers, (f"{place}: a text a file, and its folder is its label",))
        return choose_family(task, list_items(path), asked, where=place)
    if glob.has_magic(place) and not path.exists():
        items = _group(_match(place))
        if any(find_split(item.name)[0] for item in items):
            return choose_family(task, items, asked, where=place)
    reader = find_file(task, place, asked)
    return reader and Found({"train": reader}, single=True)


def find_file(task: str, place: str, asked: Asked) -> Reader | None:
    """A file, all files of a glob, or for translate 'a.en,a.de' or a prefix, as one split."""
    path = _expand(place)
    if path.is_file():
        if task == "translate" and kind_of(path) is None and _side(path):
            raise UsageError(
                f"{place} is one side of parallel text; name both in the direction to translate: "
                f"{place},{path.with_suffix('.…')}"
            )
        return partial(read, task, Item(_stem(path), "", (path,)), asked)
    if path.exists() and not path.is_dir():
        raise SeqcliError(f"{place} is not a regular file; save it as .csv, .jsonl, .txt, … first")
    if glob.has_magic(place):
        return partial(read, task, Item(place, "", tuple(_match(place))), asked)
    if task == "translate":
        pair = [_expand(part.strip()) for part in place.split(",")]
        if len(pair) == 2 and all(one.is_file() for one in pair):
            origin = " and ".join(one.name for one in pair)
            return partial(files.read_parallel, pair, ("source", "target"), origin=origin)
        around = list_items(path.parent) if path.parent.is_dir() else []
        for item in around:
            if item.kind == "parallel" and item.name == path.name:
                return partial(read, task, item, asked)
    return None


def is_path(place: str) -> bool:
    """Whether DATA can only mean a place on this machine, and no data set of the Hub."""
    path = Path(place)
    return bool(
        kind_of(path)
        or place.startswith(("/", ".", "~", "-"))
        or place.endswith("/")
        or place.count("/") > 1
        or re.search(r"[\\,*?\[\]\s]", place)
        or ("/" in place and path.parent.is_dir())
    )


def _expand(place: str) -> Path:
    """A path, ~ and ~name as the home they stand for. Raises SeqcliError where there is none."""
    try:
        return Path(place).expanduser()
    except RuntimeError:
        raise SeqcliError(
            f"{place}: no home is known for {Path(place).parts[0]}; write the path out"
        ) from None


def _match(pattern: str) -> list[Path]:
    """The files a glob matches, in order."""
    found = glob.glob(str(_expand(pattern)), recursive=True)
    paths = [path for path in sorted(map(Path, found)) if path.is_file()]
    if not paths:
        raise SeqcliError(f"no file matches {pattern}")
    return paths


# ------------------------------------------------------------------------------------ folders


def list_items(folder: Path) -> list[Item]:
    """The data files of a folder, those that belong together as one; where it has none itself,
    those of its folders named for a split, or of its folder `data`."""
    inside = _list_inside(folder)
    items = _group(one for one in inside if one.is_file())
    if items:
        return items
    for part in (one for one in inside if one.is_dir()):
        if part.name == "data":
            return list_items(part)
        if find_split(part.name)[0]:
            by_kind: dict[str, list[Path]] = {}
            for one in _list_inside(part):
                if one.is_file() and (kind := kind_of(one)):
                    by_kind.setdefault(kind, []).append(one)
            items += [Item(part.name, kind, tuple(paths)) for kind, paths in by_kind.items()]
    return items


def _list_inside(folder: Path) -> list[Path]:
    """What is in a folder, in order, but for hidden files and what tells about the others."""
    inside = sorted(one for one in folder.iterdir() if not one.name.startswith("."))
    return [one for one in inside if one.name not in ABOUT]


def _group(paths: Iterable[Path]) -> list[Item]:
    """Files as items: parts such as train-00001-of-00004 and sides such as train.en are one."""
    groups: dict[tuple[Path, str, str], list[Path]] = {}
    for path in paths:
        stem, kind = _stem(path), kind_of(path)
        if kind is None and _side(path):
            kind = "parallel"
        if kind and stem.lower() not in DOCUMENTS:
            stem = re.sub(r"-\d+-of-\d+$", "", stem)
            groups.setdefault((path.parent, stem, kind), []).append(path)
    return [
        Item(stem, kind, tuple(members))
        for (_, stem, kind), members in groups.items()
        if kind != "parallel" or len(members) > 1
    ]


def _stem(path: Path) -> str:
    name = Path(path.name.removesuffix(".gz"))
    return name.name if name.suffix.lower().removeprefix(".") in CANONICAL else name.stem


def _side(path: Path) -> str:
    """The side of parallel text that a file's suffix names (en, src), or ''."""
    suffix = Path(path.name.removesuffix(".gz")).suffix.removeprefix(".")
    return suffix if is_language(suffix) or suffix in SIDES else ""


def choose_family(task: str, items: Sequence[Item], asked: Asked, *, where: str) -> Found:
    """The splits of the family that fits the task, and its other files under their own names."""
    if not items:
        raise SeqcliError(
            f"{where} holds no data files (csv, tsv, json, jsonl, parquet, txt, …; texts in "
            "folders called by their labels end in .txt)"
        )
    families = _group_families(items)
    kinds = [USUAL.get(task, ""), "parallel", *KINDS.values()]
    ranked = sorted(families, key=lambda key: (len(key[1]), key[1], kinds.index(key[0])))
    complete = [key for key in ranked if "train" in families[key]] or ranked
    if len(complete) > 1:
        chosen = _try(task, {key: families[key] for key in complete}, asked, where=where)
    else:
        chosen = complete[0]
    taken = dict(families[chosen])
    # A test split of another name (test_2016_flickr) serves a family that has none of its own.
    for key in ranked:
        if key[0] == chosen[0] and key not in complete:
            for split, item in families[key].items():
                taken.setdefault(split, item)
    used = {path for item in taken.values() for path in item.files}
    aside = [str(item) for item in items if used.isdisjoint(item.files)]
    said = [f"{split} is {taken[split]}" for split in SPLITS if split in taken]
    notes = [f"{where}: {', '.join(said)}"]
    if aside:
        notes.append(f"{where}: not used: {', '.join(aside)}")
    named = {item.name: item for item in items if item.kind == chosen[0]} | taken
    readers: dict[str, Reader] = {
        name: partial(read, task, item, asked) for name, item in named.items()
    }
    return Found(readers, tuple(notes))


def _group_families(items: Sequence[Item]) -> dict[Family, dict[str, Item]]:
    """Items by what is left of their names without the split word. Where no name tells a split,
    all files of a kind are train together."""
    families: dict[Family, dict[str, Item]] = {}
    for item in items:
        split, rest = find_split(item.name)
        if split:
            families.setdefault((item.kind, rest), {}).setdefault(split, item)
    if not families:
        for kind in dict.fromkeys(item.kind for item in items):
            alike = [item for item in items if item.kind == kind]
            if kind == "parallel" and len(alike) > 1:
                names = ", ".join(item.name for item in alike)
                raise UsageError(f"several parallel texts ({names}); name one with --train")
            paths = tuple(path for item in alike for path in item.files)
            families[kind, ""] = {"train": Item(alike[0].name, kind, paths)}
    return families


def _try(
    task: str, families: Mapping[Family, Mapping[str, Item]], asked: Asked, *, where: str
) -> Family:
    """The first family whose smallest split can be read for the task."""
    reasons = []
    for key, splits in families.items():
        item = min(splits.values(), key=lambda one: sum(path.stat().st_size for path in one.files))
        try:
            rows, _ = choose(task, read(task, item, asked), asked)
        except SeqcliError as error:
            reasons.append(str(error))
            continue
        if len(rows):
            return key
        reasons.append(f"{item} has no whole rows")
    raise UsageError(f"nothing in {where} serves {task}: {reasons[0]}")


# ------------------------------------------------------------------------------------- reading


def read(task: str, item: Item, asked: Asked) -> Table:
    """An item's table. Raises SeqcliError, also where its files do not go together."""
    if item.kind == "parallel":
        names = [_side(path) for path in item.files]
        table = files.read_parallel(item.files, names, origin=item.name)
        place = f"{item.files[0].absolute().parent.name}/{item.name}"
        return dataclasses.replace(table, place=place)
    wanted = [part for names in asked.values() if names for part in {names, *names.split(",")}]
    tables = [_read_file(task, path, wanted) for path in item.files]
    first = tables[0]
    if len(tables) == 1:
        return first
    for table in tables:
        if list(table.columns) != list(first.columns):
            raise SeqcliError(
                f"{first.origin} and {table.origin} have different columns; name one of them"
            )
    columns = Columns(
        list(first.columns),
        lambda name: [value for table in tables for value in table.columns[name]],
    )
    together = ", ".join(table.origin for table in tables)
    notes = (f"{len(tables)} files are read as one, in this order: {together}",)
    return dataclasses.replace(first, origin=str(item), columns=columns, notes=notes)


def _read_file(task: str, path: Path, wanted: Sequence[str]) -> Table:
    kind = kind_of(path) or "txt"
    if kind == "csv":
        return delimited.read_csv(path, wanted=wanted)
    if kind == "parquet":
        return arrow.read_parquet(path)
    if kind == "arrow":
        return arrow.read_arrow(path)
    if kind == "json":
        return files.read_json(path, wanted=wanted)
    if kind == "txt" and task == "lm":
        return files.read_plain(path)
    if kind == "conllu" and task == "tag":
        return conll.read_conllu(path)
    lines = files.read_lines(path)
    blocks = conll.looks_like_conll(lines)
    if task == "tag":
        names = {cell.strip().lower() for cell in lines[0].split("\t")}
        pairs = [(a, b) for a, _, b in (line.partition("\t") for line in lines[:500])]
        sentences = not blocks and (
            face_each_other(pairs) or (names & {*TOKENS} and names & {*TAGS} and kind != "conll")
        )
        if joint := not blocks and kind == "txt" and conll.find_joint(lines):
            return conll.read_joined(path, joint)
        return files.read_tsv(path, wanted=wanted) if sentences else conll.read_conll(path)
    if blocks or kind in ("conll", "conllu"):
        raise UsageError(f"{path.name} holds a token and its tags on each line: use seqcli tag")
    if kind == "tsv" or all("\t" in line for line in lines[:500] if line):
        return files.read_tsv(path, wanted=wanted)
    if task == "classify" and files.looks_like_fasttext(lines):
        return files.read_fasttext(path)
    return files.read_plain(path)
