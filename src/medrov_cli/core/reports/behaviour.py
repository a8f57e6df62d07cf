"""What the detector does beyond finding: scores, thresholds, absent objects, confusions, sizes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

from medrov_cli.core.reports.markup import Column, Content, Markup, element, scrollable, section, table
from medrov_cli.core.reports.values import ABSENT, at, finite, list_at, number, rows_at, table_at

Report = Mapping[str, Any]
Figure = Callable[[str], Markup | None]

_FEW_LABELS = 14  # so many columns have room for counts; more show percent, and counts on hovering
_MAX_THRESHOLDS = 8  # columns of the table of absent objects
_TOP_CONFUSIONS = 10
_STRONG_SHARE = 0.8  # from here on, white letters have more contrast


def reliability(report: Report, figure: Figure) -> Markup | None:
    """Return whether a score says how often a detection is right."""
    values = table_at(report, "calibration")
    if not values:
        return None
    note = (
        f"Over {number(values.get('detections'))} detections with a score of at least "
        f"{number(values.get('min_score'), 2)}; right at IoU {number(values.get('iou'), 2)}. "
        f"D-ECE {number(values.get('d_ece'))}: mean gap between score and precision."
    )
    rows = [
        [name, at(value, "detections"), at(value, "d_ece")]
        for name, value in table_at(values, "classes").items()
    ]
    columns = [Column("Class"), Column("Detections"), Column("D-ECE")]
    return section(
        "reliability",
        "Reliability of scores",
        element("p", note),
        figure("reliability"),
        table("Calibration error per class", columns, rows),
    )


def operating_points(report: Report) -> Markup | None:
    """Return the thresholds with the best F1."""
    values = table_at(report, "operating_points")
    if not values:
        return None
    note = f"Thresholds from: {values.get('origin') or ABSENT}. Mean F1 {number(values.get('macro_f1'))}."
    keys = ("threshold", "f1", "precision", "recall")
    rows = [[name, *(at(value, key) for key in keys)] for name, value in table_at(values, "classes").items()]
    columns = [Column(title) for title in ("Class", "Threshold", "F1", "Precision", "Recall")]
    return section(
        "operating-points", "Operating points", element("p", note), table("Per class", columns, rows)
    )


def absent_objects(report: Report, figure: Figure) -> Markup | None:
    """Return what is found where there is nothing."""
    values = table_at(report, "absent")
    if not values:
        return None
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
    return section(
        "absent",
        "Absent objects",
        element("p", "False positives per image, on images where the class is known to be absent."),
        table("False positives per image by score", columns, rows),
        figure("absent"),
    )


def _rates(values: Any, chosen: Sequence[int]) -> list[Any]:
    rates = list_at(values, "false_positives_per_image")
    return [rates[i] if i < len(rates) else None for i in chosen]


def confusion(report: Report) -> Markup | None:
    """Return which class was taken for which, as a table with colours."""
    labels = [str(label) for label in list_at(report, "confusion", "labels")]
    counts = rows_at(report, "confusion", "counts", width=len(labels))
    if not labels or not counts:
        return None
    few = len(labels) <= _FEW_LABELS
    head = element(
        "tr",
        element("td"),
        [element("th", element("span", label), scope="col", title=label) for label in labels],
    )
    rows = [
        element("tr", element("th", label, scope="row", title=label), _heat_cells(row, labels, index, few))
        for index, (label, row) in enumerate(zip(labels, counts, strict=False))
    ]
    shown = "counts" if few else "percent of the row; counts on hovering"
    iou = number(at(report, "confusion", "iou"), 2)
    note = (
        f"Rows are what is there, columns what was detected (IoU {iou}, "
        f"thresholds: {at(report, 'confusion', 'thresholds') or ABSENT}). Colour is the share of the row; "
        f"cells hold {shown}."
    )
    heat = element(
        "table",
        element("caption", "Truth by detection"),
        element("thead", head),
        element("tbody", rows),
        class_="heat few" if few else "heat",
    )
    return section(
        "confusion",
        "Confusion",
        element("p", note),
        scrollable(heat, "Confusion matrix"),
        _largest_confusions(labels, counts),
    )


def _heat_cells(row: Sequence[Any], labels: Sequence[str], diagonal: int, few: bool) -> list[Markup]:
    total = sum(finite(count) or 0.0 for count in row)
    cells = []
    for column, (label, count) in enumerate(zip(labels, row, strict=False)):
        share = (finite(count) or 0.0) / total if total else 0.0
        percent = f"{100 * share:.0f}" if share >= 0.005 else ""
        text: Content = number(count) if few else percent
        classes = ["strong"] * (share >= _STRONG_SHARE) + ["same"] * (column == diagonal)
        cells.append(
            element(
                "td",
                text,
                class_=" ".join(classes) or None,
                style=f"--share:{share:.3f}" if share else None,
                title=f"{labels[diagonal]} as {label}: {number(count)} ({100 * share:.1f} %)",
            )
        )
    return cells


def _largest_confusions(labels: Sequence[str], counts: Sequence[Sequence[Any]]) -> Markup | None:
    """Return the pairs of classes that are taken for each other most often, background left out."""
    pairs = []
    for truth, row in zip(labels[:-1], counts, strict=False):
        total = sum(finite(count) or 0.0 for count in row)
        pairs += [
            [truth, found, count, count / total]
            for found, count in zip(labels[:-1], row, strict=False)
            if found != truth and finite(count)
        ]
    if not pairs:
        return None
    pairs.sort(key=lambda pair: -pair[2])
    columns = [Column("Truth"), Column("Detected as"), Column("Objects"), Column("Share of the class")]
    return table("Most frequent confusions between classes", columns, pairs[:_TOP_CONFUSIONS])


def sizes(report: Report, figure: Figure) -> Markup | None:
    """Return what is found by the size of the object."""
    values = table_at(report, "sizes")
    if not values:
        return None
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
    return section("sizes", "Sizes", figure("sizes"), table("By size of the box", columns, rows))


def size_labels(edges_px: Sequence[Any]) -> list[str]:
    """Return a name for each bin of sizes; the last edge may be infinite, or null."""
    labels = []
    for low, high in pairwise(edges_px):
        labels.append(f"{low or 0:g}–{high:g}" if finite(high) is not None else f"≥ {low or 0:g}")
    return labels
