"""What the page begins and ends with: what was evaluated, the key figures, warnings, settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from medrov_cli.core.reports.markup import Column, Markup, definitions, element, section, table
from medrov_cli.core.reports.values import (
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

Report = Mapping[str, Any]

_DEFAULT_THRESHOLD = 0.25  # what `detect` uses where the weights have no thresholds of their own


def title_of(report: Report) -> str:
    """Return the page's title."""
    name, split = at(report, "dataset", "name"), at(report, "dataset", "split")
    subject = " ".join(str(part) for part in (name, split) if part)
    return f"Evaluation on {subject or 'a dataset'}"


def header(report: Report) -> Markup:
    """Return the title, what was evaluated on what, and the notice."""
    dataset, model = table_at(report, "dataset"), table_at(report, "model")
    counts = ", ".join(
        f"{number(dataset[key])} {key}"
        for key in ("images", "boxes", "cases", "sources", "classes")
        if finite(dataset.get(key)) is not None
    )
    subject = f"model {model['name']}" if model.get("name") else "predictions from a file"
    if model.get("imgsz"):
        subject += f", {model['imgsz']} px"
    return element(
        "header",
        element("h1", title_of(report)),
        element(
            "p", f"Dataset {dataset.get('name') or ABSENT}, split {dataset.get('split') or ABSENT}: {counts}."
        ),
        element("p", f"Evaluated: {subject}."),
        element("p", report.get("notice") or "", class_="notice", role="note"),
    )


def contents(titles: Sequence[tuple[str, str]]) -> Markup:
    """Return links to the page's sections."""
    links = [element("li", element("a", title, href=f"#{anchor}")) for anchor, title in titles]
    return element("nav", element("ul", links), aria_label="Contents")


def key_figures(report: Report) -> Markup:
    """Return the few numbers to look at first."""
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
    items = [
        element("li", element("span", label), element("strong", value), element("span", note))
        for label, value, note in figures
    ]
    return section("key-figures", "Key figures", element("ul", items, class_="keys"))


def _absent_at_default(report: Report) -> tuple[float, float | None] | None:
    """Return the threshold nearest to the default one, and the false positives per image there."""
    thresholds = list_at(report, "absent", "thresholds")
    rates = list_at(report, "absent", "false_positives_per_image")
    pairs = [(float(t), finite(rate)) for t, rate in zip(thresholds, rates, strict=False)]
    return min(pairs, key=lambda pair: abs(pair[0] - _DEFAULT_THRESHOLD), default=None)


def warning_list(report: Report) -> Markup:
    """Return what a reader should know before trusting the numbers."""
    warnings = list_at(report, "warnings")
    if not warnings:
        return section("warnings", "Warnings", element("p", "None."))
    items = element("ul", [element("li", str(warning)) for warning in warnings])
    return section("warnings", "Warnings", element("div", items, class_="warnings"))


def comparison(report: Report) -> Markup | None:
    """Return this evaluation beside another one, where it was compared."""
    compared = table_at(report, "comparison")
    if not compared:
        return None
    note = (
        f"Beside {compared.get('with') or ABSENT}: paired bootstrap over {compared.get('unit') or ABSENT}s, "
        f"{number(compared.get('samples'))} samples, 95 % intervals of the difference (this minus other). "
        "▲ and ▼ mark differences whose interval excludes 0."
    )
    return section(
        "comparison",
        "Comparison",
        element("p", note),
        _differences("Metrics", "Metric", table_at(compared, "metrics")),
        _differences("Classes", "Class", table_at(compared, "classes")) if compared.get("classes") else None,
    )


def _differences(caption: str, first: str, values: Mapping[str, Any]) -> Markup:
    columns = [Column(title) for title in (first, "This", "Other", "Difference", "Interval", "Excludes 0")]
    rows = []
    for name, value in values.items():
        difference = finite(at(value, "difference"))
        mark: str | Markup = ""
        if excludes_zero(at(value, "interval")):
            ends = at(value, "interval")
            mark = element("span", "▲ higher" if ends[0] > 0 else "▼ lower", class_="clear")
        shown = element(
            "td",
            number(difference, signed=True),
            class_="number clear" if mark else "number",
            data_value=None if difference is None else repr(difference),
        )
        rows.append([name, at(value, "this"), at(value, "other"), shown, at(value, "interval"), mark])
    return table(caption, columns, rows)


def settings(report: Report) -> Markup:
    """Return everything that the numbers depend on, as a definition list."""
    pairs: list[tuple[str, str]] = []
    for part in ("dataset", "model", "predictions", "settings"):
        for key, value in table_at(report, part).items():
            pairs.append((key if part == "settings" else f"{part} {key}", _plain(value)))
    pairs.append(("created by", _plain(report.get("created_by"))))
    pairs.append(("schema", _plain(report.get("schema"))))
    return section("settings", "Settings", definitions((k.replace("_", " "), v) for k, v in pairs))


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
