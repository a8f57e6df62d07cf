"""A source folder as it is written: ``images/`` and ``annotations.json`` in our COCO form."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.base.files import whole_file
from medrov_cli.core.datasets.coco_records import CocoAnnotation, CocoImage, numbered_categories
from medrov_cli.core.datasets.sources import PSEUDO, is_pseudo
from medrov_cli.core.datasets.volume_records import OBJECT, VOLUME, volume_slice_to_json
from medrov_cli.core.pixels.metadata_removal import without_metadata
from medrov_cli.core.records.annotations import AnnotatedImage, Annotation, Pixels
from medrov_cli.core.records.volume_slice import VolumeSlice
from medrov_cli.core.settings.choices import Split

_SLACK_PX = 0.01
"""A box that reaches out of its image by less was rounded, not misplaced: it is cut without a word."""

_COMPRESSION = 6  # zlib's own default: OpenCV's makes files a third larger
_PSEUDO_FIELDS = ("source", "score", "model", "models", "rule", "reviewed", "was")
"""What `medrov pseudolabel` states about the box of a detector."""

_SUFFIXES = {".jpeg": ".jpg", ".jpe": ".jpg"}


@dataclass(frozen=True, slots=True)
class WrittenImage:
    """An image as it is written.

    Attributes
    ----------
    file_name
        Below ``images/``; null for an image that was left out.
    height, width
        Pixels.
    boxes
        Inside the image, each with its area.
    case, split
        See :class:`medrov_cli.core.datasets.sources.Sample`.
    clipped, dropped, repeated
        Boxes that were cut to the image, that had no area in it, and that stood there already.
    warnings, mpp
        Those of the image.
    volume
        Slice of a volume that the image is; null if it is none.
    """

    file_name: str | None
    height: int
    width: int
    boxes: tuple[Annotation, ...]
    case: str | None
    split: Split
    clipped: int
    dropped: int
    repeated: int = 0
    warnings: tuple[str, ...] = ()
    mpp: float | None = None
    volume: VolumeSlice | None = None


class Images:
    """The folder ``images/``; images are added from any thread.

    Parameters
    ----------
    folder
        Of the source.
    split
        Of images that have none.
    keep
        Whether a file that is there already is taken for whole.
    drop_repeats
        Whether of equal boxes of a class on an image only the first is kept.
    keep_metadata
        Whether PNG and JPEG files are copied with everything that they contain beside the pixels.
    """

    def __init__(
        self,
        folder: Path,
        split: Split,
        *,
        keep: bool,
        drop_repeats: bool = False,
        keep_metadata: bool = False,
    ) -> None:
        self._folder = folder / "images"
        self._split = split
        self._keep = keep
        self._drop_repeats = drop_repeats
        self._keep_metadata = keep_metadata

    def add(self, image: AnnotatedImage, *, skip_empty: bool) -> WrittenImage:
        """Write an image, and return what is to be said of it.

        Raises
        ------
        MedrovError
            ``OUTPUT_FAILED``; ``bad_metadata`` if the pixels are not what the record says; whatever
            reading them raises.
        """
        boxes, clipped, dropped = _inside(image)
        repeated = 0
        if self._drop_repeats:
            once: dict[tuple[object, ...], Annotation] = {}
            for box in boxes:
                once.setdefault((box.class_name, box.crowd, box.box_xywh, bool(_pseudo_fields(box))), box)
            repeated = len(boxes) - len(once)
            boxes = tuple(once.values())
        name = None
        if boxes or not skip_empty:
            content = self._copied(image)
            name = _file_name(image, is_copied=content is not None)
            if not (self._keep and (self._folder / name).exists()):
                _write_image(self._folder / name, image, content)
        split = image.split or self._split
        return WrittenImage(
            name,
            image.height,
            image.width,
            boxes,
            image.case,
            split,
            clipped,
            dropped,
            repeated,
            image.warnings,
            image.mpp,
            image.volume,
        )

    def _copied(self, image: AnnotatedImage) -> bytes | None:
        """Return the content of the written file; null if the pixels have to be encoded."""
        if image.original is None:
            return None
        content = image.original.read_bytes()
        return content if self._keep_metadata else without_metadata(content)


def source_parts(
    info: Mapping[str, str],
    class_names: Sequence[str],
    images: Sequence[WrittenImage],
    pseudo_names: Collection[str] = (),
) -> dict[str, Any]:
    """Return the parts of ``annotations.json``: ids count from 1, in the order of what is given.

    Parameters
    ----------
    info
        With ``modality``, ``licence`` and ``source``.
    class_names
        The categories.
    images
        Images with a file.
    pseudo_names
        Those of the categories that nobody annotated, but a detector.
    """
    category_ids = {name: number for number, name in enumerate(class_names, 1)}
    boxes = ((image_id, box) for image_id, image in enumerate(images, 1) for box in image.boxes)
    return {
        "info": dict(info),
        "images": (_image_record(number, own) for number, own in enumerate(images, 1)),
        "annotations": (
            _annotation_record((number, image_id, category_ids[box.class_name]), box)
            for number, (image_id, box) in enumerate(boxes, 1)
        ),
        "categories": [
            own.replaced(source=PSEUDO) if own.name in pseudo_names else own
            for own in numbered_categories(class_names)
        ],
    }


def _image_record(number: int, own: WrittenImage) -> CocoImage:
    more: dict[str, Any] = {} if own.mpp is None else {"mpp": round(own.mpp, 6)}
    if own.volume is not None:
        more[VOLUME] = volume_slice_to_json(own.volume)
    return CocoImage.make(
        number, own.file_name, own.width, own.height, split=own.split, case=own.case, **more
    )


def _annotation_record(ids: tuple[int, int, int], box: Annotation) -> CocoAnnotation:
    record = CocoAnnotation.make(
        ids, [_short(value) for value in box.box_xywh], _short(box.area or 0.0), is_crowd=box.crowd
    )
    number = {} if box.object_number is None else {OBJECT: box.object_number}
    return record.replaced(**number, **_pseudo_fields(box))


def _pseudo_fields(box: Annotation) -> dict[str, Any]:
    """Return what is stated about the box of a detector; nothing for a box of a person."""
    if not is_pseudo(CocoAnnotation(box.record)):
        return {}
    return {key: box.record[key] for key in _PSEUDO_FIELDS if key in box.record}


def _inside(image: AnnotatedImage) -> tuple[tuple[Annotation, ...], int, int]:
    """Return the boxes cut to the image, how many were cut, and how many had no area in it."""
    boxes, clipped = [], 0
    for annotation in image.annotations:
        left, top, width, height = annotation.box_xywh
        right, bottom = left + width, top + height
        overhang = max(-left, -top, right - image.width, bottom - image.height)
        box = annotation.box_xywh
        if overhang > 0:
            left, top = max(left, 0), max(top, 0)
            box = (left, top, min(right, image.width) - left, min(bottom, image.height) - top)
        if box[2] <= 0 or box[3] <= 0:
            continue
        clipped += overhang > _SLACK_PX
        area = box[2] * box[3] if annotation.area is None else annotation.area
        boxes.append(replace(annotation, box_xywh=box, area=area))
    return tuple(boxes), clipped, len(image.annotations) - len(boxes)


def _short(value: float) -> float:
    """Return a whole number as an integer, which is shorter in JSON."""
    return int(value) if float(value).is_integer() else value


def _file_name(image: AnnotatedImage, *, is_copied: bool) -> str:
    if not re.fullmatch(r"\w[\w.-]*", image.name, re.ASCII):  # readers make safe names; a path would be a bug
        raise MedrovError(
            ErrorCode.INTERNAL,
            "a dataset reader returned an unsafe file name",
            "This is a bug: please report it.",
        )
    suffix = image.original.suffix.lower() if image.original is not None and is_copied else ".png"
    return image.name + _SUFFIXES.get(suffix, suffix)


def _write_image(target: Path, image: AnnotatedImage, content: bytes | None) -> None:
    pixels = image.read()
    if pixels.shape[:2] != (image.height, image.width):
        raise MedrovError(
            ErrorCode.BAD_METADATA,
            f"The image has {pixels.shape[1]} x {pixels.shape[0]} pixels; {image.width} x {image.height} "
            "were expected.",
            "Export it again.",
        )
    with whole_file(target) as temporary:
        temporary.write_bytes(png_bytes(pixels) if content is None else content)


def png_bytes(pixels: Pixels) -> bytes:
    """Return pixels as a PNG: uint16 as 16-bit grey, uint8 as RGB, or as 8-bit grey where all is grey."""
    if pixels.ndim == 2:
        stored = pixels
    elif (pixels == pixels[..., :1]).all():
        stored = pixels[..., 0]
    else:
        stored = pixels[..., ::-1]
    _, encoded = cv2.imencode(
        ".png", np.ascontiguousarray(stored), [cv2.IMWRITE_PNG_COMPRESSION, _COMPRESSION]
    )
    return encoded.tobytes()
