"""Tables of accuracy: average precision, FROC, open vocabulary, synonyms, NMS-AP."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from medrov_cli.core.reports.document_values import ABSENT, at, list_at, number, table_at
from medrov_cli.core.reports.tables import Column, Table

Report = Mapping[str, Any]

_AP = (
    ("ap", Column("AP", hint="mean over IoU 0.50 to 0.95")),
    ("ap50", Column("AP50", hint="IoU 0.50")),
    ("ap75", Column("AP75", hint="IoU 0.75")),
    ("ap_small", Column("AP small", hint="objects below 32 x 32 px")),
    ("ap_medium", Column("AP medium", hint="objects from 32 x 32 to 96 x 96 px")),
    ("ap_large", Column("AP large", hint="objects above 96 x 96 px")),
    ("ar_1", Column("AR 1", hint="average recall, one detection per image")),
    ("ar_10", Column("AR 10", hint="average recall, ten detections per image")),
    ("ar_max", Column("AR max", hint="average recall, all detections")),
)
_PLAIN = Column("AP50 plain", hint="without the presence table: unlabelled images count as empty")
_BESIDE = 2  # position of this column: after the presence-aware AP50
_COUNTS = (Column("Objects"), Column("Images"))

_AVERAGES = {
    "macro": "Mean of classes",
    "micro": "All objects together",
    "macro_sources": "Mean of sources",
    "macro_modalities": "Mean of modalities",
}


def _ap_cells(presence: Any, plain: Any) -> list[Any]:
    """Return the columns that every table of average precision shares."""
    values = [at(presence, key) for key, _ in _AP]
    return [*values[:_BESIDE], at(plain, "ap50"), *values[_BESIDE:]]


def _ap_columns(first: str, *more: Column) -> list[Column]:
    columns = [column for _, column in _AP]
    return [Column(first), *more, *columns[:_BESIDE], _PLAIN, *columns[_BESIDE:]]


def averages(report: Report) -> Table:
    """Return the averages of COCO average precision."""
    presence, plain = _protocols(report)
    rows = [[title, *_ap_cells(presence.get(key), plain.get(key))] for key, title in _AVERAGES.items()]
    return Table("Averages", _ap_columns("Average"), rows)


def sources(report: Report) -> Table:
    """Return average precision by source."""
    presence, plain = _protocols(report)
    rows = [
        [
            name,
            at(value, "modality") or ABSENT,
            at(value, "truths"),
            at(value, "images"),
            *_ap_cells(value, at(plain, "sources", name)),
        ]
        for name, value in table_at(presence, "sources").items()
    ]
    return Table("Per source", _ap_columns("Source", Column("Modality"), *_COUNTS), rows)


def modalities(report: Report) -> Table:
    """Return average precision by modality."""
    return _counted(report, "Per modality", "Modality", "modalities")


def classes(report: Report) -> Table:
    """Return average precision by class."""
    return _counted(report, "Per class", "Class", "classes")


def _counted(report: Report, caption: str, first: str, key: str) -> Table:
    presence, plain = _protocols(report)
    rows = [
        [name, at(value, "truths"), at(value, "images"), *_ap_cells(value, at(plain, key, name))]
        for name, value in table_at(presence, key).items()
    ]
    return Table(caption, _ap_columns(first, *_COUNTS), rows)


def classes_of_sources(report: Report) -> Table:
    """Return average precision by source and class."""
    presence, plain = _protocols(report)
    rows = [
        [source, name, *_ap_cells(value, at(plain, "sources", source, "classes", name))]
        for source, values in table_at(presence, "sources").items()
        for name, value in table_at(values, "classes").items()
    ]
    return Table("Per source and class", _ap_columns("Source", Column("Class")), rows)


def _protocols(report: Report) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """Return average precision with the presence table, and in the plain protocol."""
    return table_at(report, "coco", "presence"), table_at(report, "coco", "plain")


def _rate(value: float | None) -> str:
    return ABSENT if value is None else f"{value:g}"


def _rate_columns(report: Report) -> list[Column]:
    rates = map(_rate, list_at(report, "froc", "rates"))
    return [
        *(Column(rate, hint=f"sensitivity at {rate} false positives per image") for rate in rates),
        Column("CPM", hint="mean sensitivity over the rates"),
        Column("Interval"),
    ]


def froc_averages(report: Report) -> Table:
    """Return the mean sensitivity at the fixed rates of false positives, with intervals."""
    count, mean = len(list_at(report, "froc", "rates")), table_at(report, "froc", "mean")
    rows = [
        [
            "Mean of classes",
            *_padded(list_at(mean, "sensitivity"), count),
            mean.get("cpm"),
            mean.get("interval"),
        ],
        ["Interval", *_padded(list_at(mean, "intervals"), count), None, None],
    ]
    return Table("Mean sensitivity", [Column("Class"), *_rate_columns(report)], rows)


def froc_classes(report: Report) -> Table:
    """Return sensitivity at the fixed rates of false positives by class."""
    count = len(list_at(report, "froc", "rates"))
    rows = [
        [
            name,
            at(value, "truths"),
            at(value, "images"),
            *_padded(list_at(value, "sensitivity"), count),
            at(value, "cpm"),
            at(value, "interval"),
        ]
        for name, value in table_at(report, "froc", "classes").items()
    ]
    return Table("Sensitivity per class", [Column("Class"), *_COUNTS, *_rate_columns(report)], rows)


def volume_classes(report: Report) -> Table:
    """Return the figures of findings in volumes by class."""
    columns = [
        Column("Class"),
        Column("Objects"),
        Column("Volumes"),
        Column("AP 0.1", hint="IoU in space of at least 0.1"),
        Column("AP 0.5", hint="IoU in space of at least 0.5"),
        Column("CPM", hint="mean sensitivity at 1/8 to 8 false positives per volume"),
        Column("Interval"),
        Column("Recall", hint="at the operating points"),
        Column("Precision", hint="at the operating points"),
    ]
    rows = [
        [
            name,
            at(value, "truths"),
            at(value, "volumes"),
            at(value, "ap", "0.1"),
            at(value, "ap", "0.5"),
            at(value, "cpm"),
            at(value, "interval"),
            at(value, "at_threshold", "recall"),
            at(value, "at_threshold", "precision"),
        ]
        for name, value in table_at(report, "volumes", "classes").items()
    ]
    return Table("Findings per class", columns, rows)


def _padded(values: Sequence[Any], length: int) -> Iterable[Any]:
    """Return exactly ``length`` values; missing ones are null."""
    return [*values[:length], *[None] * (length - len(values))]


def open_vocabulary(report: Report) -> Table:
    """Return the figures of base and novel classes."""
    values = table_at(report, "open_vocabulary")
    rows = [
        [title, at(values, key, "classes"), at(values, key, "ap"), at(values, key, "ap50")]
        for key, title in (("base", "Base"), ("novel", "Novel"), ("harmonic", "Harmonic mean"))
    ]
    columns = [Column("Classes"), Column("Number"), Column("AP"), Column("AP50")]
    return Table("Base and novel classes", columns, rows)


def synonym_averages(report: Report) -> Table:
    """Return the AP50 of the first name, of all names and of the worst name, mean of the classes."""
    values = table_at(report, "synonyms")
    keys = ("canonical_ap50", "mean_ap50", "worst_ap50", "kept")
    columns = [
        Column("AP50"),
        Column("First name"),
        Column("Mean of names"),
        Column("Worst name"),
        Column("Kept", hint="fraction of the canonical name's AP50 that synonyms reach"),
    ]
    rows = [["Mean of classes", *(values.get(key) for key in keys)]]
    return Table("Synonyms", columns, rows)


def synonym_classes(report: Report) -> Table:
    """Return the AP50 of each name of each class."""
    rows = [
        [name, at(value, "mean"), at(value, "worst"), at(value, "spread"), _names(table_at(value, "names"))]
        for name, value in table_at(report, "synonyms", "classes").items()
    ]
    columns = [Column(title) for title in ("Class", "Mean", "Worst", "Spread", "AP50 of each name")]
    return Table("Per class", columns, rows)


def _names(names: Mapping[str, Any]) -> str:
    return ", ".join(f"{text} {number(value)}" for text, value in names.items()) or ABSENT
