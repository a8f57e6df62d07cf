"""One run of ``baseline.py``."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Run:
    """One run of the command line.

    Attributes
    ----------
    name
        Its name, and that of its folder below ``runs/``.
    command
        The command line after ``medrov``.
    stdin
        What it reads from stdin.
    records
        Name of the run whose folder is recorded after this one: by default its own.
    before
        Makes an input of the outputs of earlier runs, in the working folder.
    shape_only
        Whether the values of its JSON document depend on the machine: then its keys and types count.
    has_own_cache
        Whether it begins with an empty cache, so that nothing stored hides a change.
    is_interrupted
        Whether it is stopped as by Ctrl-C in its second epoch; what it left then is not recorded.
    """

    name: str
    command: str
    stdin: str = ""
    records: str = ""
    before: Callable[[Path], None] | None = None
    shape_only: bool = False
    has_own_cache: bool = False
    is_interrupted: bool = False

    @property
    def folder(self) -> str:
        """Return the recorded folder, relative to the working folder."""
        return f"runs/{self.records or self.name}"

    @property
    def words(self) -> list[str]:
        """Return the arguments."""
        return [self._path(word) if word.startswith("@") else word for word in shlex.split(self.command)]

    @property
    def needs(self) -> list[str]:
        """Return the names of the runs whose folders it reads."""
        return re.findall(r"(?:^| )@([\w-]+)", self.command)

    def _path(self, word: str) -> str:
        return f"runs/{word[1:]}" if len(word) > 1 and word[1] != "/" else f"runs/{self.name}{word[1:]}"
