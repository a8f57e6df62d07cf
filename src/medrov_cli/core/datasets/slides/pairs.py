"""Annotation files and the slides that they belong to."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

import pydicom

from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.datasets.readers.protocol import listed
from medrov_cli.core.datasets.readers.shared.dicom_folder import DicomHeader, read_header, scan
from medrov_cli.core.datasets.readers.shared.raster_images import nothing_in
from medrov_cli.core.datasets.slides.ann_objects import ANN_CLASS, SlidePlace, read_ann_objects
from medrov_cli.core.datasets.slides.geojson_objects import read_geojson_objects
from medrov_cli.core.datasets.slides.objects import SlideObjects
from medrov_cli.core.pixels.dicom.elements import number
from medrov_cli.core.pixels.dicom.file_errors import bad_metadata
from medrov_cli.core.pixels.dicom.header import read_file_header
from medrov_cli.core.pixels.dicom.slide_class import SLIDE_CLASS, shows_label
from medrov_cli.core.pixels.inputs import visible_files

_GEOJSON_SUFFIXES = (".geojson", ".json")
_GEOJSON_HINT = "Give a folder of GeoJSON files with slides of the same names beside them, or --images."
_ANN_HINT = "Give a folder of DICOM annotations with the slides that they refer to, or --images."


@dataclass(frozen=True, slots=True)
class AnnotatedSlide:
    """Slide with an annotation file.

    Attributes
    ----------
    file
        Name of the annotation file, the first of several, relative to the input.
    slide
        File of the slide; null without one.
    read
        Reads the objects, given the names of classes (in lower case) that are regions. Raises a
        `MedrovError` with an input code, also for a missing slide.
    case
        Identity of the patient, hashed; null if it is unknown.
    """

    file: str
    slide: Path | None
    read: Callable[[Collection[str]], SlideObjects]
    case: str | None = None


@dataclass(frozen=True, slots=True)
class SlideList:
    """Annotated slides of an input, and sentences about what was left out."""

    slides: tuple[AnnotatedSlide, ...]
    warnings: tuple[str, ...] = ()


def pair_geojson(path: Path, images: Path | None) -> SlideList:
    """Return the GeoJSON files of a folder, or one file, with the slides of the same names.

    Raises
    ------
    MedrovError
        ``not_found`` or ``no_input``.
    """
    folder = path if path.is_dir() else path.parent
    files = [path.name]
    if path.is_dir():
        files = visible_files(folder, lambda one: one.suffix.casefold() in _GEOJSON_SUFFIXES)
    if not files or not path.exists():
        raise nothing_in(path, "no GeoJSON file", _GEOJSON_HINT)
    base = images or folder
    unused: dict[str, list[str]] = {}
    for name in visible_files(base, lambda one: one.suffix.casefold() not in _GEOJSON_SUFFIXES):
        unused.setdefault(PurePosixPath(name).stem, []).append(name)
    found = []
    for file in files:
        own = unused.pop(PurePosixPath(file).stem, [])
        if len(own) == 1:
            read = partial(read_geojson_objects, folder / file)
            found.append(AnnotatedSlide(file, base / own[0], read))
        else:
            what = "There is no slide" if not own else "There are several slides"
            error = MedrovError(ErrorCode.NOT_FOUND, f"{what} of the name of the file.", _GEOJSON_HINT)
            found.append(AnnotatedSlide(file, None, _failing(error)))
    left = [name for own in unused.values() for name in own]
    told = f"{len(left)} image(s) without a GeoJSON file were left out: {listed(left)}"
    return SlideList(tuple(found), (told,) if left else ())


def pair_ann(path: Path, images: Path | None) -> SlideList:
    """Return the slides that the DICOM annotations of a folder, or one file, refer to, each with all of them.

    Raises
    ------
    MedrovError
        ``not_found`` or ``no_input``.
    """
    own = scan(path) if path.is_dir() else [header for header in (read_header(path, path.name),) if header]
    objects = [header for header in own if header.text("SOPClassUID") == ANN_CLASS]
    if not objects:
        raise nothing_in(path, "no DICOM annotations of slides", _ANN_HINT)
    folder = images or (path if path.is_dir() else path.parent)
    pool = own if folder == path else scan(folder)
    by_series: dict[str, list[DicomHeader]] = defaultdict(list)
    for header in pool:
        if header.text("SOPClassUID") == SLIDE_CLASS:
            by_series[header.text("SeriesInstanceUID")].append(header)
    found = []
    for one in objects:
        try:
            slide, place = _slide_of(one, by_series)
        except MedrovError as error:
            found.append(AnnotatedSlide(one.relative, None, _failing(error)))
            continue
        read = partial(read_ann_objects, one.path, place)
        found.append(AnnotatedSlide(one.relative, slide, read, one.case))
    return SlideList(tuple(_one_per_slide(found)))


PAIRS: dict[str, Callable[[Path, Path | None], SlideList]] = {"geojson": pair_geojson, "ann": pair_ann}
"""Functions of an input and a folder of slides, by format."""


def _one_per_slide(found: Sequence[AnnotatedSlide]) -> Iterator[AnnotatedSlide]:
    """Yield each slide once, with the objects of all its files, such as regions and cells."""
    by_slide: dict[Path, list[AnnotatedSlide]] = defaultdict(list)
    for one in found:
        if one.slide is None:
            yield one
        else:
            by_slide[one.slide].append(one)
    for own in by_slide.values():
        yield own[0] if len(own) == 1 else replace(own[0], read=partial(_read_all, tuple(own)))


def _read_all(files: Sequence[AnnotatedSlide], region_names: Collection[str]) -> SlideObjects:
    return SlideObjects.join([one.read(region_names) for one in files])


def _slide_of(annotations: DicomHeader, by_series: dict[str, list[DicomHeader]]) -> tuple[Path, SlidePlace]:
    """Return the finest instance of the slide that annotations refer to, and the place of coordinates."""
    header = read_file_header(str(annotations.path))
    series = {str(item.get("SeriesInstanceUID")) for item in header.get("ReferencedSeriesSequence") or ()}
    referred = {
        str(item.get("ReferencedSOPInstanceUID")) for item in header.get("ReferencedImageSequence") or ()
    }
    levels: list[tuple[int, int, DicomHeader, Any]] = []
    for one in (entry for uid in sorted(series) for entry in by_series.get(uid, ())):
        own = read_file_header(str(one.path))
        if not shows_label(own):
            levels.append((*_size_xy(own), one, own))
    if not levels:
        raise MedrovError(
            ErrorCode.NOT_FOUND, "The slide that the annotations refer to is not there.", _ANN_HINT
        )
    width, height, finest, finest_header = max(levels, key=lambda level: level[0])
    exact = [level for level in levels if level[2].text("SOPInstanceUID") in referred]
    if not exact and str(header.get("AnnotationCoordinateType")) != "3D":
        raise MedrovError(
            ErrorCode.NOT_FOUND,
            "The instance of the slide that the annotations refer to is not there.",
            _ANN_HINT,
        )
    own_width, own_height = exact[0][:2] if exact else (width, height)
    return finest.path, SlidePlace((width / own_width, height / own_height), finest_header)


def _size_xy(header: pydicom.Dataset) -> tuple[int, int]:
    """Return columns and rows of the total pixel matrix."""
    width, height = (number(header, f"TotalPixelMatrix{name}") for name in ("Columns", "Rows"))
    if not width or not height or width < 1 or height < 1:
        raise bad_metadata("the size of the total pixel matrix is missing or invalid")
    return int(width), int(height)


def _failing(error: MedrovError) -> Callable[[Collection[str]], SlideObjects]:
    def read(region_names: Collection[str]) -> SlideObjects:
        del region_names
        raise error

    return read
