"""One pass over the inputs: read, search and write side by side, and go on where it was cut."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import Any

from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.base.ordered import OrderedReader, OrderedWriter
from medrov_cli.core.base.progress import Progress
from medrov_cli.core.detection.resume import count_kept, describe_run, next_position
from medrov_cli.core.detection.summary import DetectionSummary, Tally
from medrov_cli.core.pixels.inputs import Input
from medrov_cli.core.pixels.read import read_frames
from medrov_cli.core.prediction.perimage import Prepared, prepare
from medrov_cli.core.prediction.session import Searched, Session
from medrov_cli.core.records.detections import ErrorRecord, Record
from medrov_cli.core.records.frame import UInt8Array
from medrov_cli.core.settings.choices import Phi
from medrov_cli.core.settings.detect import DetectConfig
from medrov_cli.core.writers.sink import OutputFolder

RecordCallback = Callable[[dict[str, Any]], None]


class DetectRun:
    """Search inputs, and write what is found.

    Parameters
    ----------
    config
        All settings.
    session
        What was opened for them.
    inputs
        What to search.
    on_record, on_progress
        See :func:`medrov_cli.core.detection.run.run_detection`.
    """

    def __init__(
        self,
        config: DetectConfig,
        session: Session,
        inputs: Sequence[Input],
        on_record: RecordCallback | None,
        on_progress: Progress | None,
    ) -> None:
        self._config = config
        self._session = session
        self._inputs = inputs
        self._on_record = on_record
        self._on_progress = on_progress
        self._tally = Tally(len(inputs))
        self._read_options = replace(config.read, patient=config.phi is Phi.KEEP)
        self._folder: OutputFolder | None = None
        if config.output is not None:
            self._folder = OutputFolder(config.output, config.formats, session.classes.names)
        self._draws = self._folder is not None and self._folder.needs_pixels

    def execute(self) -> DetectionSummary:
        """Search what is not done yet; return what came of everything."""
        position = (0, 0)
        if self._folder is not None:
            config = self._config
            self._folder.claim(self._description(), resume=config.resume, overwrite=config.overwrite)
            if self._folder.is_complete:
                self._replay(self._folder)
                return self._tally.summary()
            self._folder.open(lambda records: count_kept(records, self._session.batch))
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
        sources = [(item.path, 0) for item in self._inputs[first_input:]]
        if sources:
            sources[0] = (sources[0][0], first_frame)
        with (
            OrderedReader(sources, self._read, self._config.threads) as reader,
            OrderedWriter(waiting=2 * self._session.batch) as writer,
        ):
            items = (
                ErrorRecord(sources[number][0], item) if isinstance(item, MedrovError) else item
                for number, item in reader
            )
            for group, searched in self._searched(items):
                records = self._session.records([i for i in group if isinstance(i, Prepared)], searched)
                for item in group:
                    if isinstance(item, Prepared):
                        writer.submit(partial(self._write, next(records), item.pixels_rgb))
                        continue
                    writer.submit(partial(self._write, item, None))
                    if self._config.strict:
                        return True
        return False

    def _searched(
        self, items: Iterable[Prepared | ErrorRecord]
    ) -> Iterator[tuple[list[Prepared | ErrorRecord], Searched]]:
        """Yield batches and what the engine made of them; it is at work on the next one meanwhile."""
        ahead: tuple[list[Prepared | ErrorRecord], Future[Searched]] | None = None
        with ThreadPoolExecutor(1, "medrov-engine") as engine:
            for group in _batches(items, self._session.batch, flush_errors=self._config.strict):
                images = [item for item in group if isinstance(item, Prepared)]
                behind, ahead = ahead, (group, engine.submit(self._session.search, images))
                if behind is not None:
                    yield behind[0], behind[1].result()
            if ahead is not None:
                yield ahead[0], ahead[1].result()

    def _read(self, source: tuple[str, int]) -> Iterator[Prepared]:
        """Yield the frames of an input, from a given one on, ready for the engine."""
        path, first_frame = source
        is_empty = True
        for frame in read_frames(path, self._read_options):
            is_empty = False
            if frame.index >= first_frame:
                yield prepare(
                    replace(frame, path=path),
                    model=self._session.identity,
                    classes=self._session.classes,
                    phi=self._config.phi,
                    keep_pixels=self._draws,
                )
        if is_empty:
            raise MedrovError(ErrorCode.NO_PIXELS, "The file holds no image.", "Give a file with an image.")

    def _write(self, record: Record, pixels_rgb: UInt8Array | None) -> None:
        """Write a record. A failure that stops the run is not kept: a resumed run tries that input again."""
        if self._folder is not None and not (self._config.strict and isinstance(record, ErrorRecord)):
            self._folder.write(record, pixels_rgb)
        self._tell(record.as_dict())

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
        classes = self._session.classes
        settings = {**self._config.settings(), "batch": self._session.batch}
        named = [
            {"name": name, "synonyms": list(synonyms)}
            for name, synonyms in zip(classes.names, classes.synonyms, strict=True)
        ]
        return describe_run(settings, named, self._session.identity.as_dict(), self._inputs)


def _batches(
    items: Iterable[Prepared | ErrorRecord], size: int, *, flush_errors: bool
) -> Iterator[list[Prepared | ErrorRecord]]:
    """Yield runs of items with ``size`` images each (the last may have fewer), errors in between.

    Only the images count, so that a batch does not depend on where a run was cut.
    """
    group: list[Prepared | ErrorRecord] = []
    images = 0
    for item in items:
        group.append(item)
        is_image = isinstance(item, Prepared)
        images += is_image
        if images == size or (not is_image and (flush_errors or not images)):
            yield group
            group, images = [], 0
    if group:
        yield group
