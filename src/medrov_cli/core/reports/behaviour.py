"""Tables of behaviour: scores, thresholds, absent objects, confusions, sizes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from medrov_cli.core.reports.document_values import at, finite, list_at, number, rows_at, table_at
from medrov_cli.core.reports.tables import Column, Table

Report = Mapping[str, Any]

_FEW_LABELS = 14  # up to this number of labels, cells contain counts; otherwise percent, with counts as hints
_MAX_THRESHOLDS = 8  # columns of the table of absent objects
_TOP_CONFUSIONS = 10
_STRONG_SHARE = 0.8  # from this share on, white text has more contrast


def absent_objects(report: Report) -> Table:
    """Return the false positives of absent classes by threshold."""
    values = table_at(report, "absent")
    thresholds = list_at(values, "thresholds")
    step = max(1, -(-len(thresholds) // _MAX_THRESHOLDS))
    chosen = range(0, len(thresholds), step)
    columns = [
        Column("Class"),
        Column("Images", hint="images that are known not to show it"),
        Column("Operating point", hint="each class at its own threshold"),
        *(Column(f"≥ {thresholds[i]:g}", hint="score") for i in chosen),
    ]
    rows = [["All classes", values.get("images"), values.get("at_operating_points"), *_rates(values, chosen)]]
    rows += [
        [name, at(value, "images"), at(value, "at_operating_point"), *_rates(value, chosen)]
        for name, value in table_at(values, "classes").items()
    ]
    return Table("False positives per image by score", columns, rows)


def confused_kinds(report: Report) -> Table:
    """Return the most frequent wrong kinds of images."""
    wrong = list_at(report, "kinds", "confused")[:_TOP_CONFUSIONS]
    columns = [Column("Kind"), Column("Classified as"), Column("Images")]
    rows = [[at(own, "kind"), at(own, "as"), at(own, "images")] for own in wrong]
    return Table("Most frequent confusions of kinds", columns, rows)


def _rates(values: Any, chosen: Sequence[int]) -> list[Any]:
    rates = list_at(values, "false_positives_per_image")
    return [rates[i] if i < len(rates) else None for i in chosen]


@dataclass(frozen=True, slots=True)
class HeatCell:
    """One cell of the confusion matrix: its text, share of the row, classes of style, and hint."""

    text: str
    share: float
    classes: str
    title: str


@dataclass(frozen=True, slots=True)
class Heat:
    """The confusion matrix as a table with colours; ``few`` labels leave room for counts."""

    labels: Sequence[str]
    few: bool
    rows: Sequence[tuple[str, Sequence[HeatCell]]]


def confusion(report: Report) -> Heat | None:
    """Return the confusion matrix; null without counts."""
    labels, counts = _confusion_of(report)
    if not labels or not counts:
        return None
    few = len(labels) <= _FEW_LABELS
    rows = [
        (label, _heat_cells(row, labels, index, few))
        for index, (label, row) in enumerate(zip(labels, counts, strict=False))
    ]
    return Heat(labels, few, rows)


def _confusion_of(report: Report) -> tuple[list[str], list[Sequence[Any]]]:
    labels = [str(label) for label in list_at(report, "confusion", "labels")]
    return labels, rows_at(report, "confusion", "counts", width=len(labels))


def _heat_cells(row: Sequence[Any], labels: Sequence[str], diagonal: int, few: bool) -> list[HeatCell]:
    total = sum(finite(count) or 0.0 for count in row)
    cells = []
    for column, (label, count) in enumerate(zip(labels, row, strict=False)):
        share = (finite(count) or 0.0) / total if total else 0.0
        percent = f"{100 * share:.0f}" if share >= 0.005 else ""
        classes = ["strong"] * (share >= _STRONG_SHARE) + ["same"] * (column == diagonal)
        title = f"{labels[diagonal]} as {label}: {number(count)} ({100 * share:.1f} %)"
        cells.append(HeatCell(number(count) if few else percent, share, " ".join(classes), title))
    return cells


def largest_confusions(report: Report) -> Table:
    """Return the most frequent confusions of classes, without background."""
    labels, counts = _confusion_of(report)
    pairs = []
    for truth, row in zip(labels[:-1], counts, strict=False):
        total = sum(finite(count) or 0.0 for count in row)
        pairs += [
            [truth, found, count, count / total]
            for found, count in zip(labels[:-1], row, strict=False)
            if found != truth and finite(count)
        ]
    pairs.sort(key=lambda pair: -pair[2])
    columns = [Column("Truth"), Column("Detected as"), Column("Objects"), Column("Share of the class")]
    return Table("Most frequent confusions between classes", columns, pairs[:_TOP_CONFUSIONS])


def sizes(report: Report) -> Table:
    """Return the numbers of objects, found objects and false positives by size."""
    values = table_at(report, "sizes")
    parts = (list_at(values, key) for key in ("truths", "found", "false_positives"))
    rows = [
        [
            label,
            truths,
            found,
            found / truths if finite(truths) and finite(found) is not None else None,
            wrong,
        ]
        for label, truths, found, wrong in zip(size_labels(list_at(values, "edges_px")), *parts, strict=False)
    ]
    columns = [Column(title) for title in ("Size (px)", "Objects", "Found", "Share found", "False positives")]
    return Table("By size of the box", columns, rows)


def region_counts(report: Report) -> Table:
    """Return the annotated and the counted objects of each class in regions of slides."""
    found = table_at(table_at(report, "regions"), "classes")
    keys = ("regions", "truths", "counted", "mean_error", "mean_absolute_error")
    rows = [[name, *(table_at(found, name).get(key) for key in keys)] for name in found]
    titles = ("Class", "Regions", "Objects", "Counted", "Mean error a region", "Mean absolute error a region")
    return Table("Counts in regions of slides", [Column(title) for title in titles], rows)


def size_labels(edges_px: Sequence[Any]) -> list[str]:
    """Return a name for each bin of sizes; the last edge may be infinite, or null."""
    labels = []
    for low, high in pairwise(edges_px):
        labels.append(f"{low or 0:g}–{high:g}" if finite(high) is not None else f"≥ {low or 0:g}")
    return labels
