"""The ``medrov`` command: what there is, and how a failure becomes a message and an exit code.

A command lives in ``commands/<name>.py``: a function that takes its settings (or, for a group, a
``typer.Typer`` named ``app``) and is registered below; ``commands/signature.py`` makes its options of
the fields of the settings. Its module imports only the standard library, typer, rich, ``core.base``,
``core.settings`` and ``console``; heavy imports stand in the function. It fails by raising
:class:`MedrovError`, and ends with another exit code than 0 by ``raise typer.Exit(ExitCode.PARTIAL)``
after its output is printed.
"""

from __future__ import annotations

import contextlib
import errno
import io
import os
import sys
import traceback
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, TextIO

import typer

from medrov_cli import console
from medrov_cli.commands import (
    benchmark,
    data_check,
    data_convert,
    data_export,
    data_merge,
    data_phantom,
    data_presence,
    data_split,
    data_stats,
    detect,
    doctor,
    evaluate,
    export,
    pseudolabel,
    train,
    weights,
)
from medrov_cli.commands.signature import with_options
from medrov_cli.core.base.constants import RESEARCH_NOTICE
from medrov_cli.core.base.errors import ErrorCode, ExitCode, MedrovError, usage_error
from medrov_cli.core.base.versions import __version__

ERROR_SCHEMA = "medrov.error/1"

_NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS})
_OUT_OF_MEMORY = ("out of memory", "not enough memory", "can't allocate memory")
"""What PyTorch's RuntimeErrors say when an accelerator or the machine has no memory left."""

_SCRIPTS = {
    "--against": "ultralytics_predictor.py",
    "--cold": "cold_start.py",
    "--scaling": "scaling_curves.py",
    "--text": "text_encoder.py",
}
"""Removed options of ``medrov benchmark``, and the scripts of ``benchmarks/`` that took their place."""

app = typer.Typer(
    name="medrov",
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
data_app = typer.Typer(name="data", help="Build datasets for training and evaluation.", no_args_is_help=True)
app.command("detect")(with_options(detect.detect))
app.command("train")(with_options(train.train))
app.command("eval")(with_options(evaluate.evaluate))
data_app.command("convert", no_args_is_help=True)(with_options(data_convert.convert))
data_app.command("merge", no_args_is_help=True)(with_options(data_merge.merge))
data_app.command("split", no_args_is_help=True)(with_options(data_split.split))
data_app.command("check", no_args_is_help=True)(with_options(data_check.check))
data_app.command("stats", no_args_is_help=True)(with_options(data_stats.stats))
data_app.command("presence", no_args_is_help=True)(with_options(data_presence.presence))
data_app.command("export", no_args_is_help=True)(with_options(data_export.export))
data_app.command("phantom", no_args_is_help=True)(with_options(data_phantom.phantom))
app.add_typer(data_app)
app.add_typer(pseudolabel.app, name="pseudolabel")
app.add_typer(weights.app, name="weights")
app.command("export", no_args_is_help=True)(with_options(export.export))
app.command("benchmark")(with_options(benchmark.benchmark))
app.command("doctor")(with_options(doctor.doctor))


def _print_version(wanted: bool) -> None:
    if wanted:
        console.write_data(f"medrov {__version__}\n")
        raise typer.Exit


@app.callback(
    invoke_without_command=True,
    help=f"Detect objects in medical images by class names in free text.\n\n{RESEARCH_NOTICE}",
)
def _root(
    context: typer.Context,
    version: Annotated[
        bool,
        typer.Option("--version", help="Print the version and exit.", callback=_print_version, is_eager=True),
    ] = False,
) -> None:
    del version  # its callback has done the work
    if context.invoked_subcommand is None:
        console.write_data(context.get_help())


def main() -> None:
    """Run the command line of this process and exit with its code."""
    sys.stdout, sys.stderr = _usable(sys.stdout), _usable(sys.stderr)
    if isinstance(sys.stdin, io.TextIOWrapper):
        sys.stdin.reconfigure(errors="surrogateescape")  # nor need the names in a list of paths
    if not sys.warnoptions and not _is_debugging():
        # Warnings of libraries are for developers, and some quote the values of DICOM attributes.
        warnings.simplefilter("ignore")
    # Before numpy is there: in small products its threads only wait, and keep cores from the network.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    sys.exit(run(sys.argv[1:]))


def _usable(stream: TextIO | None) -> TextIO:
    """Return a stream that takes any text: a file name need not be valid UTF-8."""
    if stream is None:  # closed by the caller: ``>&-``
        return Path(os.devnull).open("w", encoding="utf-8")
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="backslashreplace")  # this escape is a valid one in JSON, too
    return stream


def run(arguments: Sequence[str]) -> int:
    """Run the command line; return its exit code, having printed why it failed, if it did."""
    try:
        code = _run(arguments)
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader has enough (``| head``): no message, and nothing left to flush at exit.
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
        return ExitCode.OK
    return code


def _run(arguments: Sequence[str]) -> int:
    try:
        result = app(args=list(arguments), prog_name="medrov", standalone_mode=False)
    except SystemExit as error:  # typer's way to say that the reader of the output is gone
        raise BrokenPipeError from error
    except BrokenPipeError:
        raise
    except KeyboardInterrupt:
        result = ExitCode.INTERRUPTED
    except Exception as error:  # noqa: BLE001 - the one place that turns any failure into a message
        if _is_debugging():
            traceback.print_exc()
        return _report(_as_medrov_error(error), as_json=_asks_for_json(arguments))
    if result == ExitCode.INTERRUPTED:
        console.note("interrupted; files that were written are complete, and --resume continues the run")
    return result if isinstance(result, int) else ExitCode.OK


def _report(failure: MedrovError, *, as_json: bool) -> int:
    if failure.message:  # empty where the usage error was to give no arguments: the help is printed
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
                f"{option} was removed: benchmarks/{script} takes these figures",
                f"Run python benchmarks/{script} in the source repository.",
            )
        return usage_error(error.format_message(), f"See '{command} --help'.")
    if isinstance(error, MemoryError) or any(words in str(error).lower() for words in _OUT_OF_MEMORY):
        return MedrovError(
            ErrorCode.OUT_OF_MEMORY, "the machine has no memory left", "Use a smaller --imgsz or --batch."
        )
    if isinstance(error, OSError) and error.errno in _NO_SPACE:
        return MedrovError(
            ErrorCode.OUTPUT_FAILED,
            f"cannot write: {os.strerror(error.errno or 0)}",
            "Free some space, or write to another disk; files that were written are complete.",
        )
    return MedrovError(
        ErrorCode.INTERNAL,
        # Its text is left out: it may quote the file, and with it a patient.
        f"unexpected {type(error).__name__} at {_place_of(error)}",
        "This is a bug: please report it. MEDROV_DEBUG=1 prints the traceback (it may quote the input).",
    )


def _place_of(error: Exception) -> str:
    """Return file and line of our innermost frame."""
    package = Path(__file__).parent
    frames = [
        f for f in traceback.extract_tb(error.__traceback__) if Path(f.filename).is_relative_to(package)
    ]
    return (
        f"{Path(frames[-1].filename).relative_to(package)}:{frames[-1].lineno}"
        if frames
        else "an unknown place"
    )


def _asks_for_json(arguments: Sequence[str]) -> bool:
    """Tell whether ``--json`` is among the options (what follows ``--`` are no options)."""
    options = arguments[: arguments.index("--")] if "--" in arguments else arguments
    return "--json" in options


def _is_debugging() -> bool:
    return os.environ.get("MEDROV_DEBUG", "") not in ("", "0")
