"""Checks of annotations without reading images: boxes, classes, splits, cases, left and right."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations

import numpy as np
import numpy.typing as npt

from medrov_cli.core.curation.issues import Code, DatasetIssue
from medrov_cli.core.curation.split import case_key
from medrov_cli.core.datasets.box_table import BoxTable, box_table
from medrov_cli.core.datasets.laterality import mirror_rows, mirrored_name
from medrov_cli.core.datasets.source_set import UNSPLIT, OpenSource, split_of
from medrov_cli.core.records.boxes import box_areas, clip_boxes, iou_matrix

OUTSIDE_PX = 1.0
"""Tolerance in pixels of boxes that leave the image, for the rounding of coordinates."""

SAME_IOU = 0.95
"""IoU from which two boxes of one class count as the same object."""

_CLEAR_BOXES = 5
_CLEAR_SHARE = 0.9
"""Minimum number of boxes, and minimum fraction of them on one half, of a class with a usual side."""

_HASHED = re.compile(r"[0-9a-f]{16}")
"""Cases hashed by ``data convert``: equal cases are one patient in all sources."""


def check_boxes(source: OpenSource) -> Iterator[DatasetIssue]:
    """Yield issues of boxes outside their image, without area, or repeated."""
    boxes = box_table(source)
    size = np.asarray([(i.height, i.width) for i in source.images], dtype=np.float64).reshape(-1, 2)
    order = np.argsort(boxes.image, kind="stable")
    starts = np.flatnonzero(np.diff(boxes.image[order], prepend=-1))
    for rows in np.split(order, starts[1:]):
        if not len(rows):
            continue
        image = source.images[boxes.image[rows[0]]]
        own = boxes.xyxy[rows]
        height, width = size[boxes.image[rows[0]]]
        inside = clip_boxes(own, height, width)
        where = source.where(image)
        empty = int((box_areas(inside) <= 0).sum())
        if empty:
            yield DatasetIssue(
                Code.BOX_WITHOUT_AREA,
                where,
                f"{empty} box(es) without an area inside the image: training leaves them out",
            )
        left = (np.abs(inside - own).max(axis=1) > OUTSIDE_PX) & (box_areas(inside) > 0)
        if left.any():
            yield DatasetIssue(
                Code.BOX_OUTSIDE, where, f"{int(left.sum())} box(es) leave the image: training cuts them"
            )
        twice = _written_twice(own, boxes.label[rows])
        if twice:
            yield DatasetIssue(Code.BOX_DUPLICATE, where, f"{twice} box(es) of a class occur twice")


def _written_twice(xyxy: npt.NDArray[np.float64], label: npt.NDArray[np.int64]) -> int:
    same = np.triu(iou_matrix(xyxy, xyxy) >= SAME_IOU, 1) & (label[:, None] == label[None, :])
    return int(same.any(axis=0).sum())


def check_classes(sources: Sequence[OpenSource]) -> Iterator[DatasetIssue]:
    """Yield issues of classes without a box in a source, and of classes without a box in the train split."""
    in_split: dict[str, Counter[str]] = defaultdict(Counter)
    for source in sources:
        split_by_id = {image.id: split_of(image) for image in source.images}
        seen = set()
        for annotation in source.annotations:
            name = source.class_of[annotation.category_id]
            seen.add(name)
            in_split[name][split_by_id[annotation.image_id]] += 1
        for name in source.classes:
            if name not in seen:
                yield DatasetIssue(
                    Code.CLASS_WITHOUT_BOXES,
                    source.name,
                    f"{name!r} is a category without a box: its images count as negatives of the class",
                )
    for name, counts in in_split.items():
        if not counts["train"] and not counts[UNSPLIT]:
            yield DatasetIssue(
                Code.CLASS_NOT_IN_TRAIN,
                name,
                f"no box in train, {counts['val']} in val, {counts['test']} in test",
            )


def check_splits(source: OpenSource) -> Iterator[DatasetIssue]:
    """Yield issues of images without a split, and of cases in two splits."""
    lacking = [image for image in source.images if split_of(image) == UNSPLIT]
    if lacking:
        yield DatasetIssue(
            Code.SPLIT_MISSING,
            source.name,
            f"{len(lacking)} image(s) without train, val or test, such as {lacking[0].file_name}",
        )
    by_case: dict[tuple[str, str], dict[str, str]] = defaultdict(dict)
    for image in source.images:
        if split_of(image) != UNSPLIT:
            by_case[case_key(image)].setdefault(split_of(image), image.file_name)
    for splits in by_case.values():
        if len(splits) > 1:
            first, *others = sorted(splits)
            files = ", ".join(f"{splits[s]} in {s}" for s in others)
            yield DatasetIssue(
                Code.CASE_IN_TWO_SPLITS,
                f"{source.name}/{splits[first]}",
                f"its case is in {first} and elsewhere: {files}",
            )


def check_cases_between(sources: Sequence[OpenSource]) -> Iterator[DatasetIssue]:
    """Yield issues of cases that two sources have in different splits.

    Equal hashed cases are one patient. Other equal cases may be consecutive numbers, and give one warning per
    pair of sources of one modality.
    """
    tables = [_splits_of_cases(source) for source in sources]
    for (one, first), (other, second) in combinations(zip(sources, tables, strict=True), 2):
        crossing = sorted(
            case for case in first.keys() & second.keys() if len(first[case] | second[case]) > 1
        )
        hashed = [case for case in crossing if _HASHED.fullmatch(case)]
        both = f"{one.name} and {other.name}"
        if hashed:
            yield DatasetIssue(
                Code.CASE_IN_TWO_SPLITS, both, f"{len(hashed)} case(s) of both are in different splits"
            )
        if len(crossing) > len(hashed) and one.modality == other.modality:
            yield DatasetIssue(
                Code.CASE_IN_TWO_SOURCES,
                both,
                f"{len(crossing) - len(hashed)} case(s) have equal names in both sources and different "
                "splits; they may be one patient",
            )


def _splits_of_cases(source: OpenSource) -> Mapping[str, set[str]]:
    found: dict[str, set[str]] = defaultdict(set)
    for image in source.images:
        kind, case = case_key(image)
        if kind == "case" and split_of(image) != UNSPLIT:
            found[case].add(split_of(image))
    return found


def check_sides(sources: Sequence[OpenSource]) -> Iterator[DatasetIssue]:
    """Yield issues of classes with left and right."""
    classes = tuple(dict.fromkeys(name for source in sources for name in source.classes))
    for name, row in zip(classes, mirror_rows(classes), strict=True):
        if row < 0:
            why = "is not a class" if mirrored_name(name) not in classes else "is not its mirror image"
            yield DatasetIssue(
                Code.SIDE_UNPAIRED,
                name,
                f"{mirrored_name(name)!r} {why}: images with it are not flipped in training",
            )
    sided = [name for name in classes if mirrored_name(name) != name]
    usual: dict[str, dict[str, bool]] = defaultdict(dict)
    for source in sources:
        boxes = box_table(source)
        for name in sided:
            if name in source.classes:
                yield from _side_in_source(source, boxes, name, usual)
    for name, by_source in usual.items():
        left = [source for source, is_left in by_source.items() if is_left]
        right = [source for source, is_left in by_source.items() if not is_left]
        if left and right:
            yield DatasetIssue(
                Code.SIDE_DIFFERS,
                name,
                f"left half of the image in {', '.join(left)}, right half in {', '.join(right)}: one of "
                "them may be mirrored",
            )


def _side_in_source(
    source: OpenSource, boxes: BoxTable, name: str, usual: dict[str, dict[str, bool]]
) -> Iterator[DatasetIssue]:
    """Yield issues of images whose boxes lie on the less frequent half, and note the usual half."""
    rows = np.flatnonzero(boxes.label == source.classes.index(name))
    middle = np.asarray([i.width for i in source.images], dtype=np.float64)[boxes.image[rows]] / 2
    low, high = boxes.xyxy[rows, 0], boxes.xyxy[rows, 2]
    is_left = (low + high) / 2 < middle
    if len(rows) < _CLEAR_BOXES or max(is_left.mean(), 1 - is_left.mean()) < _CLEAR_SHARE:
        return
    mostly_left = bool(is_left.mean() > 0.5)
    usual[name][source.name] = mostly_left
    wrong = low >= middle if mostly_left else high <= middle
    half, other = ("left", "right") if mostly_left else ("right", "left")
    for row in sorted(set(boxes.image[rows[wrong]].tolist())):
        yield DatasetIssue(
            Code.SIDE_SUSPECT,
            source.where(source.images[row]),
            f"{name!r} is on the {other} half of the image; nearly all others of its source are on the "
            f"{half}",
        )
