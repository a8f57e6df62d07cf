"""An open engine with its classes, and the records of a batch."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from medrov_cli.core.engines.interface import Engine
from medrov_cli.core.prediction.classes import ClassList
from medrov_cli.core.prediction.perimage import Prepared, Selection, finished
from medrov_cli.core.records.detections import Candidates, ImageRecord
from medrov_cli.core.records.frame import ModelIdentity


@dataclass(frozen=True)
class Session:
    """What is opened once for all images.

    Attributes
    ----------
    engine, classes, identity
        The network, what it looks for, and both of them for the records.
    selection
        How detections are chosen.
    batch
        Images a forward pass.
    timings
        Whether records tell how long their image took.
    """

    engine: Engine
    classes: ClassList
    identity: ModelIdentity
    selection: Selection
    batch: int
    timings: bool

    def search(self, images: Sequence[Prepared]) -> Searched:
        """Run the engine on a batch of frames."""
        if not images:
            return Searched([], None)
        started = time.perf_counter()
        squares = np.stack([image.square_rgb for image in images])
        found = self.engine.infer(squares, self.selection.scoring.floor)
        elapsed_ms = round((time.perf_counter() - started) * 1000 / len(images), 1) if self.timings else None
        return Searched(found, elapsed_ms)

    def records(self, images: Sequence[Prepared], searched: Searched) -> Iterator[ImageRecord]:
        """Yield the records of a batch of frames."""
        for image, candidates in zip(images, searched.candidates, strict=True):
            yield finished(image, candidates, self.classes, self.selection, searched.elapsed_ms)


class Searched(NamedTuple):
    """What the engine made of a batch: each image's candidates, and the time one took, if that is told."""

    candidates: list[Candidates]
    elapsed_ms: float | None
