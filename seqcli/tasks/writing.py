"""A text that a language model writes, token by token: it can be left and gone on with later."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import torch
from torch import Tensor

from seqcli.data.tokens import BOS, EOS, UNK, Tokenizer
from seqcli.errors import SeqcliError
from seqcli.nn.decode import Sampling, sample
from seqcli.nn.language import LanguageModel


class Writing:
    """What a model has read and written of one text.

    states: after all but the last tokens, which are `pending`. line: the tokens since the last
    line end, because how a token is spelled may depend on those before it.
    """

    def __init__(
        self, model: LanguageModel, tokenizer: Tokenizer, *, condition: Tensor | None = None
    ) -> None:
        self.model = model
        self.tokenizer = tokenizer
        self.condition = condition
        self.states = model.recurrent.initial(1)
        self.pending = [EOS]
        self.line: list[int] = []

    def go_on(
        self,
        prompt: str,
        sampling: Sampling,
        *,
        generator: torch.Generator,
        length: int,
        one_line: bool,
    ) -> Iterator[str]:
        """The pieces of a text after a prompt: at most `length` tokens, or one line; with a
        condition to the end of the text.

        The pieces are what each token adds to the decoded text, so that byte pairs of one
        character and the spaces between words come out right.
        """
        *closed, last = prompt.split("\n")
        for text in closed:
            self.pending += self.tokenizer.encode([text], eos=True).values.tolist()
            self.line = []
        if last:
            tokens = self.tokenizer.encode([last]).values.tolist()
            self.pending += tokens
            self.line += tokens
        shown = self.tokenizer.decode(self.line)
        drawn = sample(
            self.model,
            self.pending,
            sampling,
            generator=generator,
            banned=(UNK, BOS),
            states=self.states,
            condition=self.condition,
        )
        for token, states in itertools.islice(drawn, length):
            self.states, self.pending = states, [token]
            if token == EOS:
                self.line = []
                if one_line or self.condition is not None:
                    return
                yield "\n"
                shown = ""
                continue
            self.line.append(token)
            text = self.tokenizer.decode(self.line)
            if text.endswith("\ufffd"):  # half of a character; the rest is to come
                continue
            yield text[len(shown) :]
            shown = text

    def to_tensors(self) -> dict[str, Tensor]:
        """All that `restore` needs."""
        tensors = {
            f"state.{cell}.{part}": value
            for cell, parts in enumerate(self.states)
            for part, value in enumerate(parts)
        }
        tensors["pending"] = torch.tensor(self.pending)
        tensors["line"] = torch.tensor(self.line, dtype=torch.int64)
        if self.condition is not None:
            tensors["condition"] = self.condition
        return tensors

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Go on with a text that was left. Raises SeqcliError where it cannot be this model's."""
        try:
            states = [
                tuple(tensors[f"state.{cell}.{part}"] for part in range(len(parts)))
                for cell, parts in enumerate(self.states)
            ]
            pending, line = tensors["pending"].tolist(), tensors["line"].tolist()
        except KeyError:
            raise SeqcliError("the saved state does not fit this model; start without it") from None
        if not pending or not all(
            0 <= token < len(self.tokenizer.vocabulary) for token in (*pending, *line)
        ):
            raise SeqcliError("the saved state is corrupt; start without it")
        self.states, self.pending, self.line = states, pending, line
        if self.condition is None:
            self.condition = tensors.get("condition")
