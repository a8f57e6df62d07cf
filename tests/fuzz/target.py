"""What a fuzz target is: a source of hostile inputs, and the call that reads one."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

Input = bytes | dict[str, bytes]
"""Content of one file, or the files of a folder by relative path."""


@dataclass(frozen=True)
class Target:
    """A reader under test.

    Attributes
    ----------
    name
        Name on the command line.
    inputs
        Function of a random generator and a folder for scratch files; yields inputs without end. It is
        called in the parent process, and the same seed gives the same inputs.
    read
        Function of the path of the written input (a file, or a folder) to a short result: ``ok`` or the
        code of an error. It runs in the child process. ``internal`` in the result, and an exception,
        count as faults.
    suffix
        Ending of the file name.
    short_inputs
        Number of inputs of the campaign in the suite.
    """

    name: str
    inputs: Callable[[random.Random, Path], Iterator[Input]]
    read: Callable[[Path], str]
    suffix: str = ".bin"
    short_inputs: int = 40
