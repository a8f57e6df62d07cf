"""Write COCO: ``annotations.json`` beside ``images/``, which is the form of a source folder, too."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from medrov_cli.core.datasets.opened import UNSPLIT, write_annotations
from medrov_cli.core.datasets.sources import ANNOTATIONS
from medrov_cli.core.datasets.writers.images import ExportedBox, ExportedImage, Written

MAIN_FILE = ANNOTATIONS


def write(folder: Path, images: Sequence[ExportedImage], classes: Sequence[str]) -> Written:
    """Write boxes to the last digit, with whatever else the source says of them; ids are numbered anew.

    Raises
    ------
    MedrovError
        ``OUTPUT_FAILED``.
    """
    id_of = {name: number for number, name in enumerate(classes, start=1)}
    records: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for number, image in enumerate(images, start=1):
        records.append(_image(image, number))
        for box in image.boxes:
            where = {"id": len(annotations) + 1, "image_id": number, "category_id": id_of[box.class_name]}
            annotations.append(where | _annotation(box))
    modalities = sorted({image.modality.value for image in images})
    info = {"description": "medrov data export"}
    if len(modalities) == 1:
        info["modality"] = modalities[0]
    document = {
        "info": info,
        "categories": [{"id": number, "name": name} for name, number in id_of.items()],
        "images": records,
        "annotations": annotations,
    }
    write_annotations(folder / MAIN_FILE, document)
    return Written()


def _image(image: ExportedImage, number: int) -> dict[str, Any]:
    record: dict[str, Any] = {
        "id": number,
        "file_name": image.name,
        "width": image.width,
        "height": image.height,
        "source": image.source,
        "modality": image.modality.value,
    }
    if image.split != UNSPLIT:
        record["split"] = image.split
    if image.case is not None:
        record["case"] = image.case
    return record


def _annotation(box: ExportedBox) -> dict[str, Any]:
    own = {key: value for key, value in box.record.items() if key not in ("id", "image_id", "category_id")}
    own.setdefault("area", box.box_xywh[2] * box.box_xywh[3])
    own["iscrowd"] = int(box.crowd)
    return own
