"""Engines around an engine: selection of its columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from medrov_cli.core.engines.interface import Engine
from medrov_cli.core.records.detections import Candidates
from medrov_cli.core.records.frame import UInt8Array

ABSENT = -1
"""Column of a class that the model does not have."""


class EngineLike:
    """Name, input and device of an engine, for an engine around it.

    Parameters
    ----------
    engine
        The engine.
    """

    def __init__(self, engine: Engine) -> None:
        self.name = engine.name
        self.imgsz = engine.imgsz
        self.is_accelerator = engine.is_accelerator
        self.streams = engine.streams


class ColumnEngine(EngineLike):
    """An engine with reordered classes; an absent class has score 0 at all anchors.

    See :class:`medrov_cli.core.engines.interface.Engine`.

    Parameters
    ----------
    engine
        The engine.
    columns
        Column of each class in the engine, or `ABSENT`.
    """

    def __init__(self, engine: Engine, columns: Sequence[int]) -> None:
        super().__init__(engine)
        self._engine = engine
        self._absent = np.array(columns) == ABSENT
        self._columns = np.where(self._absent, 0, columns)

    def infer(self, images_rgb: UInt8Array, floor: float = 0.0) -> list[Candidates]:
        """Return the candidates of each image; see the interface."""
        found = []
        for candidates in self._engine.infer(images_rgb, floor):
            scores = candidates.scores[:, self._columns]
            scores[:, self._absent] = 0
            found.append(replace(candidates, scores=scores))
        return found
