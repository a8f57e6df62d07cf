"""Procedure of ``medrov merge``: the folders of ``--shard`` runs joined to that of the whole run."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from medrov_cli.core.base.environment import is_offline
from medrov_cli.core.base.errors import usage_error
from medrov_cli.core.base.files import whole_file
from medrov_cli.core.base.progress import Progress
from medrov_cli.core.detection.picture_reader import PictureReader
from medrov_cli.core.detection.shard_parts import ShardPart, read_parts
from medrov_cli.core.detection.summary import DetectionSummary, RunSummary
from medrov_cli.core.detection.tile_merge import join_tile_parts
from medrov_cli.core.pixels.found_files import SkippedFile
from medrov_cli.core.runs.stored_output import stored_output
from medrov_cli.core.settings.choices import Phi
from medrov_cli.core.settings.io_groups import OutputSettings
from medrov_cli.core.settings.merge_shards import MergeRunsSettings
from medrov_cli.core.settings.tile_groups import ShardUnit
from medrov_cli.core.writers.format_files import find_writer
from medrov_cli.core.writers.json_lines import JSONL_FILE
from medrov_cli.core.writers.protocol import RecordWriter
from medrov_cli.core.writers.sink import OutputFolder


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


def merge_runs(config: MergeRunsSettings, on_progress: Progress | None = None) -> MergedRuns:
    """Join the folders of all shards of a run to the folder that the whole run writes, byte for byte.

    Shards of tiles give the objects of the whole run; see
    :func:`medrov_cli.core.detection.tile_merge.join_tile_parts`.

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
    parts = read_parts(config.parts)
    given = OutputSettings(folder=config.folder, overwrite=config.overwrite)
    with stored_output(given, JSONL_FILE, offline=is_offline()) as output:
        summary = _merge(replace(config, folder=output.folder or config.folder), parts, on_progress)
    return MergedRuns(len(parts), str(given.place), summary)


def _merge(
    config: MergeRunsSettings, parts: Sequence[ShardPart], on_progress: Progress | None
) -> DetectionSummary:
    run = parts[0].run
    is_of_tiles = parts[0].is_of_tiles
    inputs = run["inputs"]
    whole = {
        **run,
        "settings": {**run["settings"], "shard": None, "shard_by": ShardUnit.INPUTS.value},
        "inputs": {key: inputs[key] for key in ("count", "sha256")} if is_of_tiles else inputs["whole"],
    }
    skipped = [SkippedFile(**file) for file in run["inputs"]["skipped"]]
    tally = RunSummary(whole["inputs"]["count"], skipped)
    formats = run["settings"]["formats"]
    paths = (str(record["path"]) for record in parts[0].records()) if is_of_tiles else ()
    names = [item["name"] for item in run["classes"]]
    folder = OutputFolder(config.folder, formats, names, paths, can_resume=False)
    pictures = PictureReader(run["settings"]) if is_of_tiles and folder.needs_pixels else None
    try:
        folder.claim(whole, resume=False, overwrite=config.overwrite)
        folder.open(lambda _: 0)
        for record in join_tile_parts(parts) if is_of_tiles else _joined(parts):
            folder.write(record, None if pictures is None else pictures.read(record))
            tally.add(record)
            if on_progress is not None:
                on_progress(tally.done, tally.expected, "merge")
        for part in () if is_of_tiles else parts:
            _copy_pictures(part.folder, config.folder, formats)
        summary = tally.summary()
        folder.finish(summary.as_dict(), Phi(run["settings"]["phi"]))
    finally:
        folder.close()
    return summary


def _joined(parts: Sequence[ShardPart]) -> Iterator[dict[str, Any]]:
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
        if not isinstance(writer, RecordWriter):
            continue
        for pattern in writer.files:
            for file in sorted(source.glob(pattern)):
                if file.is_file() and file.suffix == writer.suffix and not file.name.startswith("."):
                    with whole_file(target / file.relative_to(source)) as temporary:
                        shutil.copyfile(file, temporary)
