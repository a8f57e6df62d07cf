"""Objects and findings of the volumes of a split, as boxes in the frame of their slices, in mm."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from medrov_cli.core.evaluation.scored_split import ScoredSplit
from medrov_cli.core.findings.find import ClassRule, SliceDetections, boxes_in_frame, find_findings
from medrov_cli.core.findings.stack import SliceStack, arrange_slices
from medrov_cli.core.records.boxes import FloatArray
from medrov_cli.core.records.finding import Finding, SliceReference, VolumeIdentity, VolumeKind
from medrov_cli.core.records.slice_plane import PlacedSlice


@dataclass(frozen=True, slots=True)
class SplitVolume:
    """Slices of one volume of a split.

    Attributes
    ----------
    rows
        Images of the split, in the order of the stack.
    stack
        Geometry of the slices.
    """

    rows: tuple[int, ...]
    stack: SliceStack

    @property
    def first_row(self) -> int:
        """Image that stands for the volume: it has its source and its case."""
        return self.rows[0]


def volumes_of(split: ScoredSplit) -> tuple[list[SplitVolume], int]:
    """Return the volumes of a split with at least two placed slices, and the number of other volumes."""
    groups: dict[tuple[int, str], list[int]] = defaultdict(list)
    for row, sample in enumerate(split.samples):
        if sample.volume is not None:
            groups[sample.source_id, sample.volume.volume].append(row)
    volumes, left_out = [], 0
    for rows in groups.values():
        arranged = arrange_slices([_placed(split, row) for row in rows])
        if not arranged.stacks:
            left_out += 1
            continue
        stack = arranged.stacks[0]
        volumes.append(SplitVolume(tuple(rows[index] for index in stack.order), stack))
    return volumes, left_out


def _placed(split: ScoredSplit, row: int) -> PlacedSlice:
    sample = split.samples[row]
    own = sample.volume
    if own is None:
        return PlacedSlice(None, (sample.height, sample.width))
    return PlacedSlice(own.plane, (sample.height, sample.width), float(own.number))


def truth_boxes(split: ScoredSplit, volume: SplitVolume, label: int) -> FloatArray:
    """Return the boxes of the objects of a class in a volume, (n, 6).

    Boxes with the number of an object are joined by it; the others are linked like detections.
    """
    joined: dict[int, list[tuple[int, FloatArray]]] = defaultdict(list)
    loose: list[SliceDetections] = []
    for number, row in enumerate(volume.rows):
        sample = split.samples[row]
        own = sample.labels == label
        boxes = sample.boxes_xyxy[own].astype(np.float64)
        numbers = np.full(len(boxes), -1) if sample.object_numbers is None else sample.object_numbers[own]
        for object_number, box in zip(numbers.tolist(), boxes, strict=True):
            if object_number >= 0:
                joined[object_number].append((number, box))
        rest = boxes[numbers < 0]
        loose.append(SliceDetections(rest, np.ones(len(rest)), ("",) * len(rest)))
    found = [
        boxes_in_frame(
            np.array([number for number, _ in members]), np.array([box for _, box in members]), volume.stack
        )
        for members in joined.values()
    ]
    linked = find_findings(_identity(volume), loose, {"": ClassRule(0)}, volume.stack)
    found += [finding_box(one, volume.stack) for one in linked]
    return np.array(found).reshape(-1, 6)


def findings_of(
    split: ScoredSplit,
    volume: SplitVolume,
    rule: ClassRule,
    least: float,
    shown: Callable[[FloatArray], FloatArray],
) -> tuple[FloatArray, FloatArray]:
    """Return boxes, (n, 6), and scores, (n,), of the findings of a class in a volume.

    Parameters
    ----------
    split
        The scored split.
    volume
        The volume.
    rule
        The class, and what decides whether its findings are shown.
    least
        Raw score from which detections are linked.
    shown
        Function from raw scores to shown ones.
    """
    slices = []
    for row in volume.rows:
        found = split.detections[row]
        raw = np.asarray(found.scores, dtype=np.float64)
        own = np.flatnonzero((found.labels == rule.label) & (raw >= least))
        own = own[np.argsort(-raw[own], kind="stable")][: split.max_det]
        boxes = np.asarray(found.boxes_xyxy[own], dtype=np.float64)
        slices.append(SliceDetections(boxes, shown(raw[own]), ("",) * len(own)))
    findings = find_findings(_identity(volume), slices, {"": rule}, volume.stack)
    boxes = np.array([finding_box(one, volume.stack) for one in findings]).reshape(-1, 6)
    return boxes, np.array([one.score for one in findings], dtype=np.float64)


def finding_box(finding: Finding, stack: SliceStack) -> FloatArray:
    """Return the box of a measured finding in the frame of the slices, (6,)."""
    if finding.center_mm is None or finding.extent_mm is None:
        raise ValueError("the finding has no place")
    center = np.array(finding.center_mm) @ np.linalg.inv(stack.frame)
    half = np.array(finding.extent_mm) / 2
    return np.concatenate((center - half, center + half))


def _identity(volume: SplitVolume) -> VolumeIdentity:
    images = tuple(SliceReference("", number) for number in range(len(volume.rows)))
    return VolumeIdentity("", VolumeKind.VOLUME_FILE, images, volume.stack.planes)
