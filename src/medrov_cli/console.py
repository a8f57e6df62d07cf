"""Everything that is printed: data on stdout, everything else on stderr.

Colour, boxes and moving bars appear only where that stream is a terminal; ``NO_COLOR`` and
``TERM=dumb`` are obeyed. Strings are printed as they are: no markup, no emoji codes, and no
control characters, so that a file name can neither style nor drive a terminal. A renderer that
wants colour uses :class:`rich.text.Text`.
"""

from __future__ import annotations

import contextlib
import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NoReturn, Protocol, TypeVar

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

from medrov_cli.core.base.progress import Progress

LOG_SECONDS = 10.0
"""In a log, progress says a line this often."""

UNBOUNDED_WIDTH = 10_000
"""Columns of a stream that is no terminal: a table keeps one line a row, nothing is cut."""


class Output(Protocol):
    """What a command has to say: one versioned JSON document."""

    def as_dict(self) -> Mapping[str, Any]:
        """Return the document; it has a key ``schema``."""


OutputT = TypeVar("OutputT", bound=Output | Mapping[str, Any])


class _PlainConsole(Console):
    """A console that takes strings literally and lets a closed pipe reach the command line."""

    def render_str(self, text: str, *args: Any, **kwargs: Any) -> Text:
        return super().render_str(printable(text), *args, **kwargs)

    def on_broken_pipe(self) -> NoReturn:
        raise BrokenPipeError


Record = TypeVar("Record", bound=Output)


def stdout() -> Console:
    """Return the console of data."""
    width = None if sys.stdout.isatty() else UNBOUNDED_WIDTH
    return _PlainConsole(file=sys.stdout, width=width, markup=False, emoji=False, highlight=False)


def stderr() -> Console:
    """Return the console of everything else."""
    width = None if sys.stderr.isatty() else UNBOUNDED_WIDTH
    return _PlainConsole(file=sys.stderr, width=width, markup=False, emoji=False, highlight=False)


def success(output: OutputT, render: Callable[[OutputT], RenderableType], *, as_json: bool) -> None:
    """Print what a command found: its JSON document, or its rendering for people.

    Parameters
    ----------
    output
        A record with ``as_dict()``, or the document itself.
    render
        Makes text or a table of the record. Not called if JSON is wanted.
    as_json
        Print the document instead.
    """
    if not as_json and sys.stdout.isatty():
        stdout().print(render(output))
    elif not as_json:
        console = stdout()
        with console.capture() as captured:
            console.print(render(output))
        # A table fills its columns with blanks: in a file they are only in the way.
        write_data("".join(f"{line.rstrip()}\n" for line in captured.get().splitlines()))
    elif isinstance(output, Mapping):
        print_json(output)
    else:
        print_json(output.as_dict())


def print_json(document: Mapping[str, Any]) -> None:
    """Print one JSON document, with its key ``schema``, on stdout.

    Characters outside ASCII are escaped where stdout is not UTF-8.
    """
    is_utf8 = (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
    write_data(json.dumps(document, indent=2, ensure_ascii=not is_utf8, allow_nan=False) + "\n")


def write_data(text: str) -> None:
    """Write text to stdout as it is, at once."""
    sys.stdout.write(text)
    sys.stdout.flush()


def table(*headings: str, title: str | None = None) -> Table:
    """Return an empty table: boxed on a terminal, plain aligned columns in a pipe or a file."""
    made = Table(
        title=title,
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD if sys.stdout.isatty() else None,
        show_edge=False,
        pad_edge=False,
    )
    for heading in headings:
        made.add_column(heading, overflow="fold")
    return made


def note(message: str) -> None:
    """Say something on stderr."""
    stderr().print(message)


def warn(message: str) -> None:
    """Warn on stderr."""
    _say("warning:", "yellow", message)


def fail(message: str, hint: str = "") -> None:
    """Say on stderr why a command fails, and what to do."""
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
    """Show how far a long step is, on stderr: a bar on a terminal, now and then a line in a log.

    What is handed out is a plain callable ``advance(done, total, what)`` for the core; ``total``
    may be null, and a new ``what`` starts a new count.

    Parameters
    ----------
    unit
        What is counted, in the plural, for the rate: ``images``.
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
    """Progress as a moving bar."""

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
    """Steps per second."""

    def __init__(self, unit: str) -> None:
        super().__init__()
        self._unit = unit

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else f"{speed:.1f} {self._unit}/s")


class _LogLines:
    """Progress as plain lines: one when a stage ends, and one every ``LOG_SECONDS``."""

    def __init__(self, unit: str) -> None:
        self._unit = unit
        self._stage = ""
        self._started = self._said = self._called = time.monotonic()

    def __call__(self, done: int, total: int | None, what: str) -> None:
        now = time.monotonic()
        if what != self._stage:
            # The first step of a stage began when the last one of the stage before it ended.
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
