"""Folders of the jobs of an array: their records and their description, checked against each other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medrov_cli.core.base.documents import read_json
from medrov_cli.core.base.errors import ErrorCode, MedrovError, usage_error
from medrov_cli.core.base.text_files import DocumentError
from medrov_cli.core.detection.shards import unit_sizes
from medrov_cli.core.records.findings_json import is_volume_record
from medrov_cli.core.runs.identity import Refusal, require_equal
from medrov_cli.core.runs.journal import read_records
from medrov_cli.core.settings.tile_groups import ShardUnit
from medrov_cli.core.settings.values import Shard
from medrov_cli.core.writers.json_lines import JSONL_FILE
from medrov_cli.core.writers.run_files import RUN_FILE

_OWN_INPUTS = ("count", "sha256", "units")
"""Facts about the inputs of a shard alone; the others are equal in all shards."""


@dataclass(frozen=True, slots=True)
class ShardPart:
    """Folder of one job.

    Attributes
    ----------
    folder
        Its output.
    shard
        Its part of the inputs, or of the tiles of each image.
    run
        Its ``run.json``.
    """

    folder: Path
    shard: Shard
    run: dict[str, Any]

    @property
    def is_of_tiles(self) -> bool:
        """Return whether jobs share out the tiles of each image, so that all have all inputs."""
        return bool(self.run["settings"]["shard_by"] == ShardUnit.TILES)

    def records(self) -> Iterator[dict[str, Any]]:
        """Yield all records."""
        return read_records(self.folder / JSONL_FILE)

    def units(self) -> Iterator[list[dict[str, Any]]]:
        """Yield the records of each unit: of its files, then of its volumes.

        Raises
        ------
        MedrovError
            ``TRUNCATED`` if the records are not those of the inputs of ``run.json``.
        """
        try:
            records = self.records()
            record = next(records, None)
            for files in unit_sizes(self.run["inputs"]):
                unit: list[dict[str, Any]] = []
                path, left = None, files
                while record is not None:
                    if not is_volume_record(record) and record["path"] != path:
                        if not left:
                            break
                        path, left = record["path"], left - 1
                    unit.append(record)
                    record = next(records, None)
                if left:
                    raise self.damaged()
                yield unit
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise self.damaged() from error
        if record is not None:
            raise self.damaged()

    def damaged(self) -> MedrovError:
        """Return the error of records that are not those of the inputs."""
        return MedrovError(
            ErrorCode.TRUNCATED,
            f"{self.folder / JSONL_FILE} does not hold the records of its {RUN_FILE}",
            f"Run the job --shard {self.shard} again with --overwrite.",
        )


def read_parts(folders: Sequence[Path]) -> list[ShardPart]:
    """Return the parts in the order of their shards, after all checks.

    Raises
    ------
    MedrovError
        ``USAGE``.
    """
    parts: dict[int, ShardPart] = {}
    first: ShardPart | None = None
    for folder in folders:
        part = _read_part(folder)
        first = first or part
        if part.shard.count != first.shard.count:
            raise usage_error(
                f"{first.folder} is --shard {first.shard}, and {folder} is --shard {part.shard}",
                "Give the parts of one array of jobs.",
            )
        if part.shard.number in parts:
            raise usage_error(
                f"{parts[part.shard.number].folder} and {folder} are both --shard {part.shard}: they overlap",
                "Give each part once.",
            )
        require_equal(
            _common(first.run),
            _common(part.run),
            Refusal(
                "{folder} was made with another {name} than {first}: {new}, not {old}",
                "Run all jobs with equal settings, weights, versions and inputs.",
            ),
            folder=folder,
            first=first.folder,
        )
        parts[part.shard.number] = part
    if first is None:
        raise usage_error("no part was given", "Give the folders of all jobs.")
    missing = [number for number in range(1, first.shard.count + 1) if number not in parts]
    if missing:
        names = ", ".join(f"{number}/{first.shard.count}" for number in missing[:10])
        raise usage_error(
            f"{len(missing)} part(s) are missing: --shard {names}{', ...' if len(missing) > 10 else ''}",
            "Run these jobs, or give their folders, too.",
        )
    ordered = [parts[number] for number in sorted(parts)]
    if first.is_of_tiles:
        return ordered
    total = sum(part.run["inputs"]["count"] for part in ordered)
    if total != first.run["inputs"]["whole"]["count"]:
        raise usage_error(
            f"the parts have {total} inputs, and the whole run {first.run['inputs']['whole']['count']}",
            "Run the jobs again on equal inputs.",
        )
    return ordered


def _common(run: dict[str, Any]) -> dict[str, Any]:
    """Return the facts of a part that are equal in all parts of a run."""
    own = () if run["settings"]["shard_by"] == ShardUnit.TILES else _OWN_INPUTS
    inputs = {key: value for key, value in run["inputs"].items() if key not in own}
    return {**run, "settings": {**run["settings"], "shard": None}, "inputs": inputs}


def _read_part(folder: Path) -> ShardPart:
    path = folder / RUN_FILE
    try:
        run = read_json(path)
        settings = run["settings"]
        shard = None if settings["shard"] is None else Shard.parse(settings["shard"])
        is_known = ("skipped" if settings["shard_by"] == ShardUnit.TILES else "whole") in run["inputs"]
        counted = [run["inputs"], *([run["inputs"]["whole"]] if "whole" in run["inputs"] else [])]
        if not isinstance(settings, dict) or any(type(own["count"]) is not int for own in counted):
            raise TypeError
    except (OSError, DocumentError, LookupError, TypeError, AttributeError, MedrovError) as error:
        raise usage_error(
            f"{folder} is no output folder of 'medrov detect --shard': {RUN_FILE} is absent or unreadable",
            "Give the --output of each job.",
        ) from error
    if shard is None:
        raise usage_error(f"{folder} is a run without --shard", "Give the --output of each job of an array.")
    if not is_known:
        raise usage_error(
            f"{path} was written by an earlier version, which did not record the inputs of all parts",
            "Run the jobs again with this version.",
        )
    if not (folder / JSONL_FILE).is_file():
        raise usage_error(
            f"{folder} is not complete: its job --shard {shard} was interrupted or is running",
            "Run the job again with --resume.",
        )
    return ShardPart(folder, shard, run)
