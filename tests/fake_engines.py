"""Engines of tests: functions of images, without a network."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from medrov_cli.core.records.detections import Candidates

Find = Callable[[np.ndarray, float], list[Candidates]]
"""From images, uint8, (n, imgsz, imgsz, 3), and the lowest score to the candidates of each."""


def find_nothing(images: np.ndarray, floor: float) -> list[Candidates]:
    return [Candidates(np.zeros((0, 4), np.float32), np.zeros((0, 1), np.float32)) for _ in images]


@dataclass
class FakeEngine:
    """An engine that calls a function."""

    imgsz: int
    find: Find = find_nothing
    name: str = "fake-cpu"
    is_accelerator: bool = False
    streams: int = 1

    def infer(self, images_rgb: np.ndarray, floor: float = 0.0) -> list[Candidates]:
        return self.find(images_rgb, floor)
