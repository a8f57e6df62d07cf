"""How well is found what there is: average precision, FROC, open vocabulary, synonyms, NMS-AP."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from medrov_cli.core.reports.markup import Column, Markup, details, element, section, table
from medrov_cli.core.reports.values import ABSENT, at, list_at, number, table_at

Report = Mapping[str, Any]
Figure = Callable[[str], Markup | None]
"""Return a plot of the report by its name, or None where there is none."""

_AP = (
    ("ap", Column("AP", hint="mean over IoU 0.50 to 0.95")),
    ("ap50", Column("AP50", hint="IoU 0.50")),
    ("ap75", Column("AP75", hint="IoU 0.75")),
    ("ap_small", Column("AP small", hint="objects below 32 x 32 px")),
    ("ap_medium", Column("AP medium", hint="objects from 32 x 32 to 96 x 96 px")),
    ("ap_large", Column("AP large", hint="objects above 96 x 96 px")),
    ("ar_1", Column("AR 1", hint="average recall, one detection an image")),
    ("ar_10", Column("AR 10", hint="average recall, ten detections an image")),
    ("ar_max", Column("AR max", hint="average recall, all detections")),
)
_PLAIN = Column("AP50 plain", hint="without the presence table: unlabelled images count as empty")
_BESIDE = 2  # it stands behind the presence-aware AP50
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


def average_precision(report: Report) -> Markup | None:
    """Return the tables of COCO average precision: averages, sources, modalities, classes."""
    presence, plain = table_at(report, "coco", "presence"), table_at(report, "coco", "plain")
    if not presence and not plain:
        return None
    averages = [[title, *_ap_cells(presence.get(key), plain.get(key))] for key, title in _AVERAGES.items()]
    note = (
        "Presence-aware: a class counts only on images whose source labels it or cannot show it. "
        "The plain protocol takes every unlabelled class as absent; its AP50 stands beside."
    )
    return section(
        "ap",
        "Average precision",
        element("p", note),
        table("Averages", _ap_columns("Average"), averages),
        _sources(presence, plain),
        _modalities(presence, plain),
        _classes(presence, plain),
        _classes_of_sources(presence, plain),
    )


def _sources(presence: Mapping[str, Any], plain: Mapping[str, Any]) -> Markup:
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
    return table("Per source", _ap_columns("Source", Column("Modality"), *_COUNTS), rows)


def _modalities(presence: Mapping[str, Any], plain: Mapping[str, Any]) -> Markup:
    return _counted("Per modality", "Modality", "modalities", presence, plain)


def _classes(presence: Mapping[str, Any], plain: Mapping[str, Any]) -> Markup:
    return _counted("Per class", "Class", "classes", presence, plain)


def _counted(
    caption: str, first: str, key: str, presence: Mapping[str, Any], plain: Mapping[str, Any]
) -> Markup:
    rows = [
        [name, at(value, "truths"), at(value, "images"), *_ap_cells(value, at(plain, key, name))]
        for name, value in table_at(presence, key).items()
    ]
    return table(caption, _ap_columns(first, *_COUNTS), rows)


def _classes_of_sources(presence: Mapping[str, Any], plain: Mapping[str, Any]) -> Markup | None:
    rows = [
        [source, name, *_ap_cells(value, at(plain, "sources", source, "classes", name))]
        for source, values in table_at(presence, "sources").items()
        for name, value in table_at(values, "classes").items()
    ]
    if not rows:
        return None
    caption = "Per source and class"
    return details(caption, table(caption, _ap_columns("Source", Column("Class")), rows))


def _rate(value: float | None) -> str:
    return ABSENT if value is None else f"{value:g}"


def froc(report: Report, figure: Figure) -> Markup | None:
    """Return sensitivity at the fixed rates of false positives, and the curves."""
    whole = table_at(report, "froc")
    if not whole:
        return None
    rates, mean = list_at(whole, "rates"), table_at(whole, "mean")
    columns = [
        Column("Class"),
        *_COUNTS,
        *(Column(rate, hint=f"sensitivity at {rate} false positives an image") for rate in map(_rate, rates)),
        Column("CPM", hint="mean sensitivity over the rates"),
        Column("Interval"),
    ]
    rows = [
        [
            name,
            at(value, "truths"),
            at(value, "images"),
            *_padded(list_at(value, "sensitivity"), len(rates)),
            at(value, "cpm"),
            at(value, "interval"),
        ]
        for name, value in table_at(whole, "classes").items()
    ]
    averages = [
        [
            "Mean of classes",
            *_padded(list_at(mean, "sensitivity"), len(rates)),
            mean.get("cpm"),
            mean.get("interval"),
        ],
        ["Interval", *_padded(list_at(mean, "intervals"), len(rates)), None, None],
    ]
    bootstrap = table_at(whole, "bootstrap")
    note = (
        f"A detection hits an object by: {whole.get('hit') or ABSENT}. "
        "Columns are false positives per image. "
        f"Intervals are 95 %, by bootstrap over {number(bootstrap.get('units'))} "
        f"{bootstrap.get('unit') or 'unit'}s, {number(bootstrap.get('samples'))} samples."
    )
    return section(
        "froc",
        "FROC",
        element("p", note),
        table("Mean sensitivity", [columns[0], *columns[3:]], averages),
        table("Sensitivity per class", columns, rows),
        figure("froc"),
    )


def _padded(values: Sequence[Any], length: int) -> Iterable[Any]:
    """Return exactly ``length`` values, with null for those that lack."""
    return [*values[:length], *[None] * (length - len(values))]


def precision_recall(figure: Figure) -> Markup | None:
    """Return the precision-recall curves."""
    drawn = figure("pr")
    return None if drawn is None else section("pr", "Precision and recall", drawn)


def open_vocabulary(report: Report) -> Markup | None:
    """Return base classes beside those that training never saw."""
    values = table_at(report, "open_vocabulary")
    if not values:
        return None
    rows = [
        [title, at(values, key, "classes"), at(values, key, "ap"), at(values, key, "ap50")]
        for key, title in (("base", "Base"), ("novel", "Novel"), ("harmonic", "Harmonic mean"))
    ]
    columns = [Column("Classes"), Column("Number"), Column("AP"), Column("AP50")]
    return section("open-vocabulary", "Open vocabulary", table("Base and novel classes", columns, rows))


def synonyms(report: Report) -> Markup | None:
    """Return how much the result hangs on the word that was chosen."""
    values = table_at(report, "synonyms")
    if not values:
        return None
    means = [
        [
            "Mean of classes",
            *(values.get(key) for key in ("canonical_ap50", "mean_ap50", "worst_ap50", "kept")),
        ]
    ]
    columns = [
        Column("AP50"),
        Column("First name"),
        Column("Mean of names"),
        Column("Worst name"),
        Column("Kept", hint="share of the first name's AP50 that other names keep"),
    ]
    rows = [
        [name, at(value, "mean"), at(value, "worst"), at(value, "spread"), _names(table_at(value, "names"))]
        for name, value in table_at(values, "classes").items()
    ]
    per_class = [Column(title) for title in ("Class", "Mean", "Worst", "Spread", "AP50 of each name")]
    return section(
        "synonyms",
        "Synonyms",
        table("Names of the same thing", columns, means),
        table("Per class", per_class, rows),
    )


def _names(names: Mapping[str, Any]) -> str:
    return ", ".join(f"{text} {number(value)}" for text, value in names.items()) or ABSENT


def nms_ap(report: Report) -> Markup | None:
    """Return average precision after suppression across classes."""
    values = table_at(report, "nms_ap")
    if not values:
        return None
    title = f"After suppression across classes at IoU {number(values.get('iou'), 2)}"
    keys = ("ap", "ap50", "ap_drop", "ap50_drop")
    columns = [Column(text) for text in ("Protocol", "AP", "AP50", "AP lost", "AP50 lost")]
    note = "Shows how often one object is reported under several names."
    rows = [["NMS-AP", *(values.get(key) for key in keys)]]
    return section("nms-ap", "NMS-AP", element("p", note), table(title, columns, rows))
