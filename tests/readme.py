"""The help texts in ``README.md``: ``make docs`` writes them, ``test_docs.py`` compares them.

A block begins with ``<!-- help: medrov detect -->`` and ends with ``<!-- end of help -->``.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
from pathlib import Path

README = Path(__file__).parents[1] / "README.md"
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


def quoted_helps(text: str) -> set[tuple[str, ...]]:
    """Return the words of every command whose help a text quotes."""
    return {tuple(match["words"].split()) for match in _BLOCK.finditer(text)}


def with_present_helps(text: str) -> str:
    """Return a text with every quoted help as it is now."""

    def block(match: re.Match[str]) -> str:
        words = match["words"].split()
        command = " ".join(["medrov", *words])
        return (
            f"<!-- help: {command} -->\n<details><summary><code>{command} --help</code></summary>\n\n"
            f"```text\n{help_of(tuple(words))}\n```\n\n</details>\n<!-- end of help -->"
        )

    return _BLOCK.sub(block, text)


if __name__ == "__main__":
    README.write_text(with_present_helps(README.read_text(encoding="utf-8")), encoding="utf-8")
