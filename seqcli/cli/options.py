"""A task's settings as Typer options: one signature made from the dataclasses of `config`."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from seqcli.config import Setting, list_settings, make_config
from seqcli.errors import UsageError

PANELS = {"data": "Data", "tokens": "Tokens", "network": "Network", "training": "Training"}


def with_settings(task: str, command: Callable[..., Any]) -> Callable[..., Any]:
    """A command whose options are its own parameters and all settings of a task.

    The command gets the settings that were given, by name, as `settings`; what was not given
    stays out, so that a configuration file or the task's default can speak.
    """
    items = list_settings(task)
    own = [
        parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)
        for parameter in inspect.signature(command, eval_str=True).parameters.values()
        if parameter.name != "settings"
    ]

    def call(**values: Any) -> Any:
        context: typer.Context = values["context"]
        settings = {item.name: values.pop(item.name) for item in items}
        given = {
            name: value
            for name, value in settings.items()
            if context.get_parameter_source(name).name != "DEFAULT"  # type: ignore[union-attr]
        }
        return command(settings=given, **values)

    parameters = sorted(
        [*map(_parameter, items), *own], key=lambda parameter: not _is_argument(parameter)
    )
    call.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    call.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    call.__name__ = command.__name__
    call.__doc__ = command.__doc__
    return call


def _is_argument(parameter: inspect.Parameter) -> bool:
    return parameter.name == "data"


def _parameter(item: Setting) -> inspect.Parameter:
    panel = PANELS[item.section]
    if item.metadata["argument"]:
        info: Any = typer.Argument(help=item.metadata["help"], show_default=False)
    else:
        option = "--" + item.name.replace("_", "-")
        if item.kind is bool:
            option += "/--no-" + item.name.replace("_", "-")
        info = typer.Option(
            option,
            help=item.metadata["help"],
            rich_help_panel=panel,
            show_default=item.default is not None,
            envvar=f"SEQCLI_{item.name.upper()}",
            show_envvar=False,
            min=_bound(item, "minimum"),
            max=_bound(item, "maximum"),
        )
    kind = item.kind | None if item.optional else item.kind
    return inspect.Parameter(
        item.name,
        inspect.Parameter.KEYWORD_ONLY,
        default=item.default,
        annotation=Annotated[kind, info],
    )


def _bound(item: Setting, name: str) -> Any:
    return item.metadata[name] if item.kind in (int, float) else None


def read_config(path: Path, task: str) -> dict[str, Any]:
    """The settings of a configuration file (TOML, YAML or JSON), checked.

    Raises UsageError for a file that cannot be read or a setting that the task does not have.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"--config {path}: {getattr(error, 'strerror', None) or error}") from None
    values = _parse(path, text)
    if not isinstance(values, dict):
        raise UsageError(f"--config {path} must hold settings by name")
    values = {str(name).replace("-", "_"): value for name, value in values.items()}
    try:
        make_config(task, values)
    except UsageError as error:
        raise UsageError(f"--config {path}: {error}") from None
    return values


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
    except ValueError as error:
        raise UsageError(f"--config {path} does not parse: {error}") from None
    raise UsageError(f"--config {path}: the name must end in .toml, .yaml or .json")
