"""The documents and the help tell the truth: their commands run, and their options exist.

Commands of the README and the tutorial run as they stand, made quick by options appended to them,
in one folder from top to bottom, with small files under the names they use. Elsewhere, and where a
command needs the Hub, it is parsed: its options and their values exist. What is neither fails.
"""

from __future__ import annotations

import importlib.util
import re
import shlex
import shutil
import subprocess
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, get_args

import pytest
import typer
from conftest import TINY, Quiet, Result, make_rows, tiny, write_jsonl

from seqcli.cli.app import app
from seqcli.cli.options import read_config
from seqcli.config import CONFIGS, list_settings
from seqcli.data.hub import ALIASES

ROOT = Path(__file__).resolve().parents[1]
README = ROOT / "README.md"
DOCUMENTS = [README, *sorted((ROOT / "docs").glob("*.md"))]
EXECUTED = [path for path in DOCUMENTS if path.name in ("README.md", "tutorial.md")]
ROOT_COMMAND: Any = typer.main.get_command(app)

QUICK = {
    **{task: ["--epochs", "1", "--limit", "12", *TINY] for task in CONFIGS},
    "evaluate": ["--limit", "12"],
    "generate": ["--length", "10"],
    "inspect": ["--limit", "8", "--min-count", "1", "--top-k", "10", "--random-sets", "1"],
    "compare": ["--limit", "8", "--min-count", "1", "--top-k", "10"],
}


def fences(path: Path) -> Iterator[tuple[str, str]]:
    """Language and content of the fenced blocks of a document."""
    yield from re.findall(r"^```(\w*)\n(.*?)^```$", path.read_text("utf-8"), re.M | re.S)


def prose(path: Path) -> str:
    """A document without its fenced blocks."""
    return re.sub(r"^```.*?^```$", "", path.read_text("utf-8"), flags=re.M | re.S)


def commands(path: Path) -> list[str]:
    """The lines of the sh blocks, continued lines joined."""
    blocks = [content for language, content in fences(path) if language == "sh"]
    lines = "".join(blocks).replace("\\\n", " ").splitlines()
    return [line for line in lines if line.strip() and not line.startswith("#")]


def split(line: str) -> list[list[str]]:
    """The words of each stage of a pipeline, as a shell splits them."""
    reader = shlex.shlex(line, posix=True, punctuation_chars="|<>;&")
    reader.whitespace_split = True
    reader.commenters = "#"
    stages: list[list[str]] = [[]]
    for word in reader:
        if word == "|":
            stages.append([])
        else:
            stages[-1].append(word)
    return stages


def parse(arguments: list[str]) -> None:
    """Raise where a command, an option or a value does not exist."""
    command, rest = ROOT_COMMAND, list(arguments)
    while hasattr(command, "commands") and rest and not rest[0].startswith("-"):
        name = rest.pop(0)
        assert name in command.commands, f"there is no command {name}"
        command = command.commands[name]
    if rest != ["--help"]:
        command.make_context("seqcli", rest)


def examples(command: Any) -> Iterator[str]:
    """The lines of the examples in the help of a command and of those below it."""
    yield from (command.epilog or "").splitlines()
    for inner in getattr(command, "commands", {}).values():
        yield from examples(inner)


@pytest.mark.parametrize("line", list(examples(ROOT_COMMAND)))
def test_examples_in_help_exist(line: str) -> None:
    assert len(line) <= 78  # a terminal's width, indented
    *_, words = split(line)
    assert words[0] == "seqcli"
    end = next((at for at, word in enumerate(words) if word in "<>"), len(words))
    parse(words[1:end])


ALL = [(path, line) for path in DOCUMENTS for line in commands(path)]


@pytest.mark.parametrize(
    ("path", "line"), ALL, ids=[f"{path.name}: {line[:60].strip()}" for path, line in ALL]
)
def test_command_exists(path: Path, line: str) -> None:
    for words in split(line):
        words = list(words)
        while re.fullmatch(r"[A-Z_]+=.*", words[0]):
            words.pop(0)
        match words:
            case ["seqcli", *arguments]:
                parse([word for word in arguments if word not in "<>"])
            case ["make", target]:
                assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.M)
            case ["pip", "install", what]:
                project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
                extras = project["optional-dependencies"]
                assert what in (".", *(f".[{name}]" for name in extras))
            case ["python", "predict.py", *_]:
                pass  # of an export: tests/cli/test_export.py
            case ["echo" | "printf" | "head" | "cat" | "awk", *_]:
                pass
            case _:
                pytest.fail(f"no test knows what to do with this: {line}")


@pytest.mark.parametrize("path", EXECUTED, ids=lambda path: path.name)
def test_commands_run(
    path: Path,
    cli: Callable[..., Result],
    models: Callable[[str], Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write_files()
    for _, content in fences(path):
        if name := re.match(r"# (\S+\.toml)\n", content):
            Path(name[1]).write_text(content, encoding="utf-8")
    for line in commands(path):
        *sources, last = split(line)
        if last[0] != "seqcli" or needs_hub(last) or needs_onnx(last):
            continue  # looked at by test_command_exists
        given = b"a line\n"
        for words in sources:
            given = subprocess.run(words, input=given, capture_output=True, check=True).stdout
        if "<" in last:
            at = last.index("<")
            given = Path(last[at + 1]).read_bytes()
            del last[at : at + 2]
        prepare(last, models)
        with standard_input(given, monkeypatch):
            quick = [] if {"--resume", "--help"} & set(last) else QUICK.get(last[1], [])
            result = cli(*last[1:], *quick)
        assert result.status == 0, f"{line}\n{result.err}"
        # A translator that has hardly trained may have nothing to say in its line.
        assert result.out if last[1] == "predict" else result.out.strip(), line


def needs_hub(words: list[str]) -> bool:
    return len(words) > 2 and words[2] in ALIASES


def needs_onnx(words: list[str]) -> bool:
    return words[1] == "export" and importlib.util.find_spec("onnxruntime") is None


def prepare(words: list[str], models: Callable[[str], Path]) -> None:
    """Put the folders there that a command speaks of: MODEL, OTHER, and one to be resumed."""
    task = words[1]
    if "MODEL" in words:
        options = {"--beam": "translate", "conll": "tag", "--prompt": "lm"}
        needed = next((options[word] for word in words if word in options), "classify")
        for name in ("MODEL", "OTHER"):
            shutil.rmtree(name, ignore_errors=True)
            shutil.copytree(models(needed), name)
    if "--resume" in words:
        from seqcli import run

        folder = Path(words[words.index("--resume") + 1])
        shutil.rmtree(folder, ignore_errors=True)
        config = tiny(task, Path("train.jsonl").resolve())
        with pytest.raises(run.Interrupted):
            run.train(config, folder, Quiet(), stop=lambda: 2)


@contextmanager
def standard_input(content: bytes, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    Path("stdin").write_bytes(content)
    with open("stdin", encoding="utf-8") as file, monkeypatch.context() as patch:
        patch.setattr("sys.stdin", file)
        yield


def write_files() -> None:
    """The reader's own files."""
    rows = make_rows(40, seed=1)
    files = {
        "reviews.csv": ["text,label", *(f"{row['text']},{row['label']}" for row in rows)],
        "train.conll": ["\n".join(map("\t".join, pairs(row))) + "\n" for row in rows],
        "en_ewt-ud-train.conllu": [conllu(row) for row in rows],
        "pairs.tsv": ["en\tfr", *(f"{row['source']}\t{row['target']}" for row in rows)],
        "book.txt": [row["text"] for row in rows],
        "shakespeare.txt": [row["text"] for row in rows],
        "lines.txt": [row["text"] for row in rows[:4]],
    }
    files["other.csv"] = files["reviews.csv"]
    for side, field in (("en", "source"), ("de", "target")):
        files |= {f"{split}.{side}": [row[field] for row in rows] for split in SPLITS}
    for name, lines in files.items():
        Path(name).write_text("\n".join(lines) + "\n", encoding="utf-8")
    for name in ("reviews.jsonl", "train.jsonl"):
        write_jsonl(Path(name), rows)


SPLITS = ("train", "val", "test")


def pairs(row: dict[str, Any]) -> list[tuple[str, str]]:
    return list(zip(row["tokens"], row["tags"], strict=True))


def conllu(row: dict[str, Any]) -> str:
    lines = [
        "\t".join([str(number), token, "_", "X", tag, "_", "0", "root", "_", "_"])
        for number, (token, tag) in enumerate(pairs(row), 1)
    ]
    return "\n".join(lines) + "\n"


# ------------------------------------------------------------------------------- what is named


def options_of(command: Any) -> set[str]:
    found = {name for item in command.params for name in (*item.opts, *item.secondary_opts)}
    return found.union(*map(options_of, getattr(command, "commands", {}).values()))


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_options_in_prose_exist(path: Path) -> None:
    code = re.findall(r"`([^`\n]+)`", prose(path))
    named = {option for text in code for option in re.findall(r"(?<!\S)--[a-z][a-z-]*", text)}
    assert named <= options_of(ROOT_COMMAND) | {"--help"}


def test_table_of_settings_names_every_choice() -> None:
    settings = {item.name: item for task in CONFIGS for item in list_settings(task)}
    rows = re.findall(r"^\| (`--.+?) \| (.+) \|$", prose(README), re.M)
    assert rows
    for names, meaning in rows:
        found = [settings[name.replace("-", "_")] for name in re.findall(r"--([a-z-]+)", names)]
        if len(found) == 1:
            for choice in set(get_args(found[0].kind)) - {"auto"}:
                assert re.search(rf"\b{choice}\b", meaning), f"{names} can be {choice}"


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_environment_variables_exist(path: Path) -> None:
    settings = {f"SEQCLI_{item.name.upper()}" for task in CONFIGS for item in list_settings(task)}
    source = "".join(file.read_text("utf-8") for file in (ROOT / "seqcli").rglob("*.py"))
    for name in set(re.findall(r"\bSEQCLI_[A-Z_]+", path.read_text("utf-8"))) - settings:
        assert f'"{name}"' in source


@pytest.mark.parametrize("path", EXECUTED, ids=lambda path: path.name)
def test_configuration_files_are_accepted(path: Path, tmp_path: Path) -> None:
    for language, content in fences(path):
        if language == "toml":
            file = tmp_path / "run.toml"
            file.write_text(content, encoding="utf-8")
            assert read_config(file, "classify")


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_no_command_hides_outside_the_tested_blocks(path: Path) -> None:
    for language, content in fences(path):
        assert language not in ("bash", "shell", "console", "zsh")
        if language != "sh":
            assert not re.search(r"^\$ |^(seqcli|pip|make) ", content, re.M)


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)", prose(path)):
        assert target.startswith("https://") or (path.parent / target).exists()
