"""Writing with large vocabularies: translations by search, texts by sampling.

    python bench/writing.py [--rounds 3] [--threads 1]

Translations: 230 sentences in batches as `seqcli predict` makes them, 13 tokens each, a network of
GRUs of 256 with attention and 18,500 target words; the likeliest words chosen in the product's
kernel, and by torch from all scores. Texts: a network of characters and one of words, one text and
16 together, by prepared kernel calls and by the network as it is trained. Drawn weights. Medians of
rounds in which both take turns: of processor time with one thread, else by the clock, which wants
an idle machine.
"""

from __future__ import annotations

import argparse
import functools
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from unittest import mock

sys.path.insert(0, str(Path(__file__).parents[1]))
from seqcli.startup import prepare

if __name__ == "__main__":  # must come before torch
    prepare()

import torch
from torch import Tensor

from seqcli.config import make_config
from seqcli.nn import texts, writer
from seqcli.nn.beam import Search, beam_search
from seqcli.nn.decode import Drawing, Sampling
from seqcli.nn.language import LanguageModel
from seqcli.nn.likely import Likely, likeliest
from seqcli.nn.ragged import ragged
from seqcli.nn.translator import Translator

SENTENCES, WRITTEN = 230, 13
CHARACTERS = {"cell": "gru", "hidden": 256, "embedding": 64, "tie": False}
WORDS = {"cell": "lstm", "hidden": 200, "embedding": 200, "layers": 2}
STEPS = 20


def compare(ways: dict[str, Callable[[], object]], rounds: int) -> list[float]:
    """Median seconds of each way, in turns, after a first run of both."""
    clock = time.thread_time if torch.get_num_threads() == 1 else time.perf_counter
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(rounds + 1):
        for name, run in ways.items():
            began = clock()
            run()
            if number:
                taken[name].append(clock() - began)
    return [statistics.median(values) for values in taken.values()]


def keep_scores(
    self: writer.KernelWriter, tokens_R: Tensor, count: int, *, without: int | None = None
) -> Likely:
    return likeliest(self.read(tokens_R).log_softmax(1), count, without=without)


@torch.inference_mode()
def translate(rounds: int) -> None:
    torch.manual_seed(0)
    settings = {"hidden": 256, "embedding": 256, "cell": "gru", "attention": "general"}
    network = make_config("translate", settings | {"tie": False}).network
    model = Translator(10_800, 18_500, network).eval().requires_grad_(False)
    lengths = torch.randint(8, 19, (SENTENCES,)).tolist()
    sources = [torch.randint(3, 10_800, (length,)) for length in lengths]

    def search(beam: int) -> None:
        asked, size = Search(beam=beam, min_length=WRITTEN), SENTENCES // beam
        for at in range(0, SENTENCES, size):
            part = sources[at : at + size]
            limits = [WRITTEN] * len(part)
            beam_search(model, model.encode(ragged(part)), asked, begin=1, end=2, limits=limits)

    def search_keeping(beam: int) -> None:
        with mock.patch.object(writer.KernelWriter, "choose", keep_scores):
            search(beam)

    for beam in (1, 5):
        for bf16 in (False, True):
            with torch.autocast("cpu", dtype=torch.bfloat16, enabled=bf16):
                kept, chosen = compare(
                    {
                        "kept": functools.partial(search_keeping, beam),
                        "chosen": functools.partial(search, beam),
                    },
                    rounds,
                )
            print(
                f"translating, beam {beam}, {'bf16' if bf16 else 'fp32'}: scores kept "
                f"{SENTENCES / kept:,.0f}, chosen in the kernel {SENTENCES / chosen:,.0f} "
                f"sentences/s, {kept / chosen:.2f} times as fast",
                flush=True,
            )


def write(rounds: int) -> None:
    for name, size, settings in (("characters", 65, CHARACTERS), ("words", 33_000, WORDS)):
        torch.manual_seed(0)
        network = make_config("lm", settings).network
        model = LanguageModel(size, network).eval().requires_grad_(False)

        def draw(count: int, sampling: Sampling, model: LanguageModel = model) -> None:
            luck = [torch.Generator().manual_seed(seed) for seed in range(count)]
            drawing = Drawing(model, [2], sampling, generators=luck, banned=(0, 1))
            for _ in range(STEPS):
                drawing.draw()

        def draw_plainly(count: int, sampling: Sampling) -> None:
            with mock.patch("seqcli.nn.decode.make_texts", texts.PlainTexts):
                draw(count, sampling)

        for count in (1, 16):
            for sampling in (Sampling(0.8), Sampling(0.8, 40), Sampling(0.8, 0, 0.9), Sampling(0)):
                plain, kernel = compare(
                    {
                        "plain": functools.partial(draw_plainly, count, sampling),
                        "kernel": functools.partial(draw, count, sampling),
                    },
                    rounds,
                )
                tokens = STEPS * count / 1e6
                print(
                    f"{size:,} {name}, {count} at once, temperature {sampling.temperature}, top-k "
                    f"{sampling.top_k}, top-p {sampling.top_p}: plainly {plain / tokens:,.0f}, by "
                    f"prepared calls {kernel / tokens:,.0f} µs a token",
                    flush=True,
                )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    translate(options.rounds)
    write(options.rounds)


if __name__ == "__main__":
    main()
