"""Settings of where rows come from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Literal

from seqcli.config.setting import setting
from seqcli.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class Data:
    """Where rows come from."""

    data: str | None = setting(
        None,
        "A file (csv, tsv, json, jsonl, parquet, txt, conll or conllu; may be gzipped), a folder, "
        "a glob or the id of a Hub data set. Default: the bundled sample.",
        argument=True,
    )
    train: str | None = setting(None, "File, glob or split to train on.")
    validation: str | None = setting(
        None, "File, glob or split that decides which epoch is best; cut from train if missing."
    )
    test: str | None = setting(None, "File, glob or split to test on at the end.")
    subset: str | None = setting(None, "Configuration of a Hub data set that has several.")
    revision: str | None = setting(None, "Branch, tag or commit of a Hub data set.")
    limit: int | None = setting(None, "Use at most this many rows of each split.", minimum=1)


def for_other_rows(
    own: Data, data: str | None, columns: Mapping[str, str | None], *, task: str, limit: int | None
) -> Data:
    """The data settings of a finished model for DATA (None: the data of its training), with the
    columns it was trained on unless others are named. Raises UsageError for a column that its task
    does not have."""
    named = {name: value for name, value in columns.items() if value is not None}
    if wrong := sorted(set(named) - {item.name for item in fields(own)}):
        option = "--" + wrong[0].replace("_", "-")
        raise UsageError(f"{option} has no meaning for a model of {task}")
    if data is not None:
        own = replace(
            own,
            data=data,
            **dict.fromkeys(("train", "validation", "test", "subset", "revision", "limit")),  # type: ignore[arg-type]
        )
    if limit is not None:
        own = replace(own, limit=limit)
    return replace(own, **named)  # type: ignore[arg-type]


@dataclass(frozen=True, kw_only=True)
class ClassifyData(Data):
    """Texts and their labels."""

    text_column: str | None = setting(
        None, "Column that holds the text. Several, separated by commas, are read as one text."
    )
    pair_column: str | None = setting(
        None, "Column that holds a second text; the two are labelled together."
    )
    label_column: str | None = setting(
        None,
        "Column that holds the label. Several, separated by commas, give a text several labels: "
        "of yes/no (or 1/0) columns the names of those that say yes, of others their values.",
    )
    label_separator: str | None = setting(
        None, "What separates several labels of one text, such as '|'; lists need none."
    )


@dataclass(frozen=True, kw_only=True)
class TagData(Data):
    """Sentences of tokens, and a tag for each."""

    tokens_column: str | None = setting(None, "Column that holds the tokens.")
    tags_column: str | None = setting(
        None, "Column that holds the tags (conllu: upos, xpos, deprel, lemma)."
    )
    with_label: str | None = setting(
        None,
        "Column that holds a label of the whole sentence, to be learned together with the tags.",
    )
    scheme: Literal["auto", "iob1", "bio", "bioes"] = setting(
        "auto", "Scheme in which the network marks spans; answers keep that of the data."
    )


@dataclass(frozen=True, kw_only=True)
class TranslateData(Data):
    """Pairs of source and target."""

    source: str | None = setting(None, "Source column, language code or file suffix.")
    target: str | None = setting(None, "Target column, language code or file suffix.")


@dataclass(frozen=True, kw_only=True)
class LanguageData(Data):
    """Running text."""

    text_column: str | None = setting(None, "Column that holds the text.")
    condition: str | None = setting(
        None,
        "Column from which each row's text is written: a label, numbers (also several columns, "
        "separated by commas) or an image. Each row is then a text of its own.",
    )
