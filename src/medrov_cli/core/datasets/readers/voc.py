"""Read Pascal VOC: an XML file for each image.

VOC's boxes are 1-based and contain their last pixel: ``xmin`` 1 and ``xmax`` 10 are the first ten columns. A
difficult object is a crowd: it counts neither as found nor as missed (VOC development kit, 2.2).
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from xml.etree import ElementTree as ET

from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.base.text_files import DocumentError, read_text
from medrov_cli.core.base.xml_documents import read_xml
from medrov_cli.core.datasets.box_forms import SCALED, are_fractions
from medrov_cli.core.datasets.cases import case_in_path
from medrov_cli.core.datasets.coco_records import CROWD_FLAGS
from medrov_cli.core.datasets.coco_values import is_flag_set
from medrov_cli.core.datasets.readers.protocol import (
    Reader,
    Reading,
    Unit,
    failing_unit,
    listed,
    several_splits,
)
from medrov_cli.core.datasets.readers.shared.image_finder import ImageFinder, settle_claims
from medrov_cli.core.datasets.readers.shared.raster_files import file_stems
from medrov_cli.core.datasets.readers.shared.raster_images import AnnotatedGrid, annotated_file, nothing_in
from medrov_cli.core.datasets.readers.shared.shape_boxes import enclosing_box, rounded_box
from medrov_cli.core.datasets.split_names import split_named, split_of_folders, strongest_split
from medrov_cli.core.pixels.names import natural_key
from medrov_cli.core.records.annotations import AnnotatedImage, Annotation
from medrov_cli.core.settings.choices import SPLITS, Split
from medrov_cli.core.settings.data_convert import ReaderSettings

_LAYOUT_HINT = "Give a folder with Annotations/ and JPEGImages/, or a folder of XML files, and --images."
_MARKS = frozenset({"1", "-1", "0"})  # behind a name in the lists of one class


def read(config: ReaderSettings) -> Reading:
    """List one unit for each XML file; ``ImageSets`` states the splits, else a folder that is named as one.

    Raises
    ------
    MedrovError
        ``not_found`` or ``no_input``.
    """
    inside = config.path / "Annotations"
    folder = inside if inside.is_dir() else config.path
    beside = config.path / "JPEGImages"
    finder = ImageFinder(config.images or (beside if beside.is_dir() else config.path))
    files = sorted(
        (path.relative_to(folder).as_posix() for path in folder.rglob("*.[xX][mM][lL]")), key=natural_key
    )
    if not files:
        raise nothing_in(folder, "no XML file", _LAYOUT_HINT)
    images = dict(zip(files, _images_of(folder, files, finder), strict=True))
    splits, unknown = _splits(config.path / "ImageSets", files)
    names = file_stems(files)

    def unit(file: str, image: Path) -> Unit:
        def images_of() -> Iterator[AnnotatedImage]:
            root = _parsed(folder / file)
            notes: list[str] = []
            yield annotated_file(
                image,
                names[file],
                lambda height, width: _boxes(root, height, width, notes),
                AnnotatedGrid("its XML file", _size(root)),
                case=case_in_path(finder.place_of(image), config.case),
                split=strongest_split(splits[file]) if file in splits else split_of_folders(Path(file)),
                notes=notes,
            )

        return Unit(file, images_of)

    units = tuple(
        unit(file, own) if isinstance(own, Path) else failing_unit(file, own) for file, own in images.items()
    )
    warnings = []
    left = finder.unused(own for own in images.values() if isinstance(own, Path))
    if left:
        warnings.append(f"{len(left)} image(s) without an XML file were left out: {listed(left)}")
    if unknown:
        warnings.append(f"ImageSets lists {len(unknown)} name(s) without an XML file: {listed(unknown)}")
    warnings += several_splits([file for file, own in splits.items() if len(own) > 1])
    return Reading(units, warnings=tuple(warnings))


def _images_of(folder: Path, files: Sequence[str], finder: ImageFinder) -> list[Path | MedrovError]:
    """Return the image of each XML file, or why there is none."""
    found: list[Path | MedrovError] = []
    for file in files:
        try:
            found.append(finder.find_beside(file, _text(_parsed(folder / file), "filename", "")))
        except MedrovError as error:
            found.append(error)
    return settle_claims(found, [[PurePosixPath(file).with_suffix("").as_posix()] for file in files])


def _splits(folder: Path, files: Sequence[str]) -> tuple[dict[str, set[Split]], list[str]]:
    """Return the splits of each listed XML file, and the listed names without one."""
    by_name = _by_name(files)
    found: dict[str, set[Split]] = defaultdict(set)
    unknown: dict[str, None] = {}
    lists = sorted(path for place in (folder / "Main", folder) for path in place.glob("*.[tT][xX][tT]"))
    for split in SPLITS:
        for path in (path for path in lists if split_named(path.stem) == split):
            for line in filter(None, map(str.strip, read_list(path))):
                file = next((by_name[name] for name in _names_in(line) if name in by_name), None)
                if file is None:
                    unknown[line] = None
                else:
                    found[file].add(split)
    return dict(found), list(unknown)


def _by_name(files: Sequence[str]) -> dict[str, str]:
    """Return the XML files by their paths without suffix, and by their stems where one file alone has it."""
    stems = [PurePosixPath(file).stem for file in files]
    alone = {stem: file for stem, file in zip(stems, files, strict=True) if stems.count(stem) == 1}
    return alone | {PurePosixPath(file).with_suffix("").as_posix(): file for file in files}


def _names_in(line: str) -> Iterator[str]:
    """Yield the names of a line: all of it, or the text before a mark; with and without suffix."""
    head, _, mark = line.rpartition(" ")
    for text in (line, *([head.strip()] if mark in _MARKS else [])):
        path = PurePosixPath(text.replace("\\", "/"))
        if not path.name:
            continue
        yield from (path.as_posix(), path.with_suffix("").as_posix(), path.name, path.stem)


def read_list(path: Path) -> list[str]:
    """Return the lines of a list of names.

    Raises
    ------
    MedrovError
        ``dataset_invalid``.
    """
    try:
        return read_text(path).splitlines()
    except (OSError, DocumentError) as error:
        what = "cannot be read" if isinstance(error, OSError) else error
        raise MedrovError(ErrorCode.DATASET_INVALID, f"{path} {what}", "Save it as UTF-8.") from None


def _parsed(path: Path) -> ET.Element:
    """Return the root, with the names of elements in lower case and without their namespaces."""
    try:
        root = read_xml(path)
    except OSError as error:
        raise _bad(f"cannot be read: {error.strerror}") from None
    except DocumentError as error:
        raise _bad(str(error)) from None
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2].lower()
    if root.tag != "annotation":
        raise _bad("is not Pascal VOC: its root is no 'annotation'")
    return root


def _size(root: ET.Element) -> tuple[int, int] | None:
    """Return height and width; null where the file states none, or zeros."""
    size = root.find("size")
    if size is None:
        return None
    said = (round(_number(size, "height")), round(_number(size, "width")))
    return said if all(said) else None


def _boxes(root: ET.Element, height: int, width: int, notes: list[str]) -> tuple[Annotation, ...]:
    items = root.findall("object")
    plain = [_corners(box) for item in items if (box := item.find("bndbox")) is not None]
    # A box in pixels starts at 1.
    is_scaled = are_fractions(plain) and any(x1 < 1 and y1 < 1 for x1, y1, _, _ in plain)
    if is_scaled:
        notes.append(SCALED)
    return tuple(_annotation(item, (height, width) if is_scaled else None) for item in items)


def _annotation(item: ET.Element, unit_hw: tuple[int, int] | None) -> Annotation:
    """Return the annotation of an object; ``unit_hw`` is the size of which its corners are fractions."""
    name, box, turned = _text(item, "name", ""), item.find("bndbox"), item.find("robndbox")
    is_crowd = any(is_flag_set(item.findtext(flag) or "") for flag in CROWD_FLAGS)
    if name and box is None and turned is not None:
        return Annotation(name, _turned(turned), None, is_crowd)
    if not name or box is None:
        raise _bad("has an object without a name or a box")
    x1, y1, x2, y2 = _corners(box)
    if min(x2 - x1, y2 - y1) <= -1:  # a box holds its last pixel: below one pixel, xmax is less than xmin
        raise _bad("has a box with xmax below xmin, or ymax below ymin")
    if unit_hw is not None:
        (height, width), area = unit_hw, (x2 - x1, y2 - y1)
        return Annotation(name, (x1 * width, y1 * height, area[0] * width, area[1] * height), None, is_crowd)
    return Annotation(name, (x1 - 1, y1 - 1, x2 - x1 + 1, y2 - y1 + 1), None, is_crowd)


def _turned(box: ET.Element) -> tuple[float, float, float, float]:
    """Return the upright box around roLabelImg's box: centre, size, and the angle in radians, clockwise."""
    x, y, w, h, angle = (_number(box, key) for key in ("cx", "cy", "w", "h", "angle"))
    return rounded_box(
        enclosing_box((x - w / 2, y - h / 2, w, h), math.degrees(math.fmod(angle, math.tau)), (x, y))
    )


def _corners(box: ET.Element) -> tuple[float, float, float, float]:
    x1, y1, x2, y2 = (_number(box, key) for key in ("xmin", "ymin", "xmax", "ymax"))
    return x1, y1, x2, y2


def _text(element: ET.Element, key: str, default: str) -> str:
    return (element.findtext(key) or default).strip()


def _number(element: ET.Element, key: str) -> float:
    try:
        value = float(_text(element, key, ""))
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise _bad(f"has no number in {key}")
    return value


def _bad(what: str) -> MedrovError:
    return MedrovError(ErrorCode.BAD_METADATA, f"The XML file {what}.", "Export the annotations again.")


READER: Reader = read
