"""The pages in a real browser: clicks, keys, search, and not one script error.

Needs Debian's chromium and chromedriver, and selenium; skipped with a reason where one is missing.
"""

from __future__ import annotations

import itertools
import json
import random
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from planted import BAD, GOOD, WORDS, classify_rows, planted_classifier, random_model, rows_of

from seqcli import storage
from seqcli.config import Comparing, Inspecting
from seqcli.data.rows import Rows
from seqcli.inspect import compare, compare_page, inspection, page, search

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--disable-dev-shm-usage", "--window-size=1500,1000", "--force-device-scale-factor=1",
)  # fmt: skip


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A browser that reaches nothing but files."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
    if not CHROMIUM or not DRIVER:
        pytest.skip("no chromium and chromedriver on this machine")
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in FLAGS:
        options.add_argument(flag)
    options.add_argument(f"--user-data-dir={tmp_path_factory.mktemp('browser')}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    service = webdriver.ChromeService(executable_path=DRIVER)
    driver = webdriver.Chrome(options=options, service=service)
    driver.set_page_load_timeout(30)
    yield driver
    driver.quit()


class Page:
    """A page that is open, and what a person does with it."""

    def __init__(self, driver: Any, path: Path) -> None:
        self.driver = driver
        driver.get(path.as_uri())
        ready = "return document.documentElement.dataset.ready"
        until = time.monotonic() + 20  # a busy machine shows a large page late
        while self.js(ready) != "yes":
            assert time.monotonic() < until, "the page's script did not end"
            time.sleep(0.05)

    def js(self, code: str, *arguments: Any) -> Any:
        return self.driver.execute_script(code, *arguments)

    def all(self, selector: str) -> list[Any]:
        return self.driver.find_elements("css selector", selector)

    def one(self, selector: str) -> Any:
        return self.driver.find_element("css selector", selector)

    def click(self, selector: str) -> None:
        self.js("arguments[0].scrollIntoView({block: 'center'})", self.one(selector))
        self.one(selector).click()

    def text(self, selector: str) -> str:
        return self.one(selector).text

    def type(self, selector: str, keys: str) -> None:
        self.one(selector).send_keys(keys)

    def word(self, text: str) -> str:
        """The selector of a word in the overview."""
        number = self.js("return site().words.indexOf(arguments[0])", text)
        assert number >= 0
        return f".word[data-word='{number}']"

    def errors(self) -> list[Any]:
        return [one for one in self.driver.get_log("browser") if one["level"] == "SEVERE"]


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, inspection.Inspection]:
    """The page of the planted network."""
    rows = classify_rows(300)
    task, model = planted_classifier(rows, pool="mean")
    settings = Inspecting(
        min_count=1, random_sets=5, clusters=2, sentences=("the moving rome of worst june",)
    )
    found = inspection.inspect(model, task, rows, settings)
    path = tmp_path_factory.mktemp("page") / "inspect.html"
    page.write(found, path)
    return path, found


ENTER, ESCAPE, RIGHT = "\ue007", "\ue00c", "\ue014"


def test_a_person_explores_the_page(browser: Any, planted: tuple[Path, Any]) -> None:
    shown = Page(browser, planted[0])
    loaded = shown.js(
        "const t = performance.getEntriesByType('navigation')[0]; return t.loadEventEnd"
    )
    assert loaded < 1000
    # A word: its units take colours, and its card opens.
    before = shown.js("return document.querySelector('.unit').style.fill")
    shown.click(shown.word(GOOD[0]))
    assert shown.text("[data-card='word'] b") == GOOD[0]
    assert shown.js("return document.querySelector('.unit').style.fill") != before
    # A unit: its four lowest and four highest words.
    shown.click(".unit[data-unit='0']")
    card = shown.text("[data-card='unit']")
    assert all(word in card for word in GOOD)
    assert all(word in card for word in BAD)
    # A cluster: its members, and what its ablation did.
    shown.click("[data-head='0']")
    assert "Silenced" in shown.text("[data-card='cluster']")
    assert shown.js("return document.querySelectorAll('.word.dim').length") > 0
    # Search for a word, a unit, and something that is not there.
    shown.type("body", ESCAPE)
    assert not shown.all("[data-card='word']")
    shown.type("body", "/")
    shown.type("#find", f"{BAD[0]}{ENTER}")
    assert shown.text("[data-card='word'] b") == BAD[0]
    shown.type("#find", f"unit 5{ENTER}")
    assert shown.text("[data-card='unit'] b") == "unit 5"
    shown.type("#find", f"qwerty{ENTER}")
    assert "qwerty" in shown.text("#missed")
    assert not shown.errors()


def test_the_sentence_is_drawn_as_it_was_computed(browser: Any, planted: tuple[Path, Any]) -> None:
    path, found = planted
    shown = Page(browser, path)
    true = found.content["sentences"][0]["glyphs"]["1.forward.h"]
    drawn = shown.js(
        "return [...document.querySelectorAll('[data-glyphs]')].map((row) =>"
        " [...row.querySelectorAll('[data-kept]')].map((one) =>"
        " [Number(one.dataset.positive), Number(one.dataset.kept)]))"
    )
    for at, row in enumerate(drawn):
        for step, (positive, kept) in enumerate(row):
            assert positive == pytest.approx(true["positive"][step][at], abs=0.02)
            # A state that is nearly zero is rounded to zero, and then nothing of it is kept.
            assert kept == pytest.approx(true["kept_rate"][step][at], abs=0.05) or kept == 0
    bars = shown.js(
        "return [...document.querySelectorAll('#contributions rect')].map((r) => r.dataset.value)"
    )
    values = [row[0] for row in found.content["sentences"][0]["contributions"]["values"]]
    assert [float(value) for value in bars] == pytest.approx(values, abs=1e-6)
    assert not shown.errors()


@pytest.mark.slow
def test_keys_move_and_pick(browser: Any, planted: tuple[Path, Any]) -> None:
    shown = Page(browser, planted[0])
    for kind, card in ((".word", "word"), (".unit", "unit"), (".head[tabindex]", "cluster")):
        shown.js(f"document.querySelector(\"#map {kind}[tabindex='0']\").focus()")
        first = shown.js("return document.activeElement.outerHTML")
        browser.switch_to.active_element.send_keys(RIGHT)
        assert shown.js("return document.activeElement.outerHTML") != first
        browser.switch_to.active_element.send_keys(ENTER)
        assert shown.all(f"[data-card='{card}']")
        assert len(shown.all(f"#map {kind}[tabindex='0']")) == 1
        shown.type("body", ESCAPE)
    assert not shown.errors()


@pytest.mark.slow
def test_sliders_theme_and_search_in_the_page(browser: Any, planted: tuple[Path, Any]) -> None:
    path, found = planted
    shown = Page(browser, path)
    for count in (2, 5, 8):
        shown.js("const s = document.getElementById('clusters'); s.value = arguments[0];"
                 "s.dispatchEvent(new Event('input'))", count)  # fmt: skip
        assert len(shown.all("#map [data-head]")) == count
        assert shown.text("#count") == str(count)
    links = len(shown.all(".link"))
    shown.js("const s = document.getElementById('links'); s.value = 100;"
             "s.dispatchEvent(new Event('input'))")  # fmt: skip
    assert len(shown.all(".link")) > links
    background = "return getComputedStyle(document.body).backgroundColor"
    light = shown.js(background)
    shown.click("#theme")
    assert shown.js(background) != light
    # The page's own search finds what search.py finds in the same sample.
    sample = json.loads(shown.js("return document.getElementById('data').textContent"))["sample"]
    states = found.survey.states["1.forward.h"][: len(sample["tokens"])].astype(np.float32)
    step = shown.js("return query.begin")
    own = found.sentences[0].states["1.forward.h"][step : step + 1]
    true = search.find_spans(
        states, np.array(sample["sequence"]), search.pattern(own, 0.3),
        threshold=0.3, longest=3, count=15,
    )  # fmt: skip
    drawn = shown.js("return runSearch(data.sentences[0]).matches")
    assert [one["shared"] for one in drawn] == [one.shared for one in true]
    assert [one["union"] for one in drawn] == [one.union for one in true]
    assert len(shown.all("#found .result")) >= len(true)
    assert not shown.errors()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["tag", "lm", "translate"])
def test_every_task_draws(browser: Any, tmp_path: Path, name: str) -> None:
    rows = rows_of(name, 60)
    more = {"tokens": "word"} if name in ("lm", "translate") else {}
    task, model = random_model(name, rows, cell="lstm", hidden=6, embedding=5, layers=2, **more)
    settings = Inspecting(min_count=1, random_sets=2)
    found = inspection.inspect(model, task, rows, settings)
    page.write(found, tmp_path / "page.html")
    shown = Page(browser, tmp_path / "page.html")
    for key in shown.js("return Object.keys(data.sites)"):
        shown.js("changeSite(arguments[0])", key)
        assert shown.all("#map .word")
        assert shown.all("[data-glyphs]")
    if name == "translate":
        weights = shown.js("return [...document.querySelectorAll('[data-weight]')].length")
        assert weights > 0
        drawn = len(shown.all("[data-node]"))
        tree = found.content["sentences"][0]["tree"]
        assert drawn == sum(node[-1] != "dropped" for node in tree)
        assert f"{len(tree) - drawn} extensions of {len(tree)}" in shown.text("#translation")
    else:
        shown.js("set({target: 0})")
        assert shown.all("#contributions rect")
    assert not shown.errors()


@pytest.mark.slow
def test_the_comparison(browser: Any, tmp_path: Path) -> None:
    rows = classify_rows(200)
    models = [
        (cell, *random_model("classify", rows, cell=cell, hidden=8, embedding=6), None)
        for cell in ("rnn", "lstm")
    ]
    found = compare.compare(models, rows, Comparing(min_count=1, max_tokens=None))
    path = tmp_path / "compare.html"
    storage.write_text(path, compare_page.build(found))
    shown = Page(browser, path)
    assert len(shown.all("#map .unit")) == 16
    assert len(shown.all("#map .word")) == len(found.content["words"])
    shown.click("#map .word[data-word='2']")
    assert len(shown.all("#overlay svg")) == 2
    assert len(shown.all("#overlay [data-curve]")) == 4
    assert "An LSTM updates its state more sparsely" in shown.text("#claims")
    assert len(shown.all("[data-glyphs]")) >= 2
    shown.type("#find", f"rome{ENTER}")
    assert len(shown.all("#overlay svg")) == 3
    assert not shown.errors()


@pytest.mark.slow
def test_a_large_page_is_quick_and_does_not_overlap(browser: Any, tmp_path: Path) -> None:
    """300 words × 600 units × 20 clusters."""
    draw = random.Random(0)
    words = [f"{draw.choice(WORDS)}{at}" for at in range(310)]
    texts = [" ".join(draw.choices(words, k=20)) for _ in range(500)]
    rows = Rows({"text": texts, "label": ["yes", "no"] * 250}, "x")
    task, model = random_model("classify", rows, cell="gru", hidden=600, embedding=16)
    with torch.no_grad():
        model.recurrent.cells[0].weight_ih.mul_(4)
    settings = Inspecting(ablate=("none",), probes=("none",), min_count=1)
    page.write(inspection.inspect(model, task, rows, settings), tmp_path / "page.html")
    assert (tmp_path / "page.html").stat().st_size < 3_000_000
    shown = Page(browser, tmp_path / "page.html")
    assert shown.js("return performance.getEntriesByType('navigation')[0].loadEventEnd") < 1000
    took = shown.js("const t = performance.now(); set({count: 20}); return performance.now() - t")
    assert took < 1000
    assert len(shown.all("#map [data-head]")) == 20
    assert len(shown.all("#map .unit")) == 600
    overlaps = shown.js("""
        const found = [];
        for (const cloud of document.querySelectorAll('#map g[data-pole]')) {
          const marks = [...cloud.querySelectorAll('.word')];
          const boxes = marks.map((one) => one.getBoundingClientRect());
          boxes.forEach((a, i) => boxes.slice(0, i).forEach((b, j) => {
            const wide = Math.min(a.right, b.right) - Math.max(a.left, b.left);
            const high = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
            if (wide > 1.5 && high > 7) found.push([marks[i].textContent, marks[j].textContent]);
          }));
        }
        return found;""")
    assert overlaps == []
    assert not shown.errors()


def test_a_short_text_hides_no_word_of_its_drawing(browser: Any, tmp_path: Path) -> None:
    """Two tokens, six labels with long names."""
    names = [f"a label with a long name {at}" for at in range(6)]
    rows = Rows({"text": [f"good {name[-1]}" for name in names] * 6, "label": names * 6}, "x")
    task, model = random_model("classify", rows, hidden=6, embedding=5)
    settings = Inspecting(min_count=1, ablate=("none",), probes=("none",), sentences=("good 1",))
    page.write(inspection.inspect(model, task, rows, settings), tmp_path / "page.html")
    shown = Page(browser, tmp_path / "page.html")
    outside = shown.js("""
        return [...document.querySelectorAll('#steps svg')].flatMap((root) => {
          const box = root.getBoundingClientRect();
          return [...root.querySelectorAll('text')].filter((one) =>
            one.getBoundingClientRect().right > box.right + 1).map((one) => one.textContent);
        });""")
    assert outside == []
    boxes = shown.js(
        "return [...document.querySelectorAll('[data-score]')].map((one) => {"
        " const b = one.getBoundingClientRect(); return [b.left, b.top, b.right, b.bottom]; })"
    )
    assert len(boxes) == 6
    assert all(a[2] <= b[0] or a[3] <= b[1] for a, b in itertools.pairwise(boxes))
    shown.click("[data-score='5']")
    assert shown.text("#steps .controls [aria-pressed='true']").endswith(shown.js(
        "return data.sentences[0].labels[5]"))  # fmt: skip
    assert not shown.errors()


def test_the_attention_of_a_long_sentence_can_be_scrolled(browser: Any, tmp_path: Path) -> None:
    rows = rows_of("translate", 30)
    task, model = random_model("translate", rows, hidden=6, embedding=5, tokens="word")
    long = " ".join(WORDS * 4)
    settings = Inspecting(min_count=1, ablate=("none",), probes=("none",), sentences=(long,))
    page.write(inspection.inspect(model, task, rows, settings), tmp_path / "page.html")
    shown = Page(browser, tmp_path / "page.html")
    wide, seen = shown.js(
        "const one = document.querySelector('[data-weight]').closest('.scroll');"
        " return [one.scrollWidth, one.clientWidth]"
    )
    assert wide > seen
    inside = (
        "return arguments[0] <= document.querySelector('#sentence').getBoundingClientRect().width"
    )
    assert shown.js(inside, seen)
    assert shown.js("return document.documentElement.scrollWidth <= innerWidth")
    assert not shown.errors()


def test_each_cluster_stands_in_a_row(browser: Any, planted: tuple[Path, Any]) -> None:
    shown = Page(browser, planted[0])
    rows = shown.js("""
        return [...document.querySelectorAll('#map .chip')].map((chip) => {
          const own = `#map g[data-pole][data-cluster='${chip.parentNode.dataset.cluster}']`;
          const marks = [chip, ...document.querySelectorAll(own)];
          const boxes = marks.map((one) => one.getBoundingClientRect());
          return [Math.min(...boxes.map((b) => b.top)), Math.max(...boxes.map((b) => b.bottom))];
        });""")
    assert len(rows) == 2
    assert all(one[1] <= other[0] for one, other in itertools.pairwise(rows))


def test_translators_are_read_side_by_side(browser: Any, tmp_path: Path) -> None:
    rows = rows_of("translate", 30)
    small = {"hidden": 6, "embedding": 5, "tokens": "word"}
    models = [
        (name, *random_model("translate", rows, layers=layers, **small), None)
        for name, layers in (("one", 1), ("two", 2))
    ]
    found = compare.compare(models, rows, Comparing(min_count=1, clusters=2))
    path = tmp_path / "compare.html"
    storage.write_text(path, compare_page.build(found))
    shown = Page(browser, path)
    assert "same text" not in shown.text("#sentence h2")
    headings = [one.text for one in shown.all("#steps p")]
    assert headings == [
        f"{letter} · {name} → {text}".rstrip()
        for letter, name, text in zip(
            "AB", ("one", "two"), found.content["sentences"][0]["translations"], strict=True
        )
    ]
    assert not shown.all("#steps .head")  # nothing to click
    # The names of the map of similarities neither lie over each other nor are cut.
    boxes = shown.js("""
        const root = document.querySelector("[aria-label='CKA between layers']");
        const own = root.getBoundingClientRect();
        return [...root.querySelectorAll("text")].map((one) => one.getBoundingClientRect())
          .map((b) => [b.left - own.left, b.top - own.top, own.right - b.right]);""")
    assert min(min(box) for box in boxes) > -1
    assert not shown.errors()


def test_the_first_click_turns_a_dark_page_light(browser: Any, planted: tuple[Path, Any]) -> None:
    emulate = {"features": [{"name": "prefers-color-scheme", "value": "dark"}]}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", emulate)
    shown = Page(browser, planted[0])
    dark = shown.js("return getComputedStyle(document.body).backgroundColor")
    shown.click("#theme")
    assert shown.js("return getComputedStyle(document.body).backgroundColor") != dark
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
