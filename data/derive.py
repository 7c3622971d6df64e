"""The engine of the grammar: derives a sentence in English and Chinese at once."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple, TypeVar

from values import CYCLIC, HELD_OUT, ORDERED, REPAIRED, REPAIRS, SLOTS, VALUES, Form, Value

TOKEN = re.compile(r"[.,?!]|[^\s.,?!]+")
CHOICE = re.compile(r"\(([^()]*\|[^()]*)\)")
REFERENCE = re.compile(r"\{([A-Za-z]+)(\d?)(!?)(?::(\w+))?(\??)\}")
SURPRISES = {form.chinese for values in HELD_OUT.values() for value in values for form in value}
T = TypeVar("T")


class Dice:
    """Draws that are the same in every version of Python: only random() is promised to be."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed).random

    def chance(self, probability: float) -> bool:
        return self._random() < probability

    def pick(self, options: Sequence[T]) -> T:
        return options[int(self._random() * len(options))]

    def weighted(self, weights: Mapping[str, int]) -> str:
        return self.pick([name for name, weight in weights.items() for _ in range(weight)])

    def shuffle(self, options: Sequence[T]) -> list[T]:
        return sorted(options, key=lambda _: self._random())


class Word(NamedTuple):
    """A token of the English sentence and its tag: O, or B- or I- and the name of a slot."""

    token: str
    tag: str = "O"


class Pair(NamedTuple):
    """A stretch of English and the Chinese that was derived with it."""

    english: list[Word]
    chinese: str


class Rule(NamedTuple):
    """`English = Chinese`, and the world (rail or air) it is bound to, or ""."""

    english: str
    chinese: str
    world: str = ""


def read_rules(text: str) -> list[Rule]:
    """Rules from lines, a line each, or two of which the second begins with "="."""
    rules = []
    for line in re.sub(r"\n\s*= ", " = ", text.strip()).splitlines():
        english, _, chinese = line.strip().partition("= ")
        world, colon, rest = english.partition(": ")
        rules.append(Rule(rest, chinese, world) if colon else Rule(english, chinese))
    return rules


def words(text: str) -> list[Word]:
    return [Word(token) for token in TOKEN.findall(text)]


class Derivation:
    """One sentence in the making: its world, the rules of its phrases, the values drawn so far.

    With `held_out` it prefers values that the training split never shows, and `surprises` counts
    them.
    """

    def __init__(
        self, dice: Dice, *, world: str, phrases: Mapping[str, list[Rule]], held_out: bool = False
    ) -> None:
        self.dice = dice
        self.world = world
        self.phrases = phrases
        self.held_out = held_out
        self.surprises = 0
        self.slips = int(dice.chance(0.1))  # how often the speaker still says a wrong value first
        self.used: set[str] = set()
        self.sources: dict[str, str] = {}
        self.series: dict[str, list[Value]] = {}

    def expand(self, rule: Rule) -> Pair:
        """Both sides of a rule; a name on the Chinese side alone has no English."""
        english: list[Word] = []
        chinese: dict[str, str] = {}
        pattern, end = self.choose(rule.english), 0
        for match in REFERENCE.finditer(pattern):
            name, copy, _, _, optional = match.groups()
            part = Pair([], "") if optional and self.dice.chance(0.5) else self.refer(match)
            english += words(pattern[end : match.start()]) + part.english
            chinese[name + copy] = part.chinese
            end = match.end()
        english += words(pattern[end:])

        def place(match: re.Match[str]) -> str:
            name = match[1] + match[2]
            return chinese[name] if name in chinese else self.refer(match).chinese

        return Pair(english, REFERENCE.sub(place, self.choose(rule.chinese)))

    def choose(self, pattern: str) -> str:
        """Settle every (a|b) of a pattern."""
        return CHOICE.sub(lambda match: self.dice.pick(match[1].split("|")), pattern)

    def refer(self, match: re.Match[str]) -> Pair:
        name, copy, bare, source, _ = match.groups()
        if name in SLOTS:
            later = name not in ("Date", "Time") or copy != ""
            return self.fill(name, source or self.source(name), later=later, bare=bool(bare))
        rules = self.phrases.get(name, []) + self.phrases.get(f"{name}.{self.world}", [])
        return self.expand(self.dice.pick(rules))

    def source(self, slot: str) -> str:
        """The list of values of a slot; slots of the same lists (all dates, say) keep to one."""
        return self.sources.setdefault(SLOTS[slot], self.dice.pick(SLOTS[slot].split()))

    def fill(self, slot: str, source: str, *, later: bool, bare: bool) -> Pair:
        """A value for a slot, sometimes after a slip of the tongue, which is not tagged."""
        form = self.draw(source, later=later)
        self.surprises += form.chinese in SURPRISES
        lead = [] if bare else words(form.lead)
        value = [
            Word(word.token, f"{'I' if place else 'B'}-{slot}")
            for place, word in enumerate(words(form.english))
        ]
        if self.slips and source in REPAIRED and self.dice.chance(0.5):
            self.slips -= 1
            slip = words(self.draw(source, later=True).english)
            if self.dice.chance(0.25):
                value = [*value, Word("not"), *slip]
            else:
                value = [*slip, *words(self.dice.pick(REPAIRS)), *value]
        return Pair(lead + value, form.chinese)

    def draw(self, source: str, *, later: bool) -> Form:
        """A form of a value that the sentence does not have yet; in a list that is in the order
        of time, `later` values come after the first."""
        if source not in self.series:
            self.series[source] = self.series_of(source)
        values = [value for value in self.series[source] if self.is_new(value[0].chinese)]
        if source in ORDERED:
            values = values[1:] if later else values[:1]
        value = self.dice.pick(values)
        self.used.add(value[0].chinese)
        return self.spell(self.dice.pick(value))

    def is_new(self, chinese: str) -> bool:
        """Whether the sentence has neither this value nor, say, the city of this station."""
        return not any(chinese.startswith(old) or old.startswith(chinese) for old in self.used)

    def series_of(self, source: str) -> list[Value]:
        """The values that the sentence may draw from a list."""
        values = VALUES.get(source, []) + VALUES.get(f"{source}.{self.world}", [])
        rare = HELD_OUT.get(source, []) + HELD_OUT.get(f"{source}.{self.world}", [])
        if self.held_out and rare:
            values = rare if source in ORDERED else rare + self.dice.shuffle(values)[: len(rare)]
        if source in ORDERED:
            start = self.dice.pick(range(len(values) - (0 if source in CYCLIC else 3)))
            values = (values[start:] + values[:start] if source in CYCLIC else values[start:])[:15]
        return values

    def spell(self, form: Form) -> Form:
        """The form with # and @ made digits and letters, the same in both languages."""
        english, chinese = form.english, form.chinese
        for sign, characters in (("#", "123456789"), ("@", "ABDEFHJKLMNPRSTVWXYZ")):
            while sign in english:
                character = self.dice.pick(characters)
                english = english.replace(sign, character, 1)
                chinese = chinese.replace(sign, character, 1)
        return Form(form.lead, english, chinese)
