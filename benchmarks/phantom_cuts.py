"""Exact boxes of phantom volumes in other planes than that of their slices."""

from __future__ import annotations

import cv2
import numpy as np

from medrov_cli.core.findings.find import SliceDetections
from medrov_cli.core.phantoms.abdomen import PhantomVolume
from medrov_cli.core.phantoms.kinds import VOLUME_CLASSES
from medrov_cli.core.records.plane_cut import PlaneCut, VoxelGrid
from medrov_cli.core.settings.choices import Axis

OTHER_PLANES: tuple[Axis, ...] = ("coronal", "sagittal")


def phantom_grid(phantom: PhantomVolume) -> VoxelGrid:
    """Return the voxels of a phantom, the first with its centre at the origin."""
    step, row, column = phantom.spacing_mm
    slices, rows, columns = phantom.voxels_hu.shape
    spacing = (column, row, step)
    return VoxelGrid(np.eye(3), -np.array(spacing) / 2, spacing, (columns, rows, slices))


def cut_boxes(phantom: PhantomVolume, cut: PlaneCut) -> list[SliceDetections]:
    """Return the exact box of each object in the slices of a cut."""
    slices: list[list[tuple[str, tuple[int, ...]]]] = [[] for _ in range(cut.count)]
    for name in VOLUME_CLASSES:
        mask = np.zeros(phantom.voxels_hu.shape, dtype=np.uint8)
        for number, objects in enumerate(phantom.slices):
            for drawn in objects:
                if drawn.class_name == name:
                    mask[number] |= drawn.mask.astype(np.uint8)
        for number in range(cut.count):
            plane = _cut(mask, cut, number)
            if plane.any():
                rows, columns = np.flatnonzero(plane.any(1)), np.flatnonzero(plane.any(0))
                box = (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1)
                slices[number].append((name, tuple(map(int, box))))
    return [
        SliceDetections(
            np.array([box for _, box in own], dtype=np.float64).reshape(-1, 4),
            np.full(len(own), 0.9),
            tuple(name for name, _ in own),
        )
        for own in slices
    ]


def _cut(mask: np.ndarray, cut: PlaneCut, number: int) -> np.ndarray:
    """Return the slice of a mask at the nearest voxels, (rows, columns)."""
    axes = [2 - axis for axis in cut.axes]
    at = min(int(cut.position(number)), mask.shape[axes[0]] - 1)
    plane = np.take(mask, at, axis=axes[0])
    plane = plane.T if axes[1] > axes[2] else plane
    plane = plane[:: -1 if cut.backwards[1] else 1, :: -1 if cut.backwards[2] else 1]
    height, width = cut.size_hw
    return cv2.resize(np.ascontiguousarray(plane), (width, height), interpolation=cv2.INTER_NEAREST)
