"""The report of schema ``medrov.eval/1``: its sections are in ``sections/``, one file each."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np

from medrov_cli.core.base.constants import RESEARCH_NOTICE
from medrov_cli.core.base.progress import Progress
from medrov_cli.core.base.versions import __version__
from medrov_cli.core.evaluation.kind_section import kind_section
from medrov_cli.core.evaluation.reference_ap import verify_with_pycocotools
from medrov_cli.core.evaluation.scored_split import ScoredSplit
from medrov_cli.core.evaluation.sections.absent_classes import absent_section
from medrov_cli.core.evaluation.sections.ap50_interval import ap50_samples, macro_interval
from medrov_cli.core.evaluation.sections.calibration_error import calibration_section
from medrov_cli.core.evaluation.sections.coco_ap import coco_section
from medrov_cli.core.evaluation.sections.comparison import comparison_section, read_other
from medrov_cli.core.evaluation.sections.confusion import confusion_section
from medrov_cli.core.evaluation.sections.froc_sensitivity import froc_section
from medrov_cli.core.evaluation.sections.nms_ap import nms_section
from medrov_cli.core.evaluation.sections.open_vocabulary import open_vocabulary_section
from medrov_cli.core.evaluation.sections.operating_points import limit_warnings, operating_points
from medrov_cli.core.evaluation.sections.precision_recall import precision_recall_section
from medrov_cli.core.evaluation.sections.region_counts import regions_section
from medrov_cli.core.evaluation.sections.sizes import sizes_section
from medrov_cli.core.evaluation.sections.volumes import volume_section, volume_warnings
from medrov_cli.core.metrics.error_analysis import Outcome, outcome_of
from medrov_cli.core.prediction.dataset_model import DatasetModel
from medrov_cli.core.records.score_maps import CalibrationInfo
from medrov_cli.core.settings.evaluate import EvaluateSettings
from medrov_cli.core.settings.record import results_record

SCHEMA = "medrov.eval/1"

_SECTIONS = 7


@dataclass(frozen=True, slots=True)
class EvaluatedModel:
    """Model and settings of an evaluation.

    Attributes
    ----------
    config
        All settings.
    truth_sha256
        SHA-256 of the ground truth.
    detector
        The model; null where predictions are scored.
    calibration
        Score maps and operating points; null without any.
    warnings
        Warnings of the report.
    """

    config: EvaluateSettings
    truth_sha256: str
    detector: DatasetModel | None
    calibration: CalibrationInfo | None
    warnings: tuple[str, ...]


def build_document(
    split: ScoredSplit, evaluated: EvaluatedModel, advance: Progress
) -> tuple[dict[str, Any], Outcome]:
    """Return the report, and the result of each object and detection at the operating points.

    The section on synonyms is null: it needs more detections.

    Parameters
    ----------
    split
        The scored split.
    evaluated
        Model and settings.
    advance
        Progress.

    Raises
    ------
    MedrovError
        ``USAGE``, ``PREDICTIONS_INVALID`` (``--compare``), ``INTERNAL`` (``--verify``).
    """
    config = evaluated.config
    drawn = split.weights(config.bootstrap, config.seed)
    coco = {
        "presence": coco_section(split, split.is_known),
        "plain": coco_section(split, split.everything),
    }
    followed = coco["plain" if split.plain else "presence"]
    advance(1, _SECTIONS, "scoring")
    difference = verify_with_pycocotools(split) if config.verify else None
    advance(2, _SECTIONS, "scoring")
    samples = ap50_samples(split, drawn)
    advance(3, _SECTIONS, "scoring")
    froc = froc_section(split, config.hit, drawn)
    advance(4, _SECTIONS, "scoring")
    thresholds, points = operating_points(split, evaluated.calibration)
    outcome = outcome_of(split.table, split.scored, thresholds)
    volumes = volume_section(split, thresholds, evaluated.calibration, config.bootstrap, config.seed)
    advance(5, _SECTIONS, "scoring")
    document: dict[str, Any] = {
        "schema": SCHEMA,
        "notice": RESEARCH_NOTICE,
        "created_by": f"medrov {__version__}",
        "dataset": _dataset(split, evaluated),
        "model": None if evaluated.detector is None else _model(evaluated.detector),
        "predictions": _predictions(split, evaluated),
        "settings": _settings(config),
        "warnings": [*evaluated.warnings, *limit_warnings(points), *volume_warnings(volumes)],
        "coco": {
            **coco,
            "map50_interval": macro_interval(samples),
            "difference_from_pycocotools": difference,
        },
        "open_vocabulary": open_vocabulary_section(split, followed["classes"]),
        "nms_ap": nms_section(split, followed["macro"]),
        "synonyms": None,
        "froc": froc,
        "volumes": volumes,
        "calibration": calibration_section(split, evaluated.calibration),
        "absent": absent_section(split, thresholds),
        "operating_points": points,
        "kinds": kind_section(split, evaluated.detector, thresholds),
        "curves": {"pr": precision_recall_section(split)},
        "confusion": confusion_section(split, outcome, points["origin"]),
        "sizes": sizes_section(split, outcome),
        "comparison": None,
    }
    regions = regions_section(split, thresholds)
    if regions is not None:
        document["regions"] = regions
    advance(6, _SECTIONS, "scoring")
    if config.compare is not None:
        other = read_other(config.compare, split, config.data.split, evaluated.truth_sha256)
        document["comparison"] = comparison_section((document, split), other, drawn, str(config.compare))
    advance(7, _SECTIONS, "scoring")
    return document, outcome


def _settings(config: EvaluateSettings) -> dict[str, Any]:
    """Return the settings; those of a detector are null where predictions are scored."""
    record = results_record(config)
    if config.predictions is None:
        return record
    return record | {"conf": config.predictions_conf, "iou": None, "literal": None, "precision": None}


def _dataset(split: ScoredSplit, evaluated: EvaluatedModel) -> dict[str, Any]:
    return {
        "name": split.dataset.name,
        "path": str(evaluated.config.data.dataset),
        "split": evaluated.config.data.split,
        "images": len(split.samples),
        "boxes": int((~split.table.is_crowd).sum()),
        "cases": len(np.unique(split.units)) if split.unit == "case" else None,
        "sources": len(np.unique(split.sources)),
        "classes": len(split.dataset.classes),
        "truth_sha256": evaluated.truth_sha256,
    }


def _predictions(split: ScoredSplit, evaluated: EvaluatedModel) -> dict[str, Any]:
    path = evaluated.config.predictions
    return {
        "path": None if path is None else str(path),
        "detections": len(split.table.label),
        "sha256": None if path is None else hashlib.sha256(path.read_bytes()).hexdigest(),
    }


def _model(detector: DatasetModel) -> dict[str, Any]:
    return {
        "name": detector.file.metadata.name,
        "sha256": detector.file.sha256,
        "imgsz": detector.imgsz,
        "rectangles": detector.rectangles,
        "text_encoder": detector.text_encoder,
        "engine": detector.engine_name,
        "precision": detector.precision,
        "exported": detector.file.exported,
    }
