"""Several networks that search the same image as one engine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from medrov_cli.core.engines.interface import RegionEngine, SelectingEngine, SelectionRule
from medrov_cli.core.prediction.column_engine import EngineLike
from medrov_cli.core.records.detections import Candidates, ClassCandidates
from medrov_cli.core.records.frame import UInt8Array
from medrov_cli.core.records.letterbox import Letterbox
from medrov_cli.core.records.regions import Regions


def join_engines(engines: Sequence[RegionEngine], counts: Sequence[int]) -> RegionEngine:
    """Return one engine; it selects on its device if all do. See :class:`JoinedEngine`."""
    if len(engines) == 1:
        return engines[0]
    if all(isinstance(engine, SelectingEngine) for engine in engines):
        return JoinedSelectingEngine(engines, counts)
    return JoinedEngine(engines, counts)


class JoinedEngine(EngineLike):
    """Several networks that search the same image, whose columns follow each other.

    See :class:`medrov_cli.core.engines.interface.RegionEngine`.

    Parameters
    ----------
    engines
        The engines; the first one gives the name, the pooled features and the region vectors.
    counts
        Number of columns of each engine.
    """

    def __init__(self, engines: Sequence[RegionEngine], counts: Sequence[int]) -> None:
        super().__init__(engines[0])
        self._engines = engines
        self._counts = counts

    def infer(self, images_rgb: UInt8Array, floor: float = 0.0) -> list[Candidates]:
        """Return the candidates of each image; see the interface."""
        found, *others = [engine.infer(images_rgb, floor) for engine in self._engines]
        for more in others:
            found = [own.beside(other) for own, other in zip(found, more, strict=True)]
        return found

    def regions(self, images_rgb: UInt8Array) -> list[Regions]:
        """Return the region vectors of the first network; see the interface."""
        return self._engines[0].regions(images_rgb)


class JoinedSelectingEngine(JoinedEngine):
    """Several networks on one device; see :class:`medrov_cli.core.engines.interface.SelectingEngine`."""

    def __init__(self, engines: Sequence[RegionEngine], counts: Sequence[int]) -> None:
        super().__init__(engines, counts)
        self._selecting = [engine for engine in engines if isinstance(engine, SelectingEngine)]
        self.parallel_calls = min(engine.parallel_calls for engine in self._selecting)

    def place(self, image_rgb: UInt8Array, letterbox: Letterbox) -> Any:
        """Return the square of an image on the device of the networks; see the interface."""
        return self._selecting[0].place(image_rgb, letterbox)

    def select(self, images_rgb: UInt8Array | Sequence[Any], rule: SelectionRule) -> list[ClassCandidates]:
        """Return the candidates of each image by a rule; see the interface."""
        ends = np.cumsum(self._counts)
        found: list[ClassCandidates] = []
        for engine, count, end in zip(self._selecting, self._counts, ends.tolist(), strict=True):
            own = engine.select(images_rgb, SelectionRule(rule.thresholds[end - count : end], rule.iou))
            before = end - count
            found = (
                [one.beside(other, before) for one, other in zip(found, own, strict=True)] if found else own
            )
        return found
