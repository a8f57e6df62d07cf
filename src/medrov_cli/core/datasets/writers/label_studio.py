"""Write tasks for Label Studio: ``tasks.json``, ``label_config.xml`` and ``images/``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote
from xml.etree import ElementTree as ET

from medrov_cli.core.base.files import whole_file
from medrov_cli.core.datasets.source_set import UNSPLIT
from medrov_cli.core.datasets.writers.exported_images import ExportedImage, ExportHead
from medrov_cli.core.datasets.writers.protocol import DatasetWriter, Written, boxes_inside, images_folder
from medrov_cli.core.datasets.xml_files import child, write_xml
from medrov_cli.core.records.annotations import Annotation

MAIN_FILE = "tasks.json"
CONFIG_FILE = "label_config.xml"
LOCAL_FILES = "/data/local-files/?d="
"""How Label Studio addresses files below its ``LOCAL_FILES_DOCUMENT_ROOT``."""

_FROM, _TO = "label", "image"


class LabelStudioWriter:
    """Tasks for Label Studio."""

    main_file = MAIN_FILE
    follows_exif = True

    def image_places(self, images: Sequence[ExportedImage]) -> dict[str, str]:
        """Return the path of each image relative to the output, by its name."""
        return images_folder(images)

    def write(
        self, folder: Path, images: Sequence[ExportedImage], head: ExportHead, image_url: str
    ) -> Written:
        """Write a task an image, with its boxes as an annotation that people go on with.

        Lengths are percents of the image's sides, with all digits of a double.

        Raises
        ------
        MedrovError
            ``DATASET_INVALID``: a class name cannot stand in XML. ``OUTPUT_FAILED``.
        """
        view = ET.Element("View")
        child(view, "Image", name=_TO, value="$image", zoom="true")
        labels = child(view, "RectangleLabels", name=_FROM, toName=_TO)
        for name in head.classes:
            child(labels, "Label", value=name)
        write_xml(folder / CONFIG_FILE, view)
        tasks, written = [], Written()
        for number, image in enumerate(images, start=1):
            task, own = _task(image, number, image_url)
            tasks.append(task)
            written += own
        with whole_file(folder / MAIN_FILE) as temporary:
            text = json.dumps(tasks, ensure_ascii=False, indent=1)
            temporary.write_text(text + "\n", encoding="utf-8", newline="\n")
        return written


def _task(image: ExportedImage, number: int, image_url: str) -> tuple[dict[str, Any], Written]:
    data = {"image": image_url + quote(f"images/{image.name}"), "source": image.source}
    data |= {"modality": image.modality.value}
    if image.split != UNSPLIT:
        data["split"] = image.split
    if image.case is not None:
        data["case"] = image.case
    boxes, written = boxes_inside(image, with_crowds=True)
    results = [
        _result(box, inside, image, f"box{number}-{row}") for row, (box, inside) in enumerate(boxes, start=1)
    ]
    return {"id": number, "data": data, "annotations": [{"id": number, "result": results}]}, written


def _result(
    box: Annotation, box_xywh: tuple[float, float, float, float], image: ExportedImage, name: str
) -> dict[str, Any]:
    x, y, w, h = box_xywh
    result: dict[str, Any] = {
        "id": name,
        "type": "rectanglelabels",
        "from_name": _FROM,
        "to_name": _TO,
        "original_width": image.width,
        "original_height": image.height,
        "image_rotation": 0,
        "value": {
            "x": 100 * x / image.width,
            "y": 100 * y / image.height,
            "width": 100 * w / image.width,
            "height": 100 * h / image.height,
            "rotation": 0,
            "rectanglelabels": [box.class_name],
        },
    }
    if box.crowd:
        result["meta"] = {"crowd": True, "text": ["crowd"]}
    return result


WRITER: DatasetWriter = LabelStudioWriter()
