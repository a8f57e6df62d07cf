"""The commands of the real application, for tests and for docs/cli."""

from __future__ import annotations

from functools import cache
from typing import Any

import typer

from medrov_cli.cli import make_app


@cache
def commands() -> dict[tuple[str, ...], Any]:
    """Return every command and group by its words; ``()`` is ``medrov`` itself."""

    def walk(command: Any, path: tuple[str, ...]) -> dict[tuple[str, ...], Any]:
        found = {path: command}
        for name, child in getattr(command, "commands", {}).items():
            found |= walk(child, (*path, name))
        return found

    return walk(typer.main.get_command(make_app()), ())


def command_paths() -> list[tuple[str, ...]]:
    """Return the words of every command and group."""
    return list(commands())


def options_of(path: tuple[str, ...]) -> set[str]:
    """Return all spellings of a command's options."""
    spelled = {"-h", "--help"}
    for parameter in commands()[path].params:
        if parameter.param_type_name == "option":
            spelled |= {*parameter.opts, *parameter.secondary_opts}
    return spelled


def takes_arguments(path: tuple[str, ...]) -> bool:
    """Tell whether a command, or a group itself, takes words that are neither options nor commands."""
    return any(parameter.param_type_name == "argument" for parameter in commands()[path].params)
