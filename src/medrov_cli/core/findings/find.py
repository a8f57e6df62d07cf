"""Findings of a volume from the detections of its slices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from medrov_cli.core.findings.finding_scores import combine_scores, expected_neighbours, single_slice_score
from medrov_cli.core.findings.linking import Chain, SliceBoxes, link_boxes
from medrov_cli.core.findings.stack import SliceStack
from medrov_cli.core.records.boxes import FloatArray, IntArray, box_areas
from medrov_cli.core.records.finding import Finding, FindingMember, VolumeIdentity, sort_findings
from medrov_cli.core.records.slice_plane import Vector


@dataclass(frozen=True, slots=True, eq=False)
class SliceDetections:
    """Detections of one slice, in the order of its record.

    Attributes
    ----------
    boxes_xyxy
        float, (n, 4), in source pixels.
    scores
        float, (n,), as shown.
    class_names
        Class of each.
    """

    boxes_xyxy: FloatArray
    scores: FloatArray
    class_names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ClassRule:
    """What decides whether a finding of a class is shown.

    Attributes
    ----------
    label
        Index of the class among those of the run.
    threshold
        Lowest score of a finding in a single slice, in the unit of the shown scores.
    recall
        Recall of the class in a slice, on the images of the calibration; null if unknown.
    """

    label: int
    threshold: float = 0.0
    recall: float | None = None


@dataclass(frozen=True, slots=True, eq=False)
class _ClassBoxes:
    """Boxes of one class in all slices, with the detections that they are."""

    name: str
    slices: IntArray
    detections: IntArray
    boxes_xyxy: FloatArray
    scores: FloatArray


def find_findings(
    volume: VolumeIdentity,
    slices: Sequence[SliceDetections],
    rules: Mapping[str, ClassRule],
    stack: SliceStack | None = None,
) -> tuple[Finding, ...]:
    """Return the findings of a volume, highest score first.

    Parameters
    ----------
    volume
        The volume.
    slices
        Detections of each slice, in its order.
    rules
        Rule of each class.
    stack
        Geometry of the slices; null: frames in time, or without a place.
    """
    findings = []
    for own in _by_class(slices):
        boxes_uv = _to_plane(own, stack)
        positions = None if stack is None else stack.offsets_uvw_mm[:, 2]
        for chain in link_boxes(SliceBoxes(own.slices, boxes_uv, positions)):
            finding = _finding(volume, own, boxes_uv, chain, rules[own.name], stack)
            if finding is not None:
                findings.append(finding)
    return sort_findings(findings)


def _by_class(slices: Sequence[SliceDetections]) -> list[_ClassBoxes]:
    rows: dict[str, list[tuple[int, int]]] = {}
    for number, found in enumerate(slices):
        for detection, name in enumerate(found.class_names):
            rows.setdefault(name, []).append((number, detection))
    return [
        _ClassBoxes(
            name,
            np.array([number for number, _ in own], dtype=np.int64),
            np.array([detection for _, detection in own], dtype=np.int64),
            np.array([slices[number].boxes_xyxy[detection] for number, detection in own], dtype=np.float64),
            np.array([slices[number].scores[detection] for number, detection in own], dtype=np.float64),
        )
        for name, own in sorted(rows.items())
    ]


def _to_plane(own: _ClassBoxes, stack: SliceStack | None) -> FloatArray:
    """Return boxes in the common frame of all slices, in mm; without a place, in pixels."""
    if stack is None:
        return own.boxes_xyxy
    corners = stack.corners_uvw_mm(own.slices, own.boxes_xyxy)[..., :2]
    return np.concatenate((corners.min(1), corners.max(1)), axis=1)


def _finding(
    volume: VolumeIdentity,
    own: _ClassBoxes,
    boxes_uv: FloatArray,
    chain: Chain,
    rule: ClassRule,
    stack: SliceStack | None,
) -> Finding | None:
    """Return the finding of a chain; null if it is in one slice and its score is below the threshold."""
    rows = np.array(chain)
    numbers, boxes, scores = own.slices[rows], boxes_uv[rows], own.scores[rows]
    score = combine_scores(scores)
    if len(rows) == 1:
        score = _single_score(score, int(numbers[0]), boxes[0], rule, stack)
        if score < min(rule.threshold, float(scores[0])):
            return None
    areas = box_areas(boxes)
    key = max(range(len(rows)), key=lambda row: (scores[row], areas[row], -numbers[row]))
    largest = int(np.argmax(areas))
    whole_xy = own.boxes_xyxy[rows]
    (x1, y1), (x2, y2) = whole_xy[:, :2].min(0).tolist(), whole_xy[:, 2:].max(0).tolist()
    first, last = int(numbers[0]), int(numbers[-1])
    members = tuple(
        FindingMember(
            int(number), volume.slices[number].path, volume.slices[number].frame, int(own.detections[row])
        )
        for number, row in zip(numbers.tolist(), rows.tolist(), strict=True)
    )
    bare = Finding(
        class_name=own.name,
        label=rule.label,
        score=score,
        first_slice=first,
        last_slice=last,
        key_slice=int(numbers[key]),
        box_voxels=(x1, y1, float(first), x2, y2, float(last + 1)),
        members=members,
        seconds=_seconds(volume, first, last),
    )
    if stack is None:
        return bare
    sides = boxes[largest, 2:] - boxes[largest, :2]
    sized = replace(bare, diameter_mm=float(sides.max()), diameter_slice=int(numbers[largest]))
    return _measured(sized, volume, stack.solid_uvw_mm(numbers, own.boxes_xyxy[rows]), stack)


def _measured(finding: Finding, volume: VolumeIdentity, solid: FloatArray, stack: SliceStack) -> Finding:
    """Return a finding with its size in mm, and with its place if the volume has one.

    Parameters
    ----------
    solid
        float, (n, 8, 3): corners of its boxes; see :meth:`SliceStack.solid_uvw_mm`.
    """
    low, high = solid.min((0, 1)), solid.max((0, 1))
    extent = high - low
    box_mm = center_mm = None
    if volume.is_placed:
        points = solid.reshape(-1, 3) @ stack.frame
        x1, y1, z1, x2, y2, z2 = _floats(np.concatenate((points.min(0), points.max(0))))
        center_mm, box_mm = _vector((low + high) / 2 @ stack.frame), (x1, y1, z1, x2, y2, z2)
    return replace(
        finding,
        extent_mm=_vector(extent),
        box_mm=box_mm,
        center_mm=center_mm,
        volume_mm3=float(extent.prod()),
    )


def boxes_in_frame(numbers: IntArray, boxes_xyxy: FloatArray, stack: SliceStack) -> FloatArray:
    """Return the smallest box that contains boxes of slices, (6,): (u1, v1, w1, u2, v2, w2) in mm.

    Parameters
    ----------
    numbers
        int64, (n,): slice of each box.
    boxes_xyxy
        float, (n, 4), in source pixels.
    stack
        Geometry of the slices.
    """
    solid = stack.solid_uvw_mm(numbers, boxes_xyxy)
    return np.concatenate((solid.min((0, 1)), solid.max((0, 1))))


def _single_score(
    score: float, number: int, box_uv: FloatArray, rule: ClassRule, stack: SliceStack | None
) -> float:
    if stack is None:
        return score
    positions = stack.offsets_uvw_mm[max(number - 1, 0) : number + 2, 2]
    side_mm = float((box_uv[2:] - box_uv[:2]).min())
    neighbours = expected_neighbours(side_mm, np.abs(np.diff(positions)).tolist())
    return single_slice_score(score, neighbours, rule.recall)


def _seconds(volume: VolumeIdentity, first: int, last: int) -> tuple[float, float] | None:
    return (volume.seconds[first], volume.seconds[last]) if volume.seconds else None


def _floats(values: FloatArray) -> list[float]:
    return [float(value) for value in values]


def _vector(values: FloatArray) -> Vector:
    x, y, z = _floats(values)
    return (x, y, z)
