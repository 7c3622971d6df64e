"""Data sets of the HuggingFace Hub."""

from __future__ import annotations

import re
import threading
from typing import Any

from seqcli.data.arrow import import_datasets, make_table
from seqcli.data.names import CANONICAL, find_split
from seqcli.data.places import Found, Reader, plainly
from seqcli.errors import SeqcliError, UsageError

PATIENCE = 2.5  # seconds to wait for the Hub's first answer

# Short names that people and papers use. The Hub itself wants owner/name.
ALIASES = {
    "ag_news": "fancyzhx/ag_news",
    "amazon_polarity": "fancyzhx/amazon_polarity",
    "conll2003": "tomaarsen/conll2003",
    "dbpedia_14": "fancyzhx/dbpedia_14",
    "emotion": "dair-ai/emotion",
    "glue": "nyu-mll/glue",
    "imdb": "stanfordnlp/imdb",
    "multi30k": "bentrevett/multi30k",
    "opus100": "Helsinki-NLP/opus-100",
    "opus_books": "Helsinki-NLP/opus_books",
    "rotten_tomatoes": "cornell-movie-review-data/rotten_tomatoes",
    "sms_spam": "ucirvine/sms_spam",
    "sst2": "stanfordnlp/sst2",
    "tweet_eval": "cardiffnlp/tweet_eval",
    "wikitext": "Salesforce/wikitext",
    "wmt14": "wmt/wmt14",
    "wmt16": "wmt/wmt16",
    "yelp_polarity": "fancyzhx/yelp_polarity",
}


def find(name: str, *, subset: str | None = None, revision: str | None = None) -> Found:
    """The splits of a Hub data set, downloaded or from the cache.

    Raises SeqcliError within seconds where the Hub cannot be reached, and UsageError where the
    data set, its revision or its subset does not exist, naming those that do.
    """
    full = ALIASES.get(name.lower(), name)
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", full):
        raise UsageError(
            f"no such file or folder: {name}; a data set of the Hub is named owner/name, or one of "
            f"{', '.join(ALIASES)}"
        )
    _reach(full, revision)
    datasets = import_datasets()
    try:
        data = datasets.load_dataset(full, subset, revision=revision)
    except Exception as error:  # the library and its formats raise many kinds
        raise _explain(datasets, full, subset, revision, error) from None
    title = f"{full}/{subset}" if subset else full
    readers: dict[str, Reader] = {}
    for split in sorted(data, key=lambda split: split not in CANONICAL):
        reader = plainly(
            make_table,
            data[split].data,
            data[split].features,
            origin=f"hub {title}, split {split}",
            place=title,
        )
        readers.setdefault(find_split(split)[0] or split, reader)
        readers.setdefault(split, reader)
    sizes = ", ".join(f"{split} ({data[split].num_rows:,} rows)" for split in data)
    return Found(readers, (f"hub {title}: splits {sizes}",))


def _reach(name: str, revision: str | None) -> None:
    """Ask the Hub for the data set once, in a thread, since neither looking up a host name nor the
    library's retries keep to a time limit."""
    import huggingface_hub
    from huggingface_hub import constants, errors

    if constants.HF_HUB_OFFLINE:
        return
    failures: list[Exception] = []

    def ask() -> None:
        api = huggingface_hub.HfApi()
        try:
            api.dataset_info(name, revision=revision, timeout=PATIENCE)
        except Exception as error:
            failures.append(error)

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(PATIENCE)
    failure = TimeoutError("no answer") if thread.is_alive() else failures[0] if failures else None
    if failure is None:
        return
    if isinstance(failure, errors.GatedRepoError):
        raise SeqcliError(
            f"{name} is gated: accept its terms on {constants.ENDPOINT}/datasets/{name}, then log "
            "in with `hf auth login`"
        )
    if isinstance(failure, errors.RepositoryNotFoundError):
        raise UsageError(f"no such file, folder or public data set of the Hub: {name}")
    if isinstance(failure, errors.RevisionNotFoundError):
        raise UsageError(f"the Hub data set {name} has no revision {revision!r}")
    raise SeqcliError(
        f"cannot reach the Hub for {name} ({constants.ENDPOINT}: {_first_line(failure)}); "
        "name a local file, or set HF_HUB_OFFLINE=1 if the data set was loaded here before"
    )


def _explain(
    datasets: Any, name: str, subset: str | None, revision: str | None, error: Exception
) -> SeqcliError:
    """What a failure of load_dataset means for the user."""
    text = str(error)
    if "scripts are no longer supported" in text:
        return SeqcliError(
            f"the Hub data set {name} is a script, which is not run; try its converted files: "
            "--revision refs/convert/parquet"
        )
    if isinstance(error, ConnectionError):
        return SeqcliError(
            f"the Hub data set {name} is not on this machine and the Hub cannot be reached; "
            "name a local file, or unset HF_HUB_OFFLINE"
        )
    if "Config name is missing" in text or ("BuilderConfig" in text and "not found" in text):
        subsets = datasets.get_dataset_config_names(name, revision=revision)
        wrong = f"has no subset {subset!r}" if subset else "has several subsets"
        return UsageError(
            f"the Hub data set {name} {wrong}; name one with --subset: {', '.join(subsets)}"
        )
    return SeqcliError(
        f"cannot load the Hub data set {name}: {_first_line(error.__cause__ or error)}"
    )


def _first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0] or type(error).__name__
