"""Series of DICOM images with the objects that mark something on them: segmentations, structure sets.

A unit is a series with all objects that refer to it, so that an image comes once, with all its boxes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby, islice
from typing import NamedTuple

from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.datasets.cases import case_in_path
from medrov_cli.core.datasets.readers.protocol import Reading, Unit
from medrov_cli.core.datasets.readers.shared.dicom_folder import (
    DicomHeader,
    Slice,
    Stack,
    read_header,
    scan,
    stack_of,
)
from medrov_cli.core.datasets.readers.shared.dicom_groups import DicomGroup, group_objects
from medrov_cli.core.datasets.readers.shared.dicom_planes import BoolArray
from medrov_cli.core.datasets.readers.shared.mask_boxes import annotations_of
from medrov_cli.core.datasets.readers.shared.raster_images import nothing_in
from medrov_cli.core.pixels.read import input_errors, read_frames
from medrov_cli.core.records.annotations import AnnotatedImage, Annotation, Pixels
from medrov_cli.core.settings.data_convert import ReaderSettings
from medrov_cli.core.settings.io_groups import ReadSettings
from medrov_cli.core.settings.window import parse_window

_IMAGES_HINT = "Add the referenced images to INPUT, or give their folder with --images."


class Marked(NamedTuple):
    """What one object marks on one slice.

    Attributes
    ----------
    at
        Row in the stack; null if the slice is not there.
    class_name
        As the object has it.
    mask
        bool, in the size of the slice; null with a null ``at``.
    """

    at: int | None
    class_name: str
    mask: BoolArray | None


Marks = Callable[[DicomHeader, Stack], Iterator[Marked]]
"""Yields what an object marks on the slices of a stack, in a fixed order. May raise any input error."""


@dataclass(frozen=True, slots=True)
class Form:
    """A kind of object.

    Attributes
    ----------
    what
        What it is called in messages.
    sop_classes
        Its SOP class UIDs.
    marks
        Reads one.
    """

    what: str
    sop_classes: frozenset[str]
    marks: Marks


def read_marked(config: ReaderSettings, form: Form) -> Reading:
    """List one unit a series; series that no object refers to are left out.

    Raises
    ------
    MedrovError
        ``usage``, ``not_found`` or ``no_input``.
    """
    options = ReadSettings(window=parse_window(config.window))
    own = _headers(config, form)
    objects = [header for header in own if header.text("SOPClassUID") in form.sop_classes]
    if not objects:
        raise nothing_in(config.path, f"no {form.what}", "Give the file, or a folder with such files.")
    images = [header for header in _pool(config, own) if header.is_image]
    if not images:
        raise nothing_in(config.images or config.path, "no DICOM image", _IMAGES_HINT)
    by_series: dict[str, list[DicomHeader]] = defaultdict(list)
    for header in images:
        by_series[header.text("SeriesInstanceUID")].append(header)
    groups, alone = group_objects(objects, by_series)

    def unit(group: DicomGroup) -> Unit:
        def images_of() -> Iterator[AnnotatedImage]:
            with input_errors():
                stack = stack_of(header for uid in sorted(group.series) for header in by_series[uid])
            yield from _annotated(config, form, options, stack, group.objects)

        return Unit(group.objects[0].relative, images_of)

    return Reading((*map(unit, groups), *(_orphan(header, form) for header in alone)))


def _headers(config: ReaderSettings, form: Form) -> list[DicomHeader]:
    if config.path.is_dir():
        return scan(config.path)
    if not config.path.exists():
        raise nothing_in(config.path, f"no {form.what}", "")
    header = read_header(config.path, config.path.name)
    return [] if header is None else [header]


def _pool(config: ReaderSettings, own: list[DicomHeader]) -> list[DicomHeader]:
    if config.images is not None:
        return scan(config.images)
    return own if config.path.is_dir() else scan(config.path.parent)


def _annotated(
    config: ReaderSettings, form: Form, options: ReadSettings, stack: Stack, objects: Sequence[DicomHeader]
) -> Iterator[AnnotatedImage]:
    """Yield the slices of a stack; then, if something was missing, raise what."""
    boxes, missing = _boxes(config, form, stack, objects)
    failed: list[MedrovError] = []
    chosen = [(row, own) for row, own in enumerate(stack.slices) if row % config.every == 0]
    for _, group in groupby(chosen, key=lambda entry: entry[1].file.relative):
        slices = [(own, boxes[row]) for row, own in group]
        try:
            yield from _images_of_file(config, options, slices)
        except MedrovError as error:
            if not error.is_input_error:
                raise
            failed.append(error)
    if failed:
        raise MedrovError(
            failed[0].code,
            f"{len(failed)} image file(s) of the series could not be read, the first because: "
            f"{failed[0].message}",
            failed[0].hint,
        )
    if missing:
        raise MedrovError(
            ErrorCode.NOT_FOUND,
            f"{missing} outline(s) or frame(s) of the {form.what} belong to no available image.",
            _IMAGES_HINT,
        )


def _images_of_file(
    config: ReaderSettings, options: ReadSettings, slices: Sequence[tuple[Slice, tuple[Annotation, ...]]]
) -> Iterator[AnnotatedImage]:
    """Yield frames of one file; pixels of those that will be left out are not decoded."""
    file = slices[0][0].file
    case = case_in_path(file.relative, config.case) if config.case is not None else file.case
    wanted = {own.frame for own, found in slices if found or not config.skip_empty}
    pixels: dict[int, Pixels] = {}
    frames = read_frames(str(file.path), options) if wanted else iter(())
    for own, found in slices:
        while own.frame in wanted and own.frame not in pixels:
            frame = next(frames)
            pixels = {frame.index: frame.pixels_rgb}
        decoded = pixels.get(own.frame)
        yield AnnotatedImage(
            name=own.name,
            height=own.size_hw[0],
            width=own.size_hw[1],
            annotations=found,
            read=partial(_pixels, own, options, decoded),
            case=case,
        )


def _pixels(own: Slice, options: ReadSettings, decoded: Pixels | None) -> Pixels:
    if decoded is not None:
        return decoded
    return next(islice(read_frames(str(own.file.path), options), own.frame, None)).pixels_rgb


def _boxes(
    config: ReaderSettings, form: Form, stack: Stack, objects: Sequence[DicomHeader]
) -> tuple[list[tuple[Annotation, ...]], int]:
    """Return the annotations of each slice, and how many marks are on none.

    Each mark, or each part of it, is an object; without ``components``, those of a class on a slice are one.
    """
    found: list[list[Annotation]] = [[] for _ in stack.slices]
    missing = 0
    least = config.min_area if config.components else 1
    for header in objects:
        try:
            with input_errors():
                for at, name, mask in form.marks(header, stack):
                    if at is None or mask is None:
                        missing += 1
                    else:
                        found[at] += annotations_of(mask, name, components=config.components, min_area=least)
        except MedrovError as error:
            where = f"{header.relative}: " if len(objects) > 1 else ""
            raise MedrovError(error.code, where + error.message, error.hint) from None
    if not config.components:
        found = [
            [own for own in _joined(annotations) if (own.area or 0) >= config.min_area]
            for annotations in found
        ]
    return [tuple(annotations) for annotations in found], missing


def _joined(annotations: Sequence[Annotation]) -> list[Annotation]:
    """Return one box around all of each class; areas add up."""
    by_class: dict[str, list[Annotation]] = defaultdict(list)
    for own in annotations:
        by_class[own.class_name].append(own)
    joined = []
    for name, same in by_class.items():
        left, top = (min(own.box_xywh[side] for own in same) for side in (0, 1))
        right, bottom = (max(own.box_xywh[side] + own.box_xywh[side + 2] for own in same) for side in (0, 1))
        joined.append(
            Annotation(name, (left, top, right - left, bottom - top), sum(own.area or 0 for own in same))
        )
    return joined


def _orphan(header: DicomHeader, form: Form) -> Unit:
    def images_of() -> tuple[AnnotatedImage, ...]:
        raise MedrovError(
            ErrorCode.NOT_FOUND, f"The images that the {form.what} references are missing.", _IMAGES_HINT
        )

    return Unit(header.relative, images_of)
