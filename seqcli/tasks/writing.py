"""Texts that a language model writes, token by token: one can be left and gone on with later."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from seqcli.data.tokens import BOS, EOS, UNK, Tokenizer
from seqcli.errors import SeqcliError
from seqcli.nn.decode import Drawing, Sampling
from seqcli.nn.language import LanguageModel

LOOK_BACK = 16
"""Tokens that a text remembers for the counts beside a network, which look less far back."""


class Line:
    """The tokens of a text since its last line end, and how much of them was shown.

    spaced: whether a space was shown after them. Words do not hold it, so it stands for the one
    before the next word.
    """

    def __init__(self, tokenizer: Tokenizer, tokens: Sequence[int], *, spaced: bool) -> None:
        self.tokenizer, self.tokens = tokenizer, list(tokens)
        self.shown = self._whole(tokenizer.decode(self.tokens))
        self.spaced = spaced and tokenizer.kind == "word"

    def add(self, token: int) -> str:
        """Append a token: what it adds to the text, so that byte pairs of one character and the
        spaces between words come out right."""
        if token == EOS:
            rest = self.tokenizer.decode(self.tokens)[len(self.shown) :]
            self.tokens.clear()
            self.shown = ""
            return f"{rest}\n"
        self.tokens.append(token)
        text = self._whole(self.tokenizer.decode(self.tokens))
        piece, self.shown = text[len(self.shown) :], text
        if self.spaced:
            piece, self.spaced = piece.removeprefix(" "), False
        return piece

    def _whole(self, text: str) -> str:
        """A text without half a character at its end, of which the rest is to come."""
        return text.rstrip("\ufffd") if self.tokenizer.kind == "bpe" else text


class Writing:
    """What a model has read and written of one text.

    states: after all but the last tokens, which are `pending`; the last of those before them are
    `recent`. line: the tokens since the last
    line end, because how a token is spelled may depend on those before it.
    """

    def __init__(
        self, model: LanguageModel, tokenizer: Tokenizer, *, condition: Tensor | None = None
    ) -> None:
        self.model = model
        self.tokenizer = tokenizer
        self.condition = condition
        self.states = model.recurrent.initial(1)
        self.recent: list[int] = []
        self.pending = [EOS]
        self.line: list[int] = []

    def go_on(
        self,
        prompt: str,
        sampling: Sampling,
        *,
        generators: Sequence[torch.Generator],
        length: int,
        one_line: bool,
    ) -> Iterator[tuple[int, str | None]]:
        """The pieces of texts after a prompt, one a generator: at most `length` tokens, or one
        line; with a condition to the end of the text. They are written a token of each at a time,
        and each piece comes with the number of its text, with None when that has ended.

        Where there is one text only, this is what it has come to whenever a piece comes.
        """
        self._read(prompt)
        spaced = prompt[-1:].isspace()
        lines = [Line(self.tokenizer, self.line, spaced=spaced) for _ in generators]
        drawing = Drawing(
            self.model,
            self.pending,
            sampling,
            generators=generators,
            banned=(UNK, BOS),
            states=self.states,
            recent=self.recent,
            condition=self.condition,
        )
        going = list(range(len(lines)))
        for _ in range(length):
            drawn, left = drawing.draw(), []
            if len(lines) == 1:
                self.recent = [*self.recent, *self.pending][-LOOK_BACK:]
                self.states, self.pending, self.line = drawing.states, drawn, lines[0].tokens
            for row, (text, token) in enumerate(zip(going, drawn, strict=True)):
                piece = lines[text].add(token)
                if token == EOS and (one_line or self.condition is not None):
                    yield text, None
                    continue
                left.append(row)
                yield text, piece
            if len(left) < len(going):
                if not left:
                    return
                going = [going[row] for row in left]
                drawing.select(left)
        for text in going:
            yield text, None

    def _read(self, prompt: str) -> None:
        *closed, last = prompt.split("\n")
        for text in closed:
            self.pending += self.tokenizer.encode([text], eos=True).values.tolist()
            self.line = []
        if last:
            tokens = self.tokenizer.encode([last]).values.tolist()
            self.pending += tokens
            self.line += tokens

    def to_tensors(self) -> dict[str, Tensor]:
        """All that `restore` needs."""
        tensors = {
            f"state.{cell}.{part}": value
            for cell, parts in enumerate(self.states)
            for part, value in enumerate(parts)
        }
        for name in ("recent", "pending", "line"):
            tensors[name] = torch.tensor(getattr(self, name), dtype=torch.int64)
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
            recent = tensors["recent"].tolist() if "recent" in tensors else []
        except KeyError:
            raise SeqcliError("the saved state does not fit this model; start without it") from None
        if not pending or not all(
            0 <= token < len(self.tokenizer.vocabulary) for token in (*recent, *pending, *line)
        ):
            raise SeqcliError("the saved state is corrupt; start without it")
        self.states, self.recent, self.pending, self.line = states, recent, pending, line
        if self.condition is None:
            self.condition = tensors.get("condition")
