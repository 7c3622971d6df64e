"""The page as a file: whole, small, safe, and its clouds laid out without overlap."""

from __future__ import annotations

import base64
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from planted import classify_rows, planted_classifier, random_model, rows_of

from seqcli.config import Inspecting
from seqcli.data.rows import Rows
from seqcli.errors import SeqcliError
from seqcli.inspect import cloud, inspection, page
from seqcli.inspect.summary import summarise

NASTY = ["</script><script>alert(1)</script>", "<img", "src=x", "onerror=alert(1)>", "&amp;", "'\""]
QUICK = Inspecting(ablate=("none",), probes=("none",), min_count=1)


class Tags(HTMLParser):
    """Counts elements, and keeps the text of the data."""

    def __init__(self) -> None:
        super().__init__()
        self.found: dict[str, int] = {}
        self.data = ""
        self.inside = False

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.found[tag] = self.found.get(tag, 0) + 1
        self.inside = tag == "script" and ("id", "data") in attrs

    def handle_data(self, data: str) -> None:
        if self.inside:
            self.data += data


def read(text: str) -> tuple[dict[str, int], dict[str, Any]]:
    tags = Tags()
    tags.feed(text)
    return tags.found, json.loads(tags.data)


def nasty_rows() -> Rows:
    texts = [" ".join(["good", *NASTY] * 2), " ".join(["bad", *NASTY, "bad"])] * 6
    return Rows({"text": texts, "label": ["yes", "no"] * 6}, "<b>evil</b>.csv")


def test_no_token_becomes_markup() -> None:
    rows = nasty_rows()
    task, model = random_model("classify", rows, hidden=6, embedding=5)
    found = inspection.inspect(model, task, rows, QUICK)
    tags, data = read(page.build(found))
    assert tags["script"] == 2
    assert "img" not in tags
    assert "b" not in tags
    assert data["data"]["origin"] == "<b>evil</b>.csv"
    words = data["parts"][""]["words"]
    assert any("<" in word for word in words)


def test_the_page_needs_nothing_from_outside() -> None:
    rows = nasty_rows()
    task, model = random_model("classify", rows, hidden=6, embedding=5)
    text = page.build(inspection.inspect(model, task, rows, QUICK))
    for pattern in (r"<link", r"src=[\"']?http", r"@import", r"url\(", r"\bfetch\(", r"XMLHttp"):
        assert not re.search(pattern, text), pattern
    assert not re.search(r"innerHTML|insertAdjacentHTML|document\.write", text)
    assert "default-src 'none'" in text


def test_content_keeps_its_promises() -> None:
    rows = classify_rows(200)
    task, model = planted_classifier(rows)
    found = inspection.inspect(model, task, rows, Inspecting(min_count=5, random_sets=5))
    content = json.loads(json.dumps(found.content, allow_nan=False))
    assert content["schema"] == "seqcli.inspect/1"
    assert len(content["model"]["checkpoint_sha256"]) == 64
    assert content["data"]["sha256"] == inspection.hash_rows(rows)
    assert content["settings"]["min_count"] == 5
    site = content["sites"]["1.forward.h"]
    words = content["parts"][""]["words"]
    assert np.array(site["response"]["mean"]).shape == (len(words), 8)
    assert set(found.arrays) >= {
        "1.forward.h/mean", "1.forward.h/sd", "1.forward.h/error", "1.forward.h/percentiles",
        "1.forward.h/n", "1.forward.h/word_clusters", "1.forward.h/sentence0",
    }  # fmt: skip
    score = dict(zip(words, site["clusters"]["score"], strict=True))
    label = dict(zip(words, site["clusters"]["words"], strict=True))
    # + is what raises the second label, positive, over the first.
    assert score["excellent"] > 0 > score["worst"]
    assert label["excellent"] == label["worst"] != label["rome"] == label["june"]


def test_the_same_weights_have_the_same_hash_and_others_another() -> None:
    rows = nasty_rows()
    _, model = random_model("classify", rows, hidden=6, embedding=5)
    _, again = random_model("classify", rows, hidden=6, embedding=5)
    assert inspection.hash_weights(model) == inspection.hash_weights(again)
    model.head.bias.data += 1e-3
    assert inspection.hash_weights(model) != inspection.hash_weights(again)


def test_packing_keeps_values_and_signs() -> None:
    values = np.array([[0.5, -1.0], [0.003, 0.0]])
    packed = page.pack(values)
    whole = np.frombuffer(base64.b64decode(packed["bytes"]), dtype=np.int8)
    assert np.allclose(whole.reshape(2, 2) * packed["scale"], values, atol=packed["scale"] / 2)
    score = page._pack_score(np.array([1.0, -0.0001, 0.0001]))
    whole = np.frombuffer(base64.b64decode(score["bytes"]), dtype=np.int8)
    assert whole.tolist() == [127, -1, 0]


# ---------------------------------------------------------------------------------------- clouds


def boxes(found: cloud.Cloud) -> np.ndarray:
    """Left, top, right, bottom of each placed word."""
    x, y, width, size = found.places[~np.isnan(found.places[:, 0])].T
    return np.stack([x, y - 0.75 * size, x + width, y + 0.2 * size], axis=1)


def test_words_do_not_overlap_and_grow_with_strength() -> None:
    draw = np.random.default_rng(0)
    words = ["".join(draw.choice(list("abcdefgilmow"), draw.integers(1, 14))) for _ in range(60)]
    strength = draw.random(60)
    found = cloud.lay_out(words, strength, largest=1.0, tallest=2000)
    assert found.left_out == 0
    all_boxes = boxes(found)
    assert all_boxes[:, 2].max() <= cloud.WIDTH + 1e-6
    for at, one in enumerate(all_boxes):
        for other in all_boxes[:at]:
            apart = (
                one[0] >= other[2] or other[0] >= one[2] or one[1] >= other[3] or other[1] >= one[3]
            )
            assert apart
    sizes = found.places[:, 3]
    assert (np.diff(sizes[np.argsort(strength)]) >= 0).all()


def test_words_without_room_are_counted() -> None:
    found = cloud.lay_out(["abcdefgh"] * 200, np.ones(200), largest=1.0, tallest=100)
    placed = int((~np.isnan(found.places[:, 0])).sum())
    assert 0 < placed < 200
    assert found.left_out == 200 - placed
    assert found.height <= 100


def test_a_cloud_is_of_its_own_label_whatever_the_order() -> None:
    """In RNNVis the sizes of clouds follow the order of display instead of the label."""
    words = ["a", "bb", "ccc", "dddd", "eeeee", "ffffff"]
    labels, score = np.array([2, 0, 2, 1, 2, 0]), np.array([1.0, -1, 1, 1, -1, -1])
    found = cloud.lay_out_all(words, labels, score, 3)
    for at in range(3):
        for pole in range(2):
            members = (labels == at) & ((score >= 0) == (pole == 0))
            assert (found.heights[at, pole] > 0) == members.any()
            if members.any():
                named = [word for word, inside in zip(words, members, strict=True) if inside]
                alone = cloud.lay_out(
                    named, np.abs(score[members]), largest=1.0, tallest=cloud.TALLEST
                )
                assert np.allclose(found.places[members], alone.places)
                assert found.heights[at, pole] == alone.height


@pytest.mark.slow
def test_a_large_network_fits_in_three_megabytes(tmp_path: Path) -> None:
    """300 words × 600 units in two layers of an LSTM, both states."""
    draw = np.random.default_rng(0)
    words = [f"word{at}" for at in range(320)]
    texts = [" ".join(draw.choice(words, 20)) for _ in range(400)]
    rows = Rows({"text": texts, "label": ["yes", "no"] * 200}, "x")
    task, model = random_model("classify", rows, cell="lstm", hidden=600, layers=2, embedding=8)
    found = inspection.inspect(model, task, rows, QUICK)
    path = tmp_path / "page.html"
    page.write(found, path)
    assert path.stat().st_size < 3_000_000
    _, data = read(path.read_text(encoding="utf-8"))
    left_out = set(found.content["sites"]) - set(data["sites"])
    assert data["main"] in data["sites"]
    assert bool(left_out) == any("leaves out" in note for note in data["notes"])


def test_where_a_page_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(SeqcliError, match="is a folder"):
        page.check_writable(tmp_path)
    with pytest.raises(SeqcliError, match="there is no folder"):
        page.check_writable(tmp_path / "none" / "page.html")


@pytest.mark.parametrize("name", ["classify", "tag", "lm", "translate"])
def test_a_network_of_one_unit_has_a_page(name: str) -> None:
    rows = rows_of(name, 30)
    task, model = random_model(name, rows, hidden=1, embedding=4, tokens="word")
    found = inspection.inspect(model, task, rows, Inspecting(min_count=1, random_sets=2))
    assert any("nothing is clustered" in note for note in found.content["notes"])
    assert found.content["ablation"][0]["worse"] is None
    assert list(summarise(found.content))
    assert page.build(found)
