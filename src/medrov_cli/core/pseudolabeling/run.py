"""Add labels to a dataset, of classes that its sources can show but do not annotate."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from medrov_cli.core.base.progress import Progress, no_progress
from medrov_cli.core.datasets.coco_records import CocoDocument
from medrov_cli.core.datasets.dataset import Dataset, load_dataset
from medrov_cli.core.datasets.labelled_documents import ImageLabels, read_labelled, with_added
from medrov_cli.core.datasets.labelled_folder import (
    MANIFEST,
    LabelledFolder,
    require_no_original,
    write_folder,
)
from medrov_cli.core.datasets.sources import ANNOTATIONS, Sample
from medrov_cli.core.datasets.truth import truth_sha256
from medrov_cli.core.prediction.dataset_model import DatasetModel
from medrov_cli.core.prediction.learned_classes import LearnedClasses
from medrov_cli.core.prediction.model_file import read_model_file
from medrov_cli.core.prediction.sample_cluster import SampleCluster
from medrov_cli.core.prediction.sample_search import EnsembleSearch
from medrov_cli.core.pseudolabeling.manifest import build_manifest, marks_of
from medrov_cli.core.pseudolabeling.proposal_files import journal_path, kind_of_run
from medrov_cli.core.pseudolabeling.rules import labels_for
from medrov_cli.core.pseudolabeling.search import STAGE, search_samples, select_samples
from medrov_cli.core.records.detections import Detections, Failure
from medrov_cli.core.reports.review import require_free, write_review
from medrov_cli.core.runs.detection_journal import DetectionJournal
from medrov_cli.core.runs.folder import RunFolder
from medrov_cli.core.runs.journal import read_records
from medrov_cli.core.runs.stored_output import stored_output
from medrov_cli.core.settings.choices import SPLITS
from medrov_cli.core.settings.pseudolabel import PseudolabelSettings
from medrov_cli.core.settings.values import Shard
from medrov_cli.core.text.class_names import names_of_classes


@dataclass(frozen=True, slots=True)
class PseudoLabelResult:
    """Result of a run.

    Attributes
    ----------
    manifest
        The document of schema ``medrov.pseudolabel/1``: the content of ``manifest.json``.
    is_written
        Whether the dataset was written.
    waiting_for
        Shards that must be complete before the dataset can be written.
    """

    manifest: dict[str, Any]
    is_written: bool = False
    waiting_for: tuple[str, ...] = ()


def run_pseudolabeling(config: PseudolabelSettings, advance: Progress = no_progress) -> PseudoLabelResult:
    """Search a dataset for classes that its sources can show but do not annotate; write a new dataset.

    Images that cannot be read keep their annotations and are ``failures`` of the manifest. If no image can
    be read, no dataset is written.

    Parameters
    ----------
    config
        All settings.
    advance
        Called with the number of finished steps, their total and the stage.

    Raises
    ------
    MedrovError
        ``USAGE``, ``DATASET_INVALID``, ``NO_INPUT``, ``OUTPUT_FAILED``, or a code of weights and
        text encoder.
    """
    config.check()
    if config.dry_run:
        return _label(config, advance)
    if config.review is not None:
        require_free(config.review, resume=config.output.resume, overwrite=config.output.overwrite)
    with stored_output(config.output, MANIFEST, offline=config.runtime.offline) as output:
        return _label(replace(config, output=output), advance)


def _label(config: PseudolabelSettings, advance: Progress) -> PseudoLabelResult:
    dataset = load_dataset(
        config.data.dataset, config.data.data_root, presence=config.presence, pseudo=SPLITS
    )
    samples = select_samples(dataset, config)
    folder = None
    if config.output.folder is not None and not config.dry_run:
        require_no_original(config.output.folder, dataset, config.data.dataset, config.presence)
        folder = RunFolder(config.output.folder, kind_of_run(config, dataset))
        folder.check(None, resume=config.output.resume, overwrite=config.output.overwrite)
    files = [read_model_file(name) for name in config.weights]
    learned = LearnedClasses.read_for_each(config.learned, files)
    detectors = [
        DatasetModel.bind(file, dataset, config.runtime, text_encoder=config.text_encoder, learned=own)
        for file, own in zip(files, learned, strict=True)
    ]
    search = EnsembleSearch(config.weights, config.rule, config.threads)
    with ExitStack() as stack:
        cluster = None
        if config.cluster.on is not None:
            cluster = stack.enter_context(SampleCluster(config.cluster, detectors, config.learned, search))
            detectors = cluster.with_engines(detectors)
        if folder is not None:
            stack.enter_context(folder)
            folder.claim(None, resume=config.output.resume, overwrite=config.output.overwrite)
        return _Run(config, dataset, samples, detectors, search, cluster, advance).execute()


SearchedImage = tuple[Sample, Detections | Failure]
"""An image with its detections, or with the error that it could not be read with."""


@dataclass(frozen=True, slots=True)
class _Run:
    """Inputs and steps of one run."""

    config: PseudolabelSettings
    dataset: Dataset
    samples: Sequence[Sample]
    detectors: Sequence[DatasetModel]
    how: EnsembleSearch
    cluster: SampleCluster | None
    advance: Progress

    def execute(self) -> PseudoLabelResult:
        """Search all images or those of a shard, and write the dataset after the last shard."""
        samples, shard = self.samples, self.config.shard
        if shard is None:
            return self.finish(self.search(samples, journal_path(self.config, None), None))
        own = self.search(samples[shard.number - 1 :: shard.count], journal_path(self.config, shard), shard)
        shards = [Shard(other, shard.count) for other in range(1, shard.count + 1)]
        missing = tuple(str(other) for other in shards if not self.is_done(other))
        if missing:
            return PseudoLabelResult(self.manifest(own, self.labels(own)), waiting_for=missing)
        return self.finish(self.joined(shards))

    def search(self, samples: Sequence[Sample], path: Path, shard: Shard | None) -> list[SearchedImage]:
        """Search images; those in the journal only if the earlier run could not read them."""
        config = self.config
        kept_at = None if config.dry_run else path

        with closing(
            DetectionJournal(kept_at, self._identity(shard), resume=config.output.resume)
        ) as journal:
            if len(journal.items) == len(samples) and not journal.failures:
                self.advance(len(samples), len(samples), STAGE)
                journal.finish()
            else:
                names = names_of_classes(self.dataset.classes, self.dataset.synonyms)
                if self.cluster is None:
                    stream = self.how.open(self.detectors, names)
                    search_samples(stream, samples, config, journal, self.advance)
                else:
                    stream, describe = self.cluster.open(names), self.cluster.describe_stage
                    search_samples(stream, samples, config, journal, self.advance, describe)
        return list(zip(samples, journal.items, strict=True))

    def is_done(self, shard: Shard) -> bool:
        """Return whether a shard with these settings is complete."""
        path = journal_path(self.config, shard)
        return path.exists() and next(read_records(path), None) == self._identity(shard)

    def joined(self, shards: Sequence[Shard]) -> list[SearchedImage]:
        """Return the results of all shards, in the order of the images."""
        found: list[Detections | Failure | None] = [None] * len(self.samples)
        for shard in shards:
            part = slice(shard.number - 1, None, shard.count)
            path = journal_path(self.config, shard)
            journal = DetectionJournal(path, self._identity(shard), resume=True)
            found[part] = journal.items
        searched = [(s, item) for s, item in zip(self.samples, found, strict=True) if item is not None]
        if len(searched) < len(found):
            raise AssertionError("the shards do not contain all images")
        return searched

    def labels(self, searched: Sequence[SearchedImage]) -> dict[int, list[ImageLabels]]:
        """Return the labels of each source, in the order of its images, highest score first in each image."""
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
        """Write the dataset and its review page, except in a dry run."""
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

        manifest = write_folder(output, self.dataset, changed, manifest, is_moved=bool(config.output.address))
        if config.review is not None:
            folder = LabelledFolder.open(output)
            write_review(config.review, folder, self.advance)
        return PseudoLabelResult(manifest, is_written=True)

    def manifest(
        self, searched: Sequence[SearchedImage], labels: dict[int, list[ImageLabels]]
    ) -> dict[str, Any]:
        """Return the manifest of the searched images."""
        samples = [sample for sample, found in searched if isinstance(found, Detections)]
        failures = [(sample, found.error) for sample, found in searched if isinstance(found, Failure)]
        return build_manifest(self.config, self.dataset, self.detectors, samples, failures, labels)

    def _identity(self, shard: Shard | None) -> dict[str, Any]:
        """Return the record of the journal: a run is resumed if it is equal."""
        images = len(self.samples) if shard is None else len(self.samples[shard.number - 1 :: shard.count])
        config, rule = self.config, self.config.rule
        searched = [
            [d.text_encoder for d in self.detectors],
            names_of_classes(self.dataset.classes, self.dataset.synonyms),
        ]
        searched += [d.learned_identity for d in self.detectors if d.learned_identity]
        engines = [d.engine_name for d in self.detectors]
        formats = [d.precision for d in self.detectors]
        return {
            "weights": [d.file.sha256 for d in self.detectors],
            "images": images,
            "dataset": truth_sha256(self.dataset, self.samples),
            "imgsz": [rule.sides(d.imgsz) for d in self.detectors],
            "rectangles": [d.rectangles for d in self.detectors],
            "names": hashlib.sha256(json.dumps(searched).encode()).hexdigest(),
            "engine": engines[0] if len(set(engines)) == 1 else engines,
            "precision": formats[0] if len(set(formats)) == 1 else formats,
            "batch": config.runtime.batch,
            "flip": rule.flip,
            "shard": None if shard is None else str(shard),
            **{k: v for k, v in marks_of(config, self.detectors)["rule"].items() if k != "truth_iou"},
        }
