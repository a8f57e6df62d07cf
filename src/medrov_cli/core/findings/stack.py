"""Slices of a volume in order: positions along the normal, missing slices, duplicates, localizers.

All geometry is in the frame of one slice: u along its rows, v along its columns, w along the normal, in mm.
Offsets and directions of each slice count, so that a tilted gantry, slices that are slightly turned against
each other, and slightly sheared pixels are exact.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from medrov_cli.core.records.boxes import FloatArray, IntArray
from medrov_cli.core.records.finding import LinkRefusal
from medrov_cli.core.records.slice_plane import PlacedSlice, SlicePlane

FloatVector = npt.NDArray[np.float64]

LOCALIZER_WARNING = "{} localizer image(s) of the series are not part of the volume."
DUPLICATE_WARNING = "{} further image(s) at the positions of other slices were not linked."
MISSING_WARNING = "{} slice(s) of the volume are missing: its steps are {:.2f} mm, and larger in {} place(s)."
UNEVEN_WARNING = "The steps between slices differ: {:.2f} to {:.2f} mm."
TILT_WARNING = "The slices are shifted against each other (tilted gantry); places in mm account for it."
REFUSAL_WARNINGS = {
    LinkRefusal.NO_POSITIONS: "The slices have no positions: detections were not linked to findings.",
    LinkRefusal.MIXED_SIZES: "The slices differ in size or spacing: detections were not linked to findings.",
    LinkRefusal.MIXED_ORIENTATIONS: "The slices are not parallel: detections were not linked to findings.",
    LinkRefusal.LOCALIZERS: "All images are localizers: detections were not linked to findings.",
    LinkRefusal.SHEARED_PIXELS: (
        "Rows and columns of the slices are not perpendicular: detections were not linked to findings."
    ),
}

_PARALLEL = 0.999
"""Least cosine between the directions of two slices of a volume: 2.6 degrees, beyond rounded cosines."""
_PERPENDICULAR = 0.01
_SAME_PLACE_MM = (2e-6, 1e-3)
_SAME_PLACE_SHARE = 0.01
"""Slices that are closer than this part of their mean distance, within the limits, are at one position:
positions are decimals of micrometres, and steps of electron microscopes are some nanometres."""
SAME_STEP = 0.05
"""Relative difference of steps that are one number, rounded or measured."""
MISSING_STEP = 1.5
"""Steps from this many median steps on contain missing slices: half a step is beyond any rounding."""
_SAME_SPACING = 1e-3


@dataclass(frozen=True, slots=True, eq=False)
class SliceStack:
    """Slices of one volume in order.

    Attributes
    ----------
    order
        Indices of the given slices, in order.
    planes
        Their planes.
    frame
        float, (3, 3): unit vectors along u, v and w as rows, LPS. u and v can deviate from a right angle.
    offsets_uvw_mm
        float, (slices, 3): corner of the first pixel of each slice along u, v and w.
    pixel_uvw_mm
        float, (slices, 2, 3): steps of one column and of one row of each slice along u, v and w.
    bounds_w_mm
        float, (slices, 2): lower and upper end of each slice along w; half of the steps to its neighbours.
    step_mm
        Median step; null for one slice.
    """

    order: tuple[int, ...]
    planes: tuple[SlicePlane, ...]
    frame: FloatVector
    offsets_uvw_mm: FloatVector
    pixel_uvw_mm: FloatVector
    bounds_w_mm: FloatVector
    step_mm: float | None

    def corners_uvw_mm(self, numbers: IntArray, boxes_xyxy: FloatArray) -> FloatArray:
        """Return the corners of boxes on the planes of their slices along u, v and w, (n, 4, 3).

        Parameters
        ----------
        numbers
            int64, (n,): slice of each box.
        boxes_xyxy
            float, (n, 4), in source pixels.
        """
        points = boxes_xyxy[:, [[0, 1], [2, 1], [0, 3], [2, 3]]]
        return np.asarray(self.offsets_uvw_mm[numbers][:, None] + points @ self.pixel_uvw_mm[numbers])

    def solid_uvw_mm(self, numbers: IntArray, boxes_xyxy: FloatArray) -> FloatArray:
        """Return the corners of boxes at both ends of their slices, (n, 8, 3); see `corners_uvw_mm`."""
        corners = self.corners_uvw_mm(numbers, boxes_xyxy)
        ends = self.bounds_w_mm[numbers] - self.offsets_uvw_mm[numbers, 2:]
        shifts = np.zeros((len(numbers), 2, 1, 3))
        shifts[..., 0, 2] = ends
        return np.asarray((corners[:, None] + shifts).reshape(len(numbers), 8, 3))


@dataclass(frozen=True, slots=True)
class ArrangedSlices:
    """Volumes of a series or of a file.

    Attributes
    ----------
    stacks
        One for each point in time; none if the slices are refused.
    refusal
        Why there is none.
    warnings
        Sentences for the user.
    """

    stacks: tuple[SliceStack, ...] = ()
    refusal: LinkRefusal | None = None
    warnings: tuple[str, ...] = ()


def arrange_slices(slices: Sequence[PlacedSlice]) -> ArrangedSlices:
    """Return the slices in order along their normal, in one stack for each point in time.

    The order ascends along the normal; slices that are given in exactly the reverse order keep it. Slices at
    one position are separate points in time if all positions have equally many. Otherwise the first of each
    position counts.
    """
    kept = [index for index, placed in enumerate(slices) if not placed.is_localizer]
    warnings: list[str] = []
    if len(kept) < len(slices):
        warnings.append(LOCALIZER_WARNING.format(len(slices) - len(kept)))
    if not kept:
        return ArrangedSlices((), LinkRefusal.LOCALIZERS, (REFUSAL_WARNINGS[LinkRefusal.LOCALIZERS],))
    planes = [slices[index].plane for index in kept]
    known = [plane for plane in planes if plane is not None]
    refusal = LinkRefusal.NO_POSITIONS if len(known) < len(kept) else _refusal(known, slices, kept)
    if refusal is not None:
        return ArrangedSlices((), refusal, (*warnings, REFUSAL_WARNINGS[refusal]))
    frame = _frame(known)
    offsets = np.concatenate([plane.to_patient(np.zeros((1, 2))) for plane in known]) @ np.linalg.inv(frame)
    groups, extra = _points_in_time([slices[index] for index in kept], offsets[:, 2])
    if extra:
        warnings.append(DUPLICATE_WARNING.format(extra))
    stacks = tuple(
        _stack([kept[own] for own in group], [known[own] for own in group], frame, offsets[group])
        for group in groups
    )
    if len(groups[0]) < 2:
        refusal = LinkRefusal.NO_POSITIONS
        return ArrangedSlices((), refusal, (*warnings, REFUSAL_WARNINGS[refusal]))
    return ArrangedSlices(stacks, None, (*warnings, *_step_warnings(offsets[groups[0]])))


def _refusal(
    planes: Sequence[SlicePlane], slices: Sequence[PlacedSlice], kept: Sequence[int]
) -> LinkRefusal | None:
    first = planes[0]
    if any(abs(float(np.dot(plane.right, plane.down))) > _PERPENDICULAR for plane in planes):
        return LinkRefusal.SHEARED_PIXELS
    rights, downs = (np.array([getattr(plane, name) for plane in planes]) for name in ("right", "down"))
    if min((rights @ rights[0]).min(), (downs @ downs[0]).min()) < _PARALLEL:
        return LinkRefusal.MIXED_ORIENTATIONS
    spacings = np.array([plane.spacing_mm for plane in planes])
    sizes = {slices[index].size_hw for index in kept} - {None}
    if not np.allclose(spacings, first.spacing_mm, rtol=_SAME_SPACING) or len(sizes) > 1:
        return LinkRefusal.MIXED_SIZES
    return None


def _frame(planes: Sequence[SlicePlane]) -> FloatVector:
    """Return the unit vectors along u, v and w, (3, 3): those of one slice, whatever the order is."""
    first = min(planes, key=lambda plane: (plane.origin_mm, plane.right, plane.down))
    return np.array([first.right, first.down, first.normal])


def _points_in_time(slices: Sequence[PlacedSlice], w_mm: FloatVector) -> tuple[list[list[int]], int]:
    """Return the slices of each point in time, by ascending w, and the number of slices left out."""
    numbers = [float("inf") if one.number is None else one.number for one in slices]
    order = np.argsort(w_mm, kind="stable")
    steps = np.diff(w_mm[order])
    is_next = steps > np.clip(_SAME_PLACE_SHARE * np.ptp(w_mm) / max(len(steps), 1), *_SAME_PLACE_MM)
    places = [
        sorted(place.tolist(), key=lambda index: (numbers[index], index))
        for place in np.split(order, np.flatnonzero(is_next) + 1)
    ]
    counts = Counter(map(len, places))
    points = next(iter(counts)) if len(counts) == 1 else 1
    groups = [[place[point] for place in places] for point in range(points)]
    groups = [group[::-1] if group == sorted(group, reverse=True) else group for group in groups]
    return groups, len(slices) - points * len(places)


def _stack(
    order: Sequence[int], planes: Sequence[SlicePlane], frame: FloatVector, offsets: FloatVector
) -> SliceStack:
    w_mm = offsets[:, 2]
    spacings = np.array([plane.spacing_mm[::-1] for plane in planes])
    pixel = (
        np.array([(plane.right, plane.down) for plane in planes]) * spacings[..., None] @ np.linalg.inv(frame)
    )
    steps = np.diff(w_mm)
    if len(steps):
        step_mm = float(np.median(np.abs(steps)))
        # Beside a missing slice, a slice is as thick as elsewhere.
        is_large = np.abs(steps) >= MISSING_STEP * step_mm
        halves = np.where(is_large, np.sign(steps) * step_mm, steps) / 2
        ends = np.stack((w_mm - np.append(halves[:1], halves), w_mm + np.append(halves, halves[-1:])), 1)
    else:
        step_mm, ends = None, np.repeat(w_mm[:, None], 2, 1)
    return SliceStack(tuple(order), tuple(planes), frame, offsets, pixel, np.sort(ends, axis=1), step_mm)


def _step_warnings(offsets: FloatVector) -> list[str]:
    steps = np.abs(np.diff(offsets, axis=0))
    step_mm = float(np.median(steps[:, 2]))
    large = steps[steps[:, 2] >= MISSING_STEP * step_mm, 2]
    usual = steps[steps[:, 2] < MISSING_STEP * step_mm, 2]
    warnings = []
    if len(large):
        missing = int(np.maximum(np.rint(large / step_mm) - 1, 1).sum())
        warnings.append(MISSING_WARNING.format(missing, step_mm, len(large)))
    if usual.max() - usual.min() > SAME_STEP * step_mm:
        warnings.append(UNEVEN_WARNING.format(usual.min(), usual.max()))
    if steps[:, :2].max() > SAME_STEP * step_mm:
        warnings.append(TILT_WARNING)
    return warnings
