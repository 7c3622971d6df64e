"""The `seqcli` command: its verbs, and how failures become exit codes.

Nothing here imports torch or datasets; a command imports what it needs when it runs.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Annotated, Any

import typer

from seqcli import __version__
from seqcli.cli import (
    bench,
    data,
    evaluate,
    export,
    generate,
    info,
    inspect,
    predict,
    sweep,
    train,
)
from seqcli.cli.help import WIDTH, Application
from seqcli.errors import SeqcliError, UsageError
from seqcli.startup import prepare

EXAMPLES = """\
seqcli classify                                 # train on the bundled sample
seqcli classify reviews.csv --out runs/reviews  # or a folder or a Hub id
echo 'the food was cold' | seqcli predict runs/reviews
seqcli evaluate runs/reviews other.csv          # how good it is on other rows
seqcli inspect runs/reviews                     # what its hidden states do"""

OF_MEMORY = ("--batch-tokens", "--streams", "--hidden", "--vocabulary-size", "--limit")
"""Options that decide how much memory a command takes."""

app = Application(
    name="seqcli",
    help="Train recurrent networks on text and use them in shell pipelines.",
    epilog=EXAMPLES,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": WIDTH},
)


@app.callback(invoke_without_command=True)
def _root(
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
) -> None:
    if version:
        print(f"seqcli {__version__}")
        raise typer.Exit


# In the order in which help lists them.
for module in (train, sweep, predict, generate, evaluate, export, inspect, info, data, bench):
    module.register(app)


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit: 0 fine, 1 failed, 2 wrong usage, 128 and the signal's
    number interrupted."""
    if sys.stdout is None:  # closed by who started this, as some schedulers do
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115
    sys.stdout.reconfigure(encoding="utf-8")  # type: ignore[union-attr]
    sys.exit(run(arguments))


def run(arguments: list[str] | None = None) -> int:
    """Run the command line; the exit status."""
    prepare()
    command: Any = typer.main.get_command(app)
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    with _interruptions() as caught:
        try:
            _check_encoding(arguments)
            if "_SEQCLI_COMPLETE" in os.environ:  # the shell asks how a word could go on
                command.main(arguments, prog_name="seqcli")
            if not _show_help(command, arguments):
                # Not `main`, which would exit by itself where a pipe is closed or Ctrl-C pressed.
                with command.make_context("seqcli", arguments) as context:
                    command.invoke(context)
            sys.stdout.flush()
        except typer.Exit as left:
            return left.exit_code
        except BrokenPipeError:
            return _drop_stdout(0)
        except (KeyboardInterrupt, typer.Abort):
            return _say_interrupted()
        except Exception as error:
            return _say_interrupted() if caught else _report(error, command, arguments)
    return 0


def _check_encoding(arguments: list[str]) -> None:
    """Raise UsageError for words that are not UTF-8, as a model folder could not hold them."""
    for word in arguments:
        try:
            word.encode("utf-8")
        except UnicodeEncodeError:
            shown = word.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
            raise UsageError(f"{shown} is not UTF-8; rename the file, or write it so") from None


@contextmanager
def _interruptions() -> Iterator[list[int]]:
    """Yields the signals of Ctrl-C so far, which still interrupt: modules in C++ that one meets
    while they load swallow it, and what fails after that looks like an error."""
    caught: list[int] = []

    def catch(number: int, frame: FrameType | None) -> None:
        caught.append(number)
        signal.default_int_handler(number, frame)

    ours = signal.getsignal(signal.SIGINT) is signal.default_int_handler  # it may be ignored
    if ours:
        signal.signal(signal.SIGINT, catch)
    try:
        yield caught
    finally:
        if ours:
            signal.signal(signal.SIGINT, signal.default_int_handler)


def _report(error: Exception, command: Any, arguments: list[str]) -> int:
    """Report what ended a command in one line; the exit status."""
    if isinstance(error, SeqcliError):
        _fail(str(error))
        return error.status
    if isinstance(error, OSError):
        _fail(f"{error.filename or 'cannot read or write'}: {error.strerror or error}")
        return _drop_stdout(1)
    if hasattr(error, "format_message"):  # wrong usage, as the option parser found it
        if type(error).__name__ == "NoArgsIsHelpError":  # a group alone: its message is help
            print(error.format_message())
        else:
            _fail(_usage(error.format_message(), error))
        return int(getattr(error, "exit_code", 2))
    if _is_memory(error):
        _fail(f"out of memory; {_save_memory(command, arguments)}")
        return 1
    if os.environ.get("SEQCLI_DEBUG"):
        import traceback

        traceback.print_exc()
    _fail(
        f"a bug in seqcli ({type(error).__name__}: {error}); SEQCLI_DEBUG=1 shows where, please "
        f"report it"
    )
    return 1


def _say_interrupted() -> int:
    _fail("interrupted")
    return 128 + signal.SIGINT


def _usage(message: str, error: Exception) -> str:
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else "seqcli"
    message = message.replace("Value error, ", "").rstrip(".")
    return f"{message}{' see' if message.endswith('?') else '; see'} {path} --help"


def _fail(message: str) -> None:
    from seqcli.console import fail

    fail(message)


def _is_memory(error: Exception) -> bool:
    """Whether memory ran out, which Python and torch say in different ways."""
    return (
        isinstance(error, MemoryError)
        or type(error).__name__ == "OutOfMemoryError"
        or "can't allocate memory" in str(error)
    )


def _save_memory(command: Any, arguments: list[str]) -> str:
    """How the command that ran could do with less memory: by those of its options that matter."""
    name = next((word for word in arguments if not word.startswith("-")), "")
    parameters = getattr(command.commands.get(name), "params", [])
    known = {option for parameter in parameters for option in parameter.opts}
    if found := ", ".join(option for option in OF_MEMORY if option in known):
        return "use a smaller " + " or ".join(found.rsplit(", ", 1))
    return "give it shorter lines, or free memory that other programs hold"


def _show_help(command: Any, arguments: list[str]) -> bool:
    """Print the help of `COMMAND … --help`, and say whether that was asked for.

    Help by way of parsing the command line costs as much time again.
    """
    context = typer.Context(command, info_name="seqcli", max_content_width=WIDTH)
    *names, last = arguments or [""]
    if last not in ("-h", "--help"):
        return False
    for name in names:
        found = getattr(command, "commands", {}).get(name)
        if found is None:
            return False
        command, context = found, typer.Context(found, info_name=name, parent=context)
    if text := command.get_help(context):
        print(text)
    return True


def _drop_stdout(status: int) -> int:
    """Discard the rest of the output, since its reader is gone or its disk is full: flushing it at
    exit would only print errors."""
    from seqcli.console import discard

    discard(sys.stdout)
    return status
