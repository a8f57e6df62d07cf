"""Write Pascal VOC: ``Annotations/STEM.xml``, ``JPEGImages/`` and the splits in ``ImageSets/Main/``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from xml.etree import ElementTree as ET

from medrov_cli.core.base.files import whole_file
from medrov_cli.core.datasets.writers.images import ExportedBox, ExportedImage, Written, flat_names
from medrov_cli.core.datasets.xml_files import child, write_xml
from medrov_cli.core.settings.choices import SPLITS

MAIN_FILE = "ImageSets/Main/all.txt"


def image_places(images: Sequence[ExportedImage]) -> dict[str, str]:
    """Return what each image is called in ``JPEGImages/``, by its name."""
    return flat_names(images, "_")  # the lists of stems end at a blank


def write(folder: Path, images: Sequence[ExportedImage], classes: Sequence[str]) -> Written:
    """Write an XML file an image, and the lists of stems last.

    VOC's boxes are 1-based and hold their last pixel; parts of pixels are written where there are any.

    Raises
    ------
    MedrovError
        ``DATASET_INVALID``: a class name cannot stand in XML. ``OUTPUT_FAILED``.
    """
    del classes  # VOC has no list of them
    places = image_places(images)
    crowds = outside = 0
    for image in images:
        root = ET.Element("annotation")
        child(root, "folder", "JPEGImages")
        child(root, "filename", places[image.name])
        size = child(root, "size")
        for key, value in (("width", image.width), ("height", image.height), ("depth", 3)):
            child(size, key, str(value))
        for box in image.boxes:
            inside = box.inside(image.height, image.width)
            crowds, outside = crowds + box.crowd, outside + (inside is None and not box.crowd)
            if inside is not None and not box.crowd:
                _add(root, box, inside)
        write_xml(folder / "Annotations" / f"{_stem(places[image.name])}.xml", root)
    for split in SPLITS:
        stems = [_stem(places[image.name]) for image in images if image.split == split]
        if stems:
            _write_list(folder / "ImageSets" / "Main" / f"{split}.txt", stems)
    _write_list(folder / MAIN_FILE, [_stem(places[image.name]) for image in images])
    return Written(crowds=crowds, outside=outside)


def _add(root: ET.Element, box: ExportedBox, box_xywh: tuple[float, float, float, float]) -> None:
    x, y, w, h = box_xywh
    item = child(root, "object")
    child(item, "name", box.class_name)
    child(item, "difficult", "0")
    bounds = child(item, "bndbox")
    for key, value in (("xmin", x + 1), ("ymin", y + 1), ("xmax", x + w), ("ymax", y + h)):
        child(bounds, key, str(int(value)) if value == int(value) else repr(value))


def _stem(place: str) -> str:
    return PurePosixPath(place).stem


def _write_list(path: Path, stems: Sequence[str]) -> None:
    with whole_file(path) as temporary:
        temporary.write_text("".join(f"{stem}\n" for stem in stems), encoding="utf-8", newline="\n")
