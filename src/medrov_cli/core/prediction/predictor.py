"""The predictor: from images to detections in source pixels."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

import numpy as np

from medrov_cli.core.base.constants import DEFAULT_WEIGHTS
from medrov_cli.core.engines.interface import Engine
from medrov_cli.core.prediction.classes import ClassList
from medrov_cli.core.prediction.model_file import read_model_file
from medrov_cli.core.prediction.open_predictor import PredictorParts, open_parts
from medrov_cli.core.prediction.scoring import DEFAULT_CONF, Scoring
from medrov_cli.core.prediction.selection import per_class
from medrov_cli.core.prediction.stream import (
    BatchBy,
    Image,
    OnFailure,
    Stages,
    list_images,
    run_stream,
    to_source,
)
from medrov_cli.core.records.detections import Candidates, Detections, Failure
from medrov_cli.core.records.frame import Frame, UInt8Array
from medrov_cli.core.records.letterbox import Letterbox
from medrov_cli.core.settings.groups import RuntimeSettings, SelectionSettings

if TYPE_CHECKING:
    from medrov_cli.core.settings.values import Prompt

THREADS = 4
"""Files that are read at once."""


@dataclass(frozen=True, slots=True, eq=False)
class PreparedImage:
    """A frame as the input of the network.

    Attributes
    ----------
    frame
        The frame, without its pixels unless they are to be kept.
    letterbox
        The transform from source to model pixels.
    square_rgb
        uint8, (imgsz, imgsz, 3).
    """

    frame: Frame
    letterbox: Letterbox
    square_rgb: UInt8Array


class Predictor:
    """Find classes in images.

    ``predict`` may be called from several threads: images are prepared side by side, the engine is called
    under a lock. ``close``, and each iterator of ``stream``, belong to one thread.

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
        self._selection = parts.selection
        self._engine: Engine | None = parts.engine
        self._lock = threading.Lock()
        self._streams: weakref.WeakSet[Generator[Detections | Failure, None, None]] = weakref.WeakSet()

    @classmethod
    def open(
        cls,
        model: str | Path = DEFAULT_WEIGHTS,
        classes: Sequence[str | Prompt] | ClassList | None = None,
        runtime: RuntimeSettings | None = None,
        selection: SelectionSettings | None = None,
        text_encoder: str | None = None,
    ) -> Self:
        """Open weights, or an exported model, with classes in an engine.

        Parameters
        ----------
        model
            Name in the manifest, weights file, or exported model.
        classes
            What to find: names (``a``, or ``a/b`` with synonyms), prompts, or vectors; null: the model's own.
        runtime
            Device, engine, precision, size of the input, batch; no network.
        selection
            Lowest score, calibration, suppression, number of detections.
        text_encoder
            Spec of the text encoder of the classes; that of the model where null.

        Raises
        ------
        MedrovError
            ``USAGE``, or a code of weights, exported models, engines and text encoders.
        """
        parts = open_parts(
            read_model_file(model),
            classes,
            runtime or RuntimeSettings(),
            selection or SelectionSettings(),
            text_encoder=text_encoder,
        )
        return cls(parts)

    @classmethod
    def from_engine(cls, engine: Engine, classes: Sequence[str], selection: SelectionSettings) -> Self:
        """Return a predictor of an engine (a network in training) and the names of its columns.

        Scores are shown raw.
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
        if self._engine is None:
            raise ValueError("the predictor is closed")
        return self._engine

    def predict(self, images: Image | Iterable[Image]) -> list[Detections]:
        """Return the detections of some images, one result a frame, in order.

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
        prepared = (
            stages.prepare(frame) for image in list_images(images) for frame in to_source(image).frames()
        )
        results: list[Detections] = []
        while group := list(islice(prepared, self.batch)):
            found, elapsed_ms = stages.run_batch(group)
            results += [stages.finish(*pair, elapsed_ms) for pair in zip(group, found, strict=True)]
        return results

    def stream(
        self,
        images: Iterable[Image],
        *,
        threads: int = THREADS,
        on_failure: OnFailure = "record",
        batch: int | None = None,
        batch_by: BatchBy = "readable",
        keep_pixels: bool = False,
    ) -> Generator[Detections | Failure, None, None]:
        """Yield what comes of each frame of many images, in order, with bounded memory.

        Files are read and prepared ahead, and the network runs on the next batch while the caller uses this
        one. The iterator holds threads until its end: to end it early, close it or the predictor.

        Parameters
        ----------
        images
            Paths, frames, arrays, or sources.
        threads
            Files that are read at once.
        on_failure
            ``record``: an input that fails is a `Failure` in its place. ``stop``: it is the last item.
            ``raise``: its error is raised in its place.
        batch
            Images in a forward pass; that of the predictor where null.
        batch_by
            ``readable``: an input that fails takes no place in a batch. ``position``: it takes one.
        keep_pixels
            Leave the pixels in ``frame`` of the detections.

        Raises
        ------
        MedrovError
            The input error of an image, with ``raise``.
        """
        stream = run_stream(
            self._stages(keep_pixels=keep_pixels),
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
        letterbox = Letterbox.fit((frame.height, frame.width), self.engine.imgsz)
        square = letterbox.apply(frame.pixels_rgb)
        kept = frame if keep_pixels else frame.without_pixels()
        kept = replace(kept, warnings=frame.warnings + self.classes.warnings(frame.modality))
        return PreparedImage(kept, letterbox, square)

    def infer(self, squares_rgb: UInt8Array) -> list[Candidates]:
        """Return the candidates of each input, uint8, (n, imgsz, imgsz, 3): the second step, under a lock."""
        engine = self.engine
        with self._lock:
            return engine.infer(squares_rgb, self.scoring.floor)

    def finish(
        self, image: PreparedImage, candidates: Candidates, elapsed_ms: float | None = None
    ) -> Detections:
        """Return the detections of a frame from its candidates: the third step."""
        selection = self._selection
        found = per_class(
            candidates,
            image.letterbox,
            self.scoring,
            self.classes.columns(image.frame.modality),
            iou=selection.iou,
            max_det=selection.max_det,
        )
        return replace(
            found, classes=self.classes.names, frame=image.frame, model=self.identity, elapsed_ms=elapsed_ms
        )

    def close(self) -> None:
        """End all streams and release the engine; the predictor cannot be used afterwards."""
        for stream in list(self._streams):
            stream.close()
        self._engine = None

    def __enter__(self) -> Self:
        """Return the predictor."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the predictor."""
        self.close()

    def _stages(self, *, keep_pixels: bool) -> Stages[PreparedImage, Candidates]:
        def prepare(frame: Frame) -> PreparedImage:
            return self.prepare(frame, keep_pixels=keep_pixels)

        def infer(images: Sequence[PreparedImage]) -> list[Candidates]:
            return self.infer(np.stack([image.square_rgb for image in images]))

        return Stages(prepare, infer, self.finish)
