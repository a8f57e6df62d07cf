"""Printed output: data on stdout, everything else on stderr.

Colour, boxes and moving bars are used only if the stream is a terminal, and follow ``NO_COLOR`` and
``TERM=dumb``. Strings are printed literally, without markup, emoji codes or control characters, so that a
file name cannot control a terminal. A renderer uses :class:`rich.text.Text` for colour.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol, TextIO, TypeVar

from rich import box
from rich.console import Console, RenderableType
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as RichProgress
from rich.style import StyleType
from rich.table import Table
from rich.text import Text

from medrov_cli.core.base.errors import CacheWarning
from medrov_cli.core.base.progress import Progress

LOG_SECONDS = 10.0
"""Interval of progress lines in a log, in seconds."""

UNBOUNDED_WIDTH = 10_000
"""Columns of a stream that is not a terminal: a table has one line per row, without truncation."""


class Output(Protocol):
    """Output of a command: one versioned JSON document."""

    def as_dict(self) -> Mapping[str, Any]:
        """Return the document, which has a key ``schema``."""


OutputT = TypeVar("OutputT", bound=Output | Mapping[str, Any])


class _DataConsole(Console):
    """Console that prints strings literally and raises the error of a closed pipe."""

    def render_str(self, text: str, *args: Any, **kwargs: Any) -> Text:
        return super().render_str(printable(text), *args, **kwargs)

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


class _MessageConsole(_DataConsole):
    """Console whose text nobody has to read: a closed pipe does not end the command."""

    def on_broken_pipe(self) -> None:
        discard(sys.stderr)


Record = TypeVar("Record", bound=Output)


def stdout() -> Console:
    """Return the console of data."""
    width = None if sys.stdout.isatty() else UNBOUNDED_WIDTH
    return _DataConsole(file=sys.stdout, width=width, markup=False, emoji=False, highlight=False)


def stderr() -> Console:
    """Return the console of everything else."""
    width = None if sys.stderr.isatty() else UNBOUNDED_WIDTH
    return _MessageConsole(file=sys.stderr, width=width, markup=False, emoji=False, highlight=False)


def success(output: OutputT, render: Callable[[OutputT], RenderableType], *, as_json: bool) -> None:
    """Print the output of a command: its JSON document, or its text for users.

    The work is done: if the reader of stdout is gone, the command ends with its own exit code.

    Parameters
    ----------
    output
        Record with ``as_dict()``, or the document itself.
    render
        Function of the record to text or a table; not called for JSON.
    as_json
        Whether the document is printed instead.
    """
    try:
        if not as_json and sys.stdout.isatty():
            stdout().print(render(output))
        elif not as_json:
            console = stdout()
            with console.capture() as captured:
                console.print(render(output))
            # A table pads its columns with blanks, which are removed in a file.
            write_data("".join(f"{line.rstrip()}\n" for line in captured.get().splitlines()))
        else:
            print_json(output if isinstance(output, Mapping) else output.as_dict())
    except BrokenPipeError:
        discard(sys.stdout)


def print_json(document: Mapping[str, Any]) -> None:
    """Print one JSON document, with its key ``schema``, on stdout.

    Characters outside ASCII are escaped if stdout is not UTF-8.
    """
    is_utf8 = (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
    write_data(json.dumps(document, indent=2, ensure_ascii=not is_utf8, allow_nan=False) + "\n")


def write_data(text: str) -> None:
    """Write text to stdout unchanged, and flush."""
    sys.stdout.write(text)
    sys.stdout.flush()


def discard(*streams: TextIO) -> None:
    """Discard what is not yet written to streams and what follows, so that nothing fails later."""
    for stream in streams:
        with contextlib.suppress(OSError), open(os.devnull, "wb") as nothing:  # noqa: PTH123 - a device
            os.dup2(nothing.fileno(), stream.fileno())


def table(*headings: str, title: str | None = None) -> Table:
    """Return an empty table: boxed on a terminal, plain aligned columns in a pipe or a file.

    A heading of two lines has one in a pipe.
    """
    terminal = sys.stdout.isatty()
    made = Table(
        title=title,
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD if terminal else None,
        show_edge=False,
        pad_edge=False,
    )
    for heading in headings:
        made.add_column(heading if terminal else heading.replace("\n", " "), overflow="fold")
    return made


def note(message: str) -> None:
    """Print a message on stderr."""
    stderr().print(message)


def warn(message: str) -> None:
    """Print a warning on stderr."""
    _say("warning:", "yellow", message)


def show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """Print a warning: those about the cache are for users, without a place in the code."""
    if issubclass(category, CacheWarning):
        warn(str(message))
    else:
        (file or sys.stderr).write(warnings.formatwarning(message, category, filename, lineno, line))


def fail(message: str, hint: str = "") -> None:
    """Print the message and the hint of a failure on stderr."""
    _say("error:", "bold red", message)
    if hint:
        _say("hint:", "dim", hint)


def printable(text: str) -> str:
    r"""Return text with control characters (other than line breaks and tabs) written as ``\x1b``."""
    if text.isprintable():
        return text
    keep = "\n\t"
    return "".join(c if c in keep or c.isprintable() else c.encode("unicode_escape").decode() for c in text)


@contextlib.contextmanager
def progress(unit: str) -> Iterator[Progress]:
    """Show the progress of a step on stderr: a bar on a terminal, periodic lines in a log.

    The yielded value is a callable ``advance(done, total, what)`` for the core; ``total`` may be null, and a
    new ``what`` starts a new count.

    Parameters
    ----------
    unit
        Unit of the rate, in the plural: ``images``.
    """
    console = stderr()
    if not console.is_terminal or console.is_dumb_terminal:
        yield _LogLines(unit)
        return
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        _RateColumn(unit),
        TimeRemainingColumn(),
    )
    with RichProgress(*columns, console=console, transient=True) as bar:
        yield _Bar(bar)


class _Bar:
    """Progress bar."""

    def __init__(self, bar: RichProgress) -> None:
        self._bar = bar
        self._task = bar.add_task("", total=None)
        self._stage = ""

    def __call__(self, done: int, total: int | None, what: str) -> None:
        if what != self._stage:
            self._stage = what
            self._bar.reset(self._task, total=total, description=printable(what))
        self._bar.update(self._task, completed=done, total=total)


class _RateColumn(ProgressColumn):
    """Column with the steps per second."""

    def __init__(self, unit: str) -> None:
        super().__init__()
        self._unit = unit

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else f"{speed:.1f} {self._unit}/s")


class _LogLines:
    """Progress as plain lines: one at the end of a stage, and one every ``LOG_SECONDS``."""

    def __init__(self, unit: str) -> None:
        self._unit = unit
        self._stage = ""
        self._started = self._said = self._called = time.monotonic()

    def __call__(self, done: int, total: int | None, what: str) -> None:
        now = time.monotonic()
        if what != self._stage:
            # The first step of a stage started at the end of the stage before it.
            self._stage, self._started, self._said = what, self._called, now
        self._called = now
        if done != total and now - self._said < LOG_SECONDS:
            return
        self._said = now
        rate = done / max(now - self._started, 1e-6)
        of = "" if total is None else f"/{total}"
        left = f", {(total - done) / rate:.0f} s left" if total and 0 < done < total else ""
        note(f"{what}: {done}{of} {self._unit}, {rate:.1f}/s{left}")


def _say(label: str, style: StyleType, message: str) -> None:
    stderr().print(Text.assemble((label, style), " ", printable(message)))
