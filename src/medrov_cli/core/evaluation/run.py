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

from medrov_cli.core.base.errors import ErrorCode, MedrovError, usage_error
from medrov_cli.core.base.files import whole_file
from medrov_cli.core.base.progress import Progress, no_progress
from medrov_cli.core.datasets.dataset import Dataset, load_dataset
from medrov_cli.core.datasets.foreign_coco import read_predictions, write_predictions, write_truth
from medrov_cli.core.datasets.truth import require_readable, truth_sha256
from medrov_cli.core.evaluation.comparison import PREDICTIONS, REPORT
from medrov_cli.core.evaluation.document import EvaluatedModel, build_document
from medrov_cli.core.evaluation.error_gallery import gallery_of, write_images_csv
from medrov_cli.core.evaluation.scored_split import ScoredSplit
from medrov_cli.core.evaluation.synonyms import synonyms_section
from medrov_cli.core.metrics.calibration import Fold, fit_calibration
from medrov_cli.core.metrics.detection_table import BoolArray
from medrov_cli.core.metrics.error_analysis import Outcome
from medrov_cli.core.metrics.operating import ClassScores
from medrov_cli.core.prediction.dataset_model import DatasetModel, fixed_classes_error, names_of_classes
from medrov_cli.core.prediction.detection_journal import DetectionJournal
from medrov_cli.core.prediction.model_file import read_model_file
from medrov_cli.core.records.detections import Detections
from medrov_cli.core.records.score_maps import CalibrationInfo
from medrov_cli.core.reports.evaluation import write_report_html
from medrov_cli.core.reports.plots import write_plots
from medrov_cli.core.runs.folder import RunFolder
from medrov_cli.core.runs.identity import Refusal
from medrov_cli.core.runs.kind import RunKind
from medrov_cli.core.settings.evaluate import EvaluateSettings
from medrov_cli.core.settings.groups import COCO_BATCH
from medrov_cli.core.settings.io_groups import DatasetSettings
from medrov_cli.core.weights import container

EVALUATION = RunKind(
    taken=Refusal(
        "--output {folder} already contains an evaluation",
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


def run_evaluation(config: EvaluateSettings, advance: Progress = no_progress) -> EvalResult:
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
    dataset = load_dataset(config.data.dataset, config.data.data_root, pseudo=())
    samples = dataset.samples[config.data.split]
    if not samples:
        raise MedrovError(
            ErrorCode.NO_INPUT,
            f"{config.data.dataset} has no image in the split {config.data.split!r}",
            "Choose another --split.",
        )
    folder = None if config.output.folder is None else RunFolder(config.output.folder, EVALUATION)
    if folder is not None:
        folder.require_free(resume=config.output.resume, overwrite=config.output.overwrite)
    evaluation = _Evaluation(config, dataset, truth_sha256(dataset, samples), advance)
    detector = None if config.predictions is not None else _resolve(config, dataset)
    found, warnings = evaluation.detections(detector)
    scene = ScoredSplit(dataset, samples, found, config.selection.max_det, config.plain)
    calibration = None if detector is None else detector.file.metadata.calibration
    if config.fit is not None and detector is not None:
        calibration = evaluation.fit(scene, detector, config.fit)
    subject = EvaluatedModel(config, evaluation.truth_sha256, detector, calibration, tuple(warnings))
    report, outcome = build_document(scene, subject, lambda done, total: advance(done, total, "scoring"))
    if config.synonyms and detector is not None:
        report["synonyms"] = evaluation.synonyms(scene, detector)
    if folder is not None:
        evaluation.write(folder, report, scene, outcome)
    return EvalResult(report, config.output.folder, config.fit)


def _resolve(config: EvaluateSettings, dataset: Dataset) -> DatasetModel:
    """Return the weights, or the exported model, that the settings name, on the dataset's classes."""
    file = read_model_file(config.weights)
    if file.exported is not None and config.fit is not None:
        raise usage_error(
            f"--fit writes weights, and {file.path.name} is an exported model",
            "Fit the .safetensors weights, and export those again.",
        )
    if file.classes is not None and config.synonyms:
        raise fixed_classes_error("--synonyms", file)
    return DatasetModel.bind(file, dataset, config.runtime, text_encoder=config.text_encoder)


def export_truth(data: DatasetSettings, path: Path) -> int:
    """Write the truth of the split as one COCO file; return the number of its images.

    Raises
    ------
    MedrovError
        ``DATASET_INVALID``, ``OUTPUT_FAILED``.
    """
    dataset = load_dataset(data.dataset, data.data_root, pseudo=())
    write_truth(path, dataset, data.split)
    return len(dataset.samples[data.split])


def _write_json(path: Path, report: dict[str, Any]) -> None:
    with whole_file(path) as temporary:
        temporary.write_text(json.dumps(report, indent=1, allow_nan=False) + "\n", encoding="utf-8")


@dataclass(frozen=True, slots=True)
class _Evaluation:
    """What the steps share."""

    config: EvaluateSettings
    dataset: Dataset
    truth_sha256: str
    advance: Progress

    def detections(self, detector: DatasetModel | None) -> tuple[Sequence[Detections], list[str]]:
        """Return detections image by image, and warnings about them."""
        warnings = []
        left_out = sum(sample.left_out for sample in self.dataset.samples[self.config.data.split])
        if left_out:
            warnings.append(f"{left_out} annotation(s) without an area inside their image are left out")
        if detector is not None:
            warnings += detector.warnings
            return self.detect(detector, names_of_classes(self.dataset), "", "detecting"), warnings
        if self.config.predictions is None:
            raise ValueError("neither a detector nor predictions")
        found, elsewhere = read_predictions(self.config.predictions, self.dataset, self.config.data.split)
        if elsewhere:
            warnings.append(f"{elsewhere} prediction(s) on images of other splits are left out")
        return found, warnings

    def detect(
        self, detector: DatasetModel, names: Sequence[Sequence[str]], suffix: str, what: str
    ) -> Sequence[Detections]:
        """Return a detector's detections for some names of the classes."""
        config, samples = self.config, self.dataset.samples[self.config.data.split]
        selection, batch = config.selection, config.runtime.batch or COCO_BATCH
        identity = {
            "weights": detector.file.content_sha256,
            "truth": self.truth_sha256,
            "images": len(samples),
            "imgsz": detector.imgsz,
            "names": hashlib.sha256(json.dumps([detector.text_encoder, names]).encode()).hexdigest(),
            "engine": detector.engine_name,
            "precision": config.runtime.precision.value,
            "conf": selection.conf,
            "iou": selection.iou,
            "max_det": selection.max_det,
            "batch": batch,
        }
        folder = config.output.folder
        path = None if folder is None else folder / f"predictions{suffix}.jsonl"
        with closing(DetectionJournal(path, identity, resume=config.output.resume)) as journal:
            self.advance(len(journal.items), len(samples), what)
            if len(journal.items) < len(samples):
                self._detect_rest(detector, names, journal, what)
            journal.finish()
            return journal.detections

    def _detect_rest(
        self, detector: DatasetModel, names: Sequence[Sequence[str]], journal: DetectionJournal, what: str
    ) -> None:
        """Add the detections of the images that are not in the journal."""
        samples = self.dataset.samples[self.config.data.split]
        batch = self.config.runtime.batch or COCO_BATCH
        with (
            detector.open(names, self.config.selection) as predictor,
            closing(
                predictor.stream(samples[len(journal.items) :], batch=batch, batch_by="position")
            ) as stream,
        ):
            for item in stream:
                journal.add(require_readable(item))
                done = len(journal.items)
                if done % batch == 0 or done == len(samples):
                    self.advance(done, len(samples), what)

    def fit(self, scene: ScoredSplit, detector: DatasetModel, target: Path) -> CalibrationInfo:
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
            split=self.config.data.split,
            imgsz=detector.imgsz,
        )
        metadata = dataclasses.replace(detector.file.metadata, calibration=info)
        container.save(target, container.load_tensors(detector.file.path), metadata)
        return info

    def write(self, folder: RunFolder, report: dict[str, Any], scene: ScoredSplit, outcome: Outcome) -> None:
        """Write the report in all its forms; ``report.json`` last, which says that all is there."""
        write_predictions(folder.path / PREDICTIONS, self.dataset, self.config.data.split, scene.detections)
        write_images_csv(folder.path / "images.csv", scene, outcome)
        write_plots(folder.path / "curves", report)
        write_report_html(folder.path / "report.html", report, gallery_of(scene, outcome))
        folder.finish(lambda path: _write_json(path, report))

    def synonyms(self, scene: ScoredSplit, detector: DatasetModel) -> dict[str, Any]:
        """Score every class under each of its names."""
        names = names_of_classes(self.dataset)
        total = max(map(len, names))

        def detect(texts: Sequence[str], number: int) -> Sequence[Detections]:
            what = f"detecting by name {number + 1} of {total}"
            return self.detect(detector, [(text,) for text in texts], f"-name{number + 1}", what)

        return synonyms_section(scene, names, detect)
