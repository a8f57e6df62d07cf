"""Plots of counts and shares: reliability of scores, the confusion matrix, sizes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from medrov_cli.core.reports.behaviour import size_labels
from medrov_cli.core.reports.document_values import at, finite, list_at, number, rows_at, shorten
from medrov_cli.core.reports.palette import INK, MAIN, MUTED, SECOND

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Report = Mapping[str, Any]

_NAME_LENGTH = 30
_COUNTS_UP_TO = 14  # up to this number of labels, cells contain numbers
_LEVEL_UP_TO = 8  # more labels would overlap
_STRONG_SHARE = 0.65  # from this share on, white text has more contrast


def reliability(report: Report) -> Figure | None:
    """Draw precision by score with the diagonal of a perfect score, and the numbers of detections."""
    from matplotlib.figure import Figure

    bins = list_at(report, "calibration", "reliability")
    if not any(finite(at(item, "count")) for item in bins):
        return None
    figure = Figure(figsize=(6, 5), layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    for item in bins:
        low, high, count = (finite(at(item, key)) or 0.0 for key in ("low", "high", "count"))
        precision, confidence = finite(at(item, "precision")), finite(at(item, "confidence"))
        width = high - low
        if precision is not None:
            upper.bar(low, precision, width, align="edge", color=MAIN, alpha=0.75, linewidth=0)
        if precision is not None and confidence is not None:
            upper.plot([confidence] * 2, [precision, confidence], color=SECOND, linewidth=1.6)
            upper.plot([confidence], [precision], "o", color=SECOND, markersize=3.5)
        if count:
            lower.bar(low, count, width, align="edge", color=MUTED, linewidth=0)
    upper.plot([0, 1], [0, 1], "--", color=INK, linewidth=1)
    error = number(at(report, "calibration", "d_ece"))
    upper.set(xlim=(0, 1), ylim=(0, 1), ylabel="precision", title=f"D-ECE {error}")
    lower.set(xlabel="score", ylabel="detections", yscale="log")
    lower.set_ylim(bottom=0.7)
    lower.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    lower.minorticks_off()
    return figure


def confusion(report: Report) -> Figure | None:
    """Draw the confusion matrix with colours by the share of the row."""
    from matplotlib.figure import Figure

    labels = [shorten(str(label), _NAME_LENGTH) for label in list_at(report, "confusion", "labels")]
    rows = rows_at(report, "confusion", "counts", width=len(labels))
    if not labels or len(rows) != len(labels) or any(len(row) != len(labels) for row in rows):
        return None
    counts = np.array([[finite(count) or 0.0 for count in row] for row in rows])
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    size = max(4.5, 2.4 + 0.22 * len(labels)) if len(labels) > _COUNTS_UP_TO else 3.2 + 0.5 * len(labels)
    figure = Figure(figsize=(size + 0.8, size), layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, interpolation="nearest")
    places = range(len(labels))
    letter = 9 if len(labels) <= _COUNTS_UP_TO else 7
    axes.set_xticks(places, labels, rotation=90, fontsize=letter)
    axes.set_yticks(places, labels, fontsize=letter)
    axes.set(xlabel="detected as", ylabel="truth")
    axes.grid(visible=False)
    axes.set_xticks(np.arange(len(labels) + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(len(labels) + 1) - 0.5, minor=True)
    axes.grid(which="minor", linewidth=0.4)
    axes.tick_params(which="minor", length=0)
    for row, column in zip(*np.nonzero(counts), strict=True):
        share = shares[row, column]
        text = f"{counts[row, column]:.0f}" if len(labels) <= _COUNTS_UP_TO else f"{100 * share:.0f}"
        if text != "0":
            color = "white" if share >= _STRONG_SHARE else "black"
            size_pt = 9 if len(labels) <= _COUNTS_UP_TO else 5
            axes.text(column, row, text, ha="center", va="center", color=color, fontsize=size_pt)
    figure.colorbar(image, ax=axes, label="share of the row", fraction=0.04, pad=0.02)
    return figure


def sizes(report: Report) -> Figure | None:
    """Draw the numbers of objects and found objects by size, and of false positives below."""
    from matplotlib.figure import Figure

    names = size_labels(list_at(report, "sizes", "edges_px"))
    truths, found, wrong = (
        np.array([finite(value) or 0.0 for value in list_at(report, "sizes", key)])
        for key in ("truths", "found", "false_positives")
    )
    if not names or not len(names) == len(truths) == len(found) == len(wrong):
        return None
    figure = Figure(figsize=(8, 4.6), layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(2, 1))
    places = np.arange(len(names))
    upper.bar(places, truths, 0.8, color=MUTED, alpha=0.45, linewidth=0, label="objects")
    upper.bar(places, found, 0.8, color=MAIN, linewidth=0, label="found")
    lower.bar(places, wrong, 0.8, color=SECOND, linewidth=0, label="false positives")
    for place, total, hits in zip(places, truths, found, strict=True):
        if total:
            text = f"{100 * hits / total:.0f} %"
            upper.annotate(text, (place, total), (0, 2), textcoords="offset points", ha="center", fontsize=8)
    upper.margins(y=0.15)
    upper.set_ylabel("objects")
    lower.set_ylabel("false positives")
    slanted = len(names) > _LEVEL_UP_TO
    lower.set_xticks(places, names, rotation=35 if slanted else 0, ha="right" if slanted else "center")
    lower.set_xlabel("size of the box (px)")
    for axes in (upper, lower):
        axes.grid(visible=False, axis="x")
        axes.yaxis.get_major_locator().set_params(integer=True)
    upper.legend(loc="center left", bbox_to_anchor=(1.01, 0.5))
    return figure
