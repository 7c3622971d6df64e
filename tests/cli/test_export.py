"""seqcli export: a folder that answers lines without seqcli, as `seqcli predict` does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import TASKS, Quiet, Result, tiny

Cli = Callable[..., Result]
Models = Callable[[str], Path]
LINES = ["\ufeffgo to paris", "", "stay in Nowhere, please!", "   ", "go", "巴黎 12.5%"] * 2


def answer(folder: Path, lines: list[str]) -> list[str]:
    """What the exported script writes, in a process that cannot import seqcli."""
    (folder / "seqcli.py").write_text("raise ImportError('an export must not need seqcli')")
    done = subprocess.run(
        [sys.executable, folder / "predict.py"],
        input="".join(f"{line}\n" for line in lines).encode(),
        capture_output=True,
        timeout=60,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode().removesuffix("\n").split("\n")


def predict(cli: Cli, model: Path, lines: list[str], *options: object) -> list[str]:
    Path("lines.txt").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    result = cli("predict", model, "lines.txt", *options)
    assert result.status == 0, result.err
    return result.lines


def assert_alike(found: list[str], wanted: list[str]) -> None:
    """The same answers; numbers among them to rounding."""
    for one, other in zip(found, wanted, strict=True):
        for cell, want in zip(one.split("\t"), other.split("\t"), strict=True):
            try:
                assert float(cell) == pytest.approx(float(want), abs=1e-4, rel=1e-4)
            except ValueError:
                assert cell == want


def need_onnx() -> Any:
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    return pytest.importorskip("onnx", reason="onnx is not installed")


@pytest.mark.parametrize("task", TASKS)
def test_a_script_answers_as_predict_does(
    cli: Cli, models: Models, task: str, tmp_path: Path
) -> None:
    onnx = need_onnx()
    out = tmp_path / "exported"
    result = cli("export", models(task), "--format", "onnx", "--out", out, "--json")
    assert result.status == 0, result.err
    assert f"python {out}/predict.py" in result.err.replace("\n", "")
    told = json.loads(result.out)
    assert told["largest_difference"] < 1e-5
    assert {path: Path(path).stat().st_size for path in told["files"]} == told["files"]
    assert_alike(answer(out, LINES), predict(cli, models(task), LINES))
    page = (out / "README.md").read_text()
    for file in out.glob("*.onnx"):
        graph = onnx.load(file).graph
        for one in (*graph.input, *graph.output):
            assert f"`{one.name}`" in page


def test_a_script_is_quiet_where_nobody_reads_on(cli: Cli, models: Models, tmp_path: Path) -> None:
    need_onnx()
    assert cli("export", models("lm"), "--out", tmp_path / "exported").status == 0
    script = f"yes go | head -50000 | {sys.executable} exported/predict.py | head -1"
    done = subprocess.run(
        ["bash", "-c", f"{script}; echo ${{PIPESTATUS[2]}}"],
        capture_output=True,
        timeout=60,
        cwd=tmp_path,
    )
    assert (len(done.stdout.splitlines()), done.stdout.splitlines()[1:]) == (2, [b"0"])
    assert done.stderr == b""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_a_script_tells_of_a_full_disk(cli: Cli, models: Models, tmp_path: Path) -> None:
    need_onnx()
    assert cli("export", models("lm"), "--out", tmp_path / "exported").status == 0
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "exported/predict.py"],
            input=b"go to rome\n" * 2,
            stdout=full,
            stderr=subprocess.PIPE,
            timeout=60,
            cwd=tmp_path,
        )
    assert done.returncode == 1
    assert done.stderr.decode().splitlines() == ["cannot read or write: No space left on device"]


def test_labels_thresholds_pairs_and_separators(cli: Cli, tmp_path: Path) -> None:
    need_onnx()
    from seqcli import run

    rows = [
        {"text": f"{one} {two}", "pair": two, "label": label}
        for one in ("red", "green", "blue")
        for two in ("cat", "dog")
        for label in (";".join((one, two)),)
    ] * 6
    file = tmp_path / "rows.json"
    file.write_text(json.dumps(rows))
    config = tiny(
        "classify", file, label_separator=";", pair_column="pair", text_column="text", epochs=8
    )
    run.train(config, tmp_path / "model", Quiet())
    lines = ["red cat\tcat", "blue dog\tdog", "green\tcat", "x\ty"]
    assert cli("export", tmp_path / "model").status == 0
    wanted = predict(cli, tmp_path / "model", lines)
    assert any(";" in line for line in wanted)
    assert answer(tmp_path / "model" / "onnx", lines) == wanted


def test_a_sentence_with_a_label(cli: Cli, data: Path, tmp_path: Path) -> None:
    need_onnx()
    from seqcli import run

    config = tiny("tag", data, with_label="label", crf=False, characters="cnn")
    run.train(config, tmp_path / "model", Quiet())
    assert cli("export", tmp_path / "model").status == 0
    wanted = predict(cli, tmp_path / "model", LINES)
    assert answer(tmp_path / "model" / "onnx", LINES) == wanted


def test_a_bad_line_has_an_empty_answer(cli: Cli, data: Path, tmp_path: Path) -> None:
    need_onnx()
    from seqcli import run

    run.train(tiny("lm", data, condition="label"), tmp_path / "model", Quiet())
    out = tmp_path / "model" / "onnx"
    assert cli("export", tmp_path / "model").status == 0
    lines = ["go\tgo to rome", "", "fly\tgo", "stay\tstay", "\udcff"]
    (out / "seqcli.py").write_text("raise ImportError('an export must not need seqcli')")
    content = "\n".join(lines).encode(errors="surrogateescape")
    done = subprocess.run([sys.executable, out / "predict.py"], input=content, capture_output=True)
    assert done.returncode == 1
    answers = done.stdout.decode().split("\n")
    assert [bool(line) for line in answers] == [True, False, False, True, False, False]
    told = [line.split(" cannot be read: ") for line in done.stderr.decode().splitlines()]
    assert [line for line, _ in told] == ["line 2", "line 3", "line 5"]
    assert told[0][1] == "write what the text is written from, a tab and the text"
    assert told[1][1] == "no text was trained on with the condition 'fly'"


def test_texts_with_marked_spans(cli: Cli, tmp_path: Path) -> None:
    """Lines are cut into words and marks, also without seqcli."""
    need_onnx()
    from seqcli import run

    rows = [
        {"text": f"Don't go to {city}!", "entities": [[12, 12 + len(city), "City"]]}
        for city in ("Rome", "巴黎", "New York")
    ]
    file = tmp_path / "rows.json"
    file.write_text(json.dumps(rows * 8))
    run.train(tiny("tag", file, epochs=8), tmp_path / "model", Quiet())
    assert cli("export", tmp_path / "model").status == 0
    lines = [*LINES, "Don't go, to 巴黎 U.S.!"]
    wanted = predict(cli, tmp_path / "model", lines)
    assert [word.split("/")[0] for word in wanted[-1].split()][:4] == ["Do", "n't", "go", ","]
    assert answer(tmp_path / "model" / "onnx", lines) == wanted


def test_a_text_from_a_condition(cli: Cli, data: Path, tmp_path: Path) -> None:
    need_onnx()
    from seqcli import run

    run.train(tiny("lm", data, condition="label", text_column="text"), tmp_path / "model", Quiet())
    assert cli("export", tmp_path / "model").status == 0
    texts = [("go", "go to rome"), ("stay", "stay in rome")]
    Path("given.jsonl").write_text(
        "".join(json.dumps({"text": text, "label": label}) + "\n" for label, text in texts)
    )
    result = cli("predict", tmp_path / "model", "given.jsonl", "--format", "plain")
    lines = ["\t".join(one) for one in texts]
    assert_alike(answer(tmp_path / "model" / "onnx", lines), result.lines)


@pytest.mark.parametrize("scheme", ["iob1", "bioes"])
def test_tags_are_written_in_the_scheme_of_the_data(
    cli: Cli, data: Path, tmp_path: Path, scheme: str
) -> None:
    need_onnx()
    from seqcli import run

    run.train(tiny("tag", data, scheme=scheme, epochs=8), tmp_path / "m", Quiet())
    assert cli("export", tmp_path / "m", "--out", tmp_path / "exported").status == 0
    lines = [*LINES, "go to rome on day 3"]
    found = answer(tmp_path / "exported", lines)
    assert found == predict(cli, tmp_path / "m", lines)
    assert "rome/B-City on/O day/B-Date 3/I-Date" in found[-1]
    page = (tmp_path / "exported" / "README.md").read_text()
    assert f"those of {scheme.upper()}, in which the network was trained" in page
    assert "in BIO, as the data have them" in page


def test_where_the_scores_differ_nothing_is_written(
    cli: Cli, models: Models, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    need_onnx()
    from seqcli.export import cells

    ways = {**cells.OPERATORS, "gru": ("GRU", (0, 1, 2), {"linear_before_reset": 1})}
    monkeypatch.setattr(cells, "OPERATORS", ways)
    result = cli("export", models("classify"), "--out", tmp_path / "out")
    assert result.status == 1
    assert "nothing was written" in result.errors[0]
    assert not (tmp_path / "out").exists()


def test_a_folder_that_cannot_be_written_is_told_before_the_work(
    cli: Cli, models: Models, monkeypatch: pytest.MonkeyPatch
) -> None:
    need_onnx()
    monkeypatch.setattr("seqcli.export.networks.build", None)
    monkeypatch.setattr(os, "access", lambda path, mode: path.name != "shelf")
    Path("notes").write_text("mine")
    Path("shelf").mkdir()
    for out, said in (("notes", "notes is a file"), ("shelf/new", "shelf may not be written to")):
        result = cli("export", models("tag"), "--out", out)
        assert result.status == 1
        assert len(result.err.splitlines()) == 1
        assert said in result.errors[0]


def test_a_model_folder_is_not_written_to(cli: Cli, models: Models) -> None:
    need_onnx()
    card = (models("tag") / "README.md").read_bytes()
    result = cli("export", models("tag"), "--out", models("tag"))
    assert (result.status, len(result.errors)) == (1, 1)
    assert "is a model folder" in result.errors[0]
    assert (models("tag") / "README.md").read_bytes() == card


def test_without_the_packages(cli: Cli, models: Models, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("onnx", "onnxruntime"):
        with monkeypatch.context() as patch:
            patch.setitem(sys.modules, name, None)
            result = cli("export", models("classify"))
        assert result.status == 1
        assert len(result.err.splitlines()) == 1
        assert "pip install 'seqcli[export]'" in result.errors[0]


def test_wrong_use(cli: Cli, models: Models, tmp_path: Path) -> None:
    result = cli("export", models("classify"), "--format", "tflite")
    assert (result.status, result.out) == (2, "")
    assert "'onnx'" in result.errors[0]
    need_onnx()
    result = cli("export", tmp_path / "nowhere")
    assert (result.status, len(result.errors)) == (1, 1)
    assert "no model folder" in result.errors[0]
    file = tmp_path / "file"
    file.write_text("")
    result = cli("export", models("classify"), "--out", file)
    assert (result.status, len(result.errors)) == (1, 1)
    assert "cannot write" in result.errors[0]
