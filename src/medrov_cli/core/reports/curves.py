"""Plots of curves, one line per class: precision-recall, FROC, false positives on absent objects."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from medrov_cli.core.reports.document_values import ends_of, finite, list_at, shorten, table_at
from medrov_cli.core.reports.palette import INK, LINE_STYLES, MAIN, MUTED, SERIES

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Report = Mapping[str, Any]
FloatArray = npt.NDArray[np.float64]
Line = tuple[str, FloatArray, FloatArray]
"""Name of a line, and its points: x and y, NaN where undefined."""
Dress = Callable[["Axes", bool], None]
"""Function that sets scales and ticks; the second argument is true for a small plot."""

_ONE_PLOT_UP_TO = 8  # more lines cannot be distinguished: one small plot per class
_COLUMNS = 6
_NAME_LENGTH = 30
_SMALL_NAME_LENGTH = 25
_TICKS = (0, 0.2, 0.4, 0.6, 0.8, 1)
_SMALL_TICKS = (0, 0.5, 1)
_SHARE_RANGE = (-0.02, 1.02)  # margin that shows lines at 0 and 1
_FROC_RANGE = (1 / 16, 16.0)  # an octave beyond the rates of the CPM
_FROC_POINTS = 161  # 20 per octave


def precision_recall(report: Report) -> Figure | None:
    """Draw precision by recall of every class, and their mean."""
    recall = np.linspace(0, 1, 101)
    lines = [
        (str(name), recall, _floats(values))
        for name, values in table_at(report, "curves", "pr").items()
        if isinstance(values, Sequence) and len(values) == len(recall)
    ]
    lines = [line for line in lines if np.isfinite(line[2]).any()]
    if not lines:
        return None
    mean = ("mean of classes", recall, np.mean([np.nan_to_num(y) for _, _, y in lines], axis=0))

    def dress(axes: Axes, is_small: bool) -> None:
        ticks = _SMALL_TICKS if is_small else _TICKS
        axes.set(xlim=(0, 1), ylim=_SHARE_RANGE, yticks=ticks)
        axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])

    return _by_class(lines, mean, ("recall", "precision"), dress)


def froc(report: Report) -> Figure | None:
    """Draw sensitivity by false positives per image of every class, and their mean with intervals."""
    grid = np.geomspace(*_FROC_RANGE, _FROC_POINTS)
    lines = []
    for name, values in table_at(report, "froc", "classes").items():
        rates = _floats(list_at(values, "curve", "false_positives_per_image"))
        sensitivity = _floats(list_at(values, "curve", "sensitivity"))
        if len(rates) and len(rates) == len(sensitivity):
            lines.append((str(name), grid, _steps(rates, sensitivity, grid)))
    if not lines:
        return None
    rates = _floats(list_at(report, "froc", "rates"))
    at_rates = _floats(list_at(report, "froc", "mean", "sensitivity"))
    whole = len(rates) == len(at_rates)
    mean = ("mean of classes", rates, at_rates) if whole else ("mean of classes", grid, grid * np.nan)
    ticks = [rate for rate in rates if math.isfinite(rate)] or [0.125, 0.25, 0.5, 1, 2, 4, 8]

    def dress(axes: Axes, is_small: bool) -> None:
        axes.set_xscale("log", base=2)
        shown = ticks[::3] if is_small else ticks
        axes.set_xticks(shown, [f"{tick:g}" for tick in shown])
        axes.set_xticks([], minor=True)
        axes.set(xlim=_FROC_RANGE, ylim=_SHARE_RANGE, yticks=_SMALL_TICKS if is_small else _TICKS)

    figure = _by_class(lines, mean, ("false positives per image", "sensitivity"), dress)
    _intervals(figure.axes[0], rates, list_at(report, "froc", "mean", "intervals"))
    return figure


def absent(report: Report) -> Figure | None:
    """Draw false positives per image without the object, the worst classes in colour."""
    from matplotlib.figure import Figure

    thresholds = _floats(list_at(report, "absent", "thresholds"))
    whole = _floats(list_at(report, "absent", "false_positives_per_image"))
    if not len(thresholds) or len(whole) != len(thresholds):
        return None
    lines = []
    for name, values in table_at(report, "absent", "classes").items():
        rates = _floats(list_at(values, "false_positives_per_image"))
        if len(rates) == len(thresholds) and np.isfinite(rates).any():
            lines.append((str(name), thresholds, rates))
    lines.sort(key=lambda line: -float(np.nansum(line[2])))  # stable: the worst first
    figure = Figure(figsize=(8, 4), layout="constrained")
    axes = figure.subplots()
    for name, x, y in lines[_ONE_PLOT_UP_TO:]:
        axes.plot(x, y, color=MUTED, linewidth=0.6, alpha=0.6, label=f"_{name}")
    for index, line in enumerate(lines[:_ONE_PLOT_UP_TO]):
        _colored(axes, line, index)
    axes.plot(thresholds, whole, color=INK, linewidth=2.2, label="all classes")
    axes.set(xlabel="score threshold", ylabel="false positives per image", xlim=(0, 1))
    axes.set_ylim(bottom=0)
    title = "classes with most" if len(lines) > _ONE_PLOT_UP_TO else None
    axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), title=title)
    return figure


def _by_class(lines: list[Line], mean: Line, labels: tuple[str, str], dress: Dress) -> Figure:
    """Draw few lines into one plot, and many into a small plot each, the mean in the first."""
    if len(lines) <= _ONE_PLOT_UP_TO:
        return _together(lines, mean, labels, dress)
    return _apart(lines, mean, labels, dress)


def _together(lines: list[Line], mean: Line, labels: tuple[str, str], dress: Dress) -> Figure:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4.2), layout="constrained")
    axes = figure.subplots()
    for index, line in enumerate(lines):
        _colored(axes, line, index)
    axes.plot(mean[1], mean[2], color=INK, linewidth=2.2, label=mean[0])
    axes.set(xlabel=labels[0], ylabel=labels[1])
    dress(axes, False)
    axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5))
    return figure


def _apart(lines: list[Line], mean: Line, labels: tuple[str, str], dress: Dress) -> Figure:
    from matplotlib.figure import Figure

    rows = -(-(len(lines) + 1) // _COLUMNS)
    height = 1.32 * rows + 0.55
    figure = Figure(figsize=(10, height))
    grid = figure.subplots(rows, _COLUMNS, sharex=True, sharey=True, squeeze=False)
    figure.subplots_adjust(
        left=0.06, right=0.99, bottom=0.5 / height, top=1 - 0.25 / height, wspace=0.12, hspace=0.34
    )
    panels = list(grid.flat)
    for index, (axes, (name, x, y)) in enumerate(zip(panels, [mean, *lines], strict=False)):
        if index:
            axes.plot(mean[1], mean[2], color=MUTED, linewidth=0.8)
        axes.plot(x, y, color=MAIN if index else INK, linewidth=1.6)
        axes.set_title(shorten(name, _SMALL_NAME_LENGTH), fontsize=7, pad=2)
        axes.tick_params(labelsize=7, length=2)
        dress(axes, True)
    for axes in panels[len(lines) + 1 :]:
        axes.set_axis_off()
    for axes in panels[len(lines) + 1 - _COLUMNS : len(lines) + 1]:
        axes.tick_params(labelbottom=True)  # lowest plot of each column
    figure.supxlabel(labels[0], fontsize=9, y=0.08 / height)
    figure.supylabel(labels[1], fontsize=9, x=0.005)
    return figure


def _colored(axes: Axes, line: Line, index: int) -> None:
    name, x, y = line
    style = LINE_STYLES[index % len(LINE_STYLES)]
    axes.plot(x, y, style, color=SERIES[index % len(SERIES)], linewidth=1.4, label=_legend(name))


def _legend(name: str) -> str:
    """Return a name for a legend: matplotlib hides those with an underscore in front."""
    text = shorten(name, _NAME_LENGTH)
    return f"\u2009{text}" if text.startswith("_") else text


def _steps(rates: FloatArray, sensitivity: FloatArray, grid: FloatArray) -> FloatArray:
    """Return the largest sensitivity up to each rate of false positives on a grid."""
    order = np.argsort(rates, kind="stable")
    best = np.concatenate([[0.0], np.maximum.accumulate(sensitivity[order])])
    return np.asarray(best[np.searchsorted(rates[order], grid, side="right")], dtype=np.float64)


def _intervals(axes: Axes, rates: FloatArray, intervals: Sequence[Any]) -> None:
    """Draw the mean's intervals as bars over the rates."""
    for rate, value in zip(rates, intervals, strict=False):
        ends = ends_of(value)
        if ends is not None:
            axes.plot([rate, rate], ends, color=INK, linewidth=1.1, marker="_", markersize=5)


def _floats(values: Sequence[Any]) -> FloatArray:
    """Return numbers as float64, null as NaN."""
    known = (finite(value) for value in values)
    return np.array([math.nan if value is None else value for value in known], dtype=np.float64)
