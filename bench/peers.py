"""Other people's programs and seqcli, in turns on the same machine, data and size of network.

    python bench/peers.py word_language_model --checkout DIR --data WIKITEXT2
    python bench/peers.py joeynmt --data MULTI30K
    python bench/peers.py ncrfpp --checkout DIR --data ATIS
        [--python PROGRAM] [--only WORD] [--rounds 3] [--threads 2] [--json]

    word_language_model  from github.com/pytorch/examples; data: train.txt, valid.txt, test.txt
    joeynmt              from PyPI; data: train.en, train.de, val.en, val.de
    ncrfpp               github.com/jiesutd/NCRFpp; data: train.tsv, valid.tsv, test.tsv, or files
                         ending in train, dev and test.conllu, of which the UPOS tags are learned

The peer runs as it is, with the Python named by --python if it needs another. Both read the same
tokens from a folder of the moment. Training: a program is stopped after some reports of its own
progress, and its speed is their median without the first, so that start-up does not count. Tagging
and translating: by what the peer says it took, and for seqcli by the difference between an input
and one of few lines. Networks that translate write a fixed number of tokens for each line, since
they are hardly trained. Memory is the peak of the whole process. Medians of rounds in which all
take turns. With more than one thread it wants an idle machine; with one, what counts is processor
time: a speed by the clock is divided by the share of the clock that the process got.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
SEQCLI = [sys.executable, "-m", "seqcli"]
SPEED = r"([\d,]+) tokens/s"
PRECISIONS = ("fp32", "bf16")
FEW = 64
"""Lines of a short input."""
TRANSLATED = 400
"""Sentences that are translated."""
WRITTEN = 13
"""Tokens that a translation is made to have: the mean of Multi30k."""


class Run(NamedTuple):
    """What a program printed, how long it took by the clock that counts, that clock's share of the
    usual one, and its peak memory."""

    lines: list[str]
    seconds: float
    share: float
    megabytes: float

    def numbers(self, pattern: str) -> list[float]:
        found = (re.search(pattern, line) for line in self.lines)
        return [float(one[1].replace(",", "")) for one in found if one]


class Found(NamedTuple):
    speed: float
    megabytes: float


class Contest(NamedTuple):
    """What is measured, in tokens or sentences a second, and who takes part, the peer first."""

    name: str
    unit: str
    runners: dict[str, Callable[[], Found]]


class Place(NamedTuple):
    """Where and how all programs run."""

    python: str
    checkout: Path
    data: Path
    threads: int
    folder: Path

    def run(
        self, command: Sequence[str | Path], *, text: str = "", until: str = "", reports: int = 0
    ) -> Run:
        """Run a program to its end, or to its so-many-th line with the pattern `until`."""
        source = self.folder / "input.txt"
        source.write_text(text, encoding="utf-8")
        paths = [str(ROOT), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
        environment = {
            **os.environ,
            "OMP_NUM_THREADS": str(self.threads),
            "PYTHONPATH": os.pathsep.join(filter(None, paths)),
            "PYTHONUNBUFFERED": "1",
        }
        began = time.perf_counter()
        with source.open() as given:
            process = subprocess.Popen(
                [str(part) for part in command],
                stdin=given,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                cwd=self.folder,
                env=environment,
                encoding="utf-8",
            )
        lines: list[str] = []
        left, ended = reports, False
        assert process.stdout is not None
        try:
            for line in process.stdout:
                lines.append(line)
                left -= bool(until and re.search(until, line))
                if reports and not left:
                    break
            else:
                ended = True
        finally:
            if not ended:
                process.kill()
            process.stdout.close()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode and ended:
            raise SystemExit(f"{command} failed:\n{''.join(lines[-20:])}")
        taken = time.perf_counter() - began
        counted = usage.ru_utime + usage.ru_stime if self.threads == 1 else taken
        return Run(lines, counted, counted / taken, usage.ru_maxrss / 1024)

    def watch(
        self, command: Sequence[str | Path], pattern: str, *, reports: int, of: float = 0
    ) -> Found:
        """The median of the speeds that a training reports, without the first unless it is the
        only one. of: what is done in the times that it reports instead."""
        run = self.run(command, until=pattern, reports=reports)
        numbers = run.numbers(pattern)
        middle = statistics.median(numbers[1:] or numbers)
        return Found((of / middle if of else middle) / run.share, run.megabytes)

    def train(self, *options: str | Path) -> Found:
        """A training of seqcli, which reports its speed after each epoch, and at the end."""
        command = [*SEQCLI, *options, "--threads", str(self.threads)]
        return self.watch(command, SPEED, reports=4)

    def predict(self, lines: Sequence[str], *options: str | Path) -> Found:
        """Lines a second of `seqcli predict`, start-up taken off."""
        command = [*SEQCLI, "predict", *options, "--threads", str(self.threads)]
        few, many = (
            self.run(command, text="".join(f"{line}\n" for line in part))
            for part in (lines[:FEW], lines)
        )
        taken = max(many.seconds - few.seconds, 1e-3)
        return Found((len(lines) - FEW) / taken, many.megabytes)


# ---- PyTorch's word_language_model ----


def word_language_model(place: Place) -> list[Contest]:
    """LSTM of two layers of 200, 20 streams, 35 steps, plain SGD."""
    for name in ("train", "valid", "test"):
        text = (place.data / f"{name}.txt").read_text(encoding="utf-8")
        if name != "train":  # neither is timed
            text = "".join(text.splitlines(keepends=True)[:200])
        (place.folder / f"{name}.txt").write_text(text, encoding="utf-8")

    def theirs() -> Found:
        script = place.checkout / "main.py"
        command = [place.python, script, "--data", place.folder, "--log-interval", "10"]
        return place.watch(command, r"ms/batch +([\d.]+)", reports=5, of=20 * 35 * 1000)

    def ours(precision: str, softmax: str) -> Found:
        network = "--cell lstm --layers 2 --hidden 200 --embedding 200 --dropout 0.2 --no-tie"
        training = "--optimizer sgd --learning-rate 1 --clip 0.25 --streams 20 --bptt 35"
        options = f"--tokens word {network} {training} --epochs 5 --time 15s".split()
        chosen = ["--softmax", softmax, "--precision", precision]
        return place.train("lm", place.folder, *options, *chosen)

    runners = {"word_language_model": theirs}
    for softmax in ("full", "adaptive"):
        for precision in PRECISIONS:
            runners[f"seqcli, {softmax}, {precision}"] = (
                lambda precision=precision, softmax=softmax: ours(precision, softmax)
            )
    return [Contest("training", "tokens/s", runners)]


# ---- Joey NMT ----

SHAPE = "--tokens word --no-tie --hidden 256 --embedding 256 --attention general"


def joeynmt(place: Place) -> list[Contest]:
    """GRU of 256, encoder in both directions, attention as a general product, batches of 80."""
    for split, name, rows in (("train", "train", None), ("val", "dev", TRANSLATED)):
        sides = [
            (place.data / f"{split}.{side}").read_text(encoding="utf-8").splitlines()[:rows]
            for side in ("en", "de")
        ]
        sides = [[" ".join(re.findall(r"\w+|[^\w\s]", line)) for line in side] for side in sides]
        for side, lines in zip(("en", "de"), sides, strict=True):
            text = "".join(f"{line}\n" for line in lines)
            (place.folder / f"{name}.{side}").write_text(text, encoding="utf-8")
        text = "".join(f"{source}\t{target}\n" for source, target in zip(*sides, strict=True))
        (place.folder / f"{name}.tsv").write_text(text, encoding="utf-8")
    sources = (place.folder / "dev.en").read_text(encoding="utf-8").splitlines()

    def configure(name: str, *, updates: int, beam: int) -> Path:
        side = {"max_length": 200, "level": "word", "voc_min_freq": 1, "lowercase": False}
        layer = {"type": "recurrent", "rnn_type": "gru", "hidden_size": 256, "num_layers": 1}
        layer |= {"embeddings": {"embedding_dim": 256}, "dropout": 0.3}
        settings = {
            "name": name,
            "model_dir": str(place.folder / "joey"),
            "use_cuda": False,
            "data": {
                **{name: str(place.folder / name) for name in ("train", "dev")},
                "dataset_type": "plain",
                # What it never writes: else it would end early, whatever the least length.
                "special_symbols": {"lang_tags": ["</s>"]},
                "src": {"lang": "en", **side},
                "trg": {"lang": "de", **side},
            },
            "testing": {
                "beam_size": beam,
                "beam_alpha": 1.0,
                "max_output_length": WRITTEN,
            },
            "training": {
                "optimizer": "adam",
                "learning_rate": 0.001,
                "scheduling": "exponential",
                "clip_grad_norm": 1.0,
                "batch_size": 80,
                "updates": updates,
                "epochs": 100,
                "logging_freq": 10,
                "validation_freq": updates,
                "overwrite": True,
            },
            "model": {
                "encoder": {**layer, "bidirectional": True},
                "decoder": {
                    **layer,
                    "attention": "luong",
                    "input_feeding": True,
                    "init_hidden": "bridge",
                },
            },
        }
        path = place.folder / f"{name}.yaml"
        path.write_text(json.dumps(settings), encoding="utf-8")
        return path

    def command(mode: str, *settings: str | Path) -> list[str | Path]:
        return [place.python, "-m", "joeynmt", mode, *settings]

    def theirs() -> Found:
        path = configure("training", updates=100_000, beam=1)
        return place.watch(command("train", path), r"Tokens per Sec: +(\d+)", reports=5)

    def ours(precision: str) -> Found:
        options = f"{SHAPE} --batch-tokens 1120 --epochs 5 --time 15s".split()
        files = ["--train", place.folder / "train.tsv", "--validation", place.folder / "dev.tsv"]
        return place.train("translate", *files, *options, "--precision", precision)

    def their_translation(beam: int) -> Found:
        path = configure(f"beam{beam}", updates=20, beam=beam)
        if not (place.folder / "joey" / "best.ckpt").exists():
            place.run(command("train", path, "--skip-test"))
        run = place.run(command("test", path))
        taken = run.numbers(r"Generation took ([\d.]+)")[0] * run.share
        return Found(len(sources) / taken, run.megabytes)

    def our_translation(beam: int, precision: str) -> Found:
        model = place.folder / "seqcli"
        if not model.exists():
            files = [
                "--train",
                place.folder / "train.tsv",
                "--validation",
                place.folder / "dev.tsv",
            ]
            options = f"{SHAPE} --epochs 1 --time 2s --out".split()
            place.run([*SEQCLI, "translate", *files, *options, model])
        length = ["--min-length", str(WRITTEN), "--max-length", str(WRITTEN)]
        options = ["--beam", str(beam), *length, "--precision", precision]
        return place.predict(sources * 4, model, *options)

    runners = {"joeynmt": theirs}
    for precision in PRECISIONS:
        runners[f"seqcli, {precision}"] = lambda precision=precision: ours(precision)
    contests = [Contest("training", "target tokens/s", runners)]
    for beam in (1, 5):
        sides = {"joeynmt": lambda beam=beam: their_translation(beam)}
        for precision in PRECISIONS:
            sides[f"seqcli, {precision}"] = lambda beam=beam, precision=precision: our_translation(
                beam, precision
            )
        contests.append(Contest(f"translating, beam {beam}", "sentences/s", sides))
    return contests


# ---- NCRF++ ----


def read_tags(path: Path) -> list[list[tuple[str, str]]]:
    """Sentences of tokens with their tags, from columns or CoNLL-U."""
    sentences: list[list[tuple[str, str]]] = [[]]
    for line in path.read_text(encoding="utf-8").splitlines():
        cells = line.split("\t")
        if not line.strip():
            sentences.append([])
        elif path.suffix != ".conllu":
            sentences[-1].append((cells[0], cells[1]))
        elif cells[0].isdigit():
            sentences[-1].append((cells[1].replace(" ", "_"), cells[3]))
    return [sentence for sentence in sentences if sentence]


def ncrfpp(place: Place) -> list[Contest]:
    """Character CNN of 50, BiLSTM of 200 in all, CRF, batches of ten sentences."""
    files = {}
    for name, ending in (("train", "train"), ("dev", "valid"), ("test", "test")):
        found = [*place.data.glob(f"*{name}.conllu"), *place.data.glob(f"{ending}.tsv")]
        files[name] = read_tags(found[0])
        text = ("".join(f"{token}\t{tag}\n" for token, tag in one) for one in files[name])
        (place.folder / f"{name}.tsv").write_text("\n".join(text) + "\n", encoding="utf-8")
        text = ("".join(f"{token} {tag}\n" for token, tag in one) for one in files[name])
        (place.folder / f"{name}.bmes").write_text("\n".join(text) + "\n", encoding="utf-8")
    length = statistics.mean(len(sentence) for sentence in files["train"])
    tested = statistics.mean(len(sentence) for sentence in files["test"])

    def configure(**settings: str | int | Path) -> Path:
        path = place.folder / f"{settings['status']}.config"
        path.write_text("".join(f"{key}={value}\n" for key, value in settings.items()))
        return path

    def train(iterations: int) -> list[str | Path]:
        spans = any(tag.startswith("B-") for one in files["train"] for _, tag in one)
        path = configure(
            **{f"{name}_dir": place.folder / f"{name}.bmes" for name in files},
            status="train",
            model_dir=place.folder / "ncrf",
            seg=spans,
            word_emb_dim=50,
            char_emb_dim=30,
            number_normalized=False,
            norm_word_emb=False,
            norm_char_emb=False,
            use_crf=True,
            use_char=True,
            word_seq_feature="LSTM",
            char_seq_feature="CNN",
            optimizer="SGD",
            iteration=iterations,
            batch_size=10,
            ave_batch_loss=False,
            cnn_layer=4,
            char_hidden_dim=50,
            hidden_dim=200,
            dropout=0.5,
            lstm_layer=1,
            bilstm=True,
            learning_rate=0.015,
            lr_decay=0.05,
            momentum=0,
            l2="1e-8",
            gpu=False,
        )
        return [place.python, place.checkout / "main.py", "--config", path]

    def theirs() -> Found:
        pattern = r"Instance: \d+; Time: ([\d.]+)s"
        return place.watch(train(100), pattern, reports=5, of=500 * length)

    tag = "--characters cnn --character-hidden 50 --crf --hidden 100 --embedding 50"
    tag += f" --no-layer-norm --adversarial 0 --word-dropout 0 --batch-tokens {round(10 * length)}"

    def ours(precision: str, *options: str) -> Found:
        names = {"--train": "train", "--validation": "dev"}
        data = [part for key, name in names.items() for part in (key, place.folder / f"{name}.tsv")]
        chosen = [*data, "--precision", precision, *options]
        return place.train("tag", "--cell", "bilstm", *chosen)

    def their_tagging() -> Found:
        model = place.folder / "ncrf"
        if not model.with_suffix(".0.model").exists():
            place.run(train(1))
        path = configure(
            status="decode",
            load_model_dir=model.with_suffix(".0.model"),
            dset_dir=model.with_suffix(".dset"),
            raw_dir=place.folder / "test.bmes",
            decode_dir=place.folder / "decoded.bmes",
        )
        run = place.run([place.python, place.checkout / "main.py", "--config", path])
        speed = tested * run.numbers(r"raw: .*speed:([\d.]+)st/s")[0] / run.share
        return Found(speed, run.megabytes)

    def our_tagging() -> Found:
        model = place.folder / "seqcli"
        if not model.exists():
            options = f"tag --cell bilstm {tag} --epochs 1 --time 5s --out".split()
            place.run([*SEQCLI, *options, model, "--train", place.folder / "train.tsv"])
        lines = [" ".join(token for token, _ in one) for one in files["test"]] * 10
        found = place.predict(lines, model)
        return found._replace(speed=tested * found.speed)

    epochs = ["--epochs", "5", "--time", "12s"]
    runners = {"ncrfpp": theirs}
    for precision in PRECISIONS:
        runners[f"seqcli, {precision}"] = lambda precision=precision: ours(
            precision, *tag.split(), *epochs
        )
    tagging = {"ncrfpp": their_tagging, "seqcli": our_tagging}
    return [Contest("training", "tokens/s", runners), Contest("tagging", "tokens/s", tagging)]


PEERS = {"word_language_model": word_language_model, "joeynmt": joeynmt, "ncrfpp": ncrfpp}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("peer", choices=PEERS)
    parser.add_argument("--checkout", type=Path, default=Path())
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--only", default="")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        place = Place(
            options.python,
            options.checkout.resolve(),
            options.data.resolve(),
            options.threads,
            Path(folder),
        )
        for contest in PEERS[options.peer](place):
            if options.only not in contest.name:
                continue
            rounds = [
                {name: run() for name, run in contest.runners.items()}
                for _ in range(options.rounds)
            ]
            peer = next(iter(contest.runners))
            first: Found | None = None
            for name in contest.runners:
                found = Found(
                    *map(statistics.median, zip(*(one[name] for one in rounds), strict=True))
                )
                first = first or found
                ratio = found.speed / first.speed
                figures = {"contest": contest.name, "program": name, "unit": contest.unit}
                figures |= {**found._asdict(), "times_peer": ratio}
                if options.json:
                    print(json.dumps(figures), flush=True)
                else:
                    print(
                        f"{contest.name}: {name} {found.speed:,.0f} {contest.unit}, "
                        f"{found.megabytes:,.0f} MB"
                        + ("" if name == peer else f", {ratio:.1f} times as fast"),
                        flush=True,
                    )


if __name__ == "__main__":
    main()
