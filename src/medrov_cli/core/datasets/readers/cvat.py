"""Read CVAT for images 1.1: ``annotations.xml`` and a folder of images.

Boxes, polygons, ellipses and masks become the upright box around them. Tags are left out, points and lines
refused.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path, PurePosixPath
from xml.etree import ElementTree as ET

import numpy as np

from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.datasets.cases import case_in_path
from medrov_cli.core.datasets.coco_records import CROWD_FLAGS
from medrov_cli.core.datasets.coco_values import is_flag_set
from medrov_cli.core.datasets.readers.protocol import Reader, Reading, Unit, failing_unit, listed
from medrov_cli.core.datasets.readers.shared.image_finder import ImageFinder, settle_claims
from medrov_cli.core.datasets.readers.shared.raster_files import IMAGE_SUFFIXES, file_stems
from medrov_cli.core.datasets.readers.shared.raster_images import AnnotatedGrid, annotated_file, nothing_in
from medrov_cli.core.datasets.readers.shared.shape_boxes import (
    BoxXywh,
    ellipse_area,
    ellipse_box,
    enclosing_box,
    rounded_box,
)
from medrov_cli.core.datasets.segmentations import polygon_extent, runs_extent
from medrov_cli.core.datasets.split_names import split_named
from medrov_cli.core.datasets.xml_files import read_xml
from medrov_cli.core.pixels.names import natural_key
from medrov_cli.core.records.annotations import AnnotatedImage, Annotation
from medrov_cli.core.settings.data_convert import ReaderSettings

_HINT = "Export from CVAT as 'CVAT for images 1.1', and give annotations.xml or its folder."
_IGNORED = frozenset({"tag"})
_DIGITS = 4
_AUTOMATIC = "shapes of a detector (source 'auto') were read as those of people"


def read(config: ReaderSettings) -> Reading:
    """List one unit an image, in natural order of names; its ``subset`` is its split.

    Raises
    ------
    MedrovError
        ``not_found``, ``no_input`` or ``dataset_invalid``.
    """
    file = config.path / "annotations.xml" if config.path.is_dir() else config.path
    if not file.is_file():
        raise nothing_in(file, "no annotations.xml", _HINT)
    root = read_xml(file)
    images = sorted(root.findall("image"), key=lambda image: natural_key(image.get("name") or ""))
    if not images:
        what = "tracks of a video, and no images" if root.find("track") is not None else "no images"
        raise nothing_in(file, what, _HINT)
    beside = file.parent / "images"
    finder = ImageFinder(config.images or (beside if beside.is_dir() else file.parent), base=file.parent)
    # Two tasks of a project may have images of one name, in different subsets.
    places = [f"{image.get('subset') or ''}/{image.get('name') or ''}".lstrip("/") for image in images]
    stems = file_stems(places)
    if len(stems) != len(images):
        raise MedrovError(ErrorCode.DATASET_INVALID, f"{file} names one image twice", _HINT)

    found = _find_each(images, places, finder)

    def unit(image: ET.Element, place: str, path: Path) -> Unit:
        def images_of() -> Iterator[AnnotatedImage]:
            yield annotated_file(
                path,
                stems[place],
                lambda _height, _width: _boxes(image),
                AnnotatedGrid("its record", _size(image)),
                notes=[_AUTOMATIC] if any(item.get("source") == "auto" for item in image) else [],
                case=case_in_path(image.get("name") or "", config.case),
                split=split_named(image.get("subset")),
            )

        return Unit(place, images_of)

    units = tuple(
        failing_unit(place, path) if isinstance(path, MedrovError) else unit(image, place, path)
        for image, place, path in zip(images, places, found, strict=True)
    )
    left = finder.unused(path for path in found if isinstance(path, Path))
    what = f"{len(left)} image file(s) are not in {file.name} and were left out: {listed(left)}"
    return Reading(units, _class_names(root), (what,) if left else ())


def _find_each(
    images: Sequence[ET.Element], places: Sequence[str], finder: ImageFinder
) -> list[Path | MedrovError]:
    """Return the file of each image: in the folder of its subset, else by its name."""
    found: list[Path | MedrovError] = []
    for image, place in zip(images, places, strict=True):
        try:
            found.append(_find(place, image.get("name") or "", finder))
        except MedrovError as error:
            found.append(error)
    return settle_claims(found, [[place] for place in places])


def _find(place: str, name: str, finder: ImageFinder) -> Path:
    """Return the file of an image; by its stem where the name has no suffix, as in a task of a video."""
    if PurePosixPath(name).suffix.lower() in IMAGE_SUFFIXES:
        return finder.find(place, name)
    return finder.find_beside(f"{place}.xml", name)


def _class_names(root: ET.Element) -> tuple[str, ...]:
    """Return the labels of the task that boxes can have: not those of tags, nor parts of a skeleton."""
    labels = [
        (label.findtext("name") or "").strip()
        for label in root.findall("meta//labels/label")
        if (label.findtext("type") or "").strip() != "tag" and not (label.findtext("parent") or "").strip()
    ]
    return tuple(dict.fromkeys(label for label in labels if label))


def _size(image: ET.Element) -> tuple[int, int]:
    return round(_number(image, "height")), round(_number(image, "width"))


def _boxes(image: ET.Element) -> tuple[Annotation, ...]:
    found = []
    for item in image:
        if item.tag in _SHAPES:
            found.append(_annotation(item))
        elif item.tag not in _IGNORED:
            raise _bad(f"has a {item.tag}, which is not read", "Replace it by a box, or delete it.")
    return tuple(found)


def _annotation(item: ET.Element) -> Annotation:
    name = (item.get("label") or "").strip()
    if not name:
        raise _bad(f"has a {item.tag} without a label", _HINT)
    box, area = _SHAPES[item.tag](item)
    is_crowd = any(
        (attribute.get("name") or "").strip().casefold() in CROWD_FLAGS and is_flag_set(attribute.text or "")
        for attribute in item.findall("attribute")
    )
    return Annotation(name, rounded_box(box), None if area is None else round(area, _DIGITS), is_crowd)


def _box(item: ET.Element) -> tuple[BoxXywh, float | None]:
    x1, y1, x2, y2 = (_number(item, key) for key in ("xtl", "ytl", "xbr", "ybr"))
    return enclosing_box((x1, y1, x2 - x1, y2 - y1), _angle(item), ((x1 + x2) / 2, (y1 + y2) / 2)), None


def _ellipse(item: ET.Element) -> tuple[BoxXywh, float | None]:
    x, y, rx, ry = (_number(item, key) for key in ("cx", "cy", "rx", "ry"))
    return ellipse_box((x, y), (rx, ry), _angle(item)), ellipse_area((rx, ry))


def _polygon(item: ET.Element) -> tuple[BoxXywh, float | None]:
    try:
        numbers = [float(text) for text in re.split("[,;]", item.get("points") or "")]
        extent = polygon_extent(numbers)
    except ValueError:
        raise _bad("has a polygon without three corners", _HINT) from None
    return extent.box_xywh, extent.area


def _mask(item: ET.Element) -> tuple[BoxXywh, float | None]:
    """Return the box of a mask's pixels, and their number: every second run of its rows is of the object."""
    x, y, w, h = (int(_number(item, key)) for key in ("left", "top", "width", "height"))
    try:
        runs = [int(text) for text in (item.get("rle") or "").split(",")]
    except ValueError:
        runs = []
    if min(runs, default=-1) < 0 or sum(runs) > w * h:
        raise _bad("has a mask whose run lengths do not fit", _HINT)
    found = runs_extent(np.asarray(runs, dtype=np.int64), w, h)  # rows for columns
    if found is None:
        raise _bad("has a mask without pixels", "Delete it, or draw it.")
    top, left, height, width = found.box_xywh
    return (x + left, y + top, width, height), found.area


_SHAPES: dict[str, Callable[[ET.Element], tuple[BoxXywh, float | None]]] = {
    "box": _box,
    "ellipse": _ellipse,
    "polygon": _polygon,
    "mask": _mask,
}


def _angle(item: ET.Element) -> float:
    return _number(item, "rotation") if item.get("rotation") else 0.0


def _number(item: ET.Element, key: str) -> float:
    try:
        value = float(item.get(key) or "")
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise _bad(f"has no number in {key}", _HINT)
    return value


def _bad(what: str, hint: str) -> MedrovError:
    return MedrovError(ErrorCode.BAD_METADATA, f"The image's record {what}.", hint)


READER: Reader = read
