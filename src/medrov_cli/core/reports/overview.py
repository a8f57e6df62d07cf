"""Parts of the page: title, evaluated model, key figures, comparison, settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from medrov_cli.core.reports.document_values import (
    ABSENT,
    at,
    excludes_zero,
    finite,
    interval,
    list_at,
    number,
    printable,
    table_at,
)
from medrov_cli.core.reports.tables import Cell, Column, Table
from medrov_cli.core.settings.groups import DEFAULT_CONF

Report = Mapping[str, Any]


def title_of(report: Report) -> str:
    """Return the page's title."""
    name, split = at(report, "dataset", "name"), at(report, "dataset", "split")
    evaluated = " ".join(str(part) for part in (name, split) if part)
    return f"Evaluation on {evaluated or 'a dataset'}"


def counts(report: Report) -> str:
    """Return the numbers of images, boxes, cases, sources and classes."""
    dataset = table_at(report, "dataset")
    return ", ".join(
        f"{number(dataset[key])} {key}"
        for key in ("images", "boxes", "cases", "sources", "classes")
        if finite(dataset.get(key)) is not None
    )


def evaluated_model(report: Report) -> str:
    """Return the model that was evaluated."""
    model = table_at(report, "model")
    name = f"model {model['name']}" if model.get("name") else "predictions from a file"
    return f"{name}, {model['imgsz']} px" if model.get("imgsz") else name


def key_figures(report: Report) -> list[tuple[str, str, str]]:
    """Return the main numbers: label, value and note of each."""
    mean = table_at(report, "coco", "presence", "macro")
    cpm = number(at(report, "froc", "mean", "cpm"))
    figures = [
        ("mAP50", number(mean.get("ap50")), "mean of classes, presence-aware"),
        ("mAP50-95", number(mean.get("ap")), "mean of classes, presence-aware"),
        ("CPM", cpm, f"95 % interval {interval(at(report, 'froc', 'mean', 'interval'))}"),
        ("D-ECE", number(at(report, "calibration", "d_ece")), "lower is better"),
    ]
    for kind in ("base", "novel", "harmonic"):
        values = table_at(report, "open_vocabulary", kind)
        if values:
            classes = f"{number(values['classes'])} classes" if "classes" in values else "base and novel"
            figures.append((f"AP50 {kind}", number(values.get("ap50")), classes))
    absent = _absent_at_default(report)
    if absent is not None:
        figures.append(
            ("Absent objects", number(absent[1], 2), f"false positives per image at score {absent[0]:g}")
        )
    return figures


def _absent_at_default(report: Report) -> tuple[float, float | None] | None:
    """Return the threshold nearest to the default one, and the false positives per image there."""
    thresholds = list_at(report, "absent", "thresholds")
    rates = list_at(report, "absent", "false_positives_per_image")
    pairs = [(float(t), finite(rate)) for t, rate in zip(thresholds, rates, strict=False)]
    return min(pairs, key=lambda pair: abs(pair[0] - DEFAULT_CONF), default=None)


def differences(report: Report, key: str) -> Table:
    """Return the differences from another evaluation, of ``metrics`` or ``classes``."""
    caption, first = {"metrics": ("Metrics", "Metric"), "classes": ("Classes", "Class")}[key]
    columns = [Column(title) for title in (first, "This", "Other", "Difference", "Interval", "Excludes 0")]
    rows = []
    for name, value in table_at(report, "comparison", key).items():
        difference, ends = finite(at(value, "difference")), at(value, "interval")
        is_clear = excludes_zero(ends)
        mark = Cell(("▲ higher" if ends[0] > 0 else "▼ lower") if is_clear else "", is_clear=is_clear)
        shown = Cell(
            number(difference, signed=True),
            is_number=True,
            sort_key=None if difference is None else repr(difference),
            is_clear=is_clear,
        )
        rows.append([name, at(value, "this"), at(value, "other"), shown, ends, mark])
    return Table(caption, columns, rows)


def settings(report: Report) -> list[tuple[str, str]]:
    """Return names and values of all settings."""
    pairs: list[tuple[str, str]] = []
    for part in ("dataset", "model", "predictions", "settings"):
        for key, value in table_at(report, part).items():
            pairs.append((key if part == "settings" else f"{part} {key}", _plain(value)))
    pairs.append(("created by", _plain(report.get("created_by"))))
    pairs.append(("schema", _plain(report.get("schema"))))
    return [(name.replace("_", " "), value) for name, value in pairs]


def _plain(value: Any) -> str:
    """Return a setting as text."""
    if value is None or value == "":
        return ABSENT
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return ", ".join(f"{key}: {_plain(item)}" for key, item in value.items()) or ABSENT
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(_plain(item) for item in value) or ABSENT
    if isinstance(value, float):
        return f"{value:g}"
    return printable(str(value))
