"""Pass over the inputs: parallel reading, detection and writing, continued after an interruption."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any

from medrov_cli.core.base.ordered import OrderedWriter
from medrov_cli.core.base.progress import Progress
from medrov_cli.core.detection.input_file import picture_of, to_record, to_sources
from medrov_cli.core.detection.open_detector import OpenedModel
from medrov_cli.core.detection.plane_search import PlaneSearch
from medrov_cli.core.detection.resume import count_kept, describe_run, next_position
from medrov_cli.core.detection.shards import describe_inputs, describe_shard, describe_skipped
from medrov_cli.core.detection.summary import DetectionSummary, RunSummary
from medrov_cli.core.detection.tile_journal import DetectTiles
from medrov_cli.core.detection.volume_findings import FindingsCollector
from medrov_cli.core.pixels.found_files import SkippedFile
from medrov_cli.core.pixels.inputs import Input
from medrov_cli.core.prediction.predictor import Predictor
from medrov_cli.core.records.detections import Detections, Failure
from medrov_cli.core.records.findings_json import is_volume_record
from medrov_cli.core.records.frame import UInt8Array
from medrov_cli.core.settings.detect import DetectSettings
from medrov_cli.core.settings.record import results_record
from medrov_cli.core.settings.tile_groups import ShardUnit
from medrov_cli.core.writers.sink import OutputFolder

if TYPE_CHECKING:
    from medrov_cli.core.detection.cluster_search import ClusterSearch

RecordCallback = Callable[[dict[str, Any]], None]


class DetectRun:
    """Detection on inputs, with output of the results.

    Parameters
    ----------
    config
        All settings.
    model
        Facts about the open predictor, here or in the workers.
    search
        The predictor, or the workers.
    inputs
        Inputs of the run, or of its shard.
    every
        Inputs of all shards.
    skipped
        Files that were left out, for the summary.
    on_record, on_progress
        See :func:`medrov_cli.core.detection.run.run_detection`.
    """

    def __init__(
        self,
        config: DetectSettings,
        model: OpenedModel,
        search: Predictor | ClusterSearch,
        inputs: Sequence[Input],
        every: Sequence[Input],
        skipped: Sequence[SkippedFile],
        on_record: RecordCallback | None,
        on_progress: Progress | None,
    ) -> None:
        self._config = config
        self._model = model
        self._search = search
        self._inputs = inputs
        self._every = every
        self._on_record = on_record
        self._on_progress = on_progress
        self._skipped = skipped
        self._tally = RunSummary(len(inputs), skipped)
        self._folder: OutputFolder | None = None
        if config.output.folder is not None:
            names = model.names
            paths = (item.path for item in every)
            self._folder = OutputFolder(config.output.folder, config.formats, names, paths)
        self._draws = self._folder is not None and self._folder.needs_pixels
        planes = None
        if config.planes and isinstance(search, Predictor):
            planes = PlaneSearch(search, config.planes, config.read, model.rules, self._advance_within)
        self._volumes = FindingsCollector(inputs, config.read, model.rules, planes)
        self._tiles = DetectTiles(config.output.folder, partial(self._advance_within, stage="tiles"))

    def execute(self) -> DetectionSummary:
        """Process the remaining inputs; return the summary of all inputs."""
        position = (0, 0)
        config = self._config
        if self._folder is not None:
            self._folder.claim(
                self._description(), resume=config.output.resume, overwrite=config.output.overwrite
            )
            if self._folder.is_complete:
                self._replay(self._folder)
                return self._tally.summary()
            self._folder.open(lambda records: count_kept(records, self._model.batch))
            position = next_position(self._folder.records(), self._inputs)
            self._replay(self._folder)
        stopped = self._process(*position)
        if not stopped:
            for volume in self._volumes.finish():
                self._write_record(volume)
        summary = self._tally.summary(stopped=stopped)
        if self._folder is not None and not stopped:
            self._tiles.remove()
            left_out = self._folder.finish(summary.as_dict(), config.phi)
            summary = replace(summary, left_out=tuple(left_out))
        return summary

    def close(self) -> None:
        """Release the output; written files stay."""
        self._tiles.close()
        if self._folder is not None:
            self._folder.close()

    def _process(self, first_input: int, first_frame: int) -> bool:
        """Process the inputs from a position on; return whether a failure ended the run early."""
        if not isinstance(self._search, Predictor):
            return self._process_in_cluster(self._search, first_input, first_frame)
        config = self._config
        stream = self._search.stream(
            to_sources(config, islice(self._inputs, first_input, None), first_frame),
            threads=config.read.threads,
            on_failure="stop" if config.strict else "record",
            keep_pixels=self._draws,
            tile_journal=self._tiles,
        )
        is_failure = False
        with closing(stream), OrderedWriter(waiting=2 * self._model.batch) as writer:
            for item in stream:
                if config.planes:  # in this thread, where an interruption ends the search of other planes
                    self._write(item)
                else:
                    writer.submit(partial(self._write, item))
                is_failure = isinstance(item, Failure)
        return config.strict and is_failure

    def _process_in_cluster(self, search: ClusterSearch, first_input: int, first_frame: int) -> bool:
        names = {} if self._folder is None else self._folder.names
        found = search.stream(self._inputs, first_input, first_frame, names)
        with closing(found):
            for record, files in found:
                is_last = self._config.strict and "error" in record
                if self._folder is not None and not is_last:
                    self._folder.write_files(files)
                self._add(record, is_kept=not is_last)
                if is_last:
                    return True
        return False

    def _write(self, item: Detections | Failure) -> None:
        """Write an item, except a failure that stops the run: a resumed run repeats that input."""
        pixels_rgb = None
        if isinstance(item, Detections) and self._draws and item.frame is not None:
            pixels_rgb = picture_of(item.frame)
        record = to_record(item, timings=self._config.timings)
        self._add(record, pixels_rgb, is_kept=not (self._config.strict and isinstance(item, Failure)))

    def _add(
        self, record: dict[str, Any], pixels_rgb: UInt8Array | None = None, *, is_kept: bool = True
    ) -> None:
        """Write a record after the volumes that end before it."""
        for volume in self._volumes.add(record):
            self._write_record(volume)
        self._write_record(self._volumes.explain(record), pixels_rgb, is_kept=is_kept)

    def _write_record(
        self, record: dict[str, Any], pixels_rgb: UInt8Array | None = None, *, is_kept: bool = True
    ) -> None:
        if self._folder is not None and is_kept:
            self._folder.write(record, pixels_rgb)
        self._tell(record)

    def _tell(self, record: dict[str, Any]) -> None:
        self._tally.add(record)
        if self._on_record is not None:
            self._on_record(record)
        if self._on_progress is not None:
            self._on_progress(self._tally.done, self._tally.expected, self._stage)

    def _advance_within(self, done: int, total: int | None, stage: str) -> None:
        if self._on_progress is not None:
            self._on_progress(done, total, stage)

    def _replay(self, folder: OutputFolder) -> None:
        """Report the records of an earlier run."""
        for record in folder.records():
            if not is_volume_record(record):
                self._volumes.replay(record)
            self._tell(record)

    def _description(self) -> dict[str, Any]:
        model = self._model
        settings = {**results_record(self._config), "batch": model.batch}
        if self._config.shard is None:
            inputs = describe_inputs(self._inputs)
        elif self._config.shard_by is ShardUnit.TILES:
            inputs = describe_inputs(self._inputs) | describe_skipped(self._skipped)
        else:
            inputs = describe_shard(self._inputs, self._every, self._skipped)
        return describe_run(settings, model.classes, model.identity.as_dict(), inputs)

    @property
    def _stage(self) -> str:
        return "detect" if isinstance(self._search, Predictor) else self._search.stage
