"""Check of a dataset before training."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from medrov_cli.core.base.errors import MedrovError
from medrov_cli.core.base.progress import Progress, no_progress
from medrov_cli.core.curation.box_checks import (
    check_boxes,
    check_cases_between,
    check_classes,
    check_sides,
    check_splits,
)
from medrov_cli.core.curation.duplicates import near_duplicates
from medrov_cli.core.curation.fingerprints import Fingerprint, fingerprints
from medrov_cli.core.curation.issues import Code, DatasetIssue, Severity
from medrov_cli.core.curation.label_checks import check_class_names, check_form
from medrov_cli.core.datasets.coco_records import CocoImage
from medrov_cli.core.datasets.dataset import load_dataset
from medrov_cli.core.datasets.source_set import (
    UNSPLIT,
    OpenSource,
    SourceSet,
    open_inputs,
    split_of,
)
from medrov_cli.core.settings.data import CheckSettings

SCHEMA = "medrov.data.check/1"


@dataclass(frozen=True, slots=True)
class DatasetCheck:
    """Issues of a dataset, errors first."""

    name: str
    sources: int
    images: int
    boxes: int
    findings: tuple[DatasetIssue, ...]

    @property
    def has_errors(self) -> bool:
        """Return whether an issue has the severity error."""
        return any(finding.severity is Severity.ERROR for finding in self.findings)

    def counts(self) -> dict[str, int]:
        """Return the number of issues by severity."""
        found = Counter(finding.severity for finding in self.findings)
        return {severity.value: found[severity] for severity in Severity}

    def as_dict(self) -> dict[str, Any]:
        """Return the document of schema ``medrov.data.check/1``."""
        return {
            "schema": SCHEMA,
            "name": self.name,
            "sources": self.sources,
            "images": self.images,
            "boxes": self.boxes,
            "counts": self.counts(),
            "findings": [finding.as_dict() for finding in self.findings],
        }


def check_dataset(config: CheckSettings, progress: Progress = no_progress) -> DatasetCheck:
    """Return all issues of a dataset.

    Raises
    ------
    MedrovError
        ``DATASET_INVALID`` if no source can be opened; ``USAGE``.
    """
    opened = open_inputs(config.inputs, config.data_root)
    findings = [*_openable(opened, config.data_root)]
    for source in opened.sources:
        findings += [*check_splits(source), *check_boxes(source), *check_form(source)]
    findings += [
        *check_classes(opened.sources),
        *check_class_names(opened.sources),
        *check_cases_between(opened.sources),
        *check_sides(opened.sources),
        *_check_images(opened.sources, config, progress),
    ]
    severities = list(Severity)
    findings.sort(key=lambda f: (severities.index(f.severity), f.code, f.where, f.message))
    return DatasetCheck(
        name=opened.name,
        sources=len(opened.sources),
        images=sum(len(source.images) for source in opened.sources),
        boxes=sum(len(source.annotations) for source in opened.sources),
        findings=tuple(findings),
    )


def _openable(opened: SourceSet, data_root: Path | None) -> Iterator[DatasetIssue]:
    for name, error in opened.failures:
        yield DatasetIssue(Code.SOURCE_UNUSABLE, name, error.message)
    complete = all(split_of(image) != UNSPLIT for source in opened.sources for image in source.images)
    if opened.yaml_path is None or opened.failures or not complete:
        return  # the reason is already an issue
    try:
        load_dataset(opened.yaml_path, data_root)
    except MedrovError as error:
        yield DatasetIssue(Code.DATASET_INVALID, opened.name, error.message)


def _check_images(
    sources: Sequence[OpenSource], config: CheckSettings, progress: Progress
) -> Iterator[DatasetIssue]:
    records = [(source, image) for source in sources for image in source.images]
    files = [(s.path_of(image), (image.height, image.width)) for s, image in records]
    prints = fingerprints(files, config.copies.threads, progress)
    for (source, image), one in zip(records, prints, strict=True):
        if one.problem is not None:
            yield DatasetIssue(one.problem[0], source.where(image), one.problem[1])
    rows = [
        r
        for r, (_, image) in enumerate(records)
        if prints[r].thumbnail is not None and split_of(image) != UNSPLIT
    ]
    yield from _check_duplicates([records[r] for r in rows], [prints[r] for r in rows], config)


def _check_duplicates(
    records: Sequence[tuple[OpenSource, CocoImage]], prints: Sequence[Fingerprint], config: CheckSettings
) -> Iterator[DatasetIssue]:
    if not records:
        return
    pairs = near_duplicates(
        np.stack([one.thumbnail for one in prints if one.thumbnail is not None]),
        np.asarray([one.phash for one in prints], dtype=np.uint64),
        [split_of(image) for _, image in records],
        [source.name for source, _ in records],
        [source.modality.value for source, _ in records],
        config.copies.max_hamming,
        config.copies.min_correlation,
    )
    for pair in pairs:
        (source, image), (other, twin) = records[pair.first], records[pair.second]
        yield DatasetIssue(
            Code.NEAR_DUPLICATE,
            source.where(image),
            f"the image in {split_of(image)} is a near-copy of {other.where(twin)} in {split_of(twin)} "
            f"(correlation {pair.correlation:.3f})",
        )
