"""The ``medrov`` command: registration of the commands, messages and exit codes of failures.

A command is a function in ``commands/<name>.py`` that takes its settings (a group is a ``typer.Typer`` named
``app``) and is registered below; ``commands/signature.py`` generates its options from the fields of the
settings. Its module imports only the standard library, typer, rich, ``core.base``, ``core.settings`` and
``console``; heavy imports are inside the function. A failure raises :class:`MedrovError`. Another exit code
than 0 is set by ``raise typer.Exit(ExitCode.PARTIAL)`` after the output is printed.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import os
import sys
import traceback
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, TextIO

import typer

from medrov_cli import commands, console
from medrov_cli.commands.completion import is_completing, print_completions
from medrov_cli.commands.signature import with_options
from medrov_cli.core.base.constants import RESEARCH_NOTICE
from medrov_cli.core.base.environment import is_offline, keep_library_files
from medrov_cli.core.base.errors import (
    CacheWarning,
    ErrorCode,
    ExitCode,
    MedrovError,
    place_of,
    system_failure,
    usage_error,
)
from medrov_cli.core.base.termination import Termination, is_caused_by_interrupt
from medrov_cli.core.base.versions import __version__

ERROR_SCHEMA = "medrov.error/1"

_OUT_OF_MEMORY = ("out of memory", "not enough memory", "can't allocate memory")
"""Texts of PyTorch's RuntimeErrors if an accelerator or the machine has no memory left."""
_SCRIPTS = {
    "--against": "ultralytics_predictor.py",
    "--cold": "cold_start.py",
    "--scaling": "scaling_curves.py",
    "--text": "text_encoder.py",
}
"""Removed options of ``medrov benchmark``, and the scripts of ``benchmarks/`` that replace them."""


_COMMANDS = {
    "detect": ("detect:detect",),
    "merge": ("merge_shards:merge",),
    "send": ("send:send",),
    "train": ("train:train",),
    "eval": ("evaluate:evaluate",),
    "data": (
        "data_convert:convert",
        "data_merge:merge",
        "data_split:split",
        "data_check:check",
        "data_stats:stats",
        "data_presence:presence",
        "data_export:export",
        "data_phantom:phantom",
    ),
    "pseudolabel": ("pseudolabel:app",),
    "learn": ("learn:learn",),
    "weights": ("weights:app",),
    "export": ("export:export",),
    "benchmark": ("benchmark:benchmark",),
    "doctor": ("doctor:doctor",),
}
"""Module and function (or ``typer.Typer``) of each command, of each command of the group ``data``, in the
order of ``--help``."""

_NEEDS_ARGUMENTS = frozenset({"data", "export", "learn", "merge", "send"})
"""Commands and groups that print their help if they are called without arguments."""


def _print_version(wanted: bool) -> None:
    if wanted:
        console.write_data(f"medrov {__version__}\n")
        raise typer.Exit


def _root(
    context: typer.Context,
    version: Annotated[
        bool,
        typer.Option("--version", help="Print the version and exit.", callback=_print_version, is_eager=True),
    ] = False,
) -> None:
    del version  # handled by its callback
    if context.invoked_subcommand is None:
        console.write_data(context.get_help())


def make_app(first: str = "") -> typer.Typer:
    """Return the command line; if ``first`` is a command or group, import that one alone.

    This saves a third of the time that the program needs to start.
    """
    app = typer.Typer(
        name="medrov",
        add_completion=True,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    for name in (first,) if first in _COMMANDS else _COMMANDS:
        _register(app, name)
    app.callback(
        invoke_without_command=True,
        help=f"Detect objects in medical images by class names in free text.\n\n{RESEARCH_NOTICE}",
    )(_root)
    return app


def _register(app: typer.Typer, name: str) -> None:
    """Import a command or group, and add it to the command line."""
    group = app
    if name == "data":
        group = typer.Typer(
            name=name, help="Build datasets for training and evaluation.", no_args_is_help=True
        )
        app.add_typer(group)
    for place in _COMMANDS[name]:
        module, attribute = place.split(":")
        command = getattr(importlib.import_module(f"{commands.__name__}.{module}"), attribute)
        if isinstance(command, typer.Typer):
            app.add_typer(command, name=name)
        else:
            own = name if group is app else attribute
            group.command(own, no_args_is_help=name in _NEEDS_ARGUMENTS)(with_options(command))


def main(termination: Termination | None = None) -> None:
    """Run the command line of this process with a handler of signals; exit with its code."""
    termination = termination or Termination()
    code: int = ExitCode.INTERRUPTED
    with contextlib.suppress(KeyboardInterrupt):  # before the command, or while a first one was reported
        termination.install()
        _prepare()
        code = run(sys.argv[1:])
    termination.uninstall()
    sys.exit(termination.exit_code(code))


def _prepare() -> None:
    """Set up streams, warnings, variables of libraries and the fence of the network."""
    sys.stdout, sys.stderr = _usable(sys.stdout), _usable(sys.stderr)
    if isinstance(sys.stdin, io.TextIOWrapper):
        sys.stdin.reconfigure(errors="surrogateescape")  # names in a list of paths may not be, either
    if not sys.warnoptions and not _is_debugging():
        # They are for developers, and may contain values of DICOM attributes.
        warnings.simplefilter("ignore")
        warnings.simplefilter("always", CacheWarning)
    warnings.showwarning = console.show_warning
    if "numpy" not in sys.modules:  # its threads slow down small products, and occupy cores of the network
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    keep_library_files()
    if is_offline("--offline" in _options(sys.argv[1:])):
        from medrov_cli.core.base.network_fence import forbid_network

        forbid_network()


def _usable(stream: TextIO | None) -> TextIO:
    """Return a stream that accepts any text, since a file name may be invalid UTF-8."""
    if stream is None:  # closed by the caller: ``>&-``
        return Path(os.devnull).open("w", encoding="utf-8")
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="backslashreplace")  # this escape is valid in JSON, too
    return stream


def run(arguments: Sequence[str]) -> int:
    """Run the command line, print the error of a failure, and return the exit code."""
    code: int = ExitCode.OK
    try:
        code = _run(arguments)
        sys.stdout.flush()
    except OSError as error:  # ``| head``: no message; a full disk
        console.discard(sys.stdout, sys.stderr)
        is_read = isinstance(error, BrokenPipeError)
        return ExitCode.OK if is_read else code or _report(_as_medrov_error(error), as_json=False)
    return code


def _run(arguments: Sequence[str]) -> int:
    try:
        if is_completing():
            return print_completions(make_app)
        result = make_app(*arguments[:1])(args=list(arguments), prog_name="medrov", standalone_mode=False)
    except SystemExit as error:  # typer's way to say that the reader of the output is gone
        raise BrokenPipeError from error
    except BrokenPipeError:
        raise
    except KeyboardInterrupt:
        result = ExitCode.INTERRUPTED
    except Exception as error:  # noqa: BLE001 - the one place that turns any failure into a message
        if not is_caused_by_interrupt(error):
            if _is_debugging():
                traceback.print_exc()
            return _report(_as_medrov_error(error), as_json=_asks_for_json(arguments))
        result = ExitCode.INTERRUPTED
    if result == ExitCode.INTERRUPTED:
        console.note("interrupted; files that were written are complete, and --resume continues the run")
    return result if isinstance(result, int) else ExitCode.OK


def _report(failure: MedrovError, *, as_json: bool) -> int:
    if failure.message:  # empty for a usage error without arguments: the help is printed
        if as_json:
            console.print_json({"schema": ERROR_SCHEMA, "error": failure.as_dict()})
        console.fail(failure.message, failure.hint)
    return failure.exit_code


def _as_medrov_error(error: Exception) -> MedrovError:
    if isinstance(error, MedrovError):
        return error
    if isinstance(error, typer.TyperException):
        context = getattr(error, "ctx", None)
        command = context.command_path if context else "medrov"
        option = getattr(error, "option_name", None)
        if command == "medrov benchmark" and option in _SCRIPTS:
            script = _SCRIPTS[option]
            return usage_error(
                f"{option} was removed and replaced by benchmarks/{script}",
                f"Run python benchmarks/{script} in the source repository.",
            )
        return usage_error(error.format_message(), f"See '{command} --help'.")
    if isinstance(error, MemoryError) or any(words in str(error).lower() for words in _OUT_OF_MEMORY):
        return MedrovError(
            ErrorCode.OUT_OF_MEMORY, "the machine has no memory left", "Use a smaller --imgsz or --batch."
        )
    failure = system_failure(error) if isinstance(error, OSError) else None
    if failure is not None:
        return failure
    return MedrovError(
        ErrorCode.INTERNAL,
        # Its text is omitted, because it may contain data of the file and the patient.
        f"unexpected {type(error).__name__} at {place_of(error)}",
        "This is a bug: please report it. MEDROV_DEBUG=1 prints the traceback (it may quote the input).",
    )


def _asks_for_json(arguments: Sequence[str]) -> bool:
    return "--json" in _options(arguments)


def _options(arguments: Sequence[str]) -> Sequence[str]:
    """Return the arguments that may be options: those before ``--``."""
    return arguments[: arguments.index("--")] if "--" in arguments else arguments


def _is_debugging() -> bool:
    return os.environ.get("MEDROV_DEBUG", "") not in ("", "0")
