"""Every setting once: checks, short forms, round trips."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from conftest import TASKS

from seqcli.config import CONFIGS, SHORT_FORMS, drop_useless, flatten, list_settings, make_config
from seqcli.config.network import NO_RECURRENT_WEIGHTS
from seqcli.errors import UsageError


@pytest.mark.parametrize("task", TASKS)
def test_defaults_round_trip(task: str) -> None:
    config = CONFIGS[task]()
    values = json.loads(json.dumps(flatten(config)))
    assert make_config(task, values) == config == make_config(task, {})
    assert set(values) == {item.name for item in list_settings(task)}


@pytest.mark.parametrize("task", TASKS)
def test_settings_are_described_and_lawful(task: str) -> None:
    names = [item.name for item in list_settings(task)]
    assert len(set(names)) == len(names)
    for item in list_settings(task):
        assert item.metadata["help"].endswith(".")
        make_config(task, {item.name: item.default})


@pytest.mark.parametrize("task", TASKS)
def test_settings_of_some_cells_are_those_that_the_cells_take(task: str) -> None:
    from seqcli.nn.cells import CELLS

    for item in list_settings(task):
        if item.name == "dropout":  # of all networks; a transformer drops within, too
            continue
        takes = {name for name, kind in CELLS.items() if item.name in kind.settings}
        assert set(item.metadata["cells"]) - {"tree"} == takes, item.name


def test_settings_that_contradict_each_other() -> None:
    with pytest.raises(UsageError, match="give --average 0"):
        make_config("classify", {"optimizer": "asgd", "average": 0.9})
    with pytest.raises(UsageError, match="leave out --random-bptt"):
        make_config("lm", {"condition": "label", "random_bptt": True})


@pytest.mark.parametrize("short", SHORT_FORMS)
def test_short_forms(short: str) -> None:
    network = make_config("classify", {"cell": short}).network
    assert (network.cell, network.bidirectional) == (SHORT_FORMS[short], True)
    with pytest.raises(UsageError, match="must not see what comes next"):
        make_config("lm", {"cell": short})


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("hiden", 1, "unknown setting 'hiden'"),
        ("hidden", 0, "--hidden is 0; it must be at least 1"),
        ("hidden", 1.5, "--hidden is 1.5; it must be of type int"),
        ("hidden", True, "--hidden is True; it must be of type int"),
        ("hidden", None, "--hidden needs a value"),
        ("dropout", 1, "--dropout is 1.0; it must be at most 0.95"),
        ("learning-rate", 0, "--learning-rate is 0.0; it must be above 0"),
        ("learning_rate", float("inf"), "it must be finite"),
        ("learning_rate", float("nan"), "it must be finite"),
        ("learning_rate", "fast", "it must be of type float"),
        ("learning_rate", 10**400, "--learning-rate"),
        ("cell", "grue", "it can be rnn, jordan, lstm, gru"),
        ("cell", ["gru"], "it can be rnn"),
        ("lowercase", "yes", "--lowercase is 'yes'; it must be of type bool"),
        ("attention", "dot", "unknown setting 'attention' for classify"),
    ],
)
def test_bad_values(name: str, value: object, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        make_config("classify", {name: value})
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_good_values() -> None:
    config = make_config("classify", {"learning-rate": "1e-3", "dropout": 0, "limit": None})
    assert (config.training.learning_rate, config.network.dropout) == (1e-3, 0.0)
    assert type(config.network.dropout) is float


def test_a_setting_that_a_task_cannot_use_is_absent() -> None:
    absent = {
        "classify": ("attention", "tags_column", "streams"),
        "tag": ("pool", "label_column", "label_smoothing", "max_length"),
        "translate": ("pool", "text_column", "streams"),
        "lm": ("bidirectional", "pool", "batch_tokens", "label_smoothing", "max_length"),
    }
    for task, names in absent.items():
        assert not set(names) & {item.name for item in list_settings(task)}


def test_weight_dropout_needs_recurrent_weights() -> None:
    assert make_config("lm", {"cell": "lstm", "weight_dropout": 0.5}).network.weight_dropout == 0.5
    with pytest.raises(UsageError, match="--cell mingru has none; use --locked-dropout"):
        make_config("lm", {"cell": "mingru", "weight_dropout": 0.5})


@pytest.mark.parametrize(
    ("task", "values", "said"),
    [
        ("lm", {"rounds": 9}, "--rounds is for --cell mogrifier, and --cell gru has no use for it"),
        ("classify", {"cell": "bigru", "forget_bias": 2.0}, "--cell bigru has no use for it"),
        ("tag", {"cell": "gru", "width": 5}, "--width is for --cell cnn"),
        ("classify", {"cell": "esn", "initialization": "uniform"}, "leave out --initialization"),
        ("translate", {"cell": "cnn", "bridge": "copy"}, "--cell cnn has none; leave it out"),
    ],
)
def test_an_option_that_a_cell_has_no_use_for_is_refused(
    task: str, values: dict[str, Any], said: str
) -> None:
    with pytest.raises(UsageError, match=said):
        make_config(task, values)


def test_what_only_a_file_or_an_old_model_says_is_dropped_where_it_is_useless() -> None:
    values = {"cell": "gru", "rounds": 9, "width": 5, "max_length": None, "hidden": 8}
    assert drop_useless("tag", values) == {"cell": "gru", "hidden": 8}
    assert drop_useless("tag", values, keep={"width"})["width"] == 5
    assert drop_useless("classify", {"max_length": 9}) == {"max_length": 9}
    both = {"cell": "bilstm", "bidirectional": False}
    assert drop_useless("tag", both) == {"cell": "bilstm"}
    assert drop_useless("translate", {"cell": "cnn", "bridge": "copy"}) == {"cell": "cnn"}
    for task in TASKS:
        values = flatten(make_config(task, {}))
        assert make_config(task, drop_useless(task, values)) == make_config(task, {})


def test_options_of_the_cell_are_taken() -> None:
    assert make_config("lm", {"cell": "mogrifier", "rounds": 9}).network.rounds == 9
    assert make_config("tag", {"cell": "bilstm", "forget_bias": 0.0}).network.forget_bias == 0


def test_a_file_may_need_what_the_command_line_says(tmp_path: Path) -> None:
    from seqcli.cli.options import read_config

    file = tmp_path / "c.toml"
    file.write_text("vectors-frozen = true\n")
    assert read_config(file, "classify") == {"vectors_frozen": True}
    file.write_text("vectors-frozen = 3\n")
    with pytest.raises(UsageError, match=r"c\.toml: --vectors-frozen is 3"):
        read_config(file, "classify")


@pytest.mark.parametrize(
    ("name", "content"),
    [("c.toml", "hidden = 9"), ("c.yaml", "hidden: 9"), ("c.json", '{"hidden": 9}')],
)
def test_configuration_files_may_begin_with_a_byte_order_mark(
    tmp_path: Path, name: str, content: str
) -> None:
    from seqcli.cli.options import read_config

    file = tmp_path / name
    file.write_text(content, encoding="utf-8-sig")
    assert read_config(file, "classify") == {"hidden": 9}


@pytest.mark.parametrize("name", ["c.toml", "c.yaml", "c.json"])
def test_configuration_files_nested_beyond_sense(tmp_path: Path, name: str) -> None:
    from seqcli.cli.options import read_config

    file = tmp_path / name
    file.write_text(("a = " if name == "c.toml" else "") + "[" * 3000)
    with pytest.raises(UsageError, match="nested too deeply"):
        read_config(file, "classify")


def test_cells_without_recurrent_weights_are_the_same_below() -> None:
    from seqcli.nn.cells import CELLS

    lacking = {name for name, cell in CELLS.items() if not cell.recurrent_weights}
    assert set(NO_RECURRENT_WEIGHTS) == lacking


def test_a_transformer_has_no_way_back_through_time() -> None:
    with pytest.raises(UsageError, match="use --window"):
        make_config("classify", {"cell": "transformer", "bptt": 5})
    assert make_config("lm", {"cell": "transformer", "bptt": 5}).training.bptt == 5


def test_only_adamw_averages_by_default() -> None:
    assert make_config("lm", {}).training.average > 0
    assert make_config("lm", {"optimizer": "sgd"}).training.average == 0
    assert make_config("lm", {"optimizer": "asgd"}).training.average == 0
    assert make_config("lm", {"optimizer": "sgd", "average": 0.9}).training.average == 0.9


def test_token_vectors_are_tied_where_they_can_be() -> None:
    fixed = {"vectors": "glove.txt", "vectors_frozen": True}
    for task in ("lm", "translate"):
        for values in ({}, {"vectors": "glove.txt"}, {"cell": "esn", "train_embedding": True}):
            assert make_config(task, values).network.tie, values
        for values in (fixed, {"cell": "esn"}, {"train_embedding": False}):
            assert not make_config(task, values).network.tie, values
            assert make_config(task, {**values, "tie": True}).network.tie, values
    assert not make_config("lm", {"softmax": "adaptive"}).network.tie
    assert not make_config("lm", {"tie": False}).network.tie


def test_cells_that_long_steps_throw_off_take_shorter_ones() -> None:
    for task in ("lm", "translate"):
        usual = make_config(task, {}).training.learning_rate
        assert make_config(task, {"cell": "lstm"}).training.learning_rate == usual
        for cell in ("rnn", "jordan", "transformer"):
            assert make_config(task, {"cell": cell}).training.learning_rate < usual
            given = make_config(task, {"cell": cell, "learning_rate": 1e-2})
            assert given.training.learning_rate == 1e-2
    short = make_config("translate", {"cell": "birnn"}).training.learning_rate
    assert short == make_config("translate", {"cell": "rnn"}).training.learning_rate
    sgd = make_config("lm", {"cell": "rnn", "optimizer": "sgd"}).training.learning_rate
    assert sgd == make_config("lm", {"optimizer": "sgd"}).training.learning_rate
