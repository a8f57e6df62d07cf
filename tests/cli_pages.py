"""Pages of ``docs/cli``, one per command group.

A help text begins with ``<!-- help: medrov detect -->`` and ends with ``<!-- end of help -->``. The text
around it is written by hand. ``make docs`` writes the help texts, and adds that of a new command at the end
of the page of its group. ``test_docs.py`` checks the pages.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
from pathlib import Path

from command_line import command_paths

FOLDER = Path(__file__).parents[1] / "docs" / "cli"
COLUMNS = "100"

_BLOCK = re.compile(r"<!-- help: medrov ?(?P<words>[a-z ]*) -->\n.*?<!-- end of help -->", re.DOTALL)


def help_of(path: tuple[str, ...]) -> str:
    """Return what ``medrov <path> --help`` prints in 100 columns, without blanks at line ends."""
    from medrov_cli import cli

    out = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    before = os.environ.get("COLUMNS")
    os.environ["COLUMNS"] = COLUMNS
    try:
        with contextlib.redirect_stdout(out):
            cli.run([*path, "--help"])
    finally:
        os.environ.pop("COLUMNS")
        if before is not None:
            os.environ["COLUMNS"] = before
    out.seek(0)
    return "\n".join(line.rstrip() for line in out.read().strip("\n").splitlines()).strip()


def page_name(path: tuple[str, ...]) -> str:
    """Return the file name of the page that holds a command's help text."""
    return f"{path[0]}.md" if path else "README.md"


def page_names() -> list[str]:
    """Return the file names of all pages."""
    return sorted({page_name(path) for path in command_paths()})


def commands_of_page(name: str) -> list[tuple[str, ...]]:
    """Return the words of the commands whose help texts stand on a page."""
    return [path for path in command_paths() if page_name(path) == name]


def quoted_commands(text: str) -> list[tuple[str, ...]]:
    """Return the words of each command whose help text a page quotes, in the order of the page."""
    return [tuple(match["words"].split()) for match in _BLOCK.finditer(text)]


def with_current_helps(text: str) -> str:
    """Return a text in which each quoted help text is the current one."""
    return _BLOCK.sub(lambda match: _block(tuple(match["words"].split())), text)


def current_page(name: str) -> str:
    """Return a page with current help texts; those of commands that it lacks are added at its end."""
    file = FOLDER / name
    text = file.read_text(encoding="utf-8") if file.exists() else ""
    missing = [path for path in commands_of_page(name) if path not in quoted_commands(text)]
    parts = [
        with_current_helps(text).strip(),
        *(f"## {_command(path)}\n\n{_block(path)}" for path in missing),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _command(path: tuple[str, ...]) -> str:
    return " ".join(["medrov", *path])


def _block(path: tuple[str, ...]) -> str:
    return f"<!-- help: {_command(path)} -->\n```text\n{help_of(path)}\n```\n<!-- end of help -->"


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for page in page_names():
        (FOLDER / page).write_text(current_page(page), encoding="utf-8")
