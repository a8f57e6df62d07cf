"""Evaluate: detections on a split, then everything that can be said of them."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medrov_cli.core.base.constants import EXPORTED_SUFFIXES
from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.base.files import whole_file
from medrov_cli.core.base.progress import Progress, no_progress
from medrov_cli.core.datasets.dataset import Dataset, load_dataset
from medrov_cli.core.datasets.foreign_coco import read_predictions, write_predictions, write_truth
from medrov_cli.core.evaluation.comparison import PREDICTIONS, REPORT
from medrov_cli.core.evaluation.document import Subject, build_document
from medrov_cli.core.evaluation.error_gallery import gallery_of, write_images_csv
from medrov_cli.core.evaluation.scored_split import Scene
from medrov_cli.core.evaluation.synonyms import synonyms_section
from medrov_cli.core.metrics.calibration import Fold, fit_calibration
from medrov_cli.core.metrics.detection_table import BoolArray
from medrov_cli.core.metrics.error_analysis import Outcome
from medrov_cli.core.metrics.operating import ClassScores
from medrov_cli.core.prediction.detection_journal import DetectionJournal
from medrov_cli.core.prediction.weights_file import (
    Detector,
    Judged,
    detect_split,
    names_of_classes,
    truth_sha256,
)
from medrov_cli.core.records.detections import Found
from medrov_cli.core.records.score_maps import CalibrationInfo
from medrov_cli.core.reports.evaluation import write_report_html
from medrov_cli.core.reports.plots import write_plots
from medrov_cli.core.runs.folder import RunFolder
from medrov_cli.core.runs.identity import Refusal
from medrov_cli.core.runs.kind import RunKind
from medrov_cli.core.settings.evaluate import EvalConfig
from medrov_cli.core.weights import container, resolution

EVALUATION = RunKind(
    taken=Refusal(
        "--output {folder} already holds an evaluation",
        "Add --resume to use its predictions, --overwrite, or give another --output.",
    ),
    marks=(REPORT, ".predictions*.partial"),
    last=REPORT,
)
"""Folder of ``medrov eval``; the first line of each journal describes the run."""

LIMIT_FOLDS = 5
"""Parts of the patients that are held out in turn, to see whether a limit holds on others."""


@dataclass(frozen=True, slots=True)
class EvalResult:
    """What an evaluation has to show.

    Attributes
    ----------
    report
        The document of schema ``medrov.eval/1``.
    output
        Folder of the files; null where none were written.
    fitted
        Weights that were written with calibration and operating points.
    """

    report: dict[str, Any]
    output: Path | None
    fitted: Path | None


def run_evaluation(config: EvalConfig, advance: Progress = no_progress) -> EvalResult:
    """Score a detector, or a file of predictions, on a split.

    Parameters
    ----------
    config
        All settings.
    advance
        Called with the steps done, their total, and what is being done.

    Raises
    ------
    MedrovError
        ``USAGE``, ``DATASET_INVALID``, ``PREDICTIONS_INVALID``, ``NO_INPUT``, ``OUTPUT_FAILED``, or a
        code of weights and text encoder.
    """
    config.check()
    dataset = load_dataset(config.dataset, config.data_root, pseudo=())
    samples = dataset.samples[config.split]
    if not samples:
        raise MedrovError(
            ErrorCode.NO_INPUT,
            f"{config.dataset} has no image in the split {config.split!r}",
            "Choose another --split.",
        )
    folder = None if config.output is None else RunFolder(config.output, EVALUATION)
    if folder is not None:
        folder.require_free(resume=config.resume, overwrite=config.overwrite)
    evaluation = _Evaluation(config, dataset, truth_sha256(dataset, samples), advance)
    detector = None if config.predictions is not None else _resolve(config, dataset)
    found, warnings = evaluation.detections(detector)
    scene = Scene(dataset, samples, found, config.selection.max_det, config.plain)
    calibration = None if detector is None else detector.metadata.calibration
    if config.fit is not None and isinstance(detector, Detector):
        calibration = evaluation.fit(scene, detector, config.fit)
    subject = Subject(config, evaluation.truth_sha256, detector, calibration, tuple(warnings))
    report, outcome = build_document(scene, subject, lambda done, total: advance(done, total, "scoring"))
    if config.synonyms and detector is not None:
        report["synonyms"] = evaluation.synonyms(scene, detector)
    if folder is not None:
        evaluation.write(folder, report, scene, outcome)
    return EvalResult(report, config.output, config.fit)


def _resolve(config: EvalConfig, dataset: Dataset) -> Judged:
    """Return the weights, or the exported model, that the settings name."""
    path = resolution.resolve(config.weights, exported=True)
    if path.suffix.lower() not in EXPORTED_SUFFIXES:
        return Detector.resolve(config)
    from medrov_cli.core.prediction.exported_file import ExportedDetector

    return ExportedDetector.resolve(path, config, dataset)


def export_truth(config: EvalConfig, path: Path) -> int:
    """Write the truth of the split as one COCO file; return the number of its images.

    Raises
    ------
    MedrovError
        ``DATASET_INVALID``, ``OUTPUT_FAILED``.
    """
    dataset = load_dataset(config.dataset, config.data_root, pseudo=())
    write_truth(path, dataset, config.split)
    return len(dataset.samples[config.split])


def _write_json(path: Path, report: dict[str, Any]) -> None:
    with whole_file(path) as temporary:
        temporary.write_text(json.dumps(report, indent=1, allow_nan=False) + "\n", encoding="utf-8")


@dataclass(frozen=True, slots=True)
class _Evaluation:
    """What the steps share."""

    config: EvalConfig
    dataset: Dataset
    truth_sha256: str
    advance: Progress

    def detections(self, detector: Judged | None) -> tuple[Sequence[Found], list[str]]:
        """Return detections image by image, and warnings about them."""
        warnings = []
        left_out = sum(sample.left_out for sample in self.dataset.samples[self.config.split])
        if left_out:
            warnings.append(f"{left_out} annotation(s) without an area inside their image are left out")
        if detector is not None:
            warnings += detector.warnings
            return self.detect(detector, names_of_classes(self.dataset), "", "detecting"), warnings
        if self.config.predictions is None:
            raise ValueError("neither a detector nor predictions")
        found, elsewhere = read_predictions(self.config.predictions, self.dataset, self.config.split)
        if elsewhere:
            warnings.append(f"{elsewhere} prediction(s) are of images in other splits and are left out")
        return found, warnings

    def detect(
        self, detector: Judged, names: Sequence[Sequence[str]], suffix: str, what: str
    ) -> Sequence[Found]:
        """Return a detector's detections for some names of the classes."""
        config, samples = self.config, self.dataset.samples[self.config.split]
        identity = {
            "weights": detector.content_sha256,
            "truth": self.truth_sha256,
            "images": len(samples),
            "imgsz": detector.imgsz,
            "names": hashlib.sha256(json.dumps([detector.text_encoder, names]).encode()).hexdigest(),
            "engine": detector.engine(config),
            "precision": config.precision.value,
            **dataclasses.asdict(config.selection),
        }
        path = None if config.output is None else config.output / f"predictions{suffix}.jsonl"

        def report(done: int, total: int) -> None:
            self.advance(done, total, what)

        with closing(DetectionJournal(path, identity, resume=config.resume)) as journal:
            if len(journal.found) == len(samples):
                report(len(samples), len(samples))
                journal.finish()
                return journal.found
            predict = detector.predictor(names, config)
            return detect_split(predict, samples, detector.imgsz, config, journal, report)

    def fit(self, scene: Scene, detector: Detector, target: Path) -> CalibrationInfo:
        """Fit calibration and operating points, and write weights that have them."""

        def scores(on: BoolArray | None = None) -> list[ClassScores]:
            return [scene.class_scores(label, on) for label in range(len(self.dataset.classes))]

        limit = self.config.absent_limit
        parts = [] if limit is None else scene.folds(LIMIT_FOLDS)
        info = fit_calibration(
            self.dataset.classes,
            scores(),
            images=len(scene.samples),
            absent_limit=limit,
            folds=[Fold(scores(~held_out), scores(held_out), int((~held_out).sum())) for held_out in parts],
            method=self.config.calibration,
            dataset=self.dataset.name,
            split=self.config.split,
            imgsz=detector.imgsz,
        )
        metadata = dataclasses.replace(detector.metadata, calibration=info)
        container.save(target, container.load_tensors(detector.path), metadata)
        return info

    def write(self, folder: RunFolder, report: dict[str, Any], scene: Scene, outcome: Outcome) -> None:
        """Write the report in all its forms; ``report.json`` last, which says that all is there."""
        write_predictions(folder.path / PREDICTIONS, self.dataset, self.config.split, scene.found)
        write_images_csv(folder.path / "images.csv", scene, outcome)
        write_plots(folder.path / "curves", report)
        write_report_html(folder.path / "report.html", report, gallery_of(scene, outcome))
        folder.finish(lambda path: _write_json(path, report))

    def synonyms(self, scene: Scene, detector: Judged) -> dict[str, Any]:
        """Score every class under each of its names."""
        names = names_of_classes(self.dataset)
        total = max(map(len, names))

        def detect(texts: Sequence[str], number: int) -> Sequence[Found]:
            what = f"detecting by name {number + 1} of {total}"
            return self.detect(detector, [(text,) for text in texts], f"-name{number + 1}", what)

        return synonyms_section(scene, names, detect)
