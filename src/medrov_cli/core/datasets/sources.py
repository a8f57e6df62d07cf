"""One source of images: a folder with ``annotations.json`` (COCO) and ``images/``."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.pixels.stored import stored_pixels
from medrov_cli.core.records.boxes import IntArray, box_areas, clip_boxes, xywh_to_xyxy
from medrov_cli.core.records.frame import Float32Array, Frame, UInt8Array
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
    """

    name: str
    folder: Path
    images: Path
    modality: Modality
    class_ids: tuple[int, ...]
    licence: str
    category_rows: Mapping[int, int]


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """One annotated image: a :class:`medrov_cli.core.records.frame.ImageSource` with its ground truth.

    Attributes
    ----------
    source_id
        Row of the dataset's sources.
    image_id
        The id in the source's COCO file.
    image_path
        The file.
    height, width
        Pixels, as stored.
    boxes_xyxy
        float32, (n, 4), in pixels of the stored image.
    labels
        int64, (n,), rows of the dataset's classes.
    case
        Patient or volume; null where unknown.
    areas
        float32, (n,): each object's area in square pixels, of its mask where the source has one.
    crowd_xyxy, crowd_labels
        Boxes of many objects that are not told apart (COCO's ``iscrowd``), (k, 4) and (k,).
    left_out
        Annotations whose box has no area inside the image.
    """

    source_id: int
    image_id: int
    image_path: Path
    height: int
    width: int
    boxes_xyxy: Float32Array
    labels: IntArray
    case: str | None
    areas: Float32Array
    crowd_xyxy: Float32Array
    crowd_labels: IntArray
    left_out: int = 0

    @property
    def path(self) -> str:
        """Return the name of the file."""
        return str(self.image_path)

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
            code, message = ErrorCode.NOT_FOUND, "There is no such file."
        elif image is None:
            code, message = ErrorCode.DECODE_FAILED, "The file does not decode."
        else:
            has, says = f"{image.shape[1]} x {image.shape[0]}", f"{self.width} x {self.height}"
            code, message = ErrorCode.BAD_METADATA, f"It has {has} pixels; annotations.json says {says}."
        raise MedrovError(code, message, "Repair or remove the file and its annotations.")


def read_source(
    base: Path, settings: dict[str, Any], source_id: int, classes: list[str], pseudo: Collection[Split]
) -> tuple[Source, dict[Split, list[Sample]]]:
    """Return one source and its samples by split; append its new classes to ``classes``.

    Samples of the splits in ``pseudo`` have the boxes that a detector added, too.
    """
    folder = base / str(settings.get("path", ""))
    images = base / str(settings["images"]) if "images" in settings else folder / IMAGES
    file = folder / ANNOTATIONS
    try:
        coco = json.loads(file.read_text(encoding="utf-8"))
        info = coco.get("info", {})
        modality = Modality.parse(str(settings.get("modality") or info["modality"]))
        category_rows, annotated = {}, set()
        for category in coco["categories"]:
            if category["name"] not in classes:
                classes.append(category["name"])
            category_rows[category["id"]] = classes.index(category["name"])
            if category.get("source") != PSEUDO:
                annotated.add(category_rows[category["id"]])
        samples = _read_samples(images, coco, source_id, category_rows, pseudo)
    except OSError as error:
        raise invalid(
            f"{file}: {error.strerror or error}", "Check 'root' and 'sources', or give --data-root."
        ) from error
    except (ValueError, KeyError, TypeError) as error:
        raise invalid(
            f"{file} is not a usable COCO file: {error}",
            "It needs info.modality, categories, annotations, and images with a split (train, val or test).",
        ) from error
    source = Source(
        name=str(settings.get("name") or folder.name),
        folder=folder,
        images=images,
        modality=modality,
        class_ids=tuple(sorted(annotated)),
        category_rows=category_rows,
        licence=str(info.get("licence") or info.get("license") or "unstated"),
    )
    return source, samples


def _read_samples(
    images: Path,
    coco: dict[str, Any],
    source_id: int,
    category_rows: dict[int, int],
    pseudo: Collection[Split],
) -> dict[Split, list[Sample]]:
    annotations = _annotations_by_image(coco, category_rows)
    samples: dict[Split, list[Sample]] = {split: [] for split in SPLITS}
    for image in coco["images"]:
        split = image["split"]
        if split not in samples:
            raise ValueError(f"image {image['id']} has the unknown split {split!r}")
        own = [a for a in annotations[image["id"]] if split in pseudo or a.get("source") != PSEUDO]
        size = (int(image["height"]), int(image["width"]))
        crowds = [a for a in own if a.get("iscrowd")]
        objects = [a for a in own if not a.get("iscrowd")]
        boxes, labels, areas = _arrays(objects, size, category_rows)
        crowd_xyxy, crowd_labels, _ = _arrays(crowds, size, category_rows)
        samples[split].append(
            Sample(
                source_id=source_id,
                image_id=int(image["id"]),
                image_path=images / image["file_name"],
                height=size[0],
                width=size[1],
                boxes_xyxy=boxes,
                labels=labels,
                case=None if image.get("case") is None else str(image["case"]),
                areas=areas,
                crowd_xyxy=crowd_xyxy,
                crowd_labels=crowd_labels,
                left_out=len(own) - len(labels) - len(crowd_labels),
            )
        )
    return samples


def _annotations_by_image(
    coco: dict[str, Any], category_rows: dict[int, int]
) -> dict[int, list[dict[str, Any]]]:
    by_image: dict[int, list[dict[str, Any]]] = {}
    for image in coco["images"]:
        if image["id"] in by_image:
            raise ValueError(f"two images have the id {image['id']}")
        by_image[image["id"]] = []
    for annotation in coco["annotations"]:
        for key, known in (("image_id", by_image), ("category_id", category_rows)):
            if annotation[key] not in known:
                raise ValueError(f"annotation {annotation.get('id')} has the unknown {key} {annotation[key]}")
        by_image[annotation["image_id"]].append(annotation)
    return by_image


def _arrays(
    annotations: list[dict[str, Any]], size_hw: tuple[int, int], category_rows: dict[int, int]
) -> tuple[Float32Array, IntArray, Float32Array]:
    """Return boxes, labels and areas of the annotations whose box has an area inside the image."""
    boxes = xywh_to_xyxy(np.asarray([a["bbox"] for a in annotations], dtype=np.float32).reshape(-1, 4))
    boxes = clip_boxes(boxes, *size_hw).astype(np.float32)
    labels = np.asarray([category_rows[a["category_id"]] for a in annotations], dtype=np.int64)
    own = box_areas(boxes)
    given = [a.get("area") for a in annotations]
    areas = np.asarray([o if g is None else g for g, o in zip(given, own, strict=True)], dtype=np.float32)
    solid = own > 0
    return boxes[solid], labels[solid], areas[solid]


def invalid(message: str, hint: str) -> MedrovError:
    """Return the error of a dataset that cannot be used."""
    return MedrovError(ErrorCode.DATASET_INVALID, message, hint)
