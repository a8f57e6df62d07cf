"""Images with examples of classes, from a dataset yaml or from annotations in another format."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from medrov_cli.core.base.errors import ErrorCode, MedrovError, usage_error
from medrov_cli.core.datasets.dataset import Dataset, load_dataset
from medrov_cli.core.datasets.presence import ANNOTATED
from medrov_cli.core.datasets.readers.find_reader import find_reader
from medrov_cli.core.datasets.readers.protocol import Unit
from medrov_cli.core.datasets.sources import Sample
from medrov_cli.core.learning.example_formats import DATASET, guess_format
from medrov_cli.core.pixels.greyscale import apply_range, percentile_range, to_rgb
from medrov_cli.core.records.annotations import AnnotatedImage, Annotation
from medrov_cli.core.records.boxes import BoolArray, FloatArray, IntArray
from medrov_cli.core.records.frame import UInt8Array
from medrov_cli.core.settings.choices import Split
from medrov_cli.core.settings.data_convert import ReaderSettings
from medrov_cli.core.settings.learn import LearnSettings
from medrov_cli.core.text.class_names import names_of_classes
from medrov_cli.core.text.lexicon import synonyms_of


@dataclass(frozen=True, slots=True, eq=False)
class ExampleImage:
    """One image with examples.

    Attributes
    ----------
    path
        The file, as it is named in messages.
    group
        Patient, volume or file: images of one group are held out together.
    boxes_xyxy, labels
        float, (n, 4), in source pixels, and int64, (n,), rows of the classes.
    ignored_xyxy
        float, (k, 4): regions of many objects, which are neither examples nor background.
    is_annotated
        bool, (classes,): classes that are annotated in the image: by its source, or by a box in it (a label
        that was added and reviewed).
    read
        Function that returns the pixels, uint8, (height, width, 3), RGB.
    """

    path: str
    group: str
    boxes_xyxy: FloatArray
    labels: IntArray
    ignored_xyxy: FloatArray
    is_annotated: BoolArray
    read: Callable[[], UInt8Array]


@dataclass(frozen=True, slots=True, eq=False)
class ExampleSet:
    """Examples of some classes.

    Attributes
    ----------
    name
        Name of the set.
    classes
        Names of the classes.
    texts
        Name and synonyms of each class.
    images
        The images.
    failures
        Inputs that could not be read.
    warnings
        Sentences about what was left out.
    """

    name: str
    classes: tuple[str, ...]
    texts: tuple[tuple[str, ...], ...]
    images: tuple[ExampleImage, ...]
    failures: tuple[tuple[str, MedrovError], ...] = ()
    warnings: tuple[str, ...] = field(default=())

    def boxes_of(self, label: int) -> int:
        """Return the number of examples of a class."""
        return sum(int((image.labels == label).sum()) for image in self.images)

    def restrict(self, wanted: Sequence[str]) -> ExampleSet:
        """Return the set with the wanted classes, or with all that have an example.

        Raises
        ------
        MedrovError
            ``USAGE`` for a class that the set does not have; ``NO_INPUT`` for one without an example, and
            without any example.
        """
        row_of = {name.casefold(): row for row, name in enumerate(self.classes)}
        unknown = [name for name in wanted if name.casefold() not in row_of]
        if unknown:
            raise usage_error(
                f"--classes: {self.name} has no class {', '.join(map(repr, unknown))}",
                f"Its classes: {', '.join(self.classes)}.",
            )
        rows = [row_of[name.casefold()] for name in wanted] or list(range(len(self.classes)))
        empty = [row for row in rows if not self.boxes_of(row)]
        if empty and (wanted or len(empty) == len(rows)):
            named = ", ".join(repr(self.classes[row]) for row in empty[:5]) or "no class"
            raise MedrovError(
                ErrorCode.NO_INPUT,
                f"{self.name} has no box of {named}",
                "Draw at least one box of each class, or name other --classes.",
            )
        kept = np.array([row for row in rows if row not in empty])
        warnings = self.warnings
        if empty:
            named = ", ".join(self.classes[row] for row in empty)
            warnings = (*warnings, f"classes without a box are left out: {named}")
        place = np.full(len(self.classes), -1)
        place[kept] = np.arange(len(kept))
        return replace(
            self,
            classes=tuple(self.classes[row] for row in kept),
            texts=tuple(self.texts[row] for row in kept),
            images=tuple(_with_classes(image, place, kept) for image in self.images),
            warnings=warnings,
        )


def read_examples(config: LearnSettings) -> ExampleSet:
    """Read the examples of the settings.

    Raises
    ------
    MedrovError
        ``USAGE`` for an unknown format; ``DATASET_INVALID``, ``NO_INPUT``, ``NOT_FOUND``.
    """
    form = config.format or guess_format(config.examples)
    found = _from_dataset(config) if form == DATASET else _from_reader(config, form)
    return found.restrict([prompt.name for prompt in config.classes])


def _from_dataset(config: LearnSettings) -> ExampleSet:
    dataset = load_dataset(config.examples, config.data_root, pseudo=(config.split,))
    if not dataset.samples[config.split]:
        raise MedrovError(
            ErrorCode.NO_INPUT,
            f"{config.examples}: no image of the split {config.split}",
            "Choose another --split.",
        )
    return examples_of_dataset(dataset, config.split)


def examples_of_dataset(dataset: Dataset, split: Split) -> ExampleSet:
    """Return the images of a split of a dataset as examples."""
    samples = dataset.samples[split]
    is_annotated = dataset.presence == ANNOTATED
    return ExampleSet(
        dataset.name,
        dataset.classes,
        tuple(names_of_classes(dataset.classes, dataset.synonyms)),
        tuple(_from_sample(sample, is_annotated[sample.source_id]) for sample in samples),
        warnings=_outside(sum(sample.left_out for sample in samples)),
    )


def _from_sample(sample: Sample, is_annotated: BoolArray) -> ExampleImage:
    is_annotated = is_annotated | np.isin(np.arange(len(is_annotated)), sample.labels)
    return ExampleImage(
        sample.path,
        sample.path if sample.case is None else f"{sample.source_id}/{sample.case}",
        sample.boxes_xyxy,
        sample.labels,
        sample.crowd_xyxy,
        is_annotated,
        sample.read_pixels,
    )


def _from_reader(config: LearnSettings, form: str) -> ExampleSet:
    reading = find_reader(form)(ReaderSettings(path=config.examples, images=config.images))
    found: list[AnnotatedImage] = []
    failures: list[tuple[str, MedrovError]] = []
    paths: list[str] = []
    for unit in reading.units:
        for item in _images_of(unit):
            if isinstance(item, MedrovError):
                failures.append((unit.path, item))
            else:
                found.append(item)
                paths.append(unit.path)
    stated = dict.fromkeys(reading.class_names)
    others = sorted({own.class_name for image in found for own in image.annotations} - stated.keys())
    classes = (*stated, *others)
    if not classes:
        raise MedrovError(
            ErrorCode.NO_INPUT, f"{config.examples.name} has no box", "Draw boxes of the new classes."
        )
    row_of = {name: row for row, name in enumerate(classes)}
    images, outside = [], 0
    for image, path in zip(found, paths, strict=True):
        inside = [own for own in image.annotations if own.inside(image.height, image.width)]
        outside += len(image.annotations) - len(inside)
        images.append(_from_annotated(image, inside, path, row_of))
    return ExampleSet(
        config.examples.name,
        classes,
        tuple((name, *synonyms_of(name)) for name in classes),
        tuple(images),
        tuple(failures),
        (*reading.warnings, *_outside(outside)),
    )


def _images_of(unit: Unit) -> Iterator[AnnotatedImage | MedrovError]:
    try:
        yield from unit.read()
    except MedrovError as error:
        if not error.is_input_error:
            raise
        yield error


def _from_annotated(
    image: AnnotatedImage, annotations: Sequence[Annotation], path: str, row_of: dict[str, int]
) -> ExampleImage:
    boxes, labels, crowds = [], [], []
    for own in annotations:
        left, top, width, height = own.inside(image.height, image.width) or own.box_xywh
        box = (left, top, left + width, top + height)
        if own.crowd:
            crowds.append(box)
        else:
            boxes.append(box)
            labels.append(row_of[own.class_name])
    return ExampleImage(
        path,
        image.case or path,
        np.array(boxes, dtype=np.float64).reshape(-1, 4),
        np.array(labels, dtype=np.int64),
        np.array(crowds, dtype=np.float64).reshape(-1, 4),
        np.ones(len(row_of), dtype=bool),
        lambda: _as_rgb(image),
    )


def _as_rgb(image: AnnotatedImage) -> UInt8Array:
    """Return the pixels of an image; 16 bits are scaled as in ``detect``."""
    pixels = image.read()
    if pixels.ndim == 2:
        values = pixels.astype(np.float32)
        return to_rgb(apply_range(values, *percentile_range(values)))
    return np.asarray(pixels, dtype=np.uint8)


def _with_classes(image: ExampleImage, place: IntArray, kept: IntArray) -> ExampleImage:
    rows = place[image.labels]
    return replace(
        image,
        boxes_xyxy=image.boxes_xyxy[rows >= 0],
        labels=rows[rows >= 0],
        is_annotated=image.is_annotated[kept],
    )


def _outside(count: int) -> tuple[str, ...]:
    return (f"{count} box(es) without an area inside their image are left out",) if count else ()
