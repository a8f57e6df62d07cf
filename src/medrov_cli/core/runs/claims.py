"""Whose output folder it is: a run writes into a new folder, or goes on with its own."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from medrov_cli.core.base.errors import usage_error
from medrov_cli.core.base.files import whole_file


def claim_folder(folder: Path, name: str, description: Mapping[str, Any], *, resume: bool) -> None:
    """Make a folder this run's by a file in it that says what is written, or see that it is.

    Parameters
    ----------
    folder
        Made if need be.
    name
        Of the file.
    description
        Settings and inputs: a folder that was begun with others is not gone on with, for files of both
        would stand in it.
    resume
        Whether to go on with a folder that was begun.

    Raises
    ------
    MedrovError
        ``USAGE`` if the folder holds something else.
    """
    file = folder / name
    if not file.exists():
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise usage_error(f"--output: {folder} holds something else", "Give a new or an empty folder.")
        with whole_file(file) as temporary:
            temporary.write_text(json.dumps(description, indent=2) + "\n", encoding="utf-8", newline="\n")
    elif not resume:
        raise usage_error(
            f"--output: {file} is there already", "Add --resume to go on, or name another folder."
        )
    elif _read(file) != description:
        raise usage_error(
            f"--resume: {file} says that the folder was begun with other inputs or options",
            "Repeat what it says, or name another folder.",
        )


def _read(file: Path) -> Any:
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
