"""What a detection run is (its ``run.json``), and where an interrupted one goes on."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Sequence
from importlib import metadata
from typing import Any

from medrov_cli.core.base.constants import RESEARCH_NOTICE
from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.base.versions import __version__
from medrov_cli.core.pixels.inputs import Input

RUN_SCHEMA = "medrov.run/1"

_PACKAGES = ("torch", "opencv-python", "numpy", "pydicom")
"""Their versions decide about the last digit of a result."""


def describe_run(
    settings: dict[str, Any], classes: list[dict[str, Any]], model: dict[str, Any], inputs: Sequence[Input]
) -> dict[str, Any]:
    """Return the document ``run.json``: the same run gives the same document, without a date.

    Parameters
    ----------
    settings
        Everything that the user can set and that changes a result.
    classes, model
        What was looked for, with which network.
    inputs
        All inputs of the run.
    """
    return {
        "schema": RUN_SCHEMA,
        "command": "detect",
        "settings": settings,
        "classes": classes,
        "model": model,
        "inputs": {"count": len(inputs), "sha256": _inputs_sha256(inputs)},
        "versions": {"medrov": __version__, **{name: _version(name) for name in _PACKAGES}},
        "notice": RESEARCH_NOTICE,
    }


def count_kept(records: Iterable[dict[str, Any]], batch: int) -> int:
    """Return how many records of an interrupted run stay.

    Images are put into batches in their order, and a batch may decide about the last bit of a
    score: so the images of a batch that was cut are done again, together.
    """
    kept = 0
    images = 0
    for number, record in enumerate(records, 1):
        images += "error" not in record
        if images % batch == 0:
            kept = number
    return kept


def next_position(records: Iterable[dict[str, Any]], inputs: Sequence[Input]) -> tuple[int, int]:
    """Return the number of the input, and of its frame, with which a run goes on.

    Parameters
    ----------
    records
        What is done: the records of the first inputs, in their order.
    inputs
        All inputs of the run.

    Raises
    ------
    MedrovError
        ``OUTPUT_FAILED`` if the records are not those of the inputs.
    """
    position = -1
    last: dict[str, Any] = {}
    for record in records:
        if record["path"] != last.get("path"):
            position += 1
            if position == len(inputs) or inputs[position].path != record["path"]:
                raise MedrovError(
                    ErrorCode.OUTPUT_FAILED,
                    f"--resume: existing records are not of this run (at {record['path']!r})",
                    "Start again with --overwrite or another --output.",
                )
        last = record
    if not last or "error" in last or last["frame_count"] == 1:
        return position + 1, 0
    return position, last["frame"] + 1


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:  # the same module can come from another package
        return None


def _inputs_sha256(inputs: Sequence[Input]) -> str:
    """Return the identity of a list of inputs: their names and sizes, in order."""
    digest = hashlib.sha256()
    for item in inputs:
        try:
            size_bytes = os.stat(item.path).st_size  # noqa: PTH116 - the path is taken as it was given
        except (OSError, ValueError):
            size_bytes = -1
        digest.update(f"{item.path}\0{size_bytes}\n".encode(errors="surrogateescape"))
    return digest.hexdigest()
