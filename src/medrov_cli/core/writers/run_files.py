"""Files of a detection run in its output folder: their names, and their treatment by later runs."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path, PurePath
from typing import Any

from medrov_cli.core.base.documents import read_json
from medrov_cli.core.base.text_files import DocumentError
from medrov_cli.core.runs.identity import Refusal
from medrov_cli.core.runs.kind import RecordFile, RunKind
from medrov_cli.core.writers.findings_file import FINDINGS_FILE
from medrov_cli.core.writers.format_files import all_writers
from medrov_cli.core.writers.json_lines import JSONL_FILE
from medrov_cli.core.writers.protocol import RecordWriter, Writer

RUN_FILE = "run.json"
RUN_SCHEMA = "medrov.run/1"


def is_overlay(folder: Path | str, file: str) -> bool:
    """Return whether a file is an image that a run wrote to a folder, or to the address of one."""
    if isinstance(folder, str):
        return any(file.startswith(f"{folder.rstrip('/')}/{name}/") for name in _image_folders())
    place = Path(file).absolute()
    return any(place.is_relative_to((folder / name).absolute()) for name in _image_folders())


def pictures_in(folder: str, names: Sequence[str]) -> list[str]:
    """Return the paths of the folders with pictures of a run, if a folder contains a run.

    Parameters
    ----------
    folder
        Path of the folder.
    names
        Names of its files.
    """
    if RUN_FILE not in names:
        return []
    try:
        document = read_json(Path(folder, RUN_FILE))
    except (OSError, DocumentError):
        return []
    is_run = isinstance(document, dict) and document.get("schema") == RUN_SCHEMA
    return [os.path.join(folder, name) for name in _image_folders()] if is_run else []  # noqa: PTH118


@cache
def _image_folders() -> tuple[str, ...]:
    """Return the folders of the formats that draw on images."""
    drawing = [writer for writer in all_writers() if isinstance(writer, RecordWriter)]
    return tuple({PurePath(name).parts[0]: None for writer in drawing for name in writer.files})


@cache
def run_kind(*, can_resume: bool = True) -> RunKind:
    """Return the kind of detection runs, with the files in their folder."""
    resume = "Add --resume to continue it, " if can_resume else "Add "
    return RunKind(
        taken=Refusal(
            "--output {folder} already contains a run",
            f"{resume}--overwrite to replace it, or give another --output.",
        ),
        marks=(RUN_FILE,),
        record=RecordFile(
            RUN_FILE,
            changed=Refusal(
                "--resume: the run in {folder} had another {name}: {old}, now {new}",
                f"Repeat the settings of its {RUN_FILE}, give another --output, or add --overwrite.",
            ),
        ),
        foreign=Refusal(
            f"--output {{folder}}: {{file}} exists without the {RUN_FILE} of a run",
            "Give another --output, or move the file away.",
        ),
        last=JSONL_FILE,
        files=_files_of_writers(all_writers()),
        files_of=_files_of_run,
    )


def _files_of_run(description: Any) -> tuple[str, ...]:
    """Return the patterns of the files that a run can have written, by its formats; none if it is damaged."""
    try:
        names = set(description["settings"]["formats"])
    except (KeyError, TypeError):
        return ()
    return _files_of_writers(writer for writer in all_writers() if writer.name in names)


def _files_of_writers(writers: Iterable[Writer]) -> tuple[str, ...]:
    return FINDINGS_FILE, *(name for writer in writers for name in writer.files if name != JSONL_FILE)
