"""Read DICOM images and a table of boxes, with the columns of the RSNA pneumonia challenge or of VinDr-CXR.

An image of which the table says nothing is left out; one with rows but without a box has no objects. The
boxes of several readers stay as they are, each as an object.
"""

from __future__ import annotations

import csv
import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from medrov_cli.core.building.annotated import AnnotatedImage, Annotation
from medrov_cli.core.building.cases import case_in_path
from medrov_cli.core.building.dicom_folder import DicomHeader, read_header, scan, slices_of
from medrov_cli.core.building.from_raster import nothing_in
from medrov_cli.core.building.readers import ReaderConfig, Reading, Unit
from medrov_cli.core.errors import ErrorCode, MedrovError
from medrov_cli.core.io.inputs import natural_key
from medrov_cli.core.io.reader import ReadOptions, read_frames
from medrov_cli.core.io.window import parse_window

_RSNA_CLASS = "pneumonia"
"""Of RSNA's boxes, which have no name of their own; ``labels`` may give another."""

_LAYOUT_HINT = "Give the folder of the DICOM files and --csv TABLE.csv."
_COLUMNS_HINT = (
    "RSNA: patientId,x,y,width,height,Target; VinDr-CXR: image_id,class_name,x_min,y_min,x_max,y_max."
)


@dataclass(frozen=True, slots=True)
class _Form:
    """Names of columns, in lower case."""

    image: str
    box: tuple[str, str, str, str]
    class_name: str | None
    has_corners: bool


_FORMS = (
    _Form("patientid", ("x", "y", "width", "height"), None, has_corners=False),
    _Form("image_id", ("x_min", "y_min", "x_max", "y_max"), "class_name", has_corners=True),
)


@dataclass(frozen=True, slots=True)
class _Row:
    """A line of the table; without a box it says that the image was looked at."""

    number: int
    annotation: Annotation | None
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class _Table:
    name: str
    rows: Mapping[str, Sequence[_Row]]
    class_names: tuple[str, ...]


def read(config: ReaderConfig) -> Reading:
    """List one unit an image of the table, found by the stem of its file, else by its SOP instance UID.

    Raises
    ------
    MedrovError
        ``usage``, ``not_found``, ``no_input`` or ``dataset_invalid``.
    """
    options = ReadOptions(window=parse_window(config.window))
    folder = config.images or config.path
    if not folder.is_dir():
        raise nothing_in(folder, "no folder of DICOM files", _LAYOUT_HINT)
    table = _read_table(_csv_of(config), config.labels.binary or config.labels.names.get(1) or _RSNA_CLASS)
    files = _find(folder, table)
    if not files:
        raise nothing_in(folder, f"no DICOM file of an image in {table.name}", _LAYOUT_HINT)

    def unit(image: str, relative: str) -> Unit:
        def images_of() -> Iterator[AnnotatedImage]:
            yield _annotated(config, options, folder / relative, relative, table.rows[image])

        return Unit(relative, images_of)

    found = sorted(files.items(), key=lambda entry: natural_key(entry[1]))
    absent = [rows[0].number for image, rows in table.rows.items() if image not in files]
    return Reading(
        (
            *(unit(image, relative) for image, relative in found),
            *(_missing(table.name, row) for row in sorted(absent)),
        ),
        table.class_names,
    )


def _csv_of(config: ReaderConfig) -> Path:
    """Return the table: the option, INPUT itself where images are elsewhere, or the only one in INPUT."""
    if config.csv is not None:
        return config.csv
    if config.path.is_file():
        return config.path
    tables = sorted(config.path.glob("*.csv"))
    if len(tables) != 1:
        raise MedrovError(
            ErrorCode.USAGE, f"--csv is missing, and {config.path} holds {len(tables)} tables.", _LAYOUT_HINT
        )
    return tables[0]


def _read_table(path: Path, rsna_class: str) -> _Table:
    by_image: dict[str, list[_Row]] = defaultdict(list)
    names: dict[str, tuple[float, str]] = {}
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            columns = [(name or "").strip().casefold() for name in reader.fieldnames or ()]
            form = _form_of(columns, path)
            reader.fieldnames = columns
            for line in reader:
                fields = {name: (text or "").strip() for name, text in line.items() if isinstance(name, str)}
                if not fields[form.image]:
                    continue
                row = _row(reader.line_num, fields, form, rsna_class)
                by_image[fields[form.image]].append(row)
                if row.annotation is not None:
                    place = fields.get("class_id", "")
                    number = float(place) if place.isdecimal() else math.inf
                    name = row.annotation.class_name
                    names[name] = min(names.get(name, (math.inf, name)), (number, name))
    except OSError as error:
        raise MedrovError(ErrorCode.NOT_FOUND, f"{path}: {error.strerror or error}", _LAYOUT_HINT) from None
    except (UnicodeDecodeError, csv.Error):
        raise MedrovError(
            ErrorCode.DATASET_INVALID, f"{path} is not a table in UTF-8.", _COLUMNS_HINT
        ) from None
    return _Table(path.name, by_image, tuple(name for _, name in sorted(names.values())))


def _form_of(columns: Sequence[str], path: Path) -> _Form:
    for form in _FORMS:
        needed = {form.image, *form.box} | ({form.class_name} if form.class_name else set())
        if needed <= set(columns):
            return form
    raise MedrovError(
        ErrorCode.DATASET_INVALID, f"{path} has neither RSNA's nor VinDr's columns.", _COLUMNS_HINT
    )


def _row(number: int, fields: Mapping[str, str], form: _Form, rsna_class: str) -> _Row:
    texts = [fields[name] for name in form.box]
    if all(text.casefold() in ("", "nan") for text in texts):
        is_positive = form.class_name is None and fields.get("target") == "1"
        return _Row(number, None, "is positive, but has no box" if is_positive else None)
    try:
        left, top, third, fourth = (float(text) for text in texts)
    except ValueError:
        return _Row(number, None, "has a box of less than four numbers")
    width, height = (third - left, fourth - top) if form.has_corners else (third, fourth)
    if not (math.isfinite(left + top + width + height) and width > 0 and height > 0):
        return _Row(number, None, "has a box without an area")
    name = fields[form.class_name] if form.class_name else rsna_class
    if not name:
        return _Row(number, None, "has a box without a class")
    return _Row(number, Annotation(name, (left, top, width, height)))


def _find(folder: Path, table: _Table) -> dict[str, str]:
    """Return the relative path of each image of the table that is there."""
    files: dict[str, str] = {}
    for path in folder.rglob("*"):
        relative = path.relative_to(folder).as_posix()
        image = next((text for text in (path.name, path.stem) if text in table.rows), None)
        if image is None or not path.is_file() or any(part.startswith(".") for part in Path(relative).parts):
            continue
        if image in files:
            raise MedrovError(
                ErrorCode.DATASET_INVALID,
                f"{min(relative, files[image])} and {max(relative, files[image])} are one image of "
                f"{table.name}.",
                "Leave one of them.",
            )
        files[image] = relative
    if len(files) < len(table.rows):
        known = set(files.values())
        for header in scan(folder):
            uid = header.text("SOPInstanceUID")
            if uid in table.rows and uid not in files and header.relative not in known:
                files[uid] = header.relative
    return files


def _annotated(
    config: ReaderConfig, options: ReadOptions, path: Path, relative: str, rows: Sequence[_Row]
) -> AnnotatedImage:
    problem = next((row for row in rows if row.problem is not None), None)
    if problem is not None:
        raise MedrovError(
            ErrorCode.BAD_METADATA,
            f"Line {problem.number} of the table {problem.problem}.",
            "Correct the table, or take the image out of it.",
        )
    header = _header(path, relative, options)
    slices = slices_of(header)
    frames = list(islice(read_frames(str(path), options), 2))
    if len(frames) != 1 or len(slices) != 1:
        raise MedrovError(
            ErrorCode.UNSUPPORTED_FORMAT,
            "The file has several frames, and the table does not say which a box is on.",
            "Give single images.",
        )
    pixels = frames[0].pixels_rgb
    return AnnotatedImage(
        name=slices[0].name,
        height=frames[0].height,
        width=frames[0].width,
        annotations=tuple(row.annotation for row in rows if row.annotation is not None),
        read=lambda: pixels,
        case=case_in_path(relative, config.case) if config.case is not None else header.case,
    )


def _header(path: Path, relative: str, options: ReadOptions) -> DicomHeader:
    header = read_header(path, relative)
    if header is None:
        next(iter(read_frames(str(path), options)))  # says what is wrong with the file
        raise MedrovError(
            ErrorCode.UNSUPPORTED_FORMAT, "The file is not a DICOM image.", "Use --from coco or voc for PNG."
        )
    return header


def _missing(table: str, row: int) -> Unit:
    """Return the unit of an image that is not there: named by its line, for its id may be a patient's."""

    def images_of() -> tuple[AnnotatedImage, ...]:
        raise MedrovError(
            ErrorCode.NOT_FOUND,
            "The image of this line of the table is not here.",
            "Its file has the id as its name, or as its SOP instance UID. Complete the folder, or the table.",
        )

    return Unit(f"{table}:{row}", images_of)
