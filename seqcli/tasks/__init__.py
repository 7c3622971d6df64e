"""The tasks, by the name of their verb."""

from __future__ import annotations

from typing import Any

from seqcli.tasks.classify import Classify
from seqcli.tasks.lm import LanguageModeling
from seqcli.tasks.tag import Tag
from seqcli.tasks.translate import Translate

TASKS: dict[str, Any] = {task.name: task for task in (Classify, Tag, Translate, LanguageModeling)}
