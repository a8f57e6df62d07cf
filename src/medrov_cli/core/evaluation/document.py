"""The report of schema ``medrov.eval/1``: all sections, computed in turn."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from medrov_cli.core.base.constants import RESEARCH_NOTICE
from medrov_cli.core.base.versions import __version__
from medrov_cli.core.evaluation import accuracy_sections, behaviour_sections
from medrov_cli.core.evaluation.comparison import comparison_section, read_other
from medrov_cli.core.evaluation.scored_split import ScoredSplit
from medrov_cli.core.metrics.error_analysis import Outcome, outcome_of
from medrov_cli.core.prediction.dataset_model import DatasetModel
from medrov_cli.core.records.score_maps import CalibrationInfo
from medrov_cli.core.settings.evaluate import EvaluateSettings
from medrov_cli.core.settings.record import results_record

SCHEMA = "medrov.eval/1"

_SECTIONS = 6


@dataclass(frozen=True, slots=True)
class EvaluatedModel:
    """What is evaluated, and how.

    Attributes
    ----------
    config
        All settings.
    truth_sha256
        Identity of the truth.
    detector
        Null where predictions are scored.
    calibration
        Score maps and operating points; null without any.
    warnings
        What a reader should know.
    """

    config: EvaluateSettings
    truth_sha256: str
    detector: DatasetModel | None
    calibration: CalibrationInfo | None
    warnings: tuple[str, ...]


def build_document(
    scene: ScoredSplit, subject: EvaluatedModel, progress: Callable[[int, int], None]
) -> tuple[dict[str, Any], Outcome]:
    """Return the report, and what became of each detection at the operating points.

    The part on synonyms is null: it needs more detections.

    Raises
    ------
    MedrovError
        ``USAGE``, ``PREDICTIONS_INVALID`` (``--compare``), ``INTERNAL`` (``--verify``).
    """
    config = subject.config
    drawn = scene.weights(config.bootstrap, config.seed)
    coco = {
        "presence": accuracy_sections.coco_section(scene, scene.is_known),
        "plain": accuracy_sections.coco_section(scene, scene.everything),
    }
    followed = coco["plain" if scene.plain else "presence"]
    progress(1, _SECTIONS)
    difference = accuracy_sections.verify_with_pycocotools(scene) if config.verify else None
    progress(2, _SECTIONS)
    samples = accuracy_sections.ap50_samples(scene, drawn)
    progress(3, _SECTIONS)
    froc = behaviour_sections.froc_section(scene, config.hit, drawn)
    progress(4, _SECTIONS)
    thresholds, points = behaviour_sections.operating_points(scene, subject.calibration)
    outcome = outcome_of(scene.table, scene.scored, thresholds)
    document: dict[str, Any] = {
        "schema": SCHEMA,
        "notice": RESEARCH_NOTICE,
        "created_by": f"medrov {__version__}",
        "dataset": _dataset(scene, subject),
        "model": None if subject.detector is None else _model(subject.detector),
        "predictions": _predictions(scene, subject),
        "settings": results_record(config),
        "warnings": list(subject.warnings),
        "coco": {
            **coco,
            "map50_interval": accuracy_sections.macro_interval(samples),
            "difference_from_pycocotools": difference,
        },
        "open_vocabulary": accuracy_sections.open_vocabulary_section(scene, followed["classes"]),
        "nms_ap": accuracy_sections.nms_section(scene, followed["macro"]),
        "synonyms": None,
        "froc": froc,
        "calibration": behaviour_sections.calibration_section(scene, subject.calibration),
        "absent": behaviour_sections.absent_section(scene, thresholds),
        "operating_points": points,
        "curves": {"pr": accuracy_sections.precision_recall_section(scene)},
        **behaviour_sections.error_sections(scene, outcome, points["origin"]),
        "comparison": None,
    }
    progress(5, _SECTIONS)
    if config.compare is not None:
        other = read_other(config.compare, scene, config.data.split, subject.truth_sha256)
        document["comparison"] = comparison_section((document, scene), other, drawn, str(config.compare))
    progress(6, _SECTIONS)
    return document, outcome


def _dataset(scene: ScoredSplit, subject: EvaluatedModel) -> dict[str, Any]:
    return {
        "name": scene.dataset.name,
        "path": str(subject.config.data.dataset),
        "split": subject.config.data.split,
        "images": len(scene.samples),
        "boxes": int((~scene.table.is_crowd).sum()),
        "cases": len(np.unique(scene.units)) if scene.unit == "case" else None,
        "sources": len(np.unique(scene.sources)),
        "classes": len(scene.dataset.classes),
        "truth_sha256": subject.truth_sha256,
    }


def _predictions(scene: ScoredSplit, subject: EvaluatedModel) -> dict[str, Any]:
    path = subject.config.predictions
    return {
        "path": None if path is None else str(path),
        "detections": len(scene.table.label),
        "sha256": None if path is None else hashlib.sha256(path.read_bytes()).hexdigest(),
    }


def _model(detector: DatasetModel) -> dict[str, Any]:
    return {
        "name": detector.file.metadata.name,
        "sha256": detector.file.sha256,
        "imgsz": detector.imgsz,
        "text_encoder": detector.text_encoder,
        "engine": detector.engine_name,
        "exported": detector.file.exported,
    }
