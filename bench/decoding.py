"""Greedy decoding: seqcli's search against the same network written plainly in torch.nn.

    python bench/decoding.py [--rounds 7] [--threads 2] [--sentences 1 32] [--json]

An encoder–decoder of GRUs with attention (as in seqcli/nn/translator.py: encoder in both
directions, a lower decoder layer that asks, an upper one that is told), hidden 256 and 512,
vocabulary 10,000, fp32, drawn weights. The torch side holds the very same weights and takes a step
for all sentences at a time, padded, eagerly, with attention keys computed once; sentences of 10 to
30 tokens get as many target tokens as they have, and the end mark is never drawn, so that both
write the same tokens (which is checked). Medians of rounds in which both take turns: of processor
time with one thread, else by the clock, which wants an idle machine.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))
from seqcli.startup import prepare

if __name__ == "__main__":  # must come before torch
    prepare()

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from seqcli.config import make_config
from seqcli.nn.beam import Search, beam_search
from seqcli.nn.ragged import ragged
from seqcli.nn.recurrent import to_torch
from seqcli.nn.translator import Translator

VOCABULARY = 10_000
BEGIN, END = 1, 2


class Plain(nn.Module):
    """A Translator's weights in torch.nn layers: GRUs, general attention, a bridge of its mean."""

    def __init__(self, model: Translator) -> None:
        super().__init__()
        self.model = model
        self.encoder = to_torch(model.encoder)
        self.lower, self.upper = to_torch(model.lower), to_torch(model.upper)

    @torch.inference_mode()
    def greedy(self, sources: list[Tensor]) -> list[list[int]]:
        """As many tokens for each sentence as it has."""
        model, lengths_B = self.model, torch.tensor([len(source) for source in sources])
        x_BSE = model.source_embedding(pad_sequence(sources, batch_first=True))
        packed = nn.utils.rnn.pack_padded_sequence(
            x_BSE, lengths_B, batch_first=True, enforce_sorted=False
        )
        h, _ = self.encoder(packed)
        h_BSH, _ = nn.utils.rnn.pad_packed_sequence(h, batch_first=True)
        memory_BSH = model.project(h_BSH).tanh()
        keys_BSH = F.linear(memory_BSH, model.attention.key.weight)
        real_BS = torch.arange(memory_BSH.shape[1]) < lengths_B[:, None]
        mean_BH = (memory_BSH * real_BS[:, :, None]).sum(1) / lengths_B[:, None]
        below_1BH, above_1BH = model.bridge(mean_BH).tanh().unsqueeze(0).chunk(2, dim=2)
        below_1BH, above_1BH = below_1BH.contiguous(), above_1BH.contiguous()
        token_B1 = torch.full((len(sources), 1), BEGIN)
        written = []
        for _ in range(int(lengths_B.max())):
            e_B1E = model.target_embedding(token_B1)
            h_B1H, below_1BH = self.lower(e_B1E, below_1BH)
            score_B1S = torch.bmm(h_B1H, keys_BSH.transpose(1, 2))
            score_B1S = score_B1S.masked_fill(~real_BS[:, None, :], -torch.inf)
            context_B1H = torch.bmm(score_B1S.softmax(2), memory_BSH)
            up_B1H, above_1BH = self.upper(torch.cat([h_B1H, context_B1H], 2), above_1BH)
            out_B1E = model.output(torch.cat([up_B1H, context_B1H, e_B1E], 2)).tanh()
            token_B1 = F.linear(out_B1E, model.vectors(), model.head.bias).argmax(2)
            written.append(token_B1)
        tokens_BT = torch.cat(written, dim=1).tolist()
        return [row[:length] for row, length in zip(tokens_BT, lengths_B.tolist(), strict=True)]


@torch.inference_mode()
def search(model: Translator, sources: list[Tensor]) -> list[list[int]]:
    """The same by seqcli."""
    encoded = model.encode(ragged(sources))
    limits = [len(source) for source in sources]
    found = beam_search(model, encoded, Search(), begin=BEGIN, end=END, limits=limits)
    return [best[0].tokens for best in found]


def measure(hidden: int, sentences: int, *, rounds: int) -> dict[str, Any]:
    """Median milliseconds of a batch of sentences for both."""
    torch.manual_seed(0)
    settings = {"hidden": hidden, "embedding": hidden, "cell": "gru", "attention": "general"}
    settings |= {"bridge": "linear", "layers": 1, "tie": False}
    model = Translator(VOCABULARY, VOCABULARY, make_config("translate", settings).network)
    model.eval().requires_grad_(False)
    model.head.bias[END] = -1e4
    plain = Plain(model).eval()
    lengths = torch.randint(10, 31, (sentences,)).tolist()
    sources = [torch.randint(3, VOCABULARY, (length,)) for length in lengths]
    runs = {"torch": lambda: plain.greedy(sources), "seqcli": lambda: search(model, sources)}
    clock = time.thread_time if torch.get_num_threads() == 1 else time.perf_counter
    agree = runs["torch"]() == runs["seqcli"]()
    taken: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            began = clock()
            run()
            taken[name].append((clock() - began) * 1e3)
    found = {name: statistics.median(values) for name, values in taken.items()}
    return {
        "hidden": hidden,
        "sentences": sentences,
        "milliseconds": found,
        "times_torch": found["torch"] / found["seqcli"],
        "same_tokens": agree,
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--sentences", type=int, nargs="*", default=[1, 32])
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    for hidden in (256, 512):
        for sentences in options.sentences:
            figures = measure(hidden, sentences, rounds=options.rounds)
            if options.json:
                print(json.dumps(figures), flush=True)
                continue
            times = figures["milliseconds"]
            print(
                f"H {hidden}, {sentences} sentences: torch {times['torch']:.1f} ms, seqcli "
                f"{times['seqcli']:.1f} ms, {figures['times_torch']:.1f} times as fast, "
                f"{'the same' if figures['same_tokens'] else 'not the same'} tokens",
                flush=True,
            )


if __name__ == "__main__":
    main()
