"""Data sets of a Hub on loopback. The Hub's address is read when its library is imported, so the
loading runs in processes of their own."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from hub_server import serve

from seqcli.data.arrow import import_datasets

PROGRAM = """
import json, sys, warnings
warnings.simplefilter("error")
from seqcli.config import ClassifyData, LanguageData, TagData, TranslateData
from seqcli.data.load import load
from seqcli.errors import SeqcliError
kinds = {"classify": ClassifyData, "tag": TagData, "translate": TranslateData, "lm": LanguageData}
for line in sys.stdin:
    task, values = json.loads(line)
    try:
        splits = load(task, kinds[task](**values))
        rows = [splits.train, splits.validation, splits.test]
        answer = {"notes": splits.notes, "rows": [one and one.columns for one in rows]}
    except SeqcliError as error:
        answer = {"error": str(error), "status": error.status}
    print(json.dumps(answer))
"""

CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "alias": ("classify", {"data": "imdb"}),
    "slices": (
        "classify",
        {"data": "imdb", "train": "train[:50%]", "validation": "train[50%:]", "test": "test[:1]"},
    ),
    "unlabelled": ("classify", {"data": "any/sst"}),
    "classes of tokens": ("tag", {"data": "conll2003"}),
    "csv": ("classify", {"data": "any/csv", "limit": 3}),
    "column": ("classify", {"data": "any/csv", "label_column": "foo"}),
    "split": ("classify", {"data": "any/csv", "train": "foo"}),
    "subset": ("translate", {"data": "any/pairs", "subset": "de-en"}),
    "subsets": ("translate", {"data": "any/pairs"}),
    "no subset": ("translate", {"data": "any/pairs", "subset": "xx"}),
    "script": ("classify", {"data": "any/script"}),
    "converted": ("classify", {"data": "any/csv", "revision": "refs/convert/parquet"}),
    "revision": ("classify", {"data": "any/csv", "revision": "v2"}),
    "nothing": ("classify", {"data": "any/nothing"}),
    "no such": ("classify", {"data": "any/none"}),
}


def ask(cases: list[tuple[str, dict[str, Any]]], address: str, home: Path, **more: str) -> list:
    """What `load` answers to each case in a process that knows this Hub."""
    environment = {**os.environ, "HF_ENDPOINT": address, "HF_HOME": str(home), **more}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        input="\n".join(map(json.dumps, cases)),
        env=environment,
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
    )
    assert done.stderr == ""
    return [json.loads(line) for line in done.stdout.splitlines()]


def fill(root: Path) -> None:
    """Small data sets in the shapes that well-known ones have."""
    datasets = import_datasets()

    def write(name: str, columns: dict[str, list[Any]], **classes: Any) -> None:
        data = datasets.Dataset.from_dict(columns)
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        features = datasets.Features({**data.features, **classes})
        data.cast(features).to_parquet(path)

    labels = datasets.ClassLabel(names=["neg", "pos"])
    for split, n in (("train", 20), ("test", 4)):
        columns = {"text": [f"{split} {i}" for i in range(n)], "label": [i % 2 for i in range(n)]}
        write(f"stanfordnlp/imdb/data/{split}-00000-of-00001.parquet", columns, label=labels)
        if split == "test":
            columns["label"] = [-1] * n
        write(f"any/sst/data/{split}-00000-of-00001.parquet", columns, label=labels)
    unlabelled = {"text": ["a"], "label": [-1]}
    write("stanfordnlp/imdb/data/unsupervised-00000-of-00001.parquet", unlabelled, label=labels)
    tags = datasets.List(datasets.ClassLabel(names=["O", "B-PER"]))
    write(
        "tomaarsen/conll2003/train.parquet",
        {"tokens": [["EU", "says"]] * 5, "pos_tags": [[0, 0]] * 5, "ner_tags": [[1, 0]] * 5},
        pos_tags=tags,
        ner_tags=tags,
    )
    folder = root / "any" / "csv"
    folder.mkdir(parents=True)
    rows = "".join(f"hello {i},{'xy'[i % 2]}\n" for i in range(10))
    (folder / "train.csv").write_text("sentence,intent\n" + rows)
    (folder / "dev.csv").write_text("sentence,intent\n" + rows)
    (folder / ".revisions").write_text("refs/convert/parquet")
    pairs = root / "any" / "pairs"
    pairs.mkdir()
    for side in ("de", "fr"):
        lines = [{"translation": {side: f"{side} {i}", "en": f"en {i}"}} for i in range(5)]
        (pairs / f"{side}.jsonl").write_text("\n".join(map(json.dumps, lines)))
    (pairs / "README.md").write_text(
        "---\nconfigs:\n- config_name: de-en\n  data_files: de.jsonl\n"
        "- config_name: fr-en\n  data_files: fr.jsonl\n---\n"
    )
    for name, file in (("script", "script.py"), ("nothing", "README.md")):
        (root / "any" / name).mkdir()
        (root / "any" / name / file).write_text("nothing here")


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    root, home = tmp_path_factory.mktemp("hub"), tmp_path_factory.mktemp("home")
    fill(root)
    with serve(root) as address:
        found = dict(zip(CASES, ask(list(CASES.values()), address, home), strict=True))
    away = [CASES["alias"], CASES["nothing"]]
    found["offline"], found["offline, not here"] = ask(away, address, home, HF_HUB_OFFLINE="1")
    start = time.monotonic()
    (found["unreachable"],) = ask([CASES["alias"]], address, home)
    found["seconds"] = time.monotonic() - start
    return found


def test_a_short_name_and_its_classes(answers: dict[str, Any]) -> None:
    train, validation, test = answers["alias"]["rows"]
    assert (len(train["text"]), len(validation["text"]), len(test["text"])) == (15, 5, 4)
    assert test["label"] == ["neg", "pos", "neg", "pos"]
    assert "splits train (20 rows), test (4 rows), unsupervised (1 rows)" in str(answers["alias"])


def test_slices_of_splits(answers: dict[str, Any]) -> None:
    assert [len(rows["text"]) for rows in answers["slices"]["rows"]] == [10, 10, 1]


def test_an_unlabelled_test_split_is_left_out(answers: dict[str, Any]) -> None:
    assert answers["unlabelled"]["rows"][2] is None
    assert "4 rows without a label, left out" in str(answers["unlabelled"]["notes"])


def test_tags_are_names(answers: dict[str, Any]) -> None:
    train = answers["classes of tokens"]["rows"][0]
    assert (train["tokens"][0], train["tags"][0]) == (["EU", "says"], ["B-PER", "O"])


def test_csv_files_and_a_limit(answers: dict[str, Any]) -> None:
    train, validation, test = answers["csv"]["rows"]
    assert (len(train["text"]), len(validation["text"]), test) == (3, 3, None)
    assert answers["converted"]["rows"][0] is not None


def test_a_translation_of_one_subset(answers: dict[str, Any]) -> None:
    train = answers["subset"]["rows"][0]
    assert (train["source"][0][:2], train["target"][0][:2]) == ("de", "en")


def test_a_cached_data_set_without_the_hub(answers: dict[str, Any]) -> None:
    assert answers["offline"]["rows"] == answers["alias"]["rows"]


@pytest.mark.parametrize(
    ("case", "status", "message"),
    [
        ("column", 2, "no column 'foo' (--label-column); its columns are 'sentence', 'intent'"),
        ("split", 2, "no such file or split: foo (splits of DATA: train, validation"),
        ("subsets", 2, "name one with --subset: de-en, fr-en"),
        ("no subset", 2, "has no subset 'xx'; name one with --subset: de-en, fr-en"),
        ("script", 1, "--revision refs/convert/parquet"),
        ("revision", 2, "has no revision 'v2'"),
        ("nothing", 1, "cannot load the Hub data set any/nothing"),
        ("no such", 2, "no such file, folder or public data set of the Hub: any/none"),
        ("offline, not here", 1, "name a local file, or unset HF_HUB_OFFLINE"),
        ("unreachable", 1, "set HF_HUB_OFFLINE=1 if the data set was loaded here before"),
    ],
)
def test_errors_say_what_to_do(
    answers: dict[str, Any], case: str, status: int, message: str
) -> None:
    assert answers[case]["status"] == status
    assert message in answers[case]["error"]
    assert "\n" not in answers[case]["error"]


def test_an_unreachable_hub_is_given_up_soon(answers: dict[str, Any]) -> None:
    assert answers["seconds"] < 5
