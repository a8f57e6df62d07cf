"""Procedure of ``medrov merge``: the folders of ``--shard`` runs joined to that of the whole run."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from medrov_cli.core.base.documents import read_json
from medrov_cli.core.base.environment import is_offline
from medrov_cli.core.base.errors import ErrorCode, MedrovError, usage_error
from medrov_cli.core.base.files import whole_file
from medrov_cli.core.base.progress import Progress
from medrov_cli.core.base.text_files import DocumentError
from medrov_cli.core.detection.shards import unit_sizes
from medrov_cli.core.detection.summary import DetectionSummary, RunSummary
from medrov_cli.core.pixels.folders import SkippedFile
from medrov_cli.core.records.findings_json import is_volume_record
from medrov_cli.core.runs.identity import Refusal, require_equal
from medrov_cli.core.runs.journal import read_records
from medrov_cli.core.runs.stored_output import stored_output
from medrov_cli.core.settings.choices import Phi
from medrov_cli.core.settings.io_groups import OutputSettings
from medrov_cli.core.settings.merge_shards import MergeRunsSettings
from medrov_cli.core.settings.tile_groups import ShardUnit
from medrov_cli.core.settings.values import Shard
from medrov_cli.core.writers.format_files import find_writer
from medrov_cli.core.writers.json_lines import JSONL_FILE
from medrov_cli.core.writers.protocol import RecordWriter
from medrov_cli.core.writers.sink import RUN_FILE, OutputFolder

_OWN_INPUTS = ("count", "sha256", "units")
"""Facts about the inputs of a shard alone; the others are equal in all shards."""


@dataclass(frozen=True, slots=True)
class MergedRuns:
    """Result of a merge: number of parts, output folder or its address, summary of the whole run."""

    parts: int
    folder: str
    summary: DetectionSummary

    def as_dict(self) -> dict[str, Any]:
        """Return the document of schema ``medrov.merge/1``."""
        return {
            "schema": "medrov.merge/1",
            "parts": self.parts,
            "output": self.folder,
            "summary": self.summary.as_dict(),
        }


@dataclass(frozen=True, slots=True)
class _Part:
    folder: Path
    shard: Shard
    run: dict[str, Any]

    def units(self) -> Iterator[list[dict[str, Any]]]:
        """Yield the records of each unit: of its files, then of its volumes.

        Raises
        ------
        MedrovError
            ``TRUNCATED`` if the records are not those of the inputs of ``run.json``.
        """
        try:
            records = read_records(self.folder / JSONL_FILE)
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
                    raise self._damaged()
                yield unit
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise self._damaged() from error
        if record is not None:
            raise self._damaged()

    def _damaged(self) -> MedrovError:
        return MedrovError(
            ErrorCode.TRUNCATED,
            f"{self.folder / JSONL_FILE} does not hold the records of its {RUN_FILE}",
            f"Run the job --shard {self.shard} again with --overwrite.",
        )


def merge_runs(config: MergeRunsSettings, on_progress: Progress | None = None) -> MergedRuns:
    """Join the folders of all shards of a run to the folder that the whole run writes, byte for byte.

    Parameters
    ----------
    config
        Folders of the shards, in any order, and output folder.
    on_progress
        Called with the number of joined images, of all images, and the stage.

    Raises
    ------
    MedrovError
        ``USAGE`` if a part is no complete run of a shard, shards overlap or are missing, or their settings
        differ; ``TRUNCATED`` for damaged records; ``OUTPUT_FAILED``.
    """
    config.check()
    parts = _read_parts(config.parts)
    given = OutputSettings(folder=config.folder, overwrite=config.overwrite)
    with stored_output(given, JSONL_FILE, offline=is_offline()) as output:
        summary = _merge(replace(config, folder=output.folder or config.folder), parts, on_progress)
    return MergedRuns(len(parts), str(given.place), summary)


def _merge(
    config: MergeRunsSettings, parts: Sequence[_Part], on_progress: Progress | None
) -> DetectionSummary:
    run = parts[0].run
    whole = {
        **run,
        "settings": {**run["settings"], "shard": None},
        "inputs": run["inputs"]["whole"],
    }
    skipped = [SkippedFile(**file) for file in run["inputs"]["skipped"]]
    tally = RunSummary(whole["inputs"]["count"], skipped)
    formats = run["settings"]["formats"]
    folder = OutputFolder(config.folder, formats, [item["name"] for item in run["classes"]])
    try:
        folder.claim(whole, resume=False, overwrite=config.overwrite)
        folder.open(lambda _: 0)
        for record in _joined(parts):
            folder.write(record, None)
            tally.add(record)
            if on_progress is not None:
                on_progress(tally.done, tally.expected, "merge")
        for part in parts:
            _copy_pictures(part.folder, config.folder, formats)
        summary = tally.summary()
        folder.finish(summary.as_dict(), Phi(run["settings"]["phi"]))
    finally:
        folder.close()
    return summary


def _joined(parts: Sequence[_Part]) -> Iterator[dict[str, Any]]:
    """Yield all records in the order of the whole run: unit by unit, from one part after the other."""
    streams = [part.units() for part in parts]
    number = 0
    while True:
        unit = next(streams[number % len(streams)], None)
        if unit is None:
            break
        yield from unit
        number += 1
    for part, stream in zip(parts, streams, strict=True):
        if next(stream, None) is not None:
            raise usage_error(
                f"{part.folder} has more inputs than its place --shard {part.shard} allows",
                "Run the jobs again on equal inputs.",
            )


def _copy_pictures(source: Path, target: Path, formats: Sequence[str]) -> None:
    """Copy the files that a format writes for each image: their names differ in all shards."""
    for writer in map(find_writer, formats):
        for name in writer.files if isinstance(writer, RecordWriter) else ():
            for file in sorted((source / name).rglob("*")):
                if file.is_file() and not file.name.startswith("."):
                    with whole_file(target / file.relative_to(source)) as temporary:
                        shutil.copyfile(file, temporary)


def _read_parts(folders: Sequence[Path]) -> list[_Part]:
    """Return the parts in the order of their shards, after all checks.

    Raises
    ------
    MedrovError
        ``USAGE``.
    """
    parts: dict[int, _Part] = {}
    first: _Part | None = None
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
    total = sum(part.run["inputs"]["count"] for part in ordered)
    if total != first.run["inputs"]["whole"]["count"]:
        raise usage_error(
            f"the parts have {total} inputs, and the whole run {first.run['inputs']['whole']['count']}",
            "Run the jobs again on equal inputs.",
        )
    return ordered


def _common(run: dict[str, Any]) -> dict[str, Any]:
    """Return the facts of a part that are equal in all parts of a run."""
    inputs = {key: value for key, value in run["inputs"].items() if key not in _OWN_INPUTS}
    return {**run, "settings": {**run["settings"], "shard": None}, "inputs": inputs}


def _read_part(folder: Path) -> _Part:
    path = folder / RUN_FILE
    try:
        run = read_json(path)
        settings = run["settings"]
        shard = None if settings["shard"] is None else Shard.parse(settings["shard"])
        is_of_tiles = settings["shard_by"] == ShardUnit.TILES
        is_known = "whole" in run["inputs"]
    except (OSError, DocumentError, LookupError, TypeError, MedrovError) as error:
        raise usage_error(
            f"{folder} is no output folder of 'medrov detect --shard': {RUN_FILE} is absent or unreadable",
            "Give the --output of each job.",
        ) from error
    if shard is None:
        raise usage_error(f"{folder} is a run without --shard", "Give the --output of each job of an array.")
    if is_of_tiles:
        raise usage_error(
            f"{folder} is a run with --shard-by tiles, whose images are in all parts",
            "Read the records of all parts together (docs/slides.md), or share out the inputs.",
        )
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
    return _Part(folder, shard, run)
