"""Pretrained vectors in a network: the width they ask for, their place, and what they cover."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from seqcli.config import Config
from seqcli.data.vectors import describe_coverage, read_vectors, read_width
from seqcli.errors import UsageError
from seqcli.tasks.task import Task


def take_width(config: Config) -> Config:
    """The configuration with the width of its vectors. Raises UsageError where it names another,
    SeqcliError where the file is none of vectors."""
    network = config.network
    if not network.vectors:
        return config
    width = read_width(Path(network.vectors))
    if network.embedding not in (0, width):
        raise UsageError(
            f"--embedding is {network.embedding}, but the vectors of {network.vectors} have width "
            f"{width}; leave --embedding out"
        )
    changed: Any = replace(network, embedding=width)
    return replace(config, network=changed)


def place_vectors(task: Task, model: nn.Module, encoded: Any) -> str:
    """Put the vectors of the task's file into a fresh network; what they cover, as a phrase.

    Tokens that the file lacks keep random vectors, now as loud as those of the file.
    """
    network = task.config.network
    tokenizer, tokens_N, embedding = task.lookup(model, encoded)
    if tokenizer.kind == "bpe":
        raise UsageError("--vectors are for words, and these tokens are byte pairs: --tokens word")
    found = read_vectors(Path(network.vectors), tokenizer.vocabulary)
    if not len(found.ids):
        raise UsageError(f"{network.vectors} has a vector for none of the training words")
    with torch.no_grad():
        values = torch.from_numpy(found.values).to(embedding.weight)
        loudness, before = (one.square().mean().sqrt() for one in (values, embedding.weight))
        embedding.weight.mul_(loudness / before)
        embedding.weight[torch.from_numpy(found.ids).to(embedding.weight.device)] = values
    return describe_coverage(found, tokenizer.vocabulary, tokens_N)


def freeze_vectors(task: Task, model: nn.Module, encoded: Any) -> None:
    """Leave the vectors out of training, where the configuration asks for it."""
    if task.config.network.vectors_frozen:
        task.lookup(model, encoded).embedding.weight.requires_grad_(False)
