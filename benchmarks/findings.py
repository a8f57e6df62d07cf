"""Measure findings of volumes: phantoms with exact boxes, and a detector's findings against label volumes.

::

    python benchmarks/findings.py phantoms --count 10
    medrov detect volume.nii.gz --output out/
    python benchmarks/findings.py masks out/findings.json liver=liver.nii.gz spleen=spleen.nii.gz

``phantoms`` links the exact boxes of the slices, and again boxes that a detector could give: shifted by up to
a pixel, one in five absent, one false box in each slice. ``masks`` takes the box of each label volume as the
one object of its class. Both compare with the union of all boxes of a class, without linking. A finding is
correct if its IoU in space with a free object is at least 0.3; the error is the mean distance of the six
sides, in mm.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np

from medrov_cli.core.findings.find import ClassRule, SliceDetections, find_findings
from medrov_cli.core.findings.merge_planes import PlaneFindings, merge_planes
from medrov_cli.core.findings.stack import arrange_slices
from medrov_cli.core.metrics.volume_scores import iou_3d
from medrov_cli.core.phantoms.abdomen import PhantomVolume, abdomen_volume
from medrov_cli.core.phantoms.kinds import VOLUME_CLASSES
from medrov_cli.core.records.finding import Finding, SliceReference, VolumeIdentity, VolumeKind
from medrov_cli.core.records.plane_cut import PlaneCut, cut_in_plane
from medrov_cli.core.records.slice_plane import PlacedSlice, SlicePlane
from phantom_cuts import OTHER_PLANES, cut_boxes, phantom_grid

CORRECT_IOU = 0.3
Boxes = dict[str, np.ndarray]
"""Boxes of each class, (n, 6), in mm."""


@dataclass
class Counts:
    """Sums over volumes."""

    objects: int = 0
    found: int = 0
    findings: int = 0
    split: int = 0
    error_mm: float = 0.0
    along_mm: float = 0.0
    largest_mm: float = 0.0

    def add(self, truth: Boxes, found: Boxes) -> None:
        """Add one volume."""
        for name in sorted(truth.keys() | found.keys()):
            own = found.get(name, np.zeros((0, 6)))
            objects = truth.get(name, np.zeros((0, 6)))
            self.objects += len(objects)
            self.findings += len(own)
            overlap = iou_3d(own, objects)
            # An object is split if several findings lie in it by more than half.
            inside = np.array([[_share_inside(box, other) > 0.5 for other in objects] for box in own])
            self.split += int((inside.sum(0) > 1).sum()) if inside.size else 0
            for column in range(len(objects)):
                if not len(own) or overlap[:, column].max() < CORRECT_IOU:
                    continue
                row = int(overlap[:, column].argmax())
                errors = np.abs(own[row] - objects[column])
                self.found += 1
                self.error_mm += float(errors.mean())
                self.along_mm += float(errors[[2, 5]].mean())
                self.largest_mm = max(self.largest_mm, float(errors.max()))
                overlap[row] = -1

    def row(self, title: str) -> str:
        """Return a row of the table."""
        mean, along = (
            total / self.found if self.found else float("nan") for total in (self.error_mm, self.along_mm)
        )
        return (
            f"| {title} | {self.objects} | {self.found / max(self.objects, 1):.2f} | "
            f"{self.found / max(self.findings, 1):.2f} | {self.split} | {mean:.1f} | {along:.1f} | "
            f"{self.largest_mm:.1f} |"
        )


HEADER = (
    "| boxes | objects | recall | precision | split objects | mean error of a side, mm | along z, mm | "
    "largest, mm |\n"
    "|---|---|---|---|---|---|---|---|"
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table; return the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    modes = parser.add_subparsers(dest="mode", required=True)
    phantoms = modes.add_parser("phantoms")
    phantoms.add_argument("--count", type=int, default=10)
    phantoms.add_argument("--size", type=int, default=128)
    masks = modes.add_parser("masks")
    masks.add_argument("findings", type=Path)
    masks.add_argument("labels", nargs="+", metavar="CLASS=FILE")
    options = parser.parse_args(arguments)
    lines = phantom_lines(options.count, options.size) if options.mode == "phantoms" else mask_lines(options)
    sys.stdout.write("\n".join([HEADER, *lines]) + "\n")
    return 0


def phantom_lines(count: int, size: int) -> list[str]:
    """Return the rows of the phantoms."""
    exact, exact_planes, linked, planes, union = (Counts() for _ in range(5))
    for seed in range(count):
        phantom = abdomen_volume(seed, size=size)
        clean = exact_slices(phantom)
        truth = union_boxes(clean, phantom)
        exact.add(truth, linked_boxes(clean, phantom))
        cuts = [cut_in_plane(phantom_grid(phantom), plane) for plane in OTHER_PLANES]
        others = [cut_boxes(phantom, cut) for cut in cuts]
        exact_planes.add(truth, plane_boxes(clean, cuts, others, phantom))
        rng = np.random.default_rng(seed)
        noisy = _disturb(clean, rng, size)
        disturbed = [_disturb(own, rng, size) for own in others]
        planes.add(truth, plane_boxes(noisy, cuts, disturbed, phantom))
        linked.add(truth, linked_boxes(noisy, phantom))
        union.add(truth, union_boxes(noisy, phantom))
    return [
        exact.row("phantoms, exact boxes, linked"),
        exact_planes.row("phantoms, exact boxes, three planes"),
        linked.row("phantoms, disturbed boxes, linked"),
        planes.row("phantoms, disturbed boxes, three planes"),
        union.row("phantoms, disturbed boxes, union of a class"),
    ]


def exact_slices(phantom: PhantomVolume) -> list[SliceDetections]:
    """Return the exact box of each object in the slices of a phantom."""
    return [_slice(objects) for objects in phantom.slices]


def _slice(objects: Sequence[object]) -> SliceDetections:
    boxes = np.array([drawn.box_xyxy for drawn in objects], dtype=np.float64).reshape(-1, 4)  # type: ignore[attr-defined]
    names = tuple(drawn.class_name for drawn in objects)  # type: ignore[attr-defined]
    return SliceDetections(boxes, np.full(len(names), 0.9), names)


def _disturb(slices: Sequence[SliceDetections], rng: np.random.Generator, size: int) -> list[SliceDetections]:
    """Return boxes with errors: shifted sides, absent boxes, and a false one in each slice."""
    disturbed = []
    for own in slices:
        kept = rng.random(len(own.scores)) >= 0.2
        boxes = own.boxes_xyxy[kept] + rng.uniform(-1, 1, (int(kept.sum()), 4))
        corner, sides = rng.uniform(0, size * 0.8, 2), rng.uniform(size / 20, size / 5, 2)
        names = [name for name, keep in zip(own.class_names, kept, strict=True) if keep]
        scores = rng.uniform(0.5, 1, len(names) + 1)
        scores[-1] = rng.uniform(0.2, 0.6)
        disturbed.append(
            SliceDetections(
                np.concatenate((boxes, [[*corner, *(corner + sides)]])),
                scores,
                (*names, VOLUME_CLASSES[int(rng.integers(len(VOLUME_CLASSES)))]),
            )
        )
    return disturbed


def _planes(phantom: PhantomVolume) -> list[PlacedSlice]:
    step, row, column = phantom.spacing_mm
    return [
        PlacedSlice(SlicePlane((0.0, 0.0, step * number), (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (row, column)))
        for number in range(len(phantom.slices))
    ]


def linked_boxes(slices: Sequence[SliceDetections], phantom: PhantomVolume) -> Boxes:
    """Return the boxes of the findings; a class has a recall of 0.8 in a slice and a threshold of 0.3."""
    return _boxes(_linked(slices, _planes(phantom)))


def plane_boxes(
    slices: Sequence[SliceDetections],
    cuts: Sequence[PlaneCut],
    others: Sequence[Sequence[SliceDetections]],
    phantom: PhantomVolume,
) -> Boxes:
    """Return the boxes of the findings of several planes."""
    own = _linked(slices, _planes(phantom))
    found = [
        PlaneFindings(cut, _linked(part, [PlacedSlice(plane) for plane in cut.planes()]))
        for cut, part in zip(cuts, others, strict=True)
    ]
    return _boxes(merge_planes(own, found, phantom_grid(phantom)))


def _linked(slices: Sequence[SliceDetections], placed: Sequence[PlacedSlice]) -> tuple[Finding, ...]:
    (stack,) = arrange_slices(placed).stacks
    images = tuple(SliceReference("phantom", number) for number in range(len(slices)))
    volume = VolumeIdentity("phantom", VolumeKind.VOLUME_FILE, images, stack.planes)
    rules = {name: ClassRule(label, 0.3, 0.8) for label, name in enumerate(VOLUME_CLASSES)}
    return find_findings(volume, slices, rules, stack)


def _boxes(findings: Sequence[Finding]) -> Boxes:
    found: dict[str, list[tuple[float, ...]]] = {}
    for one in findings:
        if one.box_mm is not None:
            found.setdefault(one.class_name, []).append(one.box_mm)
    return {name: np.array(boxes) for name, boxes in found.items()}


def union_boxes(slices: Sequence[SliceDetections], phantom: PhantomVolume) -> Boxes:
    """Return the box around all boxes of a class."""
    step, row, column = phantom.spacing_mm
    boxes: dict[str, list[list[float]]] = {}
    for number, own in enumerate(slices):
        low, high = step * (number - 0.5), step * (number + 0.5)
        for (x1, y1, x2, y2), name in zip(own.boxes_xyxy.tolist(), own.class_names, strict=True):
            corner = [(x1 - 0.5) * column, (y1 - 0.5) * row, low]
            boxes.setdefault(name, []).append([*corner, (x2 - 0.5) * column, (y2 - 0.5) * row, high])
    return {name: _union(np.array(own)) for name, own in boxes.items()}


def _union(boxes: np.ndarray) -> np.ndarray:
    return np.concatenate((boxes[:, :3].min(0), boxes[:, 3:].max(0)))[None]


def mask_lines(options: argparse.Namespace) -> list[str]:
    """Return the rows of findings of a detector against label volumes."""
    files = dict(pair.split("=", 1) for pair in options.labels)
    boxes = {name: mask_box(Path(file)) for name, file in files.items()}
    truth = {name: box for name, box in boxes.items() if box is not None}
    found: dict[str, list[list[float]]] = {}
    for volume in json.loads(options.findings.read_text(encoding="utf-8"))["volumes"]:
        for one in volume["findings"]:
            if one["class"] in files:
                found.setdefault(one["class"], []).append(one["box_mm"])
    linked, union = Counts(), Counts()
    own = {name: np.array(rows) for name, rows in found.items()}
    linked.add(truth, own)
    union.add(truth, {name: _union(rows) for name, rows in own.items()})
    return [linked.row("detector, linked"), union.row("detector, union of a class")]


def mask_box(path: Path) -> np.ndarray | None:
    """Return the box of the voxels above 0, (1, 6), in LPS mm; null if there are none."""
    image = nib.load(path)
    at = np.argwhere(np.asanyarray(image.dataobj) > 0)
    if not len(at):
        return None
    corners = np.array([at.min(0) - 0.5, at.max(0) + 0.5])
    points = np.array([(x, y, z, 1) for x in corners[:, 0] for y in corners[:, 1] for z in corners[:, 2]])
    lps = (points @ image.affine.T)[:, :3] * [-1, -1, 1]
    return np.concatenate((lps.min(0), lps.max(0)))[None]


def _share_inside(box: np.ndarray, other: np.ndarray) -> float:
    """Return the part of a box that lies in another."""
    sides = np.maximum(np.minimum(box[3:], other[3:]) - np.maximum(box[:3], other[:3]), 0)
    return float(sides.prod() / np.maximum((box[3:] - box[:3]).prod(), 1e-9))


if __name__ == "__main__":
    sys.exit(main())
