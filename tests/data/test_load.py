"""From DATA to splits: files, folders, globs, prefixes, slices, and what is cut or limited."""

import gzip
import json
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqcli.config import ClassifyData, Data, LanguageData, TagData, TranslateData
from seqcli.data import holdout
from seqcli.data.arrow import import_datasets
from seqcli.data.load import load, load_own_split, load_split
from seqcli.data.rows import Rows, Splits
from seqcli.errors import SeqcliError, UsageError

KINDS = {"classify": ClassifyData, "tag": TagData, "translate": TranslateData, "lm": LanguageData}


def settings(task: str, **values: object) -> Data:
    return KINDS[task](**{name: str(value) for name, value in values.items()})


def sizes(splits: Splits) -> list[int]:
    return [len(rows or ()) for rows in (splits.train, splits.validation, splits.test)]


def make_csv(n: int, *, name: str = "row", header: str = "text,label\n") -> str:
    return header + "".join(f"{name} {i},{'xyz'[i % 3]}\n" for i in range(n))


def make_conll(n: int, *, tag: str = "T") -> str:
    return "".join(f"w{i}\t{tag}\nv{i}\tO\n\n" for i in range(n))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def fill(folder: Path, **files: str) -> None:
    """Write files by name: a double underscore stands for the dot, and a single one for itself."""
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text, encoding="utf-8")


# --------------------------------------------------------------------------------------- files


def test_a_file_gives_train_and_a_validation_split(folder: Path) -> None:
    fill(folder, a__csv=make_csv(100))
    splits = load("classify", settings("classify", data="a.csv"))
    assert sizes(splits) == [90, 10, 0]
    together = splits.train["text"] + splits.validation["text"]
    assert sorted(together) == sorted(f"row {i}" for i in range(100))
    assert "no validation split: 10 of 100 rows of train" in " ".join(splits.notes)
    again = load("classify", settings("classify", data="a.csv"))
    assert again.validation["text"] == splits.validation["text"]


def test_every_format_gives_the_same_rows(folder: Path) -> None:
    rows = [{"text": f"text {i}", "label": "xy"[i % 2]} for i in range(12)]
    lines = "\n".join(map(json.dumps, rows))
    tsv = "".join(f"{row['text']}\t{row['label']}\n" for row in rows)
    fill(folder, a__jsonl=lines, b__json=json.dumps(rows), c__tsv=tsv, d__tsv="text\tlabel\n" + tsv)
    fill(folder, e__csv=tsv.replace("\t", ","), f__txt=tsv)
    (folder / "g.jsonl.gz").write_bytes(gzip.compress(lines.encode()))
    for path in sorted(folder.iterdir()):
        made = load_split("classify", settings("classify", data=path))
        assert made["text"] == [row["text"] for row in rows], path
        assert made["label"] == [row["label"] for row in rows], path
        assert made.origin == path.name


def test_split_files_beside_data(folder: Path) -> None:
    fill(folder, a__csv=make_csv(9), b__csv=make_csv(3), c1__csv=make_csv(4), c2__csv=make_csv(5))
    made = load("classify", settings("classify", data="a.csv", validation="b.csv", test="c*.csv"))
    assert sizes(made) == [9, 3, 9]
    made = load("classify", settings("classify", train="c?.csv", validation="a.csv"))
    assert sizes(made)[:2] == [9, 9]
    made = load("classify", settings("classify", data="a.csv", test="train[:2]"))
    assert made.test["text"] == ["row 0", "row 1"]


def test_the_last_row_of_a_label_stays_in_train(folder: Path) -> None:
    fill(folder, a__csv="text,label\n" + "a,x\n" * 19 + "b,y\n", b__csv="text,label\na,x\nb,y\n")
    made = load("classify", settings("classify", data="a.csv"))
    assert sizes(made)[:2] == [15, 5]
    assert set(made.train["label"]) == {"x", "y"}
    made = load("classify", settings("classify", data="b.csv"))
    assert sizes(made)[:2] == [2, 2]
    assert "2 rows are too few to set one aside, so they serve for validation, too" in made.notes


def test_each_label_has_its_share_of_a_cut_validation_split(folder: Path) -> None:
    counts = {"x": 900, "y": 80, "z": 20}
    lines = [f"a{i},{label}\n" for label, n in counts.items() for i in range(n)]
    fill(folder, a__csv="text,label\n" + "".join(lines))
    made = load("classify", settings("classify", data="a.csv"))
    assert Counter(made.validation["label"]) == {"x": 90, "y": 8, "z": 2}
    assert made.validation["text"] != [f"a{i}" for i in range(100)]  # drawn, not the first


def test_limit_is_drawn_from_all_rows_of_each_split(folder: Path) -> None:
    text = "text,label\n" + "".join(f"a{i},x\n" for i in range(50)) + "b,y\n" * 50
    fill(folder, a__csv=text)
    made = load("classify", ClassifyData(data="a.csv", limit=8))
    assert (len(made.train), len(made.validation)) == (8, 8)
    assert set(made.train["label"]) == {"x", "y"}
    assert "a.csv: 8 of 90 rows are used (--limit)" in made.notes
    fill(folder, b__txt="".join(f"{i}\n" for i in range(100)))
    text_only = load("lm", LanguageData(data="b.txt", limit=3))
    assert text_only.train["text"] == ["0", "1", "2"]


@pytest.mark.parametrize(
    ("task", "data", "message"),
    [
        ("classify", "none.csv", "no such file or folder: none.csv"),
        ("classify", "./none", "no such file or folder"),
        ("classify", "a/b/c", "no such file or folder"),
        ("classify", "none*.csv", "no file matches"),
        ("classify", "none", "no such file or folder: none; a data set of the Hub"),
        ("classify", "one.csv", "every row has the label 'x'"),
        ("classify", "blank.csv", "blank.csv: 2 rows without text, left out"),
        ("classify", "empty", "holds no data files"),
        ("classify", "t.conllu", "use seqcli tag"),
        ("classify", "t.tsv", "use seqcli tag"),
        ("translate", "t.tsv", "use seqcli tag"),
        ("translate", "t.en,none.de", "no such file or folder"),
        ("translate", "t.en", "name both in the direction to translate: t.en,t.…"),
        ("lm", "t.en", "too short to set a part aside"),
        ("tag", "one.csv", "no column that looks like tags"),
        ("lm", "t.tsv", "use seqcli tag"),
    ],
)
def test_what_cannot_be_loaded(folder: Path, task: str, data: str, message: str) -> None:
    fill(folder, one__csv="text,label\na,x\nb,x\n", blank__csv="text,label\n,x\n,y\n")
    fill(folder, t__conllu="\t".join("1aaaaaaaaa"), t__tsv=make_conll(3), t__en="a\n")
    (folder / "empty").mkdir()
    with pytest.raises(SeqcliError) as error:
        load(task, settings(task, data=data))
    assert message in str(error.value)
    assert "\n" not in str(error.value)


# ------------------------------------------------------------------------------------- folders


def test_the_family_that_fits_the_task(folder: Path) -> None:
    fill(folder, train__tsv=make_conll(30), valid__tsv=make_conll(3), test__tsv=make_conll(4))
    fill(folder, intent_train__csv=make_csv(20), intent_dev__csv=make_csv(5))
    fill(folder, README__md="# read me", LICENSE__txt="all rights\n", SOURCE__md="x")
    tags = load("tag", settings("tag", data=folder))
    assert sizes(tags) == [30, 3, 4]
    assert tags.train["tags"][0] == ["T", "O"]
    assert any("not used: intent_dev.csv, intent_train.csv" in note for note in tags.notes)
    intents = load("classify", settings("classify", data=folder))
    assert sizes(intents)[:2] == [20, 5]
    with pytest.raises(UsageError, match=r"nothing in .* serves translate"):
        load("translate", settings("translate", data=folder))


def test_the_plainest_name_and_one_format(folder: Path) -> None:
    rows = "\n".join(json.dumps({"text": str(i), "label": "xy"[i % 2]}) for i in range(8))
    fill(folder, train__jsonl=rows, test__jsonl=rows, train__csv=make_csv(6), test__csv=make_csv(3))
    fill(folder, fine_train__csv=make_csv(9), fine_test__csv=make_csv(4))
    made = load("classify", settings("classify", data=folder))
    assert len(made.test) == 3
    assert f"{folder}: train is train.csv, test is test.csv" in made.notes
    made = load("classify", settings("classify", data=folder, train="fine_train", test="fine_test"))
    assert len(made.test) == 4


def test_names_that_end_in_a_split(folder: Path) -> None:
    """The files of CoNLL 2003 as they come."""
    (folder / "ner").mkdir()
    docstart = "-DOCSTART- -X- -X- O\n\n"
    for name, n in (("eng.train", 5), ("eng.testa", 3), ("eng.testb", 2)):
        rows = f"{docstart}New NNP I-NP I-LOC\nYork NNP I-NP I-LOC\n\n" * n
        fill(folder / "ner", **{name.replace(".", "__"): rows})
    splits = load("tag", settings("tag", data="ner"))
    assert sizes(splits) == [5, 3, 2]
    assert splits.train["tokens"][0] == ["New", "York"]
    assert "validation is eng.testa" in " ".join(splits.notes)


def test_parallel_text_in_a_folder(folder: Path) -> None:
    place = folder / "set_de_en"
    place.mkdir()
    for name, n in (("train", 20), ("val", 3), ("test_2016", 4), ("test_2017", 5)):
        fill(place, **{f"{name}__{side}": f"{side} {name}\n" * n for side in ("en", "de")})
    made = load("translate", settings("translate", data=place))
    assert sizes(made) == [20, 3, 4]
    assert made.train["source"][0] == "de train"
    assert any("test_2017.{de,en}" in note for note in made.notes)
    turned = load("translate", settings("translate", data=place, source="en", test="test_2017"))
    assert len(turned.test) == 5
    assert turned.test.head(1).columns == {"source": ["en test_2017"], "target": ["de test_2017"]}


def test_parallel_text_by_prefix_and_by_pair(folder: Path) -> None:
    fill(folder, a__en="a\nb\n", a__de="A\nB\n", b__src="a\n", b__tgt="A\n", c__en="a\n")
    prefix = load_split("translate", settings("translate", data="a"))
    assert prefix.columns == {"source": ["a", "b"], "target": ["A", "B"]}
    pair = load_split("translate", settings("translate", data="a.de,a.en"))
    assert pair.columns == {"source": ["A", "B"], "target": ["a", "b"]}
    sides = load("translate", settings("translate", train="a", test="b", validation="a.en,a.de"))
    assert sides.test.columns == {"source": ["a"], "target": ["A"]}
    with pytest.raises(SeqcliError, match="parallel files must have a line for each line"):
        load_split("translate", settings("translate", data="c.en,a.de"))


def test_parts_and_split_folders(folder: Path) -> None:
    text = "\n".join(json.dumps({"text": str(i), "label": "xy"[i % 2]}) for i in range(4))
    data = folder / "set" / "data"
    data.mkdir(parents=True)
    for i in range(2):
        (data / f"train-0000{i}-of-00002.jsonl").write_text(text)
    made = load_split("classify", settings("classify", data=folder / "set"), "train")
    assert len(made) == 8
    for split in ("train", "dev"):
        (folder / "parts" / split).mkdir(parents=True)
        for name in "ab":
            (folder / "parts" / split / f"{name}.jsonl").write_text(text)
    splits = load("classify", settings("classify", data=folder / "parts"))
    assert sizes(splits)[:2] == [8, 8]


def test_a_data_set_that_was_cloned_or_saved(folder: Path) -> None:
    """Beside its files lie others that tell about them."""
    rows = {"text": [f"row {i}" for i in range(20)], "label": [i % 2 for i in range(20)]}
    datasets = import_datasets()
    kinds = {"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["no", "yes"])}
    made = datasets.Dataset.from_dict(rows, features=datasets.Features(kinds))
    (folder / "cloned" / "data").mkdir(parents=True)
    made.to_parquet(folder / "cloned" / "data" / "train-00000-of-00001.parquet")
    fill(folder / "cloned", dataset_infos__json="{}", README__md="#")
    made.save_to_disk(folder / "saved")
    datasets.DatasetDict({"train": made, "test": made}).save_to_disk(folder / "splits")
    for name in ("cloned", "saved", "splits"):
        splits = load("classify", settings("classify", data=name))
        assert sizes(splits) == [15, 5, 20 if name == "splits" else 0]
        assert {*splits.train["label"]} == {"no", "yes"}
    (folder / "broken.arrow").write_text("no arrow")
    with pytest.raises(SeqcliError, match=r"cannot read broken\.arrow"):
        load("classify", settings("classify", data="broken.arrow"))


def test_splits_of_which_none_is_train(folder: Path) -> None:
    fill(folder, product_dev__csv=make_csv(9), sales__csv=make_csv(9))
    with pytest.raises(SeqcliError, match="has validation, product_dev, sales, and none is called"):
        load("classify", settings("classify", data=folder))


def test_a_glob_finds_splits_too(folder: Path) -> None:
    fill(folder, x_train__csv=make_csv(8), x_test__csv=make_csv(4), y_train__csv="broken")
    made = load("classify", settings("classify", data="x_*.csv"))
    assert len(made.test) == 4


def test_a_test_file_without_labels_is_left_out(folder: Path) -> None:
    fill(folder, train__csv=make_csv(9), test__csv="id,text\n1,a\n")
    made = load("classify", settings("classify", data=folder))
    assert made.test is None
    assert any("so there is no test split" in note for note in made.notes)
    with pytest.raises(UsageError, match=r"test\.csv has no column 'label'"):
        load("classify", settings("classify", data=folder, test="test.csv"))


def test_all_splits_read_the_columns_of_train(folder: Path) -> None:
    """A small headless file alone would take the wrong column for the label."""
    train = "".join(f"{'xy'[i % 2]},some text {i}\n" for i in range(30))
    fill(folder, train__csv=train, test__csv="x,again\ny,again\n")
    made = load("classify", settings("classify", data=folder))
    assert made.test.columns == {"text": ["again"] * 2, "label": ["x", "y"]}


@pytest.mark.parametrize("train", ["satz\tmeinung\n", "Satz\tMeinung\n"])
def test_the_header_of_a_small_split_is_that_of_train(folder: Path, train: str) -> None:
    """Alone it could be a row as well."""
    header, rows = "satz\tmeinung\n", [f"some text {i}\t{'xy'[i % 2]}\n" for i in range(40)]
    fill(folder, a__tsv=train + "".join(rows), b__tsv=header + "".join(rows[:5]))
    data = settings("classify", train="a.tsv", validation="b.tsv", test="b*.tsv")
    splits = load("classify", data)
    assert sizes(splits) == [40, 5, 5]
    assert splits.test.columns == splits.train.head(5).columns
    usual = splits.train.names
    for small in (settings("classify", data="b.tsv"), settings("classify", test="b.tsv")):
        rows = load_split("classify", small, usual=usual)
        assert rows.columns == splits.test.columns


# ---------------------------------------------------------------------------- slices, one split


def test_slices(folder: Path) -> None:
    fill(folder, train__csv=make_csv(10), test__csv=make_csv(4))
    made = load(
        "classify",
        settings("classify", data=folder, train="train[:80%]", validation="train[-2:]"),
    )
    assert (len(made.train), made.validation["text"]) == (8, ["row 8", "row 9"])
    with pytest.raises(UsageError, match=r"no such file or split: foo \(splits of DATA: "):
        load("classify", settings("classify", data=folder, train="foo"))


def test_one_split(folder: Path) -> None:
    fill(folder, train__csv=make_csv(10), dev__csv=make_csv(4), one__csv=make_csv(3))
    data = settings("classify", data=folder)
    assert len(load_split("classify", data, "dev")) == 4
    assert len(load_split("classify", data, "validation[1:]")) == 3
    with pytest.raises(UsageError, match=r"has no split 'test'; its splits: .*train, validation"):
        load_split("classify", data, "test")
    single = settings("classify", data="one.csv")
    assert len(load_split("classify", single)) == len(load_split("classify", single, "train")) == 3
    assert len(load_split("classify", settings("classify", data=folder, test="one.csv"))) == 3


def test_a_column_that_says_the_split(folder: Path) -> None:
    rows = [f"row {i},{'xy'[i // 3 % 2]},{('Train', 'dev', 'test')[i % 3]}\n" for i in range(30)]
    fill(folder, a__csv="text,label,split\n" + "".join(rows))
    data = settings("classify", data="a.csv")
    made = load("classify", data)
    assert sizes(made) == [10, 10, 10]
    assert made.test["text"][:2] == ["row 2", "row 5"]
    assert "a.csv: rows of each split by column 'split': train 10, validation 10, test 10" in (
        made.notes
    )
    assert load_split("classify", data)["text"] == made.test["text"]
    fill(folder, b__csv=make_csv(12))
    made = load("classify", settings("classify", data="a.csv", validation="b.csv"))
    assert sizes(made) == [10, 12, 10]
    fill(folder, c__csv="text,label,set\n" + "".join(rows).replace("dev", "seven"))
    assert sum(sizes(load("classify", settings("classify", data="c.csv")))[:2]) == 30


def test_the_splits_of_a_training_are_found_again(folder: Path) -> None:
    """Those of one file, which is all of them where no training is spoken of."""
    fill(folder, one__csv=make_csv(100))
    data = settings("classify", data="one.csv")
    made = load("classify", data)
    for name in ("validation", "dev", "val"):
        assert load_own_split("classify", data, name)["text"] == made.validation["text"]
    assert load_own_split("classify", data, "train")["text"] == made.train["text"]
    first = load_own_split("classify", data, "dev[:30%]")
    assert first["text"] == made.validation["text"][:3]
    assert any("are set aside" in note for note in first.notes)
    fill(folder, long__txt="word " * 4000)  # one line, cut within
    text = settings("lm", data="long.txt")
    assert load("lm", text).validation.joined == (True, True)
    assert load_own_split("lm", text, "validation").joined == (True, True)
    assert load_own_split("lm", text, "validation[:0]").joined == (True, False)
    with pytest.raises(UsageError, match="trained with has no test split; name DATA, or --split"):
        load_own_split("classify", data, "test")
    for place in (folder, "one.csv"):
        with pytest.raises(UsageError, match="no split 'tset'"):
            load_own_split("classify", settings("classify", data=place), "tset")


# ----------------------------------------------------------------------------------------- lm


def test_text_is_cut_at_lines_by_characters(folder: Path) -> None:
    lines = [f"{i:>9}" for i in range(1000)]
    fill(folder, a__txt="\n".join(lines) + "\n")
    made = load("lm", settings("lm", data="a.txt"))
    assert made.train["text"] == lines[:900]
    assert made.validation["text"] == lines[900:950]
    assert made.test["text"] == lines[950:]
    fill(folder, b__txt="other\n")
    made = load("lm", settings("lm", data="a.txt", test="b.txt"))
    assert (made.train["text"], made.validation["text"]) == (lines[:950], lines[950:])
    assert made.test["text"] == ["other"]


def make_names(n: int) -> list[str]:
    return sorted("AbDeGiKoMu"[2 * (i % 5) :][:2] + "aeiou"[i // 5 % 5] + f"x{i}" for i in range(n))


def test_a_list_in_alphabetical_order_is_shuffled(folder: Path) -> None:
    """Its end, with one initial, would be like no other part, and each name easy after another."""
    names = make_names(200)
    (folder / "names.txt").write_text("\n".join(names))
    splits = load("lm", settings("lm", data="names.txt"))
    assert any("names.txt: the lines are a list" in note for note in splits.notes)
    parts = [one["text"] for one in (splits.train, splits.validation, splits.test) if one]
    assert sorted(name for part in parts for name in part) == names
    assert {name[0] for name in parts[1] + parts[2]} == set("ADGKM")
    assert splits == load("lm", settings("lm", data="names.txt"))
    test = load_own_split("lm", settings("lm", data="names.txt"))
    assert test["text"] == parts[2]
    # Also where validation is a file of its own.
    splits = load("lm", settings("lm", train="names.txt", validation="names.txt"))
    assert splits.train
    assert splits.train["text"] != names


@pytest.mark.parametrize(
    "lines",
    [
        make_names(99),
        make_names(200)[::-1],
        [
            f"Nov 30 22:{i // 60:02}:{i % 60:02} host sshd: {'yes' if i % 3 else 'no'}"
            for i in range(200)
        ],
        [f"{year}: {'abcdefg'[year % 7]}" for year in range(1800, 2000)],
        [f"{['the', 'an', 'I', 'you', 'we'][i * i % 5]} say {i}" for i in range(200)],
    ],
)
def test_other_lines_keep_their_order(folder: Path, lines: list[str]) -> None:
    (folder / "lines.txt").write_text("\n".join(lines))
    splits = load("lm", settings("lm", data="lines.txt"))
    parts = [one["text"] for one in (splits.train, splits.validation, splits.test) if one]
    assert [line for part in parts for line in part] == lines


def test_text_of_a_folder_has_its_cut_test_split(folder: Path) -> None:
    fill(folder, input__txt="".join(f"{i:>9}\n" for i in range(100)))
    made = load_split("lm", settings("lm", data=folder))
    assert made["text"] == [f"{i:>9}" for i in range(95, 100)]
    assert len(load_split("lm", settings("lm", data=folder / "input.txt"))) == 100


def test_a_text_of_one_line_is_cut_inside(folder: Path) -> None:
    text = "".join(chr(97 + i % 26) for i in range(999))
    fill(folder, a__txt=text + "\n")
    made = load("lm", settings("lm", data="a.txt"))
    parts = [rows["text"] for rows in (made.train, made.validation, made.test)]
    assert [len(part) for part in parts] == [1, 1, 1]
    assert "".join(part[0] for part in parts) == text
    assert len(parts[0][0]) == 900
    assert not made.validation.joined[0]  # it is short


def test_a_long_line_is_cut_after_a_word_and_has_no_end_there(folder: Path) -> None:
    fill(folder, a__txt="one seven eleven " * 200, b__txt="one seven\n" * 400)
    made = load("lm", settings("lm", data="a.txt"))
    assert [made.train["text"][0][-1], made.validation["text"][0][-1]] == [" ", " "]
    joined = [rows.joined for rows in (made.train, made.validation, made.test)]
    assert joined == [(False, True), (True, True), (True, False)]
    made = load("lm", settings("lm", data="b.txt"))
    assert {rows.joined for rows in (made.train, made.validation, made.test)} == {(False, False)}


@given(
    lines=st.lists(st.text("ab\n", max_size=30), min_size=1, max_size=40),
    shares=st.lists(st.floats(0, 1), max_size=3).map(sorted),
)
def test_parts_are_the_text(lines: list[str], shares: list[float]) -> None:
    parts = holdout._cut_lines(lines, holdout._find_cuts(lines, shares))
    assert len(parts) == len(shares) + 1
    assert "".join(line for part in parts for line in part) == "".join(lines)
    total = sum(map(len, lines)) + len(lines)
    done = 0
    for part, share in zip(parts, shares, strict=False):
        done += sum(map(len, part)) + len(part)
        assert abs(done - share * total) <= max(2, total / 100) + len(parts)


# ------------------------------------------------------------------- a text a file, or its marks


def write_texts(folder: Path, **texts: str) -> None:
    folder.mkdir(parents=True)
    for name, text in texts.items():
        (folder / f"{name}.txt").write_text(text, encoding="utf-8")


def test_folders_called_by_their_labels(folder: Path) -> None:
    write_texts(folder / "imdb/train/pos", a="good film", b="fine")
    write_texts(folder / "imdb/train/neg", a="bad film", b="poor", c="", d="\n", e="\r\n\n")
    write_texts(folder / "imdb/train/unsup", a="who knows")
    write_texts(folder / "imdb/test/pos", a="great")
    write_texts(folder / "imdb/test/neg", a="awful")
    (folder / "imdb" / "imdbEr.txt").write_text("0.1\n")
    splits = load("classify", settings("classify", data="imdb", validation="test"))
    assert splits.train["label"] == ["neg", "neg", "pos", "pos"]
    assert splits.train["text"] == ["bad film", "poor", "good film", "fine"]
    assert splits.validation["text"] == ["awful", "great"]
    assert "3 rows without text, left out" in " ".join(splits.notes)
    alone = load_split("classify", settings("classify", data="imdb"))
    assert alone["label"] == ["neg", "pos"]


def test_a_folder_of_labels_without_splits(folder: Path) -> None:
    for label in ("pos", "neg"):
        write_texts(folder / "films" / label, **{f"t{i}": f"{label} {i}" for i in range(20)})
    splits = load("classify", settings("classify", data="films"))
    assert sorted({*splits.train["label"]}) == ["neg", "pos"]
    assert sum(sizes(splits)) == 40
    (folder / "films/neg/t3.txt").write_bytes(b"\xff")
    with pytest.raises(SeqcliError, match=r"neg.*t3\.txt is not UTF-8"):
        load("classify", settings("classify", data="films"))


def test_labels_called_like_splits_and_hidden_files(folder: Path) -> None:
    """As a Mac writes them beside each file."""
    for label in ("test", "bug", "BUSINESS-DEVELOPMENT"):
        write_texts(folder / "issues" / label, **{str(i): f"{label} {i}" for i in range(10)})
        (folder / "issues" / label / "._1.txt").write_bytes(b"\0\x05\x16\x07")
    splits = load("classify", settings("classify", data="issues"))
    assert {*splits.train["label"]} == {"test", "bug", "BUSINESS-DEVELOPMENT"}
    assert sum(sizes(splits)) == 30
    for split in ("train", "test"):
        write_texts(folder / "parts" / split, a="one text")
    with pytest.raises(SeqcliError, match="no column that looks like a label"):
        load("classify", settings("classify", data="parts"))


def test_texts_called_by_numbers(folder: Path) -> None:
    """As in 20 Newsgroups."""
    for label in ("alt.atheism", "sci.space"):
        for part in ("news-train", "news-test"):
            (folder / "news" / part / label).mkdir(parents=True)
            for number in range(10):
                (folder / "news" / part / label / str(number)).write_text(f"{label} {number}")
    splits = load("classify", settings("classify", data="news"))
    assert {*splits.train["label"]} == {*splits.test["label"]} == {"alt.atheism", "sci.space"}


def test_labels_marked_as_for_fasttext(folder: Path) -> None:
    lines = [f"__label__{'ab'[i % 2]} word {i}\n" for i in range(40)]
    fill(folder, one__train="".join(lines), several__txt="__label__c " + "".join(lines))
    one = load("classify", settings("classify", data="one.train"))
    assert {*one.train["label"]} == {"a", "b"}
    several = load("classify", settings("classify", data="several.txt"))
    assert ["c", "a"] in several.train["label"] + several.validation["label"]
    plain = load("lm", settings("lm", data="several.txt"))
    assert plain.train["text"][0].startswith("__label__c")


# --------------------------------------------------------------------------------------- sample


@pytest.mark.parametrize("task", list(KINDS))
def test_the_bundled_sample_serves_every_task(task: str) -> None:
    made = load(task, KINDS[task]())
    assert len(made.train) > 1000
    assert len(load_split(task, KINDS[task]())) == len(made.test)
    if task == "translate":
        assert made.train["source"][0].isascii()
        assert not made.train["target"][0].isascii()


def test_rows_are_taken_by_position() -> None:
    rows = Rows({"text": ["a", "b", "c"], "label": ["x", "y", "z"]}, "here")
    assert len(rows) == 3
    assert rows.take([2, 0]).columns == {"text": ["c", "a"], "label": ["z", "x"]}
    assert rows.head(2)["text"] == ["a", "b"]
    assert len(Rows({}, "nothing")) == 0
