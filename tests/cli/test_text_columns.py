"""classify of texts that stand in several columns, from training to answers."""

from __future__ import annotations

import csv
import json
import random
from collections.abc import Callable
from pathlib import Path

from conftest import CITIES, TINY, Result

Cli = Callable[..., Result]


def write_news(file: Path, count: int, *, header: bool, seed: int = 1) -> None:
    """Rows whose label only the first of two texts tells."""
    draw = random.Random(seed)
    with file.open("w", newline="") as out:
        rows = csv.writer(out)
        if header:
            rows.writerow(["label", "title", "body"])
        for number in range(count):
            label = draw.choice(["1", "2"])
            title = f"{'good' if label == '1' else 'bad'} day {number} in {draw.choice(CITIES)}"
            rows.writerow([label, title, f"a report of {draw.choice(CITIES)}, number {number % 9}"])


def answer(cli: Cli, model: Path, name: str, content: str) -> Result:
    Path(name).write_text(content)
    return cli("predict", model, name)


def test_title_and_body(cli: Cli, tmp_path: Path) -> None:
    write_news(tmp_path / "news.csv", 200, header=True)
    columns = ["--text-column", "title,body"]
    model = tmp_path / "model"
    trained = cli("classify", tmp_path / "news.csv", *columns, *TINY, "--out", model)
    assert trained.status == 0, trained.err
    assert "text from 'title' + 'body' and label from 'label'" in trained.err
    plain = answer(cli, model, "in.txt", "bad day in rome a report of rome, number 3\n")
    rows = [{"title": "bad day in rome", "body": "a report of rome, number 3", "id": 1}]
    rows.append({"title": None, "body": "a report of rome, number 3"})
    found = answer(cli, model, "in.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    assert found.status == 0, found.err
    first, second = map(json.loads, found.out.splitlines())
    assert {name: first[name] for name in rows[0]} == rows[0]
    assert first["label"] == plain.out.strip()
    assert second["label"]
    table = 'body,title\n"a report of rome, number 3",bad day in rome\n'
    assert answer(cli, model, "in.csv", table).out == f"label\n{plain.out}"
    lacking = answer(cli, model, "lacking.jsonl", '{"title": "bad day"}\n')
    assert (lacking.status, lacking.out) == (1, "\n")
    assert "no field 'body'" in lacking.err


def test_without_a_header_all_prose_is_read(cli: Cli, tmp_path: Path) -> None:
    write_news(tmp_path / "news.csv", 300, header=False)
    settings = [*TINY, "--epochs", "6", "--out", tmp_path / "model"]
    trained = cli("classify", tmp_path / "news.csv", "--json", *settings)
    assert trained.status == 0, trained.err
    assert "text from columns 2 + 3 and label from column 1" in trained.err
    assert json.loads(trained.out)["scores"]["validation"]["accuracy"] > 0.9
    write_news(tmp_path / "other.csv", 50, header=False, seed=2)
    judged = cli("evaluate", tmp_path / "model", tmp_path / "other.csv", "--json")
    assert judged.status == 0, judged.err
    assert json.loads(judged.out)["scores"]["accuracy"] > 0.9
