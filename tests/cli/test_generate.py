"""generate: texts by seed, from a prompt, left and gone on with; and their surprisal."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import Quiet, Result, tiny

from seqcli import generation, run

Cli = Callable[..., Result]
Models = Callable[[str], Path]

# --------------------------------------------------------------------------------------- texts


def write(cli: Cli, models: Models, *options: object) -> str:
    result = cli("generate", models("lm"), "--length", 40, *options)
    assert (result.status, result.err) == (0, "")
    return result.out


def test_seed_decides_the_text(cli: Cli, models: Models) -> None:
    first = write(cli, models, "--seed", 3)
    assert first == write(cli, models, "--seed", 3)
    assert first != write(cli, models, "--seed", 4)
    assert len({write(cli, models) for _ in range(4)}) > 1


def test_likeliest_text(cli: Cli, models: Models) -> None:
    greedy = write(cli, models, "--temperature", 0)
    assert greedy == write(cli, models, "--temperature", 0, "--seed", 9)
    assert greedy == write(cli, models, "--top-k", 1)
    assert greedy == write(cli, models, "--top-p", 1e-6)
    assert greedy == write(cli, models, "--temperature", 1e-7)
    assert greedy == write(cli, models, "--temperature", 1e-40)


def test_several_samples(cli: Cli, models: Models) -> None:
    options = ("--samples", 3, "--seed", 5, "--prompt", "go")
    records = [json.loads(line) for line in write(cli, models, *options, "--json").splitlines()]
    assert [record["sample"] for record in records] == [1, 2, 3]
    assert {record["prompt"] for record in records} == {"go"}
    texts = [record["text"] for record in records]
    assert len(set(texts)) == 3
    assert all(0 < len(text) <= 40 for text in texts)
    plain = write(cli, models, *options)
    assert plain == "---\n".join(f"go{text}\n" for text in texts)
    # The first sample is what the seed gives alone.
    assert write(cli, models, "--seed", 5, "--prompt", "go") == f"go{texts[0]}\n"


def test_prompts(cli: Cli, models: Models) -> None:
    for prompt in ("go to rome\nstay", "go to rome\n", "\n", "巴黎 unknown", "", " "):
        text = write(cli, models, "--prompt", prompt, "--seed", 1)
        assert text.startswith(prompt)
        assert text.endswith("\n")


def test_one_line(cli: Cli, models: Models) -> None:
    text = write(cli, models, "--line", "--length", 2000, "--seed", 1, "--samples", 3)
    assert len(text.splitlines()) == 3
    assert "---" not in text


def test_unknown_and_begin_are_never_written(cli: Cli, models: Models) -> None:
    text = write(cli, models, "--temperature", 5, "--length", 500, "--seed", 1)
    assert "<" not in text


# ----------------------------------------------------------------------------------------- state


def test_a_text_in_parts_is_the_text_at_once(cli: Cli, models: Models) -> None:
    model = models("lm")
    whole = cli("generate", model, "--temperature", 0, "--length", 60, "--prompt", "go to")
    parts = ""
    for length, prompt in ((1, "go to"), (20, ""), (39, "")):
        options = ("--length", length, "--prompt", prompt, "--state", "text.state")
        result = cli("generate", model, "--temperature", 0, *options)
        assert (result.status, result.err) == (0, "")
        parts += result.out.removesuffix("\n")
    assert parts + "\n" == whole.out
    prompted = cli("generate", model, "--temperature", 0, "--prompt", whole.out[:-1] + " x\ny")
    options = ("--prompt", " x\ny", "--state", "text.state", "--temperature", 0)
    assert (whole.out[:-1] + cli("generate", model, *options).out) == prompted.out


def test_characters_of_several_tokens_in_parts(cli: Cli) -> None:
    """A call may end within a character, which the next one writes then."""
    Path("t.txt").write_text("月是故鄉明\n床前明月光\n" * 60, encoding="utf-8")
    options = ("--tokens", "bpe", "--vocabulary-size", 256, "--learning-rate", "0.02")
    size = ("--hidden", 32, "--embedding", 16, "--epochs", 12, "--streams", 4, "--threads", 1)
    assert cli("lm", "t.txt", "--out", "m", *options, *size).status == 0
    whole = cli("generate", "m", "--temperature", 0, "--length", 40).out
    parts = "".join(
        cli("generate", "m", "--temperature", 0, "--length", 1, "--state", "s").out.removesuffix(
            "\n"
        )
        for _ in range(40)
    )
    assert parts.replace("\n", "") == whole.replace("\n", "")
    assert len(set(whole)) > 2


def test_words_in_parts_keep_their_spaces(cli: Cli, data: Path) -> None:
    run.train(tiny("lm", data, tokens="word"), Path("m"), Quiet())
    whole = cli("generate", "m", "--temperature", 0, "--length", 12, "--prompt", "go to")
    options = ("--state", "s", "--temperature", 0, "--length", 6)
    first = cli("generate", "m", "--prompt", "go to", *options).out
    second = cli("generate", "m", *options).out
    assert first[:-1] + second == whole.out


@pytest.mark.parametrize("space", [" ", "  ", "\t"])
def test_a_space_after_the_words_of_a_prompt_is_the_one_before_the_next(
    cli: Cli, data: Path, space: str
) -> None:
    run.train(tiny("lm", data, tokens="word"), Path("m"), Quiet())
    options = ("--temperature", 0, "--length", 6, "--samples", 2)
    plain = cli("generate", "m", "--prompt", "go to", *options).out
    assert plain.startswith("go to ")
    spaced = cli("generate", "m", "--prompt", f"go to{space}", *options).out
    assert spaced == plain.replace("go to ", f"go to{space}")


def test_samples_are_written_together_as_they_are_alone(
    cli: Cli, models: Models, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(generation, "TOGETHER", 2)  # of three: two, then one
    options = ("--prompt", "go to", "--line", "--json", "--temperature", 1.5)
    together = cli("generate", models("lm"), *options, "--samples", 3, "--seed", 5)
    texts = [json.loads(line)["text"] for line in together.lines]
    assert len({len(text) for text in texts}) > 1  # they end one by one
    for seed, text in zip((5, 6, 7), texts, strict=True):
        alone = cli("generate", models("lm"), *options, "--seed", seed)
        assert json.loads(alone.out)["text"] == text


def test_states_that_cannot_be_gone_on_with(cli: Cli, models: Models, data: Path) -> None:
    model = models("lm")
    assert cli("generate", model, "--state", "s").status == 0
    run.train(tiny("lm", data, seed=2), Path("other"), Quiet())
    result = cli("generate", "other", "--state", "s")
    assert result.status == 1
    assert "saved with another model than other" in result.err
    Path("bad").write_text("no state")
    result = cli("generate", model, "--state", "bad")
    assert (result.status, len(result.errors)) == (1, 1)
    assert "not a state that generate saved" in result.err
    result = cli("generate", model, "--state", "gone/s")
    assert (result.status, len(result.errors), result.out) == (1, 1, "")  # before it writes
    assert "there is no folder gone" in result.err
    result = cli("generate", model, "--state", "s", "--samples", 2)
    assert (result.status, len(result.errors)) == (2, 1)


@pytest.mark.parametrize("gap", ["[MASK]", "<mask>", "____"])
def test_gaps_are_refused(cli: Cli, models: Models, gap: str) -> None:
    result = cli("generate", models("lm"), "--prompt", f"go to {gap} on day 3")
    assert (result.status, len(result.errors)) == (2, 1)
    assert "left to right" in result.err
    assert "seqcli predict" in result.err


# ------------------------------------------------------------------------------------- surprisal


def test_surprisal_of_each_token(cli: Cli, models: Models) -> None:
    Path("in.txt").write_text("go to\n\nta\tb\n")
    plain = [line.split("\t") for line in cli("predict", models("lm"), "in.txt").lines]
    told = cli("predict", models("lm"), "in.txt", "--surprisal")
    assert told.status == 0
    for (total, _, count), line, text in zip(
        plain, told.lines, ["go to", "", "ta\tb"], strict=True
    ):
        pairs = [part.rsplit("=", 1) for part in line.split("\t")]
        names = [json.loads(f'"{name}"') for name, _ in pairs]
        assert names == [*text, "<eos>"]
        assert len(pairs) == int(count)
        bits = sum(float(bit) for _, bit in pairs)
        assert bits * math.log(2) == pytest.approx(-float(total), abs=1e-4)
    result = cli("predict", models("lm"), "in.txt", "--surprisal", "--format", "jsonl")
    records = [json.loads(line) for line in result.lines]
    assert [one["token"] for one in records[0]["surprisal"]] == [*"go to", "<eos>"]
    for record in records:
        bits = sum(one["bits"] for one in record["surprisal"])
        assert bits * math.log(2) == pytest.approx(-record["log_probability"], abs=1e-4)
    result = cli("predict", models("classify"), "in.txt", "--surprisal")
    assert result.status == 2
    assert "--surprisal is for models of lm" in result.err
