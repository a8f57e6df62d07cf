"""Add labels to a dataset: of classes that its sources may show without annotating them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.base.progress import Progress, no_progress
from medrov_cli.core.datasets.coco_records import CocoDocument
from medrov_cli.core.datasets.dataset import Dataset, load_dataset
from medrov_cli.core.datasets.labelled_documents import ImageLabels, read_labelled, with_added
from medrov_cli.core.datasets.labelled_folder import MANIFEST, LabelledFolder, write_folder
from medrov_cli.core.datasets.presence import POSSIBLE
from medrov_cli.core.datasets.sources import ANNOTATIONS, Sample
from medrov_cli.core.datasets.truth import truth_sha256
from medrov_cli.core.prediction.dataset_model import DatasetModel, names_of_classes
from medrov_cli.core.prediction.detection_journal import DetectionJournal
from medrov_cli.core.prediction.ensemble import Ensemble
from medrov_cli.core.prediction.model_file import read_model_file
from medrov_cli.core.pseudolabeling.manifest import build_manifest, marks_of
from medrov_cli.core.pseudolabeling.rules import labels_for
from medrov_cli.core.pseudolabeling.search import search_samples
from medrov_cli.core.records.detections import Detections, Failure
from medrov_cli.core.reports.review import write_review
from medrov_cli.core.runs.folder import RunFolder
from medrov_cli.core.runs.identity import Refusal
from medrov_cli.core.runs.journal import Journal, read_records
from medrov_cli.core.runs.kind import RunKind
from medrov_cli.core.settings.choices import SPLITS
from medrov_cli.core.settings.pseudolabel import PseudolabelSettings
from medrov_cli.core.settings.values import Shard


@dataclass(frozen=True, slots=True)
class PseudoLabelResult:
    """What came of a run.

    Attributes
    ----------
    manifest
        The document of schema ``medrov.pseudolabel/1``; as ``manifest.json`` where one was written.
    is_written
        Whether there is a dataset.
    waiting_for
        Shards without which it cannot be written yet.
    """

    manifest: dict[str, Any]
    is_written: bool = False
    waiting_for: tuple[str, ...] = ()


def run_pseudolabeling(config: PseudolabelSettings, advance: Progress = no_progress) -> PseudoLabelResult:
    """Find what a dataset's sources may show without annotating it, and write a dataset with it.

    Images that cannot be read keep their annotations and are ``failures`` of the manifest; without any
    that can, no dataset is written.

    Parameters
    ----------
    config
        All settings.
    advance
        Called with the steps done, their total, and what is being done.

    Raises
    ------
    MedrovError
        ``USAGE``, ``DATASET_INVALID``, ``NO_INPUT``, ``OUTPUT_FAILED``, or a code of weights and
        text encoder.
    """
    config.check()
    dataset = load_dataset(
        config.data.dataset, config.data.data_root, presence=config.presence, pseudo=SPLITS
    )
    samples = _searched(dataset, config)
    if config.output.folder is not None and not config.dry_run:
        folder = RunFolder(config.output.folder, _kind(config))
        folder.require_free(resume=config.output.resume, overwrite=config.output.overwrite)
    detectors = [
        DatasetModel.bind(read_model_file(name), dataset, config.runtime, text_encoder=config.text_encoder)
        for name in config.weights
    ]
    run = _Run(config, dataset, samples, detectors, advance)
    if config.shard is None:
        return run.finish(run.search(samples, _journal_path(config, None), None))
    number, count = config.shard.number, config.shard.count
    own = run.search(samples[number - 1 :: count], _journal_path(config, config.shard), config.shard)
    shards = [Shard(other, count) for other in range(1, count + 1)]
    missing = tuple(str(shard) for shard in shards if not run.is_done(shard))
    if missing:
        return PseudoLabelResult(run.manifest(own, run.labels(own)), waiting_for=missing)
    return run.finish(run.joined(shards))


def _searched(dataset: Dataset, config: PseudolabelSettings) -> list[Sample]:
    """Return the images that can get a label."""
    wanted = (dataset.presence == POSSIBLE).any(1)
    if not wanted.any():
        raise MedrovError(
            ErrorCode.NO_INPUT,
            f"{config.data.dataset}: every class is annotated or impossible in every source",
            "Give a presence table with a 0 for classes that are visible without annotation: --presence.",
        )
    samples = [s for split in config.splits for s in dataset.samples[split] if wanted[s.source_id]]
    if not samples:
        raise MedrovError(
            ErrorCode.NO_INPUT,
            f"{config.data.dataset}: no image of {', '.join(config.splits)} can get a label",
            "Choose other --splits.",
        )
    return samples


def _kind(config: PseudolabelSettings) -> RunKind:
    """Return what a run keeps in its folder, which the runs of other shards share."""
    journal = _journal_path(config, config.shard)
    return RunKind(
        taken=Refusal(
            "--output {folder} already contains pseudo-labels, or a part of them",
            "Add --resume to continue, --overwrite, or give another --output.",
        ),
        marks=(MANIFEST, journal.name, Journal(journal).partial.name),
    )


def _journal_path(config: PseudolabelSettings, shard: Shard | None) -> Path:
    suffix = "" if shard is None else f"-{shard.number}-of-{shard.count}"
    return (config.output.folder or Path()) / f"proposals{suffix}.jsonl"


SearchedImage = tuple[Sample, Detections | Failure]
"""An image, and what was found in it, or why it could not be read."""


@dataclass(frozen=True, slots=True)
class _Run:
    """What the steps share."""

    config: PseudolabelSettings
    dataset: Dataset
    samples: Sequence[Sample]
    detectors: Sequence[DatasetModel]
    advance: Progress

    def search(self, samples: Sequence[Sample], path: Path, shard: Shard | None) -> list[SearchedImage]:
        """Look at some images; at those in the journal only if they could not be read then."""
        config = self.config
        kept_at = None if config.dry_run else path

        def report(done: int, total: int) -> None:
            self.advance(done, total, "looking")

        with closing(
            DetectionJournal(kept_at, self._identity(shard), resume=config.output.resume)
        ) as journal:
            if len(journal.items) == len(samples) and not journal.failures:
                report(len(samples), len(samples))
                journal.finish()
            else:
                names = names_of_classes(self.dataset)
                ensemble = Ensemble.open(self.detectors, config.weights, names, config.rule)
                search_samples(ensemble, samples, config, journal, report)
        return list(zip(samples, journal.items, strict=True))

    def is_done(self, shard: Shard) -> bool:
        """Tell whether a shard with these settings is whole."""
        path = _journal_path(self.config, shard)
        return path.exists() and next(read_records(path), None) == self._identity(shard)

    def joined(self, shards: Sequence[Shard]) -> list[SearchedImage]:
        """Return what came of all shards, in the order of the images."""
        found: list[Detections | Failure | None] = [None] * len(self.samples)
        for shard in shards:
            part = slice(shard.number - 1, None, shard.count)
            path = _journal_path(self.config, shard)
            journal = DetectionJournal(path, self._identity(shard), resume=True)
            found[part] = journal.items
        searched = [(s, item) for s, item in zip(self.samples, found, strict=True) if item is not None]
        if len(searched) < len(found):
            raise AssertionError("the shards do not contain all images")
        return searched

    def labels(self, searched: Sequence[SearchedImage]) -> dict[int, list[ImageLabels]]:
        """Return the labels of each source, in the order of its images, the best first in each."""
        rule, classes = self.config.rule, self.dataset.classes
        labels: dict[int, list[ImageLabels]] = {}
        for sample, found in searched:
            if isinstance(found, Failure):
                continue
            kept = labels_for(found, sample, self.dataset.presence, rule.max_truth_iou, rule.score)
            if len(kept):
                named = replace(kept, classes=classes)
                labels.setdefault(sample.source_id, []).append((sample.image_id, named))
        return labels

    def finish(self, searched: Sequence[SearchedImage]) -> PseudoLabelResult:
        """Write the dataset and the page for its review, unless nothing is to be written."""
        config = self.config
        labels, output = self.labels(searched), config.output.folder
        manifest = self.manifest(searched, labels)
        if config.dry_run or output is None or not manifest["images"]:
            return PseudoLabelResult(manifest)
        marks = marks_of(config, self.detectors)

        def changed(row: int) -> CocoDocument | None:
            if row not in labels:
                return None
            original = read_labelled(self.dataset.sources[row].folder / ANNOTATIONS)
            return with_added(original, labels[row], marks)

        manifest = write_folder(output, self.dataset, changed, manifest)
        if config.review is not None:
            folder = LabelledFolder.open(output)
            write_review(config.review, folder, self.advance)
        return PseudoLabelResult(manifest, is_written=True)

    def manifest(
        self, searched: Sequence[SearchedImage], labels: dict[int, list[ImageLabels]]
    ) -> dict[str, Any]:
        """Return the manifest of what came of some images."""
        samples = [sample for sample, found in searched if isinstance(found, Detections)]
        failures = [(sample, found.error) for sample, found in searched if isinstance(found, Failure)]
        return build_manifest(self.config, self.dataset, self.detectors, samples, failures, labels)

    def _identity(self, shard: Shard | None) -> dict[str, Any]:
        """Return what must be equal for an earlier run's findings to be of use."""
        images = len(self.samples) if shard is None else len(self.samples[shard.number - 1 :: shard.count])
        config, rule = self.config, self.config.rule
        asked = [[d.text_encoder for d in self.detectors], names_of_classes(self.dataset)]
        engines = [d.engine_name for d in self.detectors]
        return {
            "weights": [d.file.sha256 for d in self.detectors],
            "images": images,
            "dataset": truth_sha256(self.dataset, self.samples),
            "imgsz": [rule.sides(d.imgsz) for d in self.detectors],
            "names": hashlib.sha256(json.dumps(asked).encode()).hexdigest(),
            "engine": engines[0] if len(set(engines)) == 1 else engines,
            "precision": config.runtime.precision.value,
            "batch": config.runtime.batch,
            "flip": rule.flip,
            "shard": None if shard is None else str(shard),
            **{k: v for k, v in marks_of(config, self.detectors)["rule"].items() if k != "truth_iou"},
        }
