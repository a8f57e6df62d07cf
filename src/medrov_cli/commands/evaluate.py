"""``medrov eval``: accuracy of a detector, and its errors.

On stdout: a table by source and the key figures; with ``--json`` the complete report of schema
``medrov.eval/1``, which is also in ``DIR/report.json``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Group, RenderableType

from medrov_cli import console
from medrov_cli.core.settings.evaluate import EvaluateSettings


@dataclass(frozen=True, slots=True)
class EvalOutput:
    """Report of schema ``medrov.eval/1``."""

    report: Mapping[str, Any]

    def as_dict(self) -> Mapping[str, Any]:
        """Return the JSON document."""
        return self.report


@dataclass(frozen=True, slots=True)
class TruthOutput:
    """Written file of ground truth."""

    path: Path
    images: int

    def as_dict(self) -> dict[str, Any]:
        """Return the JSON document."""
        return {"schema": "medrov.eval-truth/1", "path": str(self.path), "images": self.images}


def _render(output: EvalOutput) -> RenderableType:
    report = output.report
    table = console.table("source", "modality", "images", "objects", "mAP50", "mAP50-95", "AR")
    for column in table.columns[2:]:
        column.justify = "right"
    protocol = report["settings"]["protocol"]
    followed = report["coco"][protocol]
    for name, own in followed["sources"].items():
        table.add_row(name, own["modality"], str(own["images"]), str(own["truths"]), *_figures(own))
    table.add_section()
    for name, title in (
        ("macro_sources", "mean of sources"),
        ("macro_modalities", "mean of modalities"),
        ("macro", "mean of classes"),
        ("micro", "all as one class"),
    ):
        table.add_row(title, "", "", "", *_figures(followed[name]))
    other = "presence" if protocol == "plain" else "plain"
    table.add_row(f"mean of classes, {other}", "", "", "", *_figures(report["coco"][other]["macro"]))
    return Group(table, "", *_lines(report))


def _figures(own: Mapping[str, float | None]) -> tuple[str, str, str]:
    return _number(own["ap50"]), _number(own["ap"]), _number(own["ar_max"])


def _lines(report: Mapping[str, Any]) -> list[str]:
    """Return the key figures, one line each."""
    froc, calibration, points = report["froc"], report["calibration"], report["operating_points"]
    lines = []
    if report["coco"]["map50_interval"]:
        lines.append(f"mAP50 of classes, 95 % interval: {_interval(report['coco']['map50_interval'])}")
    if froc["mean"]:
        cpm = f"CPM (hit {froc['hit']}): {_number(froc['mean']['cpm'])}"
        lines.append(cpm + (f" {_interval(froc['mean']['interval'])}" if froc["mean"]["interval"] else ""))
    if volumes := report["volumes"]:
        lines.append(_volume_line(volumes))
    if vocabulary := report["open_vocabulary"]:
        parts = (f"{part} {_number(vocabulary[part]['ap50'])}" for part in ("base", "novel", "harmonic"))
        lines.append("mAP50 " + ", ".join(parts))
    if synonyms := report["synonyms"]:
        lines.append(
            f"by synonyms: mAP50 {_number(synonyms['mean_ap50'])}, worst synonyms "
            f"{_number(synonyms['worst_ap50'])}, canonical {_number(synonyms['canonical_ap50'])}"
        )
    lines.append(
        f"NMS across classes: mAP50 {_number(report['nms_ap']['ap50'])}; "
        f"D-ECE ({calibration['scores']} scores): {_number(calibration['d_ece'])}"
    )
    lines.append(f"F1 at operating points ({points['origin']}): {_number(points['macro_f1'])}")
    at = report["absent"]["thresholds"].index(0.25)
    rate = report["absent"]["false_positives_per_image"][at]
    lines.append(
        f"absent classes: {rate:.3f} false positives per image at score 0.25, "
        f"{report['absent']['at_operating_points']:.3f} at operating points"
    )
    if comparison := report["comparison"]:
        for name, own in comparison["metrics"].items():
            if own["difference"] is not None:
                between = f" {_interval(own['interval'])}" if own["interval"] else ""
                lines.append(f"{name} against {comparison['with']}: {own['difference']:+.3f}{between}")
    return lines


def _volume_line(section: Mapping[str, Any]) -> str:
    if not section["mean"]:
        return f"volumes: {section['volumes']}, without an object"
    mean = section["mean"]
    aps = ", ".join(f"AP at IoU {iou} {_number(value)}" for iou, value in mean["ap"].items())
    return f"findings in {section['volumes']} volume(s): {aps}; CPM per volume {_number(mean['cpm'])}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _interval(bounds: tuple[float, float]) -> str:
    return f"[{bounds[0]:.3f}, {bounds[1]:.3f}]"


def evaluate(settings: EvaluateSettings) -> None:
    """Measure the accuracy of a detector, and report its errors.

    All classes of the dataset are requested at once on every image of the split. Output: report.json,
    report.html, curves, images.csv and the predictions.
    """
    from medrov_cli.core.evaluation.run import export_truth, run_evaluation

    as_json = settings.output.as_json
    if settings.export_truth is not None:
        truth = TruthOutput(settings.export_truth, export_truth(settings.data, settings.export_truth))
        console.success(truth, lambda own: f"{own.images} image(s) in {own.path}", as_json=as_json)
        return
    with console.progress("images") as advance:
        result = run_evaluation(settings, advance)
    _warn(result.report, settings.absent_limit)
    console.success(EvalOutput(result.report), _render, as_json=as_json)
    for place in (result.output and f"{result.output}/report.html", result.fitted):
        if place is not None:
            console.note(f"written: {place}")


def _warn(report: Mapping[str, Any], absent_limit: float | None) -> None:
    for warning in report["warnings"]:
        console.warn(warning)
    rate = report["absent"]["at_operating_points"]
    if absent_limit is not None and rate > absent_limit:
        console.warn(
            f"--absent-limit {absent_limit:g} is not reached: {rate:.3f} false positives of absent classes "
            "per image have scores as high as the correct detections, or their classes are too rare for a "
            "threshold"
        )
