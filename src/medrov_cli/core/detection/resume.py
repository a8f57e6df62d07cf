"""Description of a detection run (``run.json``), and the position from which it is resumed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from medrov_cli.core.base.constants import RESEARCH_NOTICE
from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.base.versions import package_versions
from medrov_cli.core.pixels.inputs import Input
from medrov_cli.core.records.findings_json import is_volume_record
from medrov_cli.core.writers.run_files import RUN_SCHEMA


def describe_run(
    settings: dict[str, Any], classes: list[dict[str, Any]], model: dict[str, Any], inputs: dict[str, Any]
) -> dict[str, Any]:
    """Return the document ``run.json``, without a date: equal runs give equal documents.

    Parameters
    ----------
    settings
        All settings that change a result.
    classes, model
        Classes and model of the run.
    inputs
        Number and hash of the inputs; see :mod:`medrov_cli.core.detection.shards`.
    """
    return {
        "schema": RUN_SCHEMA,
        "command": "detect",
        "settings": settings,
        "classes": classes,
        "model": model,
        "inputs": inputs,
        "versions": package_versions(),
        "notice": RESEARCH_NOTICE,
    }


def count_kept(records: Iterable[dict[str, Any]], batch: int) -> int:
    """Return the number of records of an interrupted run that are kept.

    Batches contain images in their order, and a batch may influence the last bit of a score. The images of an
    interrupted batch are therefore repeated together.
    """
    kept = 0
    images = 0
    for number, record in enumerate(records, 1):
        if is_volume_record(record):  # it is computed again from the records before it
            continue
        if "tiling" in record:  # an image in tiles ends a batch and has batches of its own
            images = 0
        else:
            images += "error" not in record
        if images % batch == 0:
            kept = number
    return kept


def next_position(records: Iterable[dict[str, Any]], inputs: Sequence[Input]) -> tuple[int, int]:
    """Return the number of the input, and of its frame, from which a run continues.

    Parameters
    ----------
    records
        Records of the first inputs, in their order.
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
        if is_volume_record(record):
            continue
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
