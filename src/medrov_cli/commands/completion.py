"""Completion of option values by a shell (bash, zsh, fish), for ``commands/signature.py``.

Typer asks for values with the words of the command line; nothing heavy is imported for that.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import sys
from collections.abc import Callable, Iterable
from itertools import pairwise
from typing import Any

import typer

from medrov_cli.core.settings.choices import OUTPUT_FORMATS
from medrov_cli.core.settings.field import OptionField

VARIABLE = "_MEDROV_COMPLETE"
"""Environment variable by which the script of a shell asks for completions."""

Complete = Callable[[Any, list[str], str], list[str]]
"""Function of typer's context, the words before, and the incomplete word, to values."""


def is_completing() -> bool:
    """Return whether the script of a shell asks for completions."""
    return VARIABLE in os.environ


def print_completions(make_app: Callable[[str], Any]) -> int:
    """Print the completions of a command line; an error gives none.

    Parameters
    ----------
    make_app
        Function of the name of a command or group to the command line with that one alone.
    """
    # Typer converts values by pydantic, whose import takes a third of the time; completions need no values.
    sys.modules.setdefault("pydantic", None)  # type: ignore[arg-type]
    words = _words()
    with contextlib.suppress(Exception, SystemExit):
        make_app(words[1] if len(words) > 1 else "")(args=[], prog_name="medrov", standalone_mode=False)
    return 0


def _words() -> list[str]:
    """Return the words of the command line that is completed; quotes are removed if they are closed."""
    line = os.environ.get("COMP_WORDS") or os.environ.get("_TYPER_COMPLETE_ARGS") or ""
    try:
        return shlex.split(line)
    except ValueError:  # the last word starts with a quote
        return line.split()


def _value_of(*flags: str) -> str | None:
    """Return the value of an option in the command line; null without it."""
    words = _words()
    return next((value for flag, value in pairwise(words) if flag in flags), None)


def complete_classes(ctx: typer.Context, args: list[str], incomplete: str) -> list[str]:
    """Return class names of the weights; a name may follow a comma."""
    del ctx, args
    from medrov_cli.core.weights.completion_values import class_names

    return _in_list(class_names(_value_of("--weights", "-w")), incomplete)


def complete_weights(ctx: typer.Context, args: list[str], incomplete: str) -> list[str]:
    """Return names of weights; files are completed by the shell."""
    del ctx, args
    from medrov_cli.core.weights.completion_values import weights_names

    return _starting(weights_names(), incomplete)


def complete_formats(ctx: typer.Context, args: list[str], incomplete: str) -> list[str]:
    """Return output formats of ``detect``; a format may follow a comma."""
    del ctx, args
    return _in_list(OUTPUT_FORMATS, incomplete)


def complete_presets(ctx: typer.Context, args: list[str], incomplete: str) -> list[str]:
    """Return names of presets; files are completed by the shell."""
    del ctx, args
    from medrov_cli.core.settings.presets import preset_names

    return _starting(preset_names(), incomplete)


def complete_devices(ctx: typer.Context, args: list[str], incomplete: str) -> list[str]:
    """Return the kinds of devices."""
    del ctx, args
    return _starting(("auto", "cpu", "cuda", "mps"), incomplete)


def complete_windows(ctx: typer.Context, args: list[str], incomplete: str) -> list[str]:
    """Return the names of grey-level windows."""
    del ctx, args
    return _starting(("auto", "tag", "lung", "bone", "brain", "soft"), incomplete)


COMPLETIONS: dict[str, Complete] = {
    "--classes": complete_classes,
    "--weights": complete_weights,
    "--format": complete_formats,
    "--preset": complete_presets,
    "--device": complete_devices,
    "--window": complete_windows,
}
"""Functions by option. Options with fixed choices need none."""


def completion_of(spec: OptionField, kind: object) -> Complete | None:
    """Return the function that completes the value of an option of a type, if there is one.

    Enums and literals are completed by typer, and numbers are not.
    """
    found = next((COMPLETIONS[flag] for flag in spec.flags if flag in COMPLETIONS), None)
    is_text = kind in (str, str | None, list[str], list[str] | None)
    is_other_format = found is complete_formats and spec.metavar != "LIST"
    return found if is_text and not is_other_format else None


def _starting(values: Iterable[str], incomplete: str) -> list[str]:
    return [_quoted(value) for value in values if value.casefold().startswith(incomplete.casefold())]


def _in_list(values: Iterable[str], incomplete: str) -> list[str]:
    """Return the values that complete the last part of a list with commas, with the parts before."""
    before, comma, last = incomplete.rpartition(",")
    space = " " * (len(last) - len(last.lstrip()))
    given = {part.strip() for part in before.split(",")}
    found = [value for value in values if value not in given]
    start = last.strip().casefold()
    return [
        _quoted(f"{before}{comma}{space}{value}") for value in found if value.casefold().startswith(start)
    ]


def _quoted(value: str) -> str:
    """Return a value as bash inserts it: spaces need a backslash outside quotes."""
    if os.environ.get(VARIABLE, "").endswith("_bash") and " " in value and not _is_in_quotes():
        return value.replace(" ", "\\ ")
    return value


def _is_in_quotes() -> bool:
    """Return whether the word that bash completes starts with a quote."""
    words = os.environ.get("COMP_WORDS", "").split("\n")
    try:
        return words[int(os.environ["COMP_CWORD"])][:1] in ("'", '"')
    except (LookupError, ValueError):
        return False
