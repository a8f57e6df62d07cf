"""Read CVAT for images 1.1: ``annotations.xml`` and a folder of images.

Only boxes are read; a rotated one becomes the box around it. Tags are left out, other shapes refused.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from xml.etree import ElementTree as ET

from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.datasets.cases import case_in_path
from medrov_cli.core.datasets.readers.protocol import Reader, Reading, Unit
from medrov_cli.core.datasets.readers.shared.addresses import find_image, local_names
from medrov_cli.core.datasets.readers.shared.raster_files import file_stems
from medrov_cli.core.datasets.readers.shared.raster_images import annotated_file, expect_size, nothing_in
from medrov_cli.core.datasets.readers.shared.rotated_boxes import enclosing_box
from medrov_cli.core.datasets.xml_files import read_xml
from medrov_cli.core.pixels.inputs import natural_key
from medrov_cli.core.records.annotations import AnnotatedImage, Annotation
from medrov_cli.core.settings.choices import Split
from medrov_cli.core.settings.data_convert import ReaderSettings

_HINT = "Export from CVAT as 'CVAT for images 1.1', and give annotations.xml or its folder."
_SPLITS: dict[str, Split] = {"train": "train", "val": "val", "validation": "val", "test": "test"}
_IGNORED = frozenset({"tag"})
_DIGITS = 4


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
    folder = config.images or (beside if beside.is_dir() else file.parent)
    # Two tasks of a project may have images of one name, in different subsets.
    places = [f"{image.get('subset') or ''}/{image.get('name') or ''}".lstrip("/") for image in images]
    stems = file_stems(places)
    if len(stems) != len(images):
        raise MedrovError(ErrorCode.DATASET_INVALID, f"{file} names one image twice", _HINT)

    def unit(image: ET.Element, place: str) -> Unit:
        name = image.get("name") or ""

        def images_of() -> Iterator[AnnotatedImage]:
            yield annotated_file(
                find_image(folder, [*local_names(place), *local_names(name)]),
                stems[place],
                lambda height, width: _boxes(image, height, width),
                case=case_in_path(name, config.case),
                split=_SPLITS.get((image.get("subset") or "").casefold()),
            )

        return Unit(place, images_of)

    labels = [label.findtext("name") or "" for label in root.findall("meta//labels/label")]
    units = tuple(unit(image, place) for image, place in zip(images, places, strict=True))
    return Reading(units, tuple(dict.fromkeys(label for label in labels if label)))


def _boxes(image: ET.Element, height: int, width: int) -> tuple[Annotation, ...]:
    said = (round(_number(image, "height")), round(_number(image, "width")))
    expect_size(height, width, said, "its record")
    found = []
    for item in image:
        if item.tag == "box":
            found.append(_annotation(item))
        elif item.tag not in _IGNORED:
            raise _bad(f"has a {item.tag}, and only boxes are read", "Replace it by a box, or delete it.")
    return tuple(found)


def _annotation(item: ET.Element) -> Annotation:
    name = item.get("label") or ""
    if not name:
        raise _bad("has a box without a label", _HINT)
    x1, y1, x2, y2 = (_number(item, key) for key in ("xtl", "ytl", "xbr", "ybr"))
    angle = _number(item, "rotation") if item.get("rotation") else 0.0
    crowd = any(
        attribute.get("name") == "crowd" and (attribute.text or "").strip().casefold() == "true"
        for attribute in item.findall("attribute")
    )
    around = enclosing_box((x1, y1, x2 - x1, y2 - y1), angle, ((x1 + x2) / 2, (y1 + y2) / 2))
    x, y, w, h = (round(value, _DIGITS) + 0.0 for value in around)
    return Annotation(name, (x, y, w, h), None, crowd)


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
