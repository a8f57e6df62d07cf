"""Series of DICOM images with the objects that mark something on them: segmentations, structure sets.

A unit is a series with all objects that refer to it, so that an image comes once, with all its boxes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import groupby, islice
from typing import NamedTuple

from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.datasets.cases import case_in_path, hashed_case
from medrov_cli.core.datasets.readers.protocol import Reading, Unit, failing_unit, listed
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
from medrov_cli.core.datasets.readers.shared.mask_boxes import annotations_of, join_by_class
from medrov_cli.core.datasets.readers.shared.raster_images import nothing_in
from medrov_cli.core.pixels.dicom.file_errors import bad_metadata
from medrov_cli.core.pixels.dicom.slice_geometry import placed_slice
from medrov_cli.core.pixels.input_errors import input_errors
from medrov_cli.core.pixels.read import read_frames
from medrov_cli.core.records.annotations import AnnotatedImage, Annotation, Pixels
from medrov_cli.core.records.volume_slice import VolumeSlice
from medrov_cli.core.settings.data_convert import ReaderSettings
from medrov_cli.core.settings.io_groups import ReadSettings
from medrov_cli.core.settings.window import parse_window

_BROKEN = "its references to images cannot be read"
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
    grouped = group_objects(objects, by_series)

    def unit(group: DicomGroup) -> Unit:
        def images_of() -> Iterator[AnnotatedImage]:
            with input_errors():
                stack = stack_of(header for uid in sorted(group.series) for header in by_series[uid])
            yield from _annotated(config, form, options, stack, group.objects)

        return Unit(group.objects[0].relative, images_of)

    used = {uid for group in grouped.groups for uid in group.series}
    left = [own[0].relative for uid, own in by_series.items() if uid not in used]
    told = f"{len(left)} series without a {form.what} were left out; their first files: {listed(left)}"
    units = (
        *map(unit, grouped.groups),
        *(_orphan(header, form) for header in grouped.alone),
        *(failing_unit(header.relative, bad_metadata(_BROKEN)) for header in grouped.broken),
    )
    return Reading(units, warnings=(told,) if left else ())


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
        series = _series_of_slice(stack, slices[0][0])
        try:
            for own, image in _images_of_file(config, options, slices, series):
                yield replace(image, volume=_volume_slice(stack, own))
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


def _series_of_slice(stack: Stack, one: Slice) -> tuple[str, ...]:
    """Return the paths of all files of a slice's series, for its grey range."""
    uid = one.file.text("SeriesInstanceUID")
    same = (own.file for own in stack.slices if own.file.text("SeriesInstanceUID") == uid)
    return tuple(dict.fromkeys(str(file.path) for file in same))


def _images_of_file(
    config: ReaderSettings,
    options: ReadSettings,
    slices: Sequence[tuple[Slice, tuple[Annotation, ...]]],
    series: tuple[str, ...],
) -> Iterator[tuple[Slice, AnnotatedImage]]:
    """Yield frames of one file; pixels of those that will be left out are not decoded."""
    file = slices[0][0].file
    case = case_in_path(file.relative, config.case) if config.case is not None else file.case
    wanted = {own.frame for own, found in slices if found or not config.skip_empty}
    pixels: dict[int, Pixels] = {}
    frames = read_frames(str(file.path), options, series=series) if wanted else iter(())
    for own, found in slices:
        while own.frame in wanted and own.frame not in pixels:
            frame = next(frames)
            pixels = {frame.index: frame.pixels_rgb}
        decoded = pixels.get(own.frame)
        yield (
            own,
            AnnotatedImage(
                name=own.name,
                height=own.size_hw[0],
                width=own.size_hw[1],
                annotations=found,
                read=partial(_pixels, own, options, series, decoded),
                case=case,
            ),
        )


def _volume_slice(stack: Stack, own: Slice) -> VolumeSlice | None:
    """Return the slice of a series that an image is; null for a single image, or one without a place."""
    if len(stack.slices) < 2 or own.plane is None:
        return None
    uid = own.file.text("SeriesInstanceUID")
    return VolumeSlice(
        hashed_case(uid), stack.slices.index(own), placed_slice(own.file.dataset, own.frame).plane
    )


def _pixels(own: Slice, options: ReadSettings, series: tuple[str, ...], decoded: Pixels | None) -> Pixels:
    if decoded is not None:
        return decoded
    frames = read_frames(str(own.file.path), options, series=series)
    return next(islice(frames, own.frame, None)).pixels_rgb


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
            [own for own in join_by_class(annotations) if (own.area or 0) >= config.min_area]
            for annotations in found
        ]
    return [tuple(annotations) for annotations in found], missing


def _orphan(header: DicomHeader, form: Form) -> Unit:
    def images_of() -> tuple[AnnotatedImage, ...]:
        raise MedrovError(
            ErrorCode.NOT_FOUND, f"The images that the {form.what} references are missing.", _IMAGES_HINT
        )

    return Unit(header.relative, images_of)
