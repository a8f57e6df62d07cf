"""Folders of synthetic phantoms in all formats of ``medrov data phantom``.

Every image is a function of the seed and its number only: a longer run begins with the images of a shorter
one, and a repeated run writes equal bytes.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from medrov_cli.core.base.files import whole_file
from medrov_cli.core.datasets.cases import hashed_case
from medrov_cli.core.datasets.coco import write_document
from medrov_cli.core.datasets.coco_records import CocoAnnotation, CocoImage, numbered_categories
from medrov_cli.core.datasets.sources import ANNOTATIONS, IMAGES
from medrov_cli.core.phantoms.abdomen import abdomen_volume
from medrov_cli.core.phantoms.image_files import dicom_bytes, label_bytes, nifti_bytes, png_bytes
from medrov_cli.core.phantoms.kinds import VOLUME_CLASSES, PhantomKind, ct_slice, phantom_seed, split_of
from medrov_cli.core.settings.choices import Modality, PhantomFormat

Step = Callable[[], None]
"""Called after each image."""

BOX_TABLE = "boxes.csv"
LABEL_MAP = "dataset.json"
_VOLUME_SLICES, _VOLUME_SIDE = 24, 160
_LICENCE = "CC0 (synthetic, ours)"


@dataclass(frozen=True, slots=True)
class PhantomSource:
    """Folder of phantoms.

    Attributes
    ----------
    name, modality
        Name and modality of the source; the folder has the same name.
    images, boxes
        Numbers of images and boxes; a volume is one image, with the boxes of its slices.
    classes
        All classes that it may contain.
    """

    name: str
    modality: Modality
    images: int
    boxes: int
    classes: tuple[str, ...]


Writer = Callable[[Path, PhantomKind, int, int, Step], PhantomSource]
"""Writer of a folder from the kind, the count and a seed; the file that completes the folder is written
last."""


def _write_pictures(folder: Path, kind: PhantomKind, count: int, seed: int, step: Step) -> PhantomSource:
    id_of = {name: number for number, name in enumerate(kind.classes, start=1)}
    images: list[CocoImage] = []
    annotations: list[CocoAnnotation] = []
    for index in range(count):
        own_seed = phantom_seed(seed, index)
        phantom = kind.draw(own_seed)
        file = f"{kind.name}_{own_seed}.png"
        _write(folder / IMAGES / file, png_bytes(phantom.pixels))
        height, width = phantom.pixels.shape[:2]
        case = hashed_case(kind.name, str(own_seed))
        images.append(CocoImage.make(index + 1, file, width, height, split=split_of(index), case=case))
        for drawn in phantom.objects:
            ids = (len(annotations) + 1, index + 1, id_of[drawn.class_name])
            x1, y1, x2, y2 = drawn.box_xyxy
            area = int(np.count_nonzero(drawn.mask))
            annotations.append(CocoAnnotation.make(ids, (x1, y1, x2 - x1, y2 - y1), area))
        step()
    info = {
        "source": kind.name,
        "dataset": "medrov synthetic phantoms",
        "licence": _LICENCE,
        "modality": kind.modality.value,
        "notes": f"medrov data phantom --count {count} --seed {seed}; synthetic, not patients",
    }
    parts = {
        "info": info,
        "categories": numbered_categories(id_of),
        "images": images,
        "annotations": annotations,
    }
    write_document(folder / ANNOTATIONS, parts)
    return PhantomSource(kind.name, kind.modality, len(images), len(annotations), kind.classes)


def _write_masks(folder: Path, kind: PhantomKind, count: int, seed: int, step: Step) -> PhantomSource:
    """Write ``images/STEM.png`` and ``masks/CLASS/STEM.png``, one mask for all objects of a class."""
    boxes = 0
    for index in range(count):
        own_seed = phantom_seed(seed, index)
        phantom = kind.draw(own_seed)
        file = f"{kind.name}_{own_seed}.png"
        _write(folder / IMAGES / file, png_bytes(phantom.pixels))
        for name in kind.classes:
            own = [drawn.mask for drawn in phantom.objects if drawn.class_name == name]
            mask = np.any(own, axis=0) if own else np.zeros(phantom.pixels.shape[:2], dtype=np.bool_)
            grey = np.repeat((mask * np.uint8(255))[..., None], 3, axis=2)
            _write(folder / "masks" / name / file, png_bytes(grey))
        boxes += len(phantom.objects)
        step()
    return PhantomSource(kind.name, kind.modality, count, boxes, kind.classes)


def _write_slices(folder: Path, kind: PhantomKind, count: int, seed: int, step: Step) -> PhantomSource:
    """Write ``images/NAME.dcm``, and the boxes in a table with the columns of VinDr-CXR."""
    rows: list[tuple[Any, ...]] = []
    for index in range(count):
        own_seed = phantom_seed(seed, index)
        phantom = ct_slice(own_seed)
        name = f"{kind.name}_{own_seed}"
        spacing = phantom.pixel_spacing_mm or (1.0, 1.0)
        content = dicom_bytes(phantom.pixels, spacing, f"data/{name}", f"SYNTHETIC-{own_seed}")
        _write(folder / IMAGES / f"{name}.dcm", content)
        rows += [(name, drawn.class_name, *drawn.box_xyxy) for drawn in phantom.objects]
        step()
    _write(folder / BOX_TABLE, _table(("image_id", "class_name", "x_min", "y_min", "x_max", "y_max"), rows))
    return PhantomSource(kind.name, kind.modality, count, len(rows), kind.classes)


def _write_volumes(folder: Path, kind: PhantomKind, count: int, seed: int, step: Step) -> PhantomSource:
    """Write ``images/NAME.nii.gz`` and ``labels/NAME.nii.gz``, and nnU-Net's file of label names."""
    boxes = 0
    for index in range(count):
        own_seed = phantom_seed(seed, index)
        volume = abdomen_volume(own_seed, slices=_VOLUME_SLICES, size=_VOLUME_SIDE)
        name = f"{kind.name}_{own_seed}.nii.gz"
        _write(folder / IMAGES / name, nifti_bytes(volume))
        _write(folder / "labels" / name, label_bytes(volume, VOLUME_CLASSES))
        boxes += sum(len(objects) for objects in volume.slices)
        step()
    labels = {"background": 0} | {name: number for number, name in enumerate(VOLUME_CLASSES, start=1)}
    _write(folder / LABEL_MAP, (json.dumps({"labels": labels}) + "\n").encode())
    return PhantomSource(kind.name, kind.modality, count, boxes, VOLUME_CLASSES)


WRITERS: Mapping[PhantomFormat, Writer] = {
    "png": _write_pictures,
    "masks": _write_masks,
    "dicom": _write_slices,
    "nifti": _write_volumes,
}


def _table(columns: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return text.getvalue().encode()


def _write(path: Path, content: bytes) -> None:
    with whole_file(path) as temporary:
        temporary.write_bytes(content)
