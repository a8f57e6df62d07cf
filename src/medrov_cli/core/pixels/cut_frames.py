"""Slices of a volume in other planes, cut from the 8-bit slices that the detector gets.

The volume is in memory with one byte per voxel, reserved in the budget, and beside it one slice at a time.
Grey levels are those of the slices as they are read: with one window for the volume.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import cv2
import numpy as np

from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.pixels.budget import reserved_array
from medrov_cli.core.pixels.greyscale import to_rgb
from medrov_cli.core.pixels.input_errors import input_errors
from medrov_cli.core.pixels.read import read_frames
from medrov_cli.core.records.finding import SliceReference
from medrov_cli.core.records.frame import Frame, UInt8Array
from medrov_cli.core.records.plane_cut import PlaneCut
from medrov_cli.core.settings.io_groups import ReadSettings


@dataclass(frozen=True, slots=True)
class CutVolume:
    """Slices of a volume in other planes; a :class:`medrov_cli.core.records.frame.ImageSource`.

    Attributes
    ----------
    path
        Name of the volume, for errors.
    slices
        Images of its own slices, in their order.
    cuts
        Slices to cut, of one grid.
    options
        Options of reading.
    series
        Paths of all files of its DICOM series.
    """

    path: str
    slices: Sequence[SliceReference]
    cuts: Sequence[PlaneCut]
    options: ReadSettings = field(default_factory=ReadSettings)
    series: tuple[str, ...] = ()

    def frames(self) -> Iterator[Frame]:
        """Yield the slices of each cut in turn.

        Raises
        ------
        MedrovError
            An input error of a slice; ``too_large`` if the volume does not fit into the budget of memory,
            ``unsupported_format`` if its slices are in colour.
        """
        columns, rows, count = self.cuts[0].grid.shape
        with input_errors():
            _check_size(self.cuts, self.options)
            voxels = reserved_array(columns * rows * count).reshape(count, rows, columns)
            first = self._fill(voxels)
        number, total = 0, sum(cut.count for cut in self.cuts)
        for cut in self.cuts:
            for index in range(cut.count):
                yield replace(
                    first,
                    pixels_rgb=to_rgb(_slice(voxels, cut, index)),
                    path=self.path,
                    index=number,
                    frame_count=total,
                    pixel_spacing_mm=cut.spacing_mm,
                    spacing_regions=(),
                    identifiers=None,
                    warnings=(),
                    is_grey=True,
                )
                number += 1

    def _fill(self, voxels: UInt8Array) -> Frame:
        """Read all slices; return the metadata of the first."""
        place = {(image.path, image.frame): number for number, image in enumerate(self.slices)}
        options = replace(self.options, patient=False, by_region=False)
        first: Frame | None = None
        left = len(place)
        last_frames: dict[str, int] = {}
        for path, index in place:
            last_frames[path] = max(last_frames.get(path, 0), index)
        for path, last in last_frames.items():
            for frame in read_frames(path, options, series=self.series):
                number = place.get((path, frame.index))
                if number is not None:
                    voxels[number] = _grey(frame, voxels.shape[1:])
                    left -= 1
                    first = frame if first is None or number == 0 else first
                if frame.index == last:
                    break
        if first is None or left:
            raise MedrovError(
                ErrorCode.TRUNCATED, "Slices of the volume cannot be read again.", "Copy or export it again."
            )
        return first.without_pixels()


def _check_size(cuts: Sequence[PlaneCut], options: ReadSettings) -> None:
    for cut in cuts:
        if cut.size_hw[0] * cut.size_hw[1] > options.limits.pixels_per_frame:
            raise MedrovError(
                ErrorCode.TOO_LARGE,
                "The slices of another plane have too many pixels.",
                "Resample the volume.",
            )


def _grey(frame: Frame, size_hw: tuple[int, ...]) -> UInt8Array:
    pixels = frame.pixels_rgb
    if pixels.shape[:2] != tuple(size_hw):
        raise MedrovError(
            ErrorCode.BAD_METADATA, "The slices of the volume differ in size.", "Export the volume again."
        )
    grey = pixels[..., 0]
    if not (np.array_equal(grey, pixels[..., 1]) and np.array_equal(grey, pixels[..., 2])):
        raise MedrovError(
            ErrorCode.UNSUPPORTED_FORMAT, "The volume is in colour.", "Give a volume of grey levels."
        )
    return grey


def _slice(voxels: UInt8Array, cut: PlaneCut, number: int) -> UInt8Array:
    """Return a slice of a cut, (rows, columns), by linear interpolation."""
    axes = tuple(2 - axis for axis in cut.axes)  # of (slices, rows, columns)
    length = voxels.shape[axes[0]]
    at = min(max(cut.position(number) - 0.5, 0.0), length - 1.0)
    below = int(at)
    share = at - below
    plane = np.take(voxels, below, axis=axes[0])
    if share > 0 and below + 1 < length:
        above = np.take(voxels, below + 1, axis=axes[0])
        plane = cv2.addWeighted(plane, 1 - share, above, share, 0).astype(np.uint8)
    if axes[1] > axes[2]:
        plane = plane.T
    step = {True: -1, False: 1}
    plane = plane[:: step[cut.backwards[1]], :: step[cut.backwards[2]]]
    height, width = cut.size_hw
    if plane.shape != (height, width):
        resized = cv2.resize(np.ascontiguousarray(plane), (width, height), interpolation=cv2.INTER_LINEAR)
        plane = np.asarray(resized, dtype=np.uint8)
    return np.ascontiguousarray(plane)
