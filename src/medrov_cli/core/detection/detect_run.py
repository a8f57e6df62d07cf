"""One pass over the inputs: read, search and write side by side, and go on where it was cut."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from medrov_cli.core.base.ordered import OrderedWriter
from medrov_cli.core.base.progress import Progress
from medrov_cli.core.detection.resume import count_kept, describe_run, next_position
from medrov_cli.core.detection.summary import DetectionSummary, RunSummary
from medrov_cli.core.pixels.inputs import Input
from medrov_cli.core.pixels.read import read_frames
from medrov_cli.core.prediction.predictor import Predictor
from medrov_cli.core.records.detect_json import item_to_record
from medrov_cli.core.records.detections import Detections, Failure
from medrov_cli.core.records.frame import Frame
from medrov_cli.core.settings.choices import Phi
from medrov_cli.core.settings.detect import DetectSettings
from medrov_cli.core.settings.io_groups import ReadSettings
from medrov_cli.core.settings.record import results_record
from medrov_cli.core.writers.sink import OutputFolder

RecordCallback = Callable[[dict[str, Any]], None]


@dataclass(frozen=True, slots=True)
class InputFile:
    """A file, from one of its frames on; see :class:`medrov_cli.core.records.frame.ImageSource`.

    Attributes
    ----------
    path
        As it was given.
    options
        Window, slicing axis and limits.
    phi
        Which identifiers may leave the program.
    first_frame
        Number of the first frame that is yielded.
    """

    path: str
    options: ReadSettings
    phi: Phi
    first_frame: int = 0

    def frames(self) -> Iterator[Frame]:
        """Yield the frames."""
        for frame in read_frames(self.path, self.options):
            if frame.index >= self.first_frame:
                identifiers = None if frame.identifiers is None else frame.identifiers.limit_to(self.phi)
                yield replace(frame, path=self.path, identifiers=identifiers)


class DetectRun:
    """Search inputs, and write what is found.

    Parameters
    ----------
    config
        All settings.
    predictor
        What was opened for them.
    inputs
        What to search.
    on_record, on_progress
        See :func:`medrov_cli.core.detection.run.run_detection`.
    """

    def __init__(
        self,
        config: DetectSettings,
        predictor: Predictor,
        inputs: Sequence[Input],
        on_record: RecordCallback | None,
        on_progress: Progress | None,
    ) -> None:
        self._config = config
        self._predictor = predictor
        self._inputs = inputs
        self._on_record = on_record
        self._on_progress = on_progress
        self._tally = RunSummary(len(inputs))
        self._read_options = replace(config.read, patient=config.phi is Phi.KEEP)
        self._folder: OutputFolder | None = None
        if config.output.folder is not None:
            self._folder = OutputFolder(config.output.folder, config.formats, predictor.classes.names)
        self._draws = self._folder is not None and self._folder.needs_pixels

    def execute(self) -> DetectionSummary:
        """Search what is not done yet; return what came of everything."""
        position = (0, 0)
        if self._folder is not None:
            config = self._config
            self._folder.claim(
                self._description(), resume=config.output.resume, overwrite=config.output.overwrite
            )
            if self._folder.is_complete:
                self._replay(self._folder)
                return self._tally.summary()
            self._folder.open(lambda records: count_kept(records, self._predictor.batch))
            position = next_position(self._folder.records(), self._inputs)
            self._replay(self._folder)
        stopped = self._search(*position)
        summary = self._tally.summary(stopped=stopped)
        if self._folder is not None and not stopped:
            self._folder.finish(summary.as_dict())
        return summary

    def close(self) -> None:
        """Let go of the output; what is written stays."""
        if self._folder is not None:
            self._folder.close()

    def _search(self, first_input: int, first_frame: int) -> bool:
        """Search the inputs from a position on; tell whether a failure ended the search early."""
        config = self._config
        sources = [
            InputFile(item.path, self._read_options, config.phi) for item in self._inputs[first_input:]
        ]
        if sources:
            sources[0] = replace(sources[0], first_frame=first_frame)
        stream = self._predictor.stream(
            sources,
            threads=config.read.threads,
            on_failure="stop" if config.strict else "record",
            keep_pixels=self._draws,
        )
        is_failure = False
        with closing(stream), OrderedWriter(waiting=2 * self._predictor.batch) as writer:
            for item in stream:
                writer.submit(partial(self._write, item))
                is_failure = isinstance(item, Failure)
        return config.strict and is_failure

    def _write(self, item: Detections | Failure) -> None:
        """Write an item. A failure that stops the run is not kept: a resumed run tries that input again."""
        pixels_rgb = None
        if isinstance(item, Detections):
            item = item if self._config.timings else replace(item, elapsed_ms=None)
            pixels_rgb = item.frame.pixels_rgb if self._draws and item.frame is not None else None
        record = item_to_record(item)
        if self._folder is not None and not (self._config.strict and isinstance(item, Failure)):
            self._folder.write(record, pixels_rgb)
        self._tell(record)

    def _tell(self, record: dict[str, Any]) -> None:
        self._tally.add(record)
        if self._on_record is not None:
            self._on_record(record)
        if self._on_progress is not None:
            self._on_progress(self._tally.done, self._tally.expected, "detect")

    def _replay(self, folder: OutputFolder) -> None:
        """Tell of the records that an earlier run has written."""
        for record in folder.records():
            self._tell(record)

    def _description(self) -> dict[str, Any]:
        classes = self._predictor.classes
        settings = {**results_record(self._config), "batch": self._predictor.batch}
        named = [
            {"name": name, "synonyms": list(synonyms)}
            for name, synonyms in zip(classes.names, classes.synonyms, strict=True)
        ]
        identity = self._predictor.identity
        if identity is None:
            raise ValueError("a run needs a model file")
        return describe_run(settings, named, identity.as_dict(), self._inputs)
