"""Write Pascal VOC: ``Annotations/STEM.xml``, ``JPEGImages/`` and the splits in ``ImageSets/Main/``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from xml.etree import ElementTree as ET

from medrov_cli.core.base.files import whole_file
from medrov_cli.core.datasets.writers.exported_images import ExportedImage, ExportHead, flat_names
from medrov_cli.core.datasets.writers.protocol import DatasetWriter, Written, boxes_inside
from medrov_cli.core.datasets.xml_files import child, write_xml
from medrov_cli.core.records.annotations import Annotation
from medrov_cli.core.settings.choices import SPLITS


class VocWriter:
    """Pascal VOC."""

    main_file = "ImageSets/Main/all.txt"
    follows_exif = True

    def image_places(self, images: Sequence[ExportedImage]) -> dict[str, str]:
        """Return the path of each image relative to the output, by its name."""
        return {name: f"JPEGImages/{file}" for name, file in _file_names(images).items()}

    def write(
        self, folder: Path, images: Sequence[ExportedImage], head: ExportHead, image_url: str
    ) -> Written:
        """Write an XML file an image, and the lists of stems last.

        VOC's boxes are 1-based and hold their last pixel; parts of pixels are written where there are any.

        Raises
        ------
        MedrovError
            ``DATASET_INVALID``: a class name cannot stand in XML. ``OUTPUT_FAILED``.
        """
        del head, image_url  # VOC has no list of classes and no addresses
        files = _file_names(images)
        written = Written()
        for image in images:
            root = ET.Element("annotation")
            child(root, "folder", "JPEGImages")
            child(root, "filename", files[image.name])
            size = child(root, "size")
            for key, value in (("width", image.width), ("height", image.height), ("depth", 3)):
                child(size, key, str(value))
            boxes, own = boxes_inside(image, with_crowds=False)
            written += own
            for box, inside in boxes:
                _add(root, box, inside)
            write_xml(folder / "Annotations" / f"{_stem(files[image.name])}.xml", root)
        for split in SPLITS:
            stems = [_stem(files[image.name]) for image in images if image.split == split]
            if stems:
                _write_list(folder / "ImageSets" / "Main" / f"{split}.txt", stems)
        _write_list(folder / self.main_file, [_stem(files[image.name]) for image in images])
        return written


def _file_names(images: Sequence[ExportedImage]) -> dict[str, str]:
    """Return what each image is called in ``JPEGImages/``, by its name."""
    return flat_names(images, "_")  # the lists of stems end at a blank


def _add(root: ET.Element, box: Annotation, box_xywh: tuple[float, float, float, float]) -> None:
    x, y, w, h = box_xywh
    item = child(root, "object")
    child(item, "name", box.class_name)
    child(item, "difficult", "0")
    bounds = child(item, "bndbox")
    for key, value in (("xmin", x + 1), ("ymin", y + 1), ("xmax", x + w), ("ymax", y + h)):
        child(bounds, key, str(int(value)) if value == int(value) else repr(value))


def _stem(file: str) -> str:
    return PurePosixPath(file).stem


def _write_list(path: Path, stems: Sequence[str]) -> None:
    with whole_file(path) as temporary:
        temporary.write_text("".join(f"{stem}\n" for stem in stems), encoding="utf-8", newline="\n")


WRITER: DatasetWriter = VocWriter()
