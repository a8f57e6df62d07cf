"""One source of images: a folder with ``annotations.json`` (COCO) and ``images/``."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.base.text_files import escaped
from medrov_cli.core.datasets.annotation_arrays import annotation_arrays, object_numbers
from medrov_cli.core.datasets.cases import stated_case
from medrov_cli.core.datasets.coco import read_document
from medrov_cli.core.datasets.coco_records import (
    CocoAnnotation,
    CocoDocument,
    CocoError,
    CocoImage,
    CocoRecord,
)
from medrov_cli.core.datasets.pixel_sizes import mpp_of_entry, mpp_of_record
from medrov_cli.core.datasets.volume_records import read_volume_slice
from medrov_cli.core.pixels.stored import stored_pixels
from medrov_cli.core.records.boxes import Float64Array, IntArray
from medrov_cli.core.records.detections import Detections
from medrov_cli.core.records.frame import Frame, UInt8Array
from medrov_cli.core.records.volume_slice import VolumeSlice
from medrov_cli.core.settings.choices import SPLITS, Modality, Split

ANNOTATIONS = "annotations.json"
IMAGES = "images"
"""What a source folder holds."""

PSEUDO = "pseudo"
"""``source`` of annotations that a detector added, and of categories that nobody annotated here."""


@dataclass(frozen=True, slots=True)
class Source:
    """One origin of images.

    Attributes
    ----------
    name
        The dataset id.
    folder
        Holds ``annotations.json`` and, as a rule, ``images/``.
    images
        Folder of the images.
    modality
        One of the nine.
    class_ids
        Rows of the dataset's classes that are annotated here: by people, not by a detector alone.
    licence
        As the source states it.
    category_rows
        From the category ids of its file to rows of the dataset's classes.
    mpp
        Micrometres per pixel of its images, as the dataset yaml states it; null if it does not.
    """

    name: str
    folder: Path
    images: Path
    modality: Modality
    class_ids: tuple[int, ...]
    licence: str
    category_rows: Mapping[Any, int]
    mpp: float | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """One annotated image: a :class:`medrov_cli.core.records.frame.ImageSource` with its ground truth.

    Attributes
    ----------
    source_id
        Row of the dataset's sources.
    image_id
        The id in the source's COCO file, a number or a text.
    image_path
        The file.
    height, width
        Pixels, as stored.
    boxes_xyxy
        float64, (n, 4), in pixels of the stored image.
    labels
        int64, (n,), rows of the dataset's classes.
    case
        Patient or volume; null where unknown.
    areas
        float64, (n,): each object's area in square pixels, of its mask where the source has one.
    crowd_xyxy, crowd_labels
        Boxes of many objects that are not told apart (COCO's ``iscrowd``), (k, 4) and (k,).
    left_out
        Annotations whose box has no area inside the image.
    mpp
        Micrometres per pixel, as the record of the image states it; null if it does not.
    volume
        Slice of a volume that the image is; null if it is none.
    object_numbers
        int64, (n,): number of each object in the volume, unique within its class; -1 or null: unknown.
    """

    source_id: int
    image_id: Any
    image_path: Path
    height: int
    width: int
    boxes_xyxy: Float64Array
    labels: IntArray
    case: str | None
    areas: Float64Array
    crowd_xyxy: Float64Array
    crowd_labels: IntArray
    left_out: int = 0
    mpp: float | None = None
    volume: VolumeSlice | None = None
    object_numbers: IntArray | None = None

    @property
    def path(self) -> str:
        """Return the name of the file."""
        return str(self.image_path)

    def localize(self, detections: Detections) -> Detections:
        """Return the detections that count, in pixels of the sample: all of an image."""
        return detections

    def frames(self) -> Iterator[Frame]:
        """Yield the image; the errors are those of :meth:`read_pixels`."""
        yield Frame(self.read_pixels(), self.path)

    def read_pixels(self) -> UInt8Array:
        """Return the image, uint8, (height, width, 3), RGB.

        Raises
        ------
        MedrovError
            ``NOT_FOUND``, ``DECODE_FAILED``, ``BAD_METADATA``: another size. The message does not name the
            file.
        """
        image = stored_pixels(self.image_path)
        if image is not None and image.shape[:2] == (self.height, self.width):
            return image
        if not self.image_path.is_file():
            code, message = ErrorCode.NOT_FOUND, "The file does not exist."
        elif image is None:
            code, message = ErrorCode.DECODE_FAILED, "The file cannot be decoded."
        else:
            has, says = f"{image.shape[1]} x {image.shape[0]}", f"{self.width} x {self.height}"
            code, message = ErrorCode.BAD_METADATA, f"It has {has} pixels; annotations.json says {says}."
        raise MedrovError(code, message, "Repair or remove the file and its annotations.")


def read_source(
    base: Path, settings: dict[str, Any], source_id: int, classes: list[str], pseudo: Collection[Split]
) -> tuple[Source, dict[Split, list[Sample]]]:
    """Return one source and its samples by split; append its new classes to ``classes``.

    Samples are in the order of their ids. Those of the splits in ``pseudo`` have a detector's boxes, too.
    """
    folder = base / str(settings.get("path", ""))
    images = base / str(settings["images"]) if "images" in settings else folder / IMAGES
    file = folder / ANNOTATIONS
    try:
        document = read_document(file)
        modality = modality_of(document, settings.get("modality"))
        category_rows, annotated = {}, set()
        for category in document.categories:
            if category.name not in classes:
                classes.append(category.name)
            category_rows[category.id] = classes.index(category.name)
            if not is_pseudo(category):
                annotated.add(category_rows[category.id])
        samples = _read_samples(images, document, source_id, category_rows, pseudo)
    except OSError as error:
        raise invalid(
            f"{file}: {error.strerror or error}", "Check 'root' and 'sources', or give --data-root."
        ) from error
    except ValueError as error:
        raise invalid(
            f"{file} is not a usable COCO file: {error}",
            "It needs info.modality, categories, annotations, and images with a split (train, val or test).",
        ) from error
    source = Source(
        name=str(settings.get("name") or escaped(folder.name)),
        folder=folder,
        images=images,
        modality=modality,
        class_ids=tuple(sorted(annotated)),
        category_rows=category_rows,
        licence=licence_of(document),
        mpp=mpp_of_entry(str(settings.get("name") or folder.name), settings.get("mpp")),
    )
    return source, samples


def modality_of(document: CocoDocument, given: str | None = None) -> Modality:
    """Return the modality of a source: the given one, else that of the document.

    Raises
    ------
    ValueError
        If there is none, or an unknown one.
    """
    return Modality.parse(str(given or document.info.require("modality")))


def licence_of(document: CocoDocument) -> str:
    """Return the licence of a source as the document states it."""
    return str(document.info.fields.get("licence") or document.info.fields.get("license") or "unstated")


def is_pseudo(record: CocoRecord) -> bool:
    """Tell whether a detector added an annotation, or a category that nobody annotated."""
    return record.fields.get("source") == PSEUDO


def _read_samples(
    images: Path,
    document: CocoDocument,
    source_id: int,
    category_rows: Mapping[Any, int],
    pseudo: Collection[Split],
) -> dict[Split, list[Sample]]:
    by_image: dict[Any, list[CocoAnnotation]] = {image.id: [] for image in document.images}
    for annotation in document.annotations:
        by_image[annotation.image_id].append(annotation)
    samples: dict[Split, list[Sample]] = {split: [] for split in SPLITS}
    for image in sorted(document.images, key=lambda own: (isinstance(own.id, str), own.id)):
        split = image.require("split")
        if split not in SPLITS:
            raise CocoError(f"image {image.id} has the unknown split {split!r}")
        own = [a for a in by_image[image.id] if split in pseudo or not is_pseudo(a)]
        samples[split].append(_read_sample(image, own, images, source_id, category_rows))
    return samples


def _read_sample(
    image: CocoImage,
    annotations: Sequence[CocoAnnotation],
    images: Path,
    source_id: int,
    category_rows: Mapping[Any, int],
) -> Sample:
    size_hw = (image.height, image.width)
    objects = [a for a in annotations if not a.is_crowd]
    boxes, labels, areas = annotation_arrays(objects, size_hw, category_rows)
    crowds = [a for a in annotations if a.is_crowd]
    crowd_xyxy, crowd_labels, _ = annotation_arrays(crowds, size_hw, category_rows)
    return Sample(
        source_id=source_id,
        image_id=image.id,
        image_path=images / image.file_name,
        height=image.height,
        width=image.width,
        boxes_xyxy=boxes,
        labels=labels,
        case=stated_case(image.fields.get("case")),
        areas=areas,
        crowd_xyxy=crowd_xyxy,
        crowd_labels=crowd_labels,
        left_out=len(annotations) - len(labels) - len(crowd_labels),
        mpp=mpp_of_record(image.fields.get("mpp")),
        volume=read_volume_slice(image),
        object_numbers=object_numbers(objects, size_hw),
    )


def invalid(message: str, hint: str) -> MedrovError:
    """Return the error of a dataset that cannot be used."""
    return MedrovError(ErrorCode.DATASET_INVALID, message, hint)
