"""Manifest of a pseudo-labelling run: model, rule, inputs, counts, versions. It contains no dates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from medrov_cli.core.base.constants import RESEARCH_NOTICE
from medrov_cli.core.base.errors import MedrovError
from medrov_cli.core.base.files import sha256_of_file
from medrov_cli.core.base.versions import __version__, version_of
from medrov_cli.core.datasets.dataset import Dataset
from medrov_cli.core.datasets.labelled_documents import ImageLabels, counts_of
from medrov_cli.core.datasets.labelled_folder import possible_classes
from medrov_cli.core.datasets.sources import ANNOTATIONS, Sample
from medrov_cli.core.prediction.dataset_model import DatasetModel
from medrov_cli.core.settings.label_rule import rule_record
from medrov_cli.core.settings.pseudolabel import PseudolabelSettings

SCHEMA = "medrov.pseudolabel/1"


def build_manifest(
    config: PseudolabelSettings,
    dataset: Dataset,
    detectors: Sequence[DatasetModel],
    samples: Sequence[Sample],
    failures: Sequence[tuple[Sample, MedrovError]],
    labels: Mapping[int, Sequence[ImageLabels]],
) -> dict[str, Any]:
    """Return the manifest: model, rule, inputs and counts.

    Parameters
    ----------
    config
        All settings.
    dataset
        The dataset.
    detectors
        The weights.
    samples
        The searched images.
    failures
        Images that could not be read, with their errors.
    labels
        By source.
    """
    sources = {}
    for row, source in enumerate(dataset.sources):
        own = labels.get(row, ())
        sources[source.name] = {
            "modality": source.modality.value,
            "images": sum(sample.source_id == row for sample in samples),
            "boxes": sum(len(found) for _, found in own),
            "classes": counts_of(own, possible_classes(dataset, row)),
            "annotations_sha256": sha256_of_file(source.folder / ANNOTATIONS),
        }
    packages = ("numpy", "opencv-python", "torch")
    return {
        "schema": SCHEMA,
        "notice": RESEARCH_NOTICE,
        "dataset": {"name": dataset.name, "sha256": sha256_of_file(config.data.dataset)},
        "splits": list(config.splits),
        **marks_of(config, detectors),
        "images": len(samples),
        "boxes": sum(len(found) for own in labels.values() for _, found in own),
        "sources": sources,
        "failures": [
            {"path": _path_of(sample, dataset), "error": error.as_dict()} for sample, error in failures
        ],
        "versions": {"medrov": __version__, **{name: version_of(name) for name in packages}},
    }


def _path_of(sample: Sample, dataset: Dataset) -> str:
    """Return the name of an image in reports: its source, and its file below the source's images."""
    source, path = dataset.sources[sample.source_id], sample.image_path
    below = path.relative_to(source.images).as_posix() if path.is_relative_to(source.images) else path.name
    return f"{source.name}/{below}"


def marks_of(config: PseudolabelSettings, detectors: Sequence[DatasetModel]) -> dict[str, Any]:
    """Return the fields of each label on its origin: the model (``models`` for several) and the rule."""
    models = [{"name": d.file.metadata.name, "sha256": d.file.sha256} for d in detectors]
    rule = config.rule
    views = len(detectors) * len(rule.scales) * (1 + rule.flip)
    named = {"model": models[0]} if len(models) == 1 else {"models": models}
    return {**named, "rule": rule_record(rule, views)}
