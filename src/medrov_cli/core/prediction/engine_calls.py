"""Calls of an engine by the threads of a predictor."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import numpy as np

from medrov_cli.core.engines.interface import Engine, SelectingEngine, SelectionRule
from medrov_cli.core.prediction.blas_threads import one_blas_thread
from medrov_cli.core.prediction.open_predictor import PredictorParts
from medrov_cli.core.prediction.prepared import PreparedImage, prepare_image
from medrov_cli.core.records.detections import AnyCandidates, Candidates
from medrov_cli.core.records.frame import Frame, UInt8Array

CALLS_OF_STREAMS = 2
"""Threads that call an engine with several streams: the first images of a batch start while the last ones of
the batch before are computed."""


def calls_of(engine: Engine) -> int:
    """Return the number of threads that may call an engine at a time."""
    if isinstance(engine, SelectingEngine):
        return engine.parallel_calls
    return CALLS_OF_STREAMS if engine.streams > 1 else 1


class EngineCalls:
    """The engine of an open predictor, which at most ``parallel`` threads call at a time.

    An engine for larger inputs is opened with the first of them.

    Parameters
    ----------
    parts
        Parts of the predictor.
    """

    def __init__(self, parts: PredictorParts) -> None:
        self.parts, self.engine = parts, parts.engine
        engine = parts.engine
        self.parallel = calls_of(engine)
        # Found once: the check of a protocol is slow.
        self._place = engine.place if isinstance(engine, SelectingEngine) and engine.is_accelerator else None
        self._rule = SelectionRule(parts.scoring.thresholds, parts.selection.iou)
        self._floor = parts.scoring.floor
        self._free = threading.Semaphore(self.parallel)
        self._wide: dict[int, Engine] = {}
        self._opening = threading.Lock()

    def prepare(self, frame: Frame, *, keep_pixels: bool, on_host: bool = False) -> PreparedImage:
        """Return the input of the network for a frame, scaled on the device if the engine is on a GPU."""
        return prepare_image(
            frame,
            self.engine.imgsz,
            self.parts.scoring.warnings,
            keep_pixels=keep_pixels,
            rectangle=self.parts.rectangles,
            place=None if on_host else self._place,
        )

    def select(self, inputs_rgb: UInt8Array) -> Sequence[AnyCandidates]:
        """Return the candidates of each image, as pairs of an anchor and a class if the engine selects."""
        with self._free, one_blas_thread():
            engine = self._engine_of(inputs_rgb)
            if isinstance(engine, SelectingEngine):
                return engine.select(inputs_rgb, self._rule)
            return engine.infer(inputs_rgb, self._floor)

    def infer(self, inputs_rgb: UInt8Array) -> list[Candidates]:
        """Return the candidates of each image with a score for every class."""
        with self._free, one_blas_thread():
            return self.engine.infer(inputs_rgb, self._floor)

    def _engine_of(self, inputs_rgb: UInt8Array) -> Engine:
        """Return the engine for the longest side of the inputs."""
        open_wide = self.parts.open_wide
        side = max(np.shape(inputs_rgb[0])[:2])
        if open_wide is None or side == self.engine.imgsz:
            return self.engine
        with self._opening:
            if side not in self._wide:
                self._wide[side] = open_wide(side)
            return self._wide[side]
