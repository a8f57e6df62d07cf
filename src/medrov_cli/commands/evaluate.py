"""``medrov eval``: how good a detector is, and where it fails.

On stdout: a table by source and the key figures; with ``--json`` the whole report of schema
``medrov.eval/1``, which is also in ``DIR/report.json``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Group, RenderableType

from medrov_cli import console, options
from medrov_cli.core.base.constants import DEFAULT_WEIGHTS
from medrov_cli.options import evaluating

RULES_PANEL = "Rules"


@dataclass(frozen=True, slots=True)
class EvalOutput:
    """The report of schema ``medrov.eval/1``."""

    report: Mapping[str, Any]

    def as_dict(self) -> Mapping[str, Any]:
        """Return the JSON document."""
        return self.report


@dataclass(frozen=True, slots=True)
class TruthOutput:
    """A file of truth that was written."""

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
    """Return the key figures, a line each."""
    froc, calibration, points = report["froc"], report["calibration"], report["operating_points"]
    lines = []
    if report["coco"]["map50_interval"]:
        lines.append(f"mAP50 of classes, 95 % interval: {_interval(report['coco']['map50_interval'])}")
    if froc["mean"]:
        cpm = f"CPM (hit {froc['hit']}): {_number(froc['mean']['cpm'])}"
        lines.append(cpm + (f" {_interval(froc['mean']['interval'])}" if froc["mean"]["interval"] else ""))
    if vocabulary := report["open_vocabulary"]:
        parts = (f"{part} {_number(vocabulary[part]['ap50'])}" for part in ("base", "novel", "harmonic"))
        lines.append("mAP50 " + ", ".join(parts))
    if synonyms := report["synonyms"]:
        lines.append(
            f"asked by other names: mAP50 {_number(synonyms['mean_ap50'])}, worst names "
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
        f"absent classes: {rate:.3f} false positives an image at score 0.25, "
        f"{report['absent']['at_operating_points']:.3f} at operating points"
    )
    if comparison := report["comparison"]:
        for name, own in comparison["metrics"].items():
            if own["difference"] is not None:
                between = f" {_interval(own['interval'])}" if own["interval"] else ""
                lines.append(f"{name} against {comparison['with']}: {own['difference']:+.3f}{between}")
    return lines


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _interval(bounds: tuple[float, float]) -> str:
    return f"[{bounds[0]:.3f}, {bounds[1]:.3f}]"


def evaluate(
    dataset: Annotated[Path, typer.Argument(help="Dataset yaml: its sources, each a COCO folder.")],
    weights: options.WeightsOrModel = DEFAULT_WEIGHTS,
    predictions: evaluating.Predictions = None,
    split: evaluating.Split = "test",
    data_root: options.DataRoot = None,
    export_truth: evaluating.ExportTruth = None,
    conf: Annotated[
        float,
        typer.Option("--conf", min=0, max=1, help="Lowest score.", rich_help_panel=RULES_PANEL),
    ] = 0.001,
    iou: Annotated[
        float,
        typer.Option("--iou", min=0, max=1, help="Of the suppression.", rich_help_panel=RULES_PANEL),
    ] = 0.6,
    max_det: Annotated[
        int,
        typer.Option("--max-det", min=1, help="Detections an image, at most.", rich_help_panel=RULES_PANEL),
    ] = 300,
    plain: Annotated[
        bool,
        typer.Option(
            "--plain",
            help="Everything counts everywhere, whatever the presence table says.",
            rich_help_panel=RULES_PANEL,
        ),
    ] = False,
    hit: Annotated[
        str,
        typer.Option(
            "--hit",
            metavar="RULE",
            help="FROC's hit: iou:X, or centre (nearer than the object's radius).",
            rich_help_panel=RULES_PANEL,
        ),
    ] = "iou:0.5",
    bootstrap: Annotated[
        int,
        typer.Option(
            "--bootstrap", min=0, help="Samples of the 95 % intervals; 0: none.", rich_help_panel=RULES_PANEL
        ),
    ] = 1000,
    seed: Annotated[
        int, typer.Option("--seed", min=0, help="Of the bootstrap.", rich_help_panel=RULES_PANEL)
    ] = 0,
    synonyms: Annotated[
        bool,
        typer.Option(
            "--synonyms", help="Also ask for each class by its other names.", rich_help_panel=RULES_PANEL
        ),
    ] = False,
    verify: Annotated[
        bool,
        typer.Option(
            "--verify", help="Compute AP with pycocotools too; it must be equal.", rich_help_panel=RULES_PANEL
        ),
    ] = False,
    fit: evaluating.Fit = None,
    calibration: evaluating.Calibration = "platt",
    absent_limit: evaluating.AbsentLimit = None,
    text_encoder: options.TextEncoder = None,
    imgsz: options.Imgsz = None,
    device: options.Device = "auto",
    engine: options.Engine = "auto",
    precision: options.Precision = "fp32",
    batch: Annotated[
        int,
        typer.Option("--batch", min=1, help="Images a forward pass.", rich_help_panel=options.MODEL_PANEL),
    ] = 16,
    offline: options.Offline = False,
    output: options.Output = None,
    compare: Annotated[
        Path | None,
        typer.Option(
            "--compare",
            metavar="REPORT",
            help="report.json of another run: differences, with intervals.",
            rich_help_panel=options.OUTPUT_PANEL,
        ),
    ] = None,
    resume: options.Resume = False,
    overwrite: options.Overwrite = False,
    as_json: options.Json = False,
) -> None:
    """Measure how good a detector is, and where it fails.

    All classes of the dataset are asked for at once on every image of the split. The folder gets
    report.json, report.html, curves, images.csv and the predictions.
    """
    from medrov_cli.core.base.environment import is_offline
    from medrov_cli.core.evaluation.run import export_truth as write_truth
    from medrov_cli.core.evaluation.run import run_evaluation
    from medrov_cli.core.settings.choices import EngineName, Precision
    from medrov_cli.core.settings.evaluate import EvalConfig, parse_hit
    from medrov_cli.core.settings.groups import SelectionConfig

    config = EvalConfig(
        dataset=dataset,
        data_root=data_root,
        split=split,
        weights=weights,
        predictions=predictions,
        output=output,
        imgsz=imgsz,
        device=device,
        engine=EngineName(engine),
        precision=Precision(precision),
        text_encoder=text_encoder,
        selection=SelectionConfig(conf=conf, iou=iou, max_det=max_det, batch=batch),
        plain=plain,
        hit=parse_hit(hit),
        bootstrap=bootstrap,
        seed=seed,
        synonyms=synonyms,
        compare=compare,
        fit=fit,
        calibration=calibration,
        absent_limit=absent_limit,
        verify=verify,
        resume=resume,
        overwrite=overwrite,
        offline=is_offline(offline),
    )
    if export_truth is not None:
        images = write_truth(config, export_truth)
        truth = TruthOutput(export_truth, images)
        console.success(truth, lambda own: f"{own.images} image(s) in {own.path}", as_json=as_json)
        return
    with console.progress("images") as advance:
        result = run_evaluation(config, advance)
    for warning in result.report["warnings"]:
        console.warn(warning)
    rate = result.report["absent"]["at_operating_points"]
    if absent_limit is not None and rate > absent_limit:
        console.warn(
            f"--absent-limit {absent_limit:g} is not reached: {rate:.3f} false positives of absent classes "
            "an image are as sure as anything that was found, or of classes too rare to have a threshold"
        )
    console.success(EvalOutput(result.report), _render, as_json=as_json)
    for place in (result.output and result.output / "report.html", result.fitted):
        if place is not None:
            console.note(f"written: {place}")
