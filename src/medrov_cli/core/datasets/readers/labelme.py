"""Read LabelMe: a JSON file for each image, with the image beside it or inside.

Shapes of one label and one ``group_id`` are one object. A circle is its centre and a point on it. LabelMe and
its successors show an image as its EXIF orientation says.
"""

from __future__ import annotations

import base64
import binascii
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

from medrov_cli.core.base.documents import read_json
from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.base.scratch import scratch_folder
from medrov_cli.core.base.text_files import DocumentError, read_lines
from medrov_cli.core.datasets.cases import case_in_path
from medrov_cli.core.datasets.coco_records import CROWD_FLAGS
from medrov_cli.core.datasets.coco_values import is_flag_set
from medrov_cli.core.datasets.readers.protocol import Reader, Reading, Unit, failing_unit, listed
from medrov_cli.core.datasets.readers.shared.image_finder import ImageFinder, settle_claims
from medrov_cli.core.datasets.readers.shared.mask_boxes import objects_in
from medrov_cli.core.datasets.readers.shared.raster_files import file_stems, read_mask
from medrov_cli.core.datasets.readers.shared.raster_images import AnnotatedGrid, annotated_file, nothing_in
from medrov_cli.core.datasets.readers.shared.shape_boxes import rounded_box
from medrov_cli.core.datasets.segmentations import Extent, join_extents, polygon_extent
from medrov_cli.core.datasets.split_names import split_of_folders
from medrov_cli.core.pixels.inputs import visible_files
from medrov_cli.core.records.annotations import AnnotatedImage, Annotation
from medrov_cli.core.settings.data_convert import ReaderSettings

_HINT = "Give a folder of LabelMe's JSON files with their images beside them, or --images."
_LABELS = "labels.txt"


@dataclass(frozen=True, slots=True)
class _Stated:
    """What a file states about its image: its path, and whether it contains the image."""

    path: str
    has_pixels: bool


def read(config: ReaderSettings) -> Reading:
    """List one unit for each JSON file; a folder that is named as a split states it.

    Raises
    ------
    MedrovError
        ``not_found`` or ``no_input``.
    """
    folder = config.path if config.path.is_dir() else config.path.parent
    files = (
        visible_files(folder, lambda path: path.suffix.casefold() == ".json")
        if config.path.is_dir()
        else [config.path.name]
    )
    finder = ImageFinder(config.images or folder)
    stated, other = _stated(folder, files)
    if not stated:
        raise nothing_in(config.path, "no LabelMe file", _HINT)
    found = settle_claims(
        [_image_of(file, own, finder) for file, own in stated.items()],
        [[PurePosixPath(file).with_suffix("").as_posix()] for file in stated],
    )
    names = file_stems(list(stated))
    units = []
    for (file, own), image in zip(stated.items(), found, strict=True):
        is_inside = isinstance(own, _Stated) and own.has_pixels
        if isinstance(image, MedrovError) and not is_inside:
            units.append(failing_unit(file, image))
        else:
            units.append(
                _unit(folder, file, None if isinstance(image, MedrovError) else image, names[file], config)
            )
    return Reading(tuple(units), _class_names(folder), tuple(_warnings(finder, found, other)))


def _warnings(
    finder: ImageFinder, found: Sequence[Path | MedrovError], other: Sequence[str]
) -> Iterator[str]:
    left = finder.unused(path for path in found if isinstance(path, Path))
    if left:
        yield f"{len(left)} image(s) without a LabelMe file were left out: {listed(left)}"
    if other:
        yield f"{len(other)} JSON file(s) are not LabelMe's and were left out: {listed(other)}"


def _stated(folder: Path, files: Sequence[str]) -> tuple[dict[str, _Stated | MedrovError], list[str]]:
    """Return what each LabelMe file states, or why it cannot be read; and the other JSON files."""
    found: dict[str, _Stated | MedrovError] = {}
    other = []
    for file in files:
        try:
            document = _document(folder / file)
        except MedrovError as error:
            found[file] = error
            continue
        if isinstance(document, dict) and isinstance(document.get("shapes"), list):
            found[file] = _Stated(str(document.get("imagePath") or ""), bool(document.get("imageData")))
        else:
            other.append(file)
    return found, other


def _document(path: Path) -> Any:
    try:
        return read_json(path, allow_nan=True)
    except FileNotFoundError:
        raise MedrovError(ErrorCode.NOT_FOUND, f"{path}: the file does not exist.", _HINT) from None
    except OSError as error:
        raise _bad(f"cannot be read: {error.strerror}") from None
    except DocumentError as error:
        raise _bad(str(error)) from None


def _image_of(file: str, stated: _Stated | MedrovError, finder: ImageFinder) -> Path | MedrovError:
    if isinstance(stated, MedrovError):
        return stated
    try:
        return finder.find_beside(file, stated.path)
    except MedrovError as error:
        return error


def _unit(folder: Path, file: str, image: Path | None, name: str, config: ReaderSettings) -> Unit:
    """Return the unit of a file; without an image it contains one."""

    def annotated(document: Mapping[str, Any], path: Path) -> AnnotatedImage:
        return annotated_file(
            path,
            name,
            lambda _height, _width: _annotations(document["shapes"]),
            AnnotatedGrid("its JSON file", _size(document)),
            case=case_in_path(file, config.case),
            split=split_of_folders(PurePosixPath(file)),
        )

    def images_of() -> Iterator[AnnotatedImage]:
        document = _document(folder / file)
        if image is not None:
            yield annotated(document, image)
            return
        with scratch_folder() as scratch:
            path = scratch / "image"
            try:
                path.write_bytes(base64.b64decode(document["imageData"], validate=True))
            except (binascii.Error, TypeError, ValueError):
                raise _bad("contains an image that is not base64") from None
            found = annotated(document, path)
        yield replace(found, original=None)

    return Unit(file, images_of)


def _class_names(folder: Path) -> tuple[str, ...]:
    """Return the names in the list of labels beside the files, if there is one."""
    try:
        return tuple(dict.fromkeys(read_lines(folder / _LABELS)))
    except (OSError, DocumentError):
        return ()


def _size(document: Mapping[str, Any]) -> tuple[int, int] | None:
    size = document.get("imageHeight"), document.get("imageWidth")
    return (size[0], size[1]) if isinstance(size[0], int) and isinstance(size[1], int) and all(size) else None


def _annotations(shapes: Sequence[Any]) -> tuple[Annotation, ...]:
    """Return one annotation for each object, in the order of their first shapes."""
    extents: dict[tuple[str, Any], list[Extent]] = {}
    crowds = set()
    for number, shape in enumerate(shapes):
        stated = shape.get("label") if isinstance(shape, dict) else None
        label = "" if stated is None else str(stated).strip()
        if not label:
            raise _bad("has a shape without a label")
        group = shape.get("group_id")
        key = (label, ("shape", number) if group is None else ("group", str(group)))
        extents.setdefault(key, []).append(_extent(shape))
        flags = shape.get("flags")
        marked = [shape, *([flags] if isinstance(flags, dict) else [])]
        if any(is_flag_set(own.get(flag)) for own in marked for flag in CROWD_FLAGS):
            crowds.add(key)
    found = []
    for key, parts in extents.items():
        whole = join_extents(parts)
        found.append(Annotation(key[0], rounded_box(whole.box_xywh), round(whole.area, 4), key in crowds))
    return tuple(found)


def _extent(shape: Mapping[str, Any]) -> Extent:
    kind = str(shape.get("shape_type") or "polygon")
    if kind not in _SHAPES:
        raise _bad(f"has a {kind}, which has no area")
    try:
        points = [(float(x), float(y)) for x, y in shape["points"]]
        if not all(math.isfinite(number) for point in points for number in point):
            raise ValueError
        if kind == "mask" and shape.get("mask"):
            return _drawn(points, shape["mask"])
        return _SHAPES[kind](points)
    except (KeyError, TypeError, ValueError, OverflowError):
        raise _bad(f"has a {kind} that cannot be read") from None


def _around(points: Sequence[tuple[float, float]]) -> Extent:
    """Return the extent of two opposite corners, or of four."""
    if len(points) not in (2, 4):
        raise ValueError
    xs, ys = zip(*points, strict=True)
    width, height = max(xs) - min(xs), max(ys) - min(ys)
    return Extent((min(xs), min(ys), width, height), width * height)


def _polygon(points: Sequence[tuple[float, float]]) -> Extent:
    return polygon_extent([number for point in points for number in point])


def _circle(points: Sequence[tuple[float, float]]) -> Extent:
    (x, y), edge = points
    radius = math.dist((x, y), edge)
    return Extent((x - radius, y - radius, 2 * radius, 2 * radius), math.pi * radius**2)


def _mask(points: Sequence[tuple[float, float]]) -> Extent:
    """Return the box that is stated of a mask, whose second corner is its last pixel."""
    (left, top), (right, bottom) = points
    width, height = right - left + 1, bottom - top + 1
    return Extent((left, top, width, height), width * height)


def _drawn(points: Sequence[tuple[float, float]], mask: str) -> Extent:
    """Return the extent of the pixels of a mask: base64 of an image of the size of its box."""
    (left, top), (right, bottom) = ((int(x), int(y)) for x, y in points)
    with scratch_folder() as scratch:
        path = scratch / "mask"
        path.write_bytes(base64.b64decode(mask, validate=True))
        try:
            values = read_mask(path)
        except MedrovError as error:
            raise ValueError(error.message) from None
    found = objects_in(values != 0, components=False)
    if not found or values.shape != (bottom - top + 1, right - left + 1):
        raise ValueError("another size than the box, or no pixels")
    own = found[0]
    return Extent((left + own.left, top + own.top, own.width, own.height), own.area)


_SHAPES: dict[str, Callable[[Sequence[tuple[float, float]]], Extent]] = {
    "polygon": _polygon,
    "rectangle": _around,
    "rotation": _polygon,
    "oriented_rectangle": _polygon,
    "circle": _circle,
    "mask": _mask,
}


def _bad(what: str) -> MedrovError:
    return MedrovError(ErrorCode.BAD_METADATA, f"The JSON file {what}.", "Correct it, or export it again.")


READER: Reader = read
