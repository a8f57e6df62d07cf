"""Split of a source into train, val and test: a new one, or a repair of leaks between splits.

Images of a case, and cases that contain near-copies of each other, stay in one split.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from medrov_cli.core.base.files import bring_file
from medrov_cli.core.base.progress import Progress, no_progress
from medrov_cli.core.curation.near_copies import Failure, Joined, join_near_copies
from medrov_cli.core.curation.split_assignment import IMAGES, SHOWS, Case, assign_splits
from medrov_cli.core.curation.split_repair import Moved, movements, repaired
from medrov_cli.core.datasets.cases import stated_case
from medrov_cli.core.datasets.coco import write_document
from medrov_cli.core.datasets.coco_records import CocoImage
from medrov_cli.core.datasets.source_set import (
    UNSPLIT,
    OpenSource,
    open_source,
    split_of,
)
from medrov_cli.core.datasets.sources import ANNOTATIONS, invalid
from medrov_cli.core.settings.choices import SPLITS, Split
from medrov_cli.core.settings.data_split import SplitSettings


@dataclass(frozen=True, slots=True)
class SplitResult:
    """Result of a split.

    Attributes
    ----------
    source
        Its name.
    images, cases
        Numbers of images and cases by split.
    without_case
        Number of images of unknown patients; each counts as a case.
    class_images, class_boxes
        Numbers of images with the class, and of boxes, by class and split.
    copy_pairs, joined_cases, joined_groups
        Numbers of near-copies between different cases, of the cases connected by them, and of their groups;
        null if images were not compared.
    moved, moved_cases
        Images that a repair moved, and the number of their cases; null for a new split.
    failures
        Images that were not compared.
    """

    source: str
    images: Mapping[Split, int]
    cases: Mapping[Split, int]
    without_case: int
    class_images: Mapping[str, Mapping[Split, int]]
    class_boxes: Mapping[str, Mapping[Split, int]]
    copy_pairs: int | None = None
    joined_cases: int | None = None
    joined_groups: int | None = None
    moved: tuple[Moved, ...] | None = None
    moved_cases: int | None = None
    failures: tuple[Failure, ...] = ()


def split_source(settings: SplitSettings, progress: Progress = no_progress) -> SplitResult:
    """Assign the images of a source folder to splits, and write them to its ``annotations.json``.

    A repair that moves no image does not change the file.

    Raises
    ------
    MedrovError
        ``USAGE`` if the fractions leave no training images; ``DATASET_INVALID``, also if images have no split
        in a repair; ``NO_INPUT`` if no image can be read; ``OUTPUT_FAILED``.
    """
    settings.check()
    shares = settings.shares
    source = open_source(settings.source)
    before = _present_splits(source) if settings.repair else None
    cases = [case_key(image) for image in source.images]
    joined = Joined(tuple(cases), 0, ())
    if settings.join_copies:
        joined = join_near_copies(source, cases, settings.copies, progress)
    groups = joined.groups
    if before is None:
        kept = _kept(source, groups) if shares.keep_test else {}
        split_by_group = assign_splits(_contents(source, groups), shares, kept)
        splits = [split_by_group[group] for group in groups]
    else:
        splits = repaired(groups, before)
    _write(source, splits, settings.output, unchanged=splits == before)
    return _result(source, cases, splits, before, joined if settings.join_copies else None)


def case_key(image: CocoImage) -> Case:
    """Return the key of a case: the patient, or the image itself if the patient is unknown."""
    case = stated_case(image.fields.get("case"))
    return ("image", image.file_name) if case is None else ("case", case)


def _present_splits(source: OpenSource) -> list[Split]:
    lacking = [image for image in source.images if split_of(image) == UNSPLIT]
    if lacking:
        raise invalid(
            f"{len(lacking)} image(s) of {source.name} have no split to keep, such as {lacking[0].file_name}",
            "Run 'medrov data split' without --repair.",
        )
    return [image.require("split") for image in source.images]


def _write(source: OpenSource, splits: Sequence[Split], output: Path | None, *, unchanged: bool) -> None:
    own = source.folder / ANNOTATIONS
    target = output or own
    if not unchanged:
        images = [image.replaced(split=split) for image, split in zip(source.images, splits, strict=True)]
        write_document(target, replace(source.document, images=tuple(images)).parts)
    elif target.resolve() != own.resolve():
        bring_file(own, target, link=False)


def _contents(source: OpenSource, groups: Sequence[Case]) -> dict[Case, Counter[str]]:
    shown: dict[Any, set[str]] = defaultdict(set)
    for annotation in source.annotations:
        shown[annotation.image_id].add(source.class_of[annotation.category_id])
    found: dict[Case, Counter[str]] = defaultdict(Counter)
    for image, group in zip(source.images, groups, strict=True):
        found[group][IMAGES] += 1
        found[group].update(SHOWS + name for name in shown[image.id] or {""})
    return found


def _kept(source: OpenSource, groups: Sequence[Case]) -> dict[Case, Split]:
    return {
        group: "test" for image, group in zip(source.images, groups, strict=True) if split_of(image) == "test"
    }


def _result(
    source: OpenSource,
    cases: Sequence[Case],
    splits: Sequence[Split],
    before: Sequence[Split] | None,
    joined: Joined | None,
) -> SplitResult:
    split_of_id = {image.id: split for image, split in zip(source.images, splits, strict=True)}
    boxes: Counter[tuple[str, Split]] = Counter()
    shown = set()
    for annotation in source.annotations:
        name = source.class_of[annotation.category_id]
        boxes[name, split_of_id[annotation.image_id]] += 1
        shown.add((name, annotation.image_id))
    images = Counter((name, split_of_id[image]) for name, image in shown)
    case_splits = Counter(split for _, split in set(zip(cases, splits, strict=True)))
    total = Counter(splits)
    members = Counter(dict(zip(cases, joined.groups, strict=True)).values()) if joined else Counter()
    several = [number for number in members.values() if number > 1]
    names = [image.file_name for image in source.images]
    changed = {case for case, old, new in zip(cases, before or splits, splits, strict=True) if old != new}
    return SplitResult(
        source=source.name,
        images={split: total[split] for split in SPLITS},
        cases={split: case_splits[split] for split in SPLITS},
        without_case=sum(kind == "image" for kind, _ in cases),
        class_images={name: {s: images[name, s] for s in SPLITS} for name in source.classes},
        class_boxes={name: {s: boxes[name, s] for s in SPLITS} for name in source.classes},
        copy_pairs=joined.pairs if joined else None,
        joined_cases=sum(several) if joined else None,
        joined_groups=len(several) if joined else None,
        moved=None if before is None else movements(names, cases, before, splits),
        moved_cases=None if before is None else len(changed),
        failures=joined.failures if joined else (),
    )
