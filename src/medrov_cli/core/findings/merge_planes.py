"""Findings of several planes merged to one list: which belong together, their common box, their score.

Each plane measures two sides of an object by its boxes, and the third only by the slices in which it has one.
The sides of a merged box are therefore means over the planes in which the side lies within the slices.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from medrov_cli.core.records.boxes import FloatArray
from medrov_cli.core.records.finding import Finding, sort_findings
from medrov_cli.core.records.plane_cut import PlaneCut, VoxelGrid, nearest_plane
from medrov_cli.core.records.plane_votes import Box3D, PlaneVote
from medrov_cli.core.settings.choices import Axis

MIN_OVERLAP = 0.25
"""Findings of two planes with at least this IoU in space are of one object."""

_SLICES = 2
"""Axis of the slices in a box of the volume."""


@dataclass(frozen=True, slots=True, eq=False)
class PlaneFindings:
    """Findings of one plane.

    Attributes
    ----------
    cut
        The plane.
    findings
        Its findings, with boxes in columns, rows and slices of the cut.
    """

    cut: PlaneCut
    findings: Sequence[Finding]


@dataclass(frozen=True, slots=True, eq=False)
class _Voter:
    """Finding of one plane, with its box in voxels of the volume."""

    plane: Axis
    through: int
    finding: Finding
    box: FloatArray

    def conflicts(self, other: _Voter) -> bool:
        """Return whether both are objects that one plane distinguishes: it has both in a slice."""
        return (
            self.plane == other.plane
            and self.finding.first_slice <= other.finding.last_slice
            and other.finding.first_slice <= self.finding.last_slice
        )


def merge_planes(
    own: Sequence[Finding], others: Sequence[PlaneFindings], grid: VoxelGrid
) -> tuple[Finding, ...]:
    """Return the findings of all planes, each object once, highest score first.

    Parameters
    ----------
    own
        Findings of the slices of the volume.
    others
        Findings of the other planes.
    grid
        Voxels of the volume.
    """
    voters = [_Voter(nearest_plane(grid.directions), _SLICES, one, np.array(one.box_voxels)) for one in own]
    for part in others:
        for one in part.findings:
            box = part.cut.to_voxels(np.array(one.box_voxels))
            voters.append(_Voter(part.cut.plane, part.cut.axes[0], one, box))
    merged = []
    for name in sorted({one.finding.class_name for one in voters}):
        of_class = [one for one in voters if one.finding.class_name == name]
        groups = _groups(of_class, grid)
        merged += [_merged(group, grid) for group in groups if _is_elected(group)]
    return sort_findings(merged)


def _is_elected(group: Sequence[_Voter]) -> bool:
    """Return whether the slices of the volume have the object, or two other planes have it."""
    planes = {one.plane for one in group}
    return len(planes) > 1 or any(one.through == _SLICES for one in group)


def _groups(voters: Sequence[_Voter], grid: VoxelGrid) -> list[list[_Voter]]:
    """Return the findings of each object: pairs of two planes by descending overlap, without conflicts."""
    boxes = np.array([one.box for one in voters]) * np.tile(grid.spacing_mm, 2)
    overlap = _iou(boxes)
    group_of = list(range(len(voters)))
    members = {number: [number] for number in group_of}
    pairs = [
        (-float(overlap[first, second]), first, second)
        for first in range(len(voters))
        for second in range(first)
        if overlap[first, second] >= MIN_OVERLAP and voters[first].plane != voters[second].plane
    ]
    for _, first, second in sorted(pairs):
        kept, joined = group_of[first], group_of[second]
        if kept == joined or any(
            voters[left].conflicts(voters[right]) for left in members[kept] for right in members[joined]
        ):
            continue
        for number in members.pop(joined):
            group_of[number] = kept
            members[kept].append(number)
    return [[voters[number] for number in sorted(numbers)] for _, numbers in sorted(members.items())]


def _iou(boxes: FloatArray) -> FloatArray:
    """Return the IoU of each pair of boxes in space, (n, n)."""
    low = np.maximum(boxes[:, None, :3], boxes[None, :, :3])
    high = np.minimum(boxes[:, None, 3:], boxes[None, :, 3:])
    shared = np.maximum(high - low, 0).prod(-1)
    volumes = (boxes[:, 3:] - boxes[:, :3]).prod(-1)
    return np.asarray(shared / np.maximum(volumes[:, None] + volumes[None] - shared, 1e-9))


def _merged(group: Sequence[_Voter], grid: VoxelGrid) -> Finding:
    """Return the finding of an object."""
    votes = _votes(group)
    own = [one.finding for one in group if one.through == _SLICES]
    members = tuple(sorted((one for part in own for one in part.members), key=lambda one: one.slice_number))
    box = _common_box(group, grid)
    first = min(max(int(np.ceil(box[2] - 0.5)), 0), grid.shape[2] - 1)
    last = min(max(int(np.floor(box[5] - 0.5)), first), grid.shape[2] - 1)
    best = max(own or [one.finding for one in group], key=lambda one: one.score)
    return _measured(
        replace(
            best,
            score=max(vote.score for vote in votes),
            first_slice=first,
            last_slice=last,
            key_slice=best.key_slice if own else (first + last) // 2,
            box_voxels=_box(box),
            members=members if own else (),
            votes=votes,
        ),
        own,
        grid,
    )


def _votes(group: Sequence[_Voter]) -> tuple[PlaneVote, ...]:
    votes = []
    for plane in dict.fromkeys(one.plane for one in group):
        of_plane = [one for one in group if one.plane == plane]
        boxes = np.array([one.box for one in of_plane])
        whole = np.concatenate((boxes[:, :3].min(0), boxes[:, 3:].max(0)))
        votes.append(PlaneVote(plane, max(one.finding.score for one in of_plane), _box(whole)))
    return tuple(votes)


def _common_box(group: Sequence[_Voter], grid: VoxelGrid) -> FloatArray:
    """Return the means of the sides, by score, over the planes that measure them within their slices."""
    votes = _votes(group)
    through = {one.plane: one.through for one in group}
    boxes = np.array([vote.box_voxels for vote in votes])
    box = np.zeros(6)
    for axis in range(3):
        weights = np.array([vote.score * (through[vote.plane] != axis) for vote in votes])
        if not weights.any():
            weights = np.array([vote.score for vote in votes]) + 1e-9
        for side in (axis, axis + 3):
            box[side] = float(np.average(boxes[:, side], weights=weights))
    return np.clip(box, 0, np.tile(grid.shape, 2))


def _measured(finding: Finding, own: Sequence[Finding], grid: VoxelGrid) -> Finding:
    """Return a finding with the sizes of its box, and its place if the volume has one."""
    box = np.array(finding.box_voxels)
    extent = (box[3:] - box[:3]) * np.array(grid.spacing_mm)
    corners = np.array([[box[x], box[y], box[z]] for x in (0, 3) for y in (1, 4) for z in (2, 5)])
    points = grid.to_patient(corners)
    largest = max(own, key=lambda one: one.diameter_mm or 0.0, default=None)
    diameter = float(extent[:2].max()) if largest is None else largest.diameter_mm
    center = points.mean(0).tolist()
    return replace(
        finding,
        extent_mm=(float(extent[0]), float(extent[1]), float(extent[2])),
        box_mm=None if finding.box_mm is None else _box(np.concatenate((points.min(0), points.max(0)))),
        center_mm=None if finding.box_mm is None else (center[0], center[1], center[2]),
        diameter_mm=diameter,
        diameter_slice=finding.key_slice if largest is None else largest.diameter_slice,
        volume_mm3=float(extent.prod()),
    )


def _box(values: FloatArray) -> Box3D:
    x1, y1, z1, x2, y2, z2 = (float(value) for value in values)
    return (x1, y1, z1, x2, y2, z2)
