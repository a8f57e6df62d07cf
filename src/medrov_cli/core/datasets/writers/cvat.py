"""Write CVAT for images 1.1: ``annotations.xml`` and ``images/``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

from medrov_cli.core.datasets.coco_records import CocoAnnotation
from medrov_cli.core.datasets.source_set import UNSPLIT
from medrov_cli.core.datasets.sources import is_pseudo
from medrov_cli.core.datasets.writers.exported_images import ExportedImage, ExportHead
from medrov_cli.core.datasets.writers.protocol import DatasetWriter, Written, boxes_inside, images_folder
from medrov_cli.core.datasets.xml_files import child, write_xml

CROWD = "crowd"
"""A checkbox of every label, where there are boxes of many objects."""


class CvatWriter:
    """CVAT for images 1.1."""

    main_file = "annotations.xml"
    follows_exif = True

    def image_places(self, images: Sequence[ExportedImage]) -> dict[str, str]:
        """Return the path of each image relative to the output, by its name."""
        return images_folder(images)

    def write(
        self, folder: Path, images: Sequence[ExportedImage], head: ExportHead, image_url: str
    ) -> Written:
        """Write all images with their boxes as corners in pixels, to the last digit.

        A split is an image's ``subset``. What a model added (``source: pseudo``) is of the source ``auto``.

        Raises
        ------
        MedrovError
            ``DATASET_INVALID``: a name cannot stand in XML. ``OUTPUT_FAILED``.
        """
        del image_url  # file names, no addresses
        root = ET.Element("annotations")
        child(root, "version", "1.1")
        task = child(child(root, "meta"), "task")
        child(task, "size", str(len(images)))
        child(task, "mode", "annotation")
        has_crowds = any(box.crowd for image in images for box in image.boxes)
        labels = child(task, "labels")
        for name in head.classes:
            _add_label(labels, name, has_crowds)
        written = Written()
        for number, image in enumerate(images):
            item = child(
                root,
                "image",
                id=str(number),
                name=image.name,
                width=str(image.width),
                height=str(image.height),
                **({} if image.split == UNSPLIT else {"subset": image.split}),
            )
            written += _add_boxes(item, image, has_crowds)
        write_xml(folder / self.main_file, root)
        return replace(written, unmarked=0)  # they are marked


def _add_label(labels: ET.Element, name: str, has_crowds: bool) -> None:
    label = child(labels, "label")
    child(label, "name", name)
    child(label, "type", "any")
    attributes = child(label, "attributes")
    if has_crowds:
        attribute = child(attributes, "attribute")
        for key, text in (("name", CROWD), ("mutable", "False"), ("input_type", "checkbox")):
            child(attribute, key, text)
        child(attribute, "default_value", "false")
        child(attribute, "values", "false")


def _add_boxes(item: ET.Element, image: ExportedImage, has_crowds: bool) -> Written:
    """Add the boxes of an image; return how many are left out."""
    boxes, written = boxes_inside(image, with_crowds=True)
    for box, (x, y, w, h) in boxes:
        made = child(
            item,
            "box",
            label=box.class_name,
            source="auto" if is_pseudo(CocoAnnotation(box.record)) else "manual",
            occluded="0",
            xtl=repr(x),
            ytl=repr(y),
            xbr=repr(x + w),
            ybr=repr(y + h),
            z_order="0",
        )
        if has_crowds:
            child(made, "attribute", str(box.crowd).lower(), name=CROWD)
    return written


WRITER: DatasetWriter = CvatWriter()
