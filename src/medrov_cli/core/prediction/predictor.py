"""The predictor: from images to detections in source pixels."""

from __future__ import annotations

import weakref
from collections.abc import Generator, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

import numpy as np

from medrov_cli.core.base.constants import DEFAULT_WEIGHTS
from medrov_cli.core.engines.interface import Engine
from medrov_cli.core.prediction.classes import ClassList
from medrov_cli.core.prediction.engine_calls import EngineCalls
from medrov_cli.core.prediction.image_sources import Image, list_images, to_source
from medrov_cli.core.prediction.kind_rule import KindRule
from medrov_cli.core.prediction.learned_classes import LearnedClasses
from medrov_cli.core.prediction.model_file import read_model_file
from medrov_cli.core.prediction.open_predictor import PredictorParts, open_parts
from medrov_cli.core.prediction.prepared import PreparedImage, TiledFrame, stack_inputs
from medrov_cli.core.prediction.scoring import Scoring
from medrov_cli.core.prediction.selection import per_class
from medrov_cli.core.prediction.stream import BatchBy, OnFailure, Stages, group_items, run_stream
from medrov_cli.core.prediction.tile_search import TileJournal
from medrov_cli.core.prediction.tiles import TileSearch
from medrov_cli.core.records.detections import AnyCandidates, Candidates, Detections, Failure
from medrov_cli.core.records.frame import Frame, UInt8Array
from medrov_cli.core.settings.groups import DEFAULT_CONF, RuntimeSettings, SelectionSettings
from medrov_cli.core.settings.tile_groups import TileJob, TileSettings

if TYPE_CHECKING:
    from medrov_cli.core.settings.values import Prompt

THREADS = 4
"""Number of files that are read in parallel."""


class Predictor:
    """Detector of a list of classes in images.

    ``predict`` may be called from several threads: images are prepared in parallel, and the engine is
    called by as many as it allows. ``close`` and each iterator of ``stream`` must be used by one thread.

    Parameters
    ----------
    parts
        Engine, classes and rules of selection; see :meth:`open`.
    """

    def __init__(self, parts: PredictorParts) -> None:
        self.classes = parts.classes
        self.scoring = parts.scoring
        self.batch = parts.batch
        self.identity = parts.identity
        self.rectangles = parts.rectangles
        self._selection = parts.selection
        self._kind_rule = KindRule(parts.classes, parts.kinds)
        self._calls: EngineCalls | None = EngineCalls(parts)
        self._streams: weakref.WeakSet[Generator[Detections | Failure, None, None]] = weakref.WeakSet()

    @classmethod
    def open(
        cls,
        model: str | Path = DEFAULT_WEIGHTS,
        classes: Sequence[str | Prompt] | ClassList | None = None,
        runtime: RuntimeSettings | None = None,
        selection: SelectionSettings | None = None,
        text_encoder: str | None = None,
        learned: Sequence[Path] = (),
        tiles: TileJob | TileSettings | None = None,
    ) -> Self:
        """Open weights, or an exported model, with classes in an engine.

        Parameters
        ----------
        model
            Name in the manifest, weights file, or exported model.
        classes
            Names (``a``, or ``a/b`` with synonyms), prompts, or embeddings, or one text of names with commas
            between them; null: those of the model.
        runtime
            Device, engine, precision, size of the input, batch; no network.
        selection
            Lowest score, calibration, suppression, number of detections.
        text_encoder
            Spec of the text encoder of the classes; that of the model where null.
        learned
            Files of ``medrov learn``, whose classes follow the others; without ``classes`` they are alone.
        tiles
            Tiles of slides and large images; null: every image is searched whole.

        Raises
        ------
        MedrovError
            ``USAGE``, or a code of weights, exported models, engines and text encoders.
        """
        file = read_model_file(model)
        parts = open_parts(
            file,
            classes,
            runtime or RuntimeSettings(),
            selection or SelectionSettings(),
            text_encoder=text_encoder,
            learned=LearnedClasses.read(learned, file),
        )
        job = TileJob(settings=tiles) if isinstance(tiles, TileSettings) else tiles
        return cls(replace(parts, tiles=job))

    @classmethod
    def from_engine(cls, engine: Engine, classes: Sequence[str], selection: SelectionSettings) -> Self:
        """Return a predictor of an engine (a network in training) and the names of its columns.

        Scores are not calibrated.
        """
        conf = DEFAULT_CONF if selection.conf is None else selection.conf
        scoring = Scoring(np.full(len(classes), conf))
        return cls(PredictorParts(engine, ClassList.from_embeddings(classes), scoring, selection))

    @property
    def engine(self) -> Engine:
        """Return the engine.

        Raises
        ------
        ValueError
            The predictor is closed.
        """
        return self._opened.engine

    @property
    def _opened(self) -> EngineCalls:
        if self._calls is None:
            raise ValueError("the predictor is closed")
        return self._calls

    def predict(self, images: Image | Iterable[Image]) -> list[Detections]:
        """Return the detections of images, one result per frame, in order.

        Parameters
        ----------
        images
            One image or several: pixels as uint8 (height, width, 3) RGB, frames, or paths.

        Raises
        ------
        MedrovError
            The input error of the first image that cannot be read.
        """
        stages = self._stages(keep_pixels=False)
        frames = (frame for image in list_images(images) for frame in to_source(image).frames())
        results: list[Detections] = []
        for group in group_items(map(stages.prepare, frames), self.batch, "readable", ends_at_failure=False):
            if isinstance(group, TiledFrame):
                results.append(stages.search(group))
                continue
            whole = [item for item in group if not isinstance(item, Failure)]
            found, elapsed_ms = stages.run_batch(whole)
            results += [stages.finish(*pair, elapsed_ms) for pair in zip(whole, found, strict=True)]
        return results

    def stream(
        self,
        images: Image | Iterable[Image],
        *,
        threads: int = THREADS,
        on_failure: OnFailure = "record",
        batch: int | None = None,
        batch_by: BatchBy = "readable",
        keep_pixels: bool = False,
        tile_journal: TileJournal | None = None,
    ) -> Generator[Detections | Failure, None, None]:
        """Yield the result of each frame of many images, in order, with bounded memory.

        Files are read and prepared ahead, and the network runs on the next batch while the caller uses this
        one. The iterator holds threads until its end: to end it early, close it or the predictor.

        Parameters
        ----------
        images
            Paths, frames, arrays, or sources.
        threads
            Number of files that are read in parallel.
        on_failure
            ``record``: an input that fails is a `Failure` in its place. ``stop``: it is the last item.
            ``raise``: its error is raised in its place.
        batch
            Images per forward pass; null: that of the predictor.
        batch_by
            ``readable``: an input that fails takes no place in a batch. ``position``: it takes one.
        keep_pixels
            Leave the pixels in ``frame`` of the detections.
        tile_journal
            Store of the tiles of an image, from which an interrupted search continues.

        Raises
        ------
        MedrovError
            The input error of an image, with ``raise``.
        """
        stream = run_stream(
            self._stages(keep_pixels=keep_pixels, threads=threads, journal=tile_journal),
            images,
            batch=batch or self.batch,
            threads=threads,
            on_failure=on_failure,
            batch_by=batch_by,
        )
        self._streams.add(stream)
        return stream

    def prepare(self, frame: Frame, *, keep_pixels: bool = False) -> PreparedImage:
        """Return the input of the network for a frame: the first of the three steps."""
        return self._opened.prepare(frame, keep_pixels=keep_pixels, on_host=True)

    def infer(self, inputs_rgb: UInt8Array) -> Sequence[AnyCandidates]:
        """Return the candidates of each input, uint8, (height, width, 3): the second step."""
        return self._opened.select(inputs_rgb)

    def infer_all_classes(self, inputs_rgb: UInt8Array) -> list[Candidates]:
        """Return the candidates of each input with a score for every class."""
        return self._opened.infer(inputs_rgb)

    def finish(
        self, image: PreparedImage, candidates: AnyCandidates, elapsed_ms: float | None = None
    ) -> Detections:
        """Return the detections of a frame from its candidates: the third step."""
        limits, learned = self._selection, self.classes.learned
        frame, kind, columns = self._kind_rule.apply(image.frame, image.letterbox, candidates.pooled)
        box, scoring = image.letterbox, self.scoring
        found = per_class(candidates, box, scoring, columns, learned, iou=limits.iou, max_det=limits.max_det)
        names, identity = self.classes.names, self.identity
        return replace(found, classes=names, frame=frame, kind=kind, model=identity, elapsed_ms=elapsed_ms)

    def close(self) -> None:
        """End all streams and release the engine; the predictor cannot be used afterwards."""
        for stream in list(self._streams):
            stream.close()
        self._calls = None

    def __enter__(self) -> Self:
        """Return the predictor."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the predictor."""
        self.close()

    def _stages(
        self, *, keep_pixels: bool, threads: int = THREADS, journal: TileJournal | None = None
    ) -> Stages[PreparedImage, AnyCandidates]:
        calls = self._opened
        tiles = TileSearch(calls.parts, self._kind_rule, self.infer, calls.parallel)

        def prepare(frame: Frame) -> PreparedImage | TiledFrame:
            return tiles.plan(frame) or calls.prepare(frame, keep_pixels=keep_pixels)

        def infer(images: Sequence[PreparedImage]) -> Sequence[AnyCandidates]:
            return self.infer(stack_inputs(images))

        def search(item: TiledFrame) -> Detections:
            return tiles.run(item, threads=threads, keep_pixels=keep_pixels, journal=journal)

        return Stages(prepare, infer, self.finish, search, calls.parallel)
