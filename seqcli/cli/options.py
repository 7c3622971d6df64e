"""Settings as Typer options: a command's signature, made from the dataclasses of `config`."""

from __future__ import annotations

import inspect
import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin

import typer

from seqcli.config import Setting, check_values, list_settings
from seqcli.config.setting import parse
from seqcli.errors import UsageError

PANELS = {
    **{"data": "Data", "tokens": "Tokens", "network": "Network", "training": "Training"},
    "columns": "Data",
}
"""The headings that sections stand under in help."""
OF_TRAINING = ("data", "tokens", "network", "training")
"""Sections that a file and the environment can set as well."""

ModelFolder = Annotated[Path, typer.Argument(metavar="MODEL", help="A model folder.")]
Limit = Annotated[int | None, typer.Option(help="Use at most this many rows.", min=1)]
Threads = Annotated[
    int | None, typer.Option(help="Number of CPU threads; default: all cores.", min=1)
]


def with_options(command: Callable[..., Any], **groups: Sequence[Setting]) -> Callable[..., Any]:
    """A command that takes the settings of each group as options.

    groups: by the name of the parameter that stands for them. It gets those that were given, by
    name; what was not given stays out, so that a file, a recipe or a default can speak. A parameter
    `typed` gets the names of those that stand on the command line and not in the environment.
    """
    parameters: list[inspect.Parameter] = []
    for own in inspect.signature(command, eval_str=True).parameters.values():
        if own.name == "typed":
            continue
        if own.name in groups:
            parameters += map(_parameter, groups[own.name])
        else:
            parameters.append(own.replace(kind=inspect.Parameter.KEYWORD_ONLY))
    context = inspect.Parameter("context", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context)
    parameters = [context, *sorted(parameters, key=lambda one: not _is_argument(one))]

    def call(*, context: typer.Context, **values: Any) -> Any:
        taken = {item.name for settings in groups.values() for item in settings}
        sources = {name: context.get_parameter_source(name).name for name in taken}  # type: ignore[union-attr]
        given = {
            group: {
                item.name: _read(values[item.name])
                for item in settings
                if sources[item.name] != "DEFAULT"
            }
            for group, settings in groups.items()
        }
        own = {name: value for name, value in values.items() if name not in taken}
        if "typed" in inspect.signature(command).parameters:
            own["typed"] = {name for name in taken if sources[name] == "COMMANDLINE"}
        return command(**own, **given)

    call.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    call.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    call.__name__ = command.__name__
    call.__doc__ = command.__doc__
    return call


def _is_argument(parameter: inspect.Parameter) -> bool:
    return any(isinstance(one, typer.models.ArgumentInfo) for one in get_args(parameter.annotation))


def _read(value: Any) -> Any:
    """The value of a setting: a repeatable option arrives as a list, and settings hold tuples."""
    return tuple(value) if isinstance(value, list) else value


def _parameter(item: Setting) -> inspect.Parameter:
    several = get_origin(item.kind) is tuple
    trains = item.section in OF_TRAINING
    if item.metadata["argument"]:
        info: Any = typer.Argument(help=item.metadata["help"], show_default=False)
    else:
        option = item.option
        if item.kind is bool and trains:  # without a file or the environment a flag is enough
            option += f"/--no-{option.removeprefix('--')}"
        info = typer.Option(
            option,
            help=_help(item),
            rich_help_panel=_panel(item),
            show_default=item.default not in (None, ()) and (trains or item.kind is not bool),
            envvar=f"SEQCLI_{item.name.upper()}" if trains else None,
            show_envvar=False,
            min=_bound(item, "minimum"),
            max=_bound(item, "maximum"),
        )
    kind = list[get_args(item.kind)[0]] if several else item.kind  # type: ignore[misc]
    return inspect.Parameter(
        item.name,
        inspect.Parameter.KEYWORD_ONLY,
        default=list(item.default) if several else item.default,
        annotation=Annotated[kind | None if item.optional else kind, info],
    )


def _panel(item: Setting) -> str | None:
    """The heading of a setting in help; None for a command's own options."""
    if tasks := item.metadata["tasks"]:
        return f"For models of {' and '.join(tasks)}"
    if item.metadata["cells"]:
        return "Network, some cells only"
    return PANELS.get(item.section)


def _help(item: Setting) -> str:
    """The help of a setting, after the cells that have it if not all do."""
    cells = ", ".join(item.metadata["cells"])
    return f"{cells}: {item.metadata['help']}" if cells else item.metadata["help"]


def _bound(item: Setting, name: str) -> Any:
    return item.metadata[name] if item.kind in (int, float) else None


def read_config(path: Path, task: str) -> dict[str, Any]:
    """The settings of a configuration file (TOML, YAML or JSON), checked.

    Raises UsageError for a file that cannot be read or a setting that the task does not have.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"--config {path}: {getattr(error, 'strerror', None) or error}") from None
    values = _parse(path, text)
    if not isinstance(values, dict):
        raise UsageError(f"--config {path} must hold settings by name")
    values = {str(name).replace("-", "_"): value for name, value in values.items()}
    try:
        check_values(task, values)
    except UsageError as error:
        raise UsageError(f"--config {path}: {error}") from None
    return values


def read_environment(task: str) -> dict[str, Any]:
    """The settings of a task in the environment, for commands that lack its options."""
    found = {}
    for item in list_settings(task):
        if text := os.environ.get(variable := f"SEQCLI_{item.name.upper()}"):
            try:
                found[item.name] = parse(item, text)
            except ValueError as error:
                raise UsageError(f"{variable}: {error}") from None
    return found


def _parse(path: Path, text: str) -> Any:
    try:
        if path.suffix == ".toml":
            import tomllib

            return tomllib.loads(text)
        if path.suffix in (".yaml", ".yml"):
            import yaml

            try:
                return yaml.safe_load(text) or {}
            except yaml.YAMLError as error:
                raise ValueError(error) from None
        if path.suffix == ".json":
            return json.loads(text)
    except RecursionError:
        raise UsageError(f"--config {path} is nested too deeply") from None
    except ValueError as error:
        raise UsageError(f"--config {path} does not parse: {error}") from None
    raise UsageError(f"--config {path}: the name must end in .toml, .yaml or .json")
