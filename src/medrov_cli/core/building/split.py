"""Deal the images of a source into train, val and test, patient by patient.

Iterative stratification (Sechidis, Tsoumakas and Vlahavas, ECML 2011) over cases in place of single
images: the rarest class is dealt first, each of its cases to the split that still lacks most of it.
Only splits that still lack images are asked, so that none exceeds its share by a whole case.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from medrov_cli.core.building.opened import OpenSource, open_source, write_annotations
from medrov_cli.core.data.source import ANNOTATIONS, SPLITS, Split
from medrov_cli.core.errors import ErrorCode, MedrovError

Case = tuple[str, str]
"""What must stay together: see :func:`case_key`."""

IMAGES = "#"
"""Counts the images of a case, among the counts of those that show a class."""

SHOWS = "="
"""Stands before a class name there; alone, it counts images without a box: they are dealt evenly, too."""

_TIES: tuple[Split, ...] = ("test", "val", "train")
"""Who is served first where two splits lack the same."""


@dataclass(frozen=True, slots=True)
class SplitConfig:
    """How to deal.

    Attributes
    ----------
    val, test
        Shares of the images, 0 to 1; the rest is for training.
    seed
        Of the order in which equal cases are dealt.
    keep_test
        Cases with an image in the test split stay there, nothing joins them, and ``test`` is not used.
    """

    val: float = 0.1
    test: float = 0.2
    seed: int = 0
    keep_test: bool = False


@dataclass(frozen=True, slots=True)
class SplitResult:
    """What was dealt.

    Attributes
    ----------
    source
        Its name.
    images, cases
        Numbers by split.
    without_case
        Images whose patient is unknown, each dealt as a case of its own.
    class_images, class_boxes
        For each class, images that show it and boxes, by split.
    """

    source: str
    images: Mapping[Split, int]
    cases: Mapping[Split, int]
    without_case: int
    class_images: Mapping[str, Mapping[Split, int]]
    class_boxes: Mapping[str, Mapping[Split, int]]


def split_source(folder: Path, config: SplitConfig, output: Path | None = None) -> SplitResult:
    """Deal the images of a source folder, and write its ``annotations.json`` with the splits.

    Parameters
    ----------
    output
        The file to write, in place of the source's own.

    Raises
    ------
    MedrovError
        ``USAGE``: the shares leave nothing for training. ``DATASET_INVALID``, ``OUTPUT_FAILED``.
    """
    if not (config.val >= 0 and config.test >= 0 and config.val + config.test < 1):
        raise MedrovError(
            ErrorCode.USAGE, "--val and --test leave nothing to train on", "Let their sum stay below 1."
        )
    source = open_source(folder)
    keys = [case_key(image) for image in source.images]
    split_by_case = deal(_contents(source, keys), config, _kept(source, keys) if config.keep_test else {})
    splits = [split_by_case[key] for key in keys]
    images = [{**image, "split": split} for image, split in zip(source.images, splits, strict=True)]
    write_annotations(output or folder / ANNOTATIONS, {**source.document, "images": images})
    return _result(source, keys, splits)


def case_key(image: Mapping[str, Any]) -> Case:
    """Return what must stay together: the patient, or the image itself where it is unknown."""
    case = image.get("case")
    return ("image", str(image["file_name"])) if case in (None, "") else ("case", str(case))


def deal(
    images_by_class: Mapping[Case, Mapping[str, int]],
    config: SplitConfig,
    kept: Mapping[Case, Split],
) -> dict[Case, Split]:
    """Return the split of every case.

    No split exceeds its share of the images by a whole case of the largest size.

    Parameters
    ----------
    images_by_class
        For each case the number of its images, under ``IMAGES``, and of those that show each class,
        under ``SHOWS + name``.
    kept
        Cases whose split is given.
    """
    shares = {"train": 1 - config.val - config.test, "val": config.val, "test": config.test}
    table = {key: dict(own) for key, own in sorted(images_by_class.items())}
    totals: Counter[str] = Counter()
    for own in table.values():
        totals.update(own)
    if config.keep_test:
        held = sum(table[key][IMAGES] for key in kept)
        rest = totals[IMAGES] * (1 - config.val) - held
        if rest <= 0:
            raise MedrovError(
                ErrorCode.USAGE, "--val and the kept test split leave nothing to train on", "Lower --val."
            )
        share = held / totals[IMAGES]
        shares = {"train": 1 - config.val - share, "val": config.val, "test": share}
    lacks = {split: Counter({name: shares[split] * n for name, n in totals.items()}) for split in SPLITS}
    dealt: dict[Case, Split] = {}
    order = list(table)
    Random(config.seed).shuffle(order)  # noqa: S311 - reproducible, not secret
    for key in order:
        if key in kept:
            _give(dealt, lacks, key, table[key], kept[key])
    open_to = [s for s in _TIES if shares[s] > 0 and not (config.keep_test and s == "test")]
    left = [key for key in order if key not in kept]
    while left:
        name = _rarest(table, left)
        mine = [key for key in left if name in table[key]]
        for key in sorted(mine, key=lambda k: -table[k][name]):
            _give(dealt, lacks, key, table[key], _neediest(lacks, open_to, name))
        left = [key for key in left if key not in dealt]
    return dealt


def _rarest(table: Mapping[Case, Mapping[str, int]], left: Sequence[Case]) -> str:
    """Return the class that the fewest of the cases show; the count of images itself comes last."""
    shown = Counter(name for key in left for name in table[key] if name != IMAGES)
    return min(shown, key=lambda name: (shown[name], name)) if shown else IMAGES


def _neediest(lacks: Mapping[Split, Counter[str]], open_to: Sequence[Split], name: str) -> Split:
    hungry = [split for split in open_to if lacks[split][IMAGES] > 1e-6] or list(open_to)
    return max(hungry, key=lambda split: (round(lacks[split][name], 6), round(lacks[split][IMAGES], 6)))


def _give(
    dealt: dict[Case, Split],
    lacks: Mapping[Split, Counter[str]],
    key: Case,
    own: Mapping[str, int],
    split: Split,
) -> None:
    dealt[key] = split
    lacks[split].subtract(own)


def _contents(source: OpenSource, keys: Sequence[Case]) -> dict[Case, Counter[str]]:
    shown: dict[Any, set[str]] = defaultdict(set)
    for annotation in source.annotations:
        shown[annotation["image_id"]].add(source.class_of[annotation["category_id"]])
    found: dict[Case, Counter[str]] = defaultdict(Counter)
    for image, key in zip(source.images, keys, strict=True):
        found[key][IMAGES] += 1
        found[key].update(SHOWS + name for name in shown[image["id"]] or {""})
    return found


def _kept(source: OpenSource, keys: Sequence[Case]) -> dict[Case, Split]:
    return {
        key: "test" for image, key in zip(source.images, keys, strict=True) if image.get("split") == "test"
    }


def _result(source: OpenSource, keys: Sequence[Case], splits: Sequence[Split]) -> SplitResult:
    split_of = {image["id"]: split for image, split in zip(source.images, splits, strict=True)}
    boxes: Counter[tuple[str, Split]] = Counter()
    shown = set()
    for annotation in source.annotations:
        name = source.class_of[annotation["category_id"]]
        boxes[name, split_of[annotation["image_id"]]] += 1
        shown.add((name, annotation["image_id"]))
    images = Counter((name, split_of[image]) for name, image in shown)
    cases = Counter(dict(zip(keys, splits, strict=True)).values())
    total = Counter(splits)
    return SplitResult(
        source=source.name,
        images={split: total[split] for split in SPLITS},
        cases={split: cases[split] for split in SPLITS},
        without_case=sum(kind == "image" for kind, _ in keys),
        class_images={name: {s: images[name, s] for s in SPLITS} for name in source.classes},
        class_boxes={name: {s: boxes[name, s] for s in SPLITS} for name in source.classes},
    )
