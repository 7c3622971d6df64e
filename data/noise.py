"""How people type: the channel that roughens the English of a sentence and keeps its tags."""

from __future__ import annotations

from derive import Dice, Word

SHORT = {
    "please": "pls",
    "thanks": "thx",
    "thank you": "ty",
    "you": "u",
    "want to": "wanna",
    "going to": "gonna",
    "tomorrow": "tmrw",
    "tickets": "tix",
    "people": "ppl",
    "about": "abt",
    "as soon as possible": "asap",
    "through": "thru",
    "Monday": "Mon",
    "Tuesday": "Tue",
    "Wednesday": "Wed",
    "Thursday": "Thu",
    "Friday": "Fri",
    "Saturday": "Sat",
    "Sunday": "Sun",
    "two": "2",
    "three": "3",
    "four": "4",
}
FILLERS = ("um", "uh", "er", "like", "you know", "hmm")
SMALL_WORDS = ("to", "from", "on", "at", "but", "and", "for", "my", "the")
KEYBOARD = ("qwertyuiop", "asdfghjkl", "zxcvbnm")

# How likely each habit is, for a careful, a casual and a hasty writer.
HABITS = {
    "capitals": (1.0, 0.4, 0.1),
    "full stop": (1.0, 0.4, 0.1),
    "commas": (1.0, 0.6, 0.3),
    "apostrophes": (1.0, 0.8, 0.4),
    "long spelling": (1.0, 0.7, 0.4),
    "no filler": (1.0, 0.8, 0.7),
    "no slip of a key": (0.97, 0.85, 0.6),
}
WRITERS = {"careful": 50, "casual": 30, "hasty": 20}


def roughen(sentence: list[Word], dice: Dice) -> list[Word]:
    """The sentence as one of the writers types it."""
    writer = list(WRITERS).index(dice.weighted(WRITERS))
    keeps = {habit: dice.chance(likely[writer]) for habit, likely in HABITS.items()}
    if not keeps["long spelling"]:
        sentence = shorten(sentence)
    if not keeps["no filler"]:
        sentence = hesitate(sentence, dice)
    if not keeps["no slip of a key"]:
        sentence = mistype(sentence, dice)
    if keeps["capitals"]:
        sentence = capitalise(sentence)
    else:
        sentence = [Word(token.lower(), tag) for token, tag in sentence]
    if not keeps["full stop"] and sentence[-1].token in ".?!":
        sentence = sentence[:-1]
    if not keeps["commas"]:
        sentence = [word for word in sentence if word.token != ","]
    if not keeps["apostrophes"]:
        sentence = [Word(token.replace("'", ""), tag) for token, tag in sentence]
    return sentence


def shorten(sentence: list[Word]) -> list[Word]:
    """Short spellings, in words of one tag."""
    result: list[Word] = []
    place = 0
    while place < len(sentence):
        for size in (4, 2, 1):
            stretch = sentence[place : place + size]
            short = SHORT.get(" ".join(word.token for word in stretch))
            if short and (size == 1 or {word.tag for word in stretch} == {"O"}):
                break
        else:
            short = sentence[place].token
        result.append(Word(short, sentence[place].tag))
        place += size
    return result


def hesitate(sentence: list[Word], dice: Dice) -> list[Word]:
    """A filler at the beginning, before a slot or before a small word."""
    places = [
        place
        for place, (token, tag) in enumerate(sentence)
        if place == 0 or tag.startswith("B-") or (tag == "O" and token in SMALL_WORDS)
    ]
    place = dice.pick(places)
    filler = [Word(token) for token in dice.pick(FILLERS).split()]
    return sentence[:place] + filler + sentence[place:]


def mistype(sentence: list[Word], dice: Dice) -> list[Word]:
    """A slip of a key in one of the longer words."""
    places = [
        place
        for place, (token, _) in enumerate(sentence)
        if len(token) > 4 and token.isalpha() and not token.isupper()
    ]
    if not places:
        return sentence
    place = dice.pick(places)
    token, tag = sentence[place]
    at = dice.pick(range(1, len(token) - 1))
    row = next(row for row in KEYBOARD if token[at].lower() in row)
    beside = row[row.index(token[at].lower()) - 1]
    slips = (
        token[:at] + token[at + 1 :],
        token[:at] + token[at] + token[at:],
        token[:at] + token[at + 1] + token[at] + token[at + 2 :],
        token[:at] + beside + token[at + 1 :],
    )
    return [*sentence[:place], Word(dice.pick(slips), tag), *sentence[place + 1 :]]


def capitalise(sentence: list[Word]) -> list[Word]:
    """Capitals at the beginning and after each full stop or question mark."""
    before = [".", *(word.token for word in sentence)]
    return [
        Word(token[0].upper() + token[1:], tag) if earlier in ".?!" else Word(token, tag)
        for earlier, (token, tag) in zip(before, sentence, strict=False)
    ]
