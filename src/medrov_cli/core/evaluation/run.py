"""Evaluation of a detector, or of given predictions, on a split of a dataset."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from medrov_cli.core.base.errors import ErrorCode, MedrovError, usage_error
from medrov_cli.core.base.files import whole_file
from medrov_cli.core.base.optional import FITTING, require_packages
from medrov_cli.core.base.progress import Progress, no_progress
from medrov_cli.core.datasets.dataset import Dataset, load_dataset
from medrov_cli.core.datasets.foreign_coco import read_predictions, write_predictions, write_truth
from medrov_cli.core.datasets.slides.region_samples import has_regions, tiles_of
from medrov_cli.core.datasets.truth import truth_sha256
from medrov_cli.core.evaluation.calibration_fit import write_fitted
from medrov_cli.core.evaluation.document import EvaluatedModel, build_document
from medrov_cli.core.evaluation.error_gallery import gallery_of, write_images_csv
from medrov_cli.core.evaluation.scored_split import ScoredSplit
from medrov_cli.core.evaluation.sections.comparison import PREDICTIONS
from medrov_cli.core.evaluation.sections.synonyms import synonyms_section
from medrov_cli.core.evaluation.split_search import SplitSearch
from medrov_cli.core.metrics.error_analysis import Outcome
from medrov_cli.core.prediction.dataset_model import DatasetModel, fixed_classes_error
from medrov_cli.core.prediction.learned_classes import LearnedClasses
from medrov_cli.core.prediction.model_file import read_model_file
from medrov_cli.core.prediction.sample_cluster import SampleCluster
from medrov_cli.core.prediction.sample_search import ModelSearch
from medrov_cli.core.records.detections import Detections
from medrov_cli.core.reports.evaluation import write_report_html
from medrov_cli.core.reports.plots import write_plots
from medrov_cli.core.runs.folder import RunFolder
from medrov_cli.core.runs.identity import Refusal
from medrov_cli.core.runs.kind import RunKind
from medrov_cli.core.runs.stored_output import stored_output
from medrov_cli.core.settings.evaluate import EvaluateSettings
from medrov_cli.core.settings.io_groups import DatasetSettings
from medrov_cli.core.text.class_names import names_of_classes

REPORT = "report.json"

EVALUATION = RunKind(
    taken=Refusal(
        "--output {folder} already contains an evaluation",
        "Add --resume to use its predictions, --overwrite, or give another --output.",
    ),
    marks=(REPORT, "predictions.jsonl", ".predictions*.partial"),
    foreign=Refusal(
        f"--output {{folder}}: {{file}} exists without the {REPORT} of an evaluation",
        "Give another --output, or --overwrite.",
    ),
    last=REPORT,
    files=(PREDICTIONS, "images.csv", "report.html", "curves/*"),
)
"""Folder of ``medrov eval``; the first line of each journal describes the run."""


@dataclass(frozen=True, slots=True)
class EvalResult:
    """Result of an evaluation.

    Attributes
    ----------
    report
        The document of schema ``medrov.eval/1``.
    output
        Folder of the files, or its address; null without one.
    fitted
        Weights file with the fitted calibration and operating points; null without a fit.
    """

    report: dict[str, Any]
    output: str | None
    fitted: Path | None


def run_evaluation(config: EvaluateSettings, advance: Progress = no_progress) -> EvalResult:
    """Score a detector, or a file of predictions, on a split.

    Parameters
    ----------
    config
        All settings.
    advance
        Called with the number of finished steps, their total and the stage.

    Raises
    ------
    MedrovError
        ``USAGE``, ``DEPENDENCY_MISSING``, ``DATASET_INVALID``, ``PREDICTIONS_INVALID``, ``NO_INPUT``,
        ``OUTPUT_FAILED``, or a code of weights and text encoder.
    """
    config.check()
    if config.fit is not None:
        require_packages("--fit", FITTING)
    with stored_output(config.output, REPORT, offline=config.runtime.offline) as output:
        return _evaluate(replace(config, output=output), advance)


def _evaluate(config: EvaluateSettings, advance: Progress) -> EvalResult:
    dataset = load_dataset(config.data.dataset, config.data.data_root, pseudo=(), slides=True)
    samples = dataset.samples[config.data.split]
    if not samples:
        raise MedrovError(
            ErrorCode.NO_INPUT,
            f"{config.data.dataset} has no image in the split {config.data.split!r}",
            "Choose another --split.",
        )
    folder = None if config.output.folder is None else RunFolder(config.output.folder, EVALUATION)
    if folder is not None:
        folder.check(None, resume=config.output.resume, overwrite=config.output.overwrite)
    evaluation = _Evaluation(config, dataset, truth_sha256(dataset, samples), folder, advance)
    with ExitStack() as stack:
        if folder is not None:
            stack.enter_context(folder)
        search = None if config.predictions is not None else evaluation.open_search(stack)
        return evaluation.run(search)


def _resolve(config: EvaluateSettings, dataset: Dataset) -> DatasetModel:
    """Return the weights, or the exported model, of the settings with the classes of the dataset."""
    file = read_model_file(config.weights)
    if file.exported is not None and config.fit is not None:
        raise usage_error(
            f"--fit writes weights, and {file.path.name} is an exported model",
            "Fit the .safetensors weights, and export those again.",
        )
    if file.classes is not None and config.synonyms:
        raise fixed_classes_error("--synonyms", file)
    learned = LearnedClasses.read(config.learned, file)
    return DatasetModel.bind(file, dataset, config.runtime, text_encoder=config.text_encoder, learned=learned)


def export_truth(data: DatasetSettings, path: Path) -> int:
    """Write the ground truth of the split as one COCO file; return the number of its images.

    Raises
    ------
    MedrovError
        ``DATASET_INVALID``, ``OUTPUT_FAILED``.
    """
    dataset = load_dataset(data.dataset, data.data_root, pseudo=(), slides=True)
    write_truth(path, dataset, data.split)
    return len(dataset.samples[data.split])


def _write_json(path: Path, report: dict[str, Any]) -> None:
    with whole_file(path) as temporary:
        temporary.write_text(json.dumps(report, indent=1, allow_nan=False) + "\n", encoding="utf-8")


@dataclass(frozen=True, slots=True)
class _Evaluation:
    """Inputs and steps of one evaluation."""

    config: EvaluateSettings
    dataset: Dataset
    truth_sha256: str
    folder: RunFolder | None
    advance: Progress

    def open_search(self, stack: ExitStack) -> SplitSearch:
        """Return the search of the split by the detector: here, or by workers that the stack ends."""
        config, samples = self.config, self.dataset.samples[self.config.data.split]
        detector = _resolve(config, self.dataset)
        how = ModelSearch(config.selection, tiles_of(samples))
        search = SplitSearch(config, samples, self.truth_sha256, detector, how, None, self.advance)
        if config.cluster.on is None:
            return search
        cluster = stack.enter_context(SampleCluster(config.cluster, [detector], config.learned, how))
        (detector,) = cluster.with_engines([detector])
        return replace(search, detector=detector, cluster=cluster)

    def run(self, search: SplitSearch | None) -> EvalResult:
        """Return the report on a detector's detections, or on the given ones, and write its files."""
        config = self.config
        detector = None if search is None else search.detector
        found, warnings = self.detections(search)
        samples = self.dataset.samples[config.data.split]
        max_det = config.selection.max_det
        if has_regions(samples):  # in tiles, the largest number holds for each tile
            max_det = max(max_det, *map(len, found))
        split = ScoredSplit(self.dataset, samples, found, max_det, config.plain)
        calibration = None if detector is None else detector.file.metadata.calibration
        if config.fit is not None and detector is not None:
            calibration = write_fitted(split, detector, config, config.fit, self.advance)
        evaluated = EvaluatedModel(config, self.truth_sha256, detector, calibration, tuple(warnings))
        report, outcome = build_document(split, evaluated, self.advance)
        if config.synonyms and search is not None:
            report["synonyms"] = self.synonyms(split, search)
        if self.folder is not None:
            self.write(self.folder, report, split, outcome)
        return EvalResult(report, config.output.place, config.fit)

    def detections(self, search: SplitSearch | None) -> tuple[Sequence[Detections], list[str]]:
        """Return the detections of each image, and warnings."""
        warnings = []
        left_out = sum(sample.left_out for sample in self.dataset.samples[self.config.data.split])
        if left_out:
            warnings.append(f"{left_out} annotation(s) without an area inside their image are left out")
        if search is not None:
            self._claim()
            warnings += search.detector.warnings
            return search.detect(
                names_of_classes(self.dataset.classes, self.dataset.synonyms), "", "detecting"
            ), warnings
        if self.config.predictions is None:
            raise ValueError("neither a detector nor predictions")
        found, elsewhere = read_predictions(self.config.predictions, self.dataset, self.config.data.split)
        conf = self.config.predictions_conf
        if conf is not None:
            found = [one.subset(one.scores >= conf) for one in found]
        if elsewhere:
            warnings.append(f"{elsewhere} prediction(s) on images of other splits are left out")
        self._claim()
        return found, warnings

    def _claim(self) -> None:
        """Lock the folder; the first line of each journal describes the run."""
        if self.folder is not None:
            output = self.config.output
            self.folder.claim(None, resume=output.resume, overwrite=output.overwrite)

    def write(self, folder: RunFolder, report: dict[str, Any], split: ScoredSplit, outcome: Outcome) -> None:
        """Write all files of the report, ``report.json`` last."""
        write_predictions(folder.path / PREDICTIONS, self.dataset, self.config.data.split, split.detections)
        write_images_csv(folder.path / "images.csv", split, outcome)
        write_plots(folder.path / "curves", report)
        write_report_html(folder.path / "report.html", report, gallery_of(split, outcome))
        folder.finish(lambda path: _write_json(path, report))

    def synonyms(self, split: ScoredSplit, search: SplitSearch) -> dict[str, Any]:
        """Return the section on the synonyms."""
        names = names_of_classes(self.dataset.classes, self.dataset.synonyms)
        total = max(map(len, names))

        def detect(texts: Sequence[str], number: int) -> Sequence[Detections]:
            what = f"detecting by name {number + 1} of {total}"
            return search.detect([(text,) for text in texts], f"-name{number + 1}", what)

        return synonyms_section(split, names, detect)
