"""Tables of boxes by image: the columns of the RSNA pneumonia challenge and of VinDr-CXR."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from medrov_cli.core.base.csv_files import read_table as read_csv
from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.base.text_files import DocumentError
from medrov_cli.core.datasets.coco_values import is_flag_set
from medrov_cli.core.records.annotations import Annotation

_RSNA_CLASS = "pneumonia"
"""Of RSNA's boxes, which have no name of their own."""

_READER = "rad_id"
"""VinDr-CXR's column of who has drawn a box."""

_NO_FINDING = "no finding"
"""VinDr-CXR's class of images without objects; some tables give it a box of one pixel."""

_TABLE_HINT = "Give the table with --csv TABLE.csv."
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
class TableRow:
    """A line of the table; without a box it says that the image was looked at.

    Attributes
    ----------
    number
        Of the line.
    drawn
        The box; null for a line without one.
    problem
        What is wrong with the line, as the end of a sentence.
    """

    number: int
    drawn: Annotation | None
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class CsvTable:
    """A table of boxes.

    Attributes
    ----------
    name
        Of the file.
    rows
        By image.
    class_names
        By the number that the table gives them, else by name.
    has_readers
        Whether it has a column of who has drawn a box.
    """

    name: str
    rows: Mapping[str, Sequence[TableRow]]
    class_names: tuple[str, ...]
    has_readers: bool


def read_table(path: Path, rsna_class: str | None) -> CsvTable:
    """Read a table.

    Parameters
    ----------
    path
        CSV in UTF-8 or UTF-16, with a line of column names.
    rsna_class
        What RSNA's boxes show; null: pneumonia.

    Raises
    ------
    MedrovError
        ``NOT_FOUND``, ``DATASET_INVALID``.
    """
    by_image: dict[str, list[TableRow]] = defaultdict(list)
    names: dict[str, tuple[float, str]] = {}
    try:
        table = read_csv(path, lambda name: name.strip().casefold())
    except OSError as error:
        raise MedrovError(ErrorCode.NOT_FOUND, f"{path}: {error.strerror or error}", _TABLE_HINT) from None
    except DocumentError as error:
        raise MedrovError(ErrorCode.DATASET_INVALID, f"{path} {error}.", _COLUMNS_HINT) from None
    form = _form_of(table.columns, path)
    for line, texts in table.records():
        fields = {name: text.strip() for name, text in texts.items()}
        if not fields[form.image]:
            continue
        row = _row(line, fields, form, rsna_class or _RSNA_CLASS)
        by_image[fields[form.image]].append(row)
        if row.drawn is not None:
            place = fields.get("class_id", "")
            number = float(place) if place.isdecimal() else math.inf
            name = row.drawn.class_name
            names[name] = min(names.get(name, (math.inf, name)), (number, name))
    class_names = tuple(name for _, name in sorted(names.values()))
    return CsvTable(path.name, by_image, class_names, has_readers=_READER in table.columns)


def _form_of(columns: Sequence[str], path: Path) -> _Form:
    for form in _FORMS:
        needed = {form.image, *form.box} | ({form.class_name} if form.class_name else set())
        if needed <= set(columns):
            return form
    raise MedrovError(
        ErrorCode.DATASET_INVALID, f"{path} has neither RSNA's nor VinDr's columns.", _COLUMNS_HINT
    )


def _row(number: int, fields: Mapping[str, str], form: _Form, rsna_class: str) -> TableRow:
    texts = [fields[name] for name in form.box]
    if all(text.casefold() in ("", "nan") for text in texts):
        target = fields.get("target", "")
        is_positive = form.class_name is None and target.casefold() != "nan" and is_flag_set(target)
        return TableRow(number, None, "is positive, but has no box" if is_positive else None)
    if form.class_name and fields[form.class_name].casefold() == _NO_FINDING:
        return TableRow(number, None)
    try:
        left, top, third, fourth = (float(text) for text in texts)
    except ValueError:
        return TableRow(number, None, "has a box with fewer than four numbers")
    width, height = (third - left, fourth - top) if form.has_corners else (third, fourth)
    if not (math.isfinite(left + top + width + height) and width > 0 and height > 0):
        return TableRow(number, None, "has a box without an area")
    name = fields[form.class_name] if form.class_name else rsna_class
    if not name:
        return TableRow(number, None, "has a box without a class")
    box = (left, top, width, height)
    return TableRow(number, Annotation(name, box, annotator=fields.get(_READER, "")))
