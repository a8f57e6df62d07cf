"""Procedure of ``medrov learn``: classes from examples, with the network as it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from medrov_cli.core.base.errors import ErrorCode, ExitCode, MedrovError, usage_error
from medrov_cli.core.base.files import require_absent
from medrov_cli.core.base.progress import Progress, no_progress
from medrov_cli.core.base.versions import __version__
from medrov_cli.core.learning.class_fit import MANY_CLASSES, ClassTask
from medrov_cli.core.learning.examples import ExampleSet, read_examples
from medrov_cli.core.learning.starts import as_arrays, text_vectors
from medrov_cli.core.learning.views import ViewSet, compute_views
from medrov_cli.core.prediction.dataset_model import embed_names
from medrov_cli.core.prediction.embedding_space import EmbeddingSpace, Vector
from medrov_cli.core.prediction.model_file import WeightsFile
from medrov_cli.core.prediction.open_predictor import count_streams, guiding_classes
from medrov_cli.core.settings.learn import LearnSettings
from medrov_cli.core.weights import container, resolution
from medrov_cli.core.weights.learned_file import (
    LearnedClass,
    LearnedFile,
    LearnedInfo,
    NetworkIdentity,
    read_learned,
    write_learned,
)

SCHEMA = "medrov.learn/1"


@dataclass(frozen=True, slots=True)
class LearnResult:
    """Result of a run, or a file that is shown.

    Attributes
    ----------
    file
        The file of learned classes.
    size_bytes
        Size of the file.
    failures
        Images that could not be read.
    warnings
        Sentences about the examples.
    """

    file: LearnedFile
    size_bytes: int
    failures: tuple[tuple[str, MedrovError], ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def exit_code(self) -> ExitCode:
        """Return the exit code of the command."""
        return ExitCode.PARTIAL if self.failures else ExitCode.OK

    def as_dict(self) -> dict[str, Any]:
        """Return the document of schema ``medrov.learn/1``."""
        return {
            "schema": SCHEMA,
            "path": str(self.file.path),
            "bytes": self.size_bytes,
            "learned": self.file.info.as_dict(),
            "failures": [{"path": path, "error": error.as_dict()} for path, error in self.failures],
            "warnings": list(self.warnings),
        }


def run_learning(config: LearnSettings, progress: Progress = no_progress) -> LearnResult:
    """Learn classes from examples, or show a file of learned classes.

    Raises
    ------
    MedrovError
        ``USAGE``; ``NO_INPUT`` without a usable example; ``DATASET_INVALID``; ``OUTPUT_FAILED``; the codes of
        weights, engines and text encoders. An image that fails is a record of the result.
    """
    config.check()
    if config.show:
        return LearnResult(read_learned(config.examples), config.examples.stat().st_size)
    if config.output is None:
        raise ValueError("the settings are not checked")
    require_absent(config.output, overwrite=config.overwrite)
    network = _network(config)
    examples = read_examples(config)
    views = _views(config, network, examples, progress)
    examples = _readable(examples, views)
    info, vectors = _fit(config, network, examples, views, progress)
    file = _learned_file(config.output, info, vectors)
    write_learned(file)
    failures = (*examples.failures, *views.failures)
    return LearnResult(file, config.output.stat().st_size, failures, examples.warnings)


def _network(config: LearnSettings) -> WeightsFile:
    path = resolution.resolve(config.weights, exported=True)
    if path.suffix.lower() != ".safetensors":
        raise usage_error(
            f"--weights {path.name} is an exported model, without region vectors",
            "Give the .safetensors weights.",
        )
    return WeightsFile.read(path)


def _views(config: LearnSettings, network: WeightsFile, examples: ExampleSet, progress: Progress) -> ViewSet:
    runtime = config.runtime
    guides = guiding_classes(network).embeddings
    engine = network.open(
        guides, runtime, imgsz=runtime.imgsz or network.imgsz, streams=count_streams(many=True)
    )
    views = compute_views(engine, examples.images, examples.classes, progress)
    if not views.plain:
        raise MedrovError(
            ErrorCode.NO_INPUT, f"no image of {examples.name} can be read", "Check the images: medrov detect."
        )
    return views


def _readable(examples: ExampleSet, views: ViewSet) -> ExampleSet:
    """Return the set after a check that every class has an example in an image that was read."""
    shown = np.concatenate([view.labels for view in views.plain])
    lost = [name for label, name in enumerate(examples.classes) if label not in shown]
    if lost:
        raise MedrovError(
            ErrorCode.NO_INPUT,
            f"all images with examples of {', '.join(map(repr, lost[:5]))} cannot be read",
            "Repair the images, or name other --classes.",
        )
    return examples


def _fit(
    config: LearnSettings,
    network: WeightsFile,
    examples: ExampleSet,
    views: ViewSet,
    progress: Progress,
) -> tuple[LearnedInfo, list[list[Vector]]]:
    """Fit all classes; each fit is independent of the others."""
    tensors = container.load_tensors(network.path)
    encoder = config.text_encoder or network.text_encoder
    texts = text_vectors(tensors, embed_names(examples.texts, encoder, offline=config.runtime.offline))
    imgsz = config.runtime.imgsz or network.imgsz
    space = EmbeddingSpace.from_tensors(tensors)
    names = list(dict.fromkeys(image.group for image in examples.images))
    groups = [names.index(image.group) for image in examples.images]
    records: list[LearnedClass] = []
    vectors: list[list[Vector]] = []
    for label, name in enumerate(examples.classes):
        progress(label, len(examples.classes), "classes")
        task = ClassTask(
            name,
            label,
            texts[label],
            views,
            groups,
            space,
            imgsz,
            config.folds,
            chooses=len(examples.classes) <= MANY_CLASSES,
        )
        own, record = task.fit()
        vectors.append(own)
        records.append(record)
    progress(len(examples.classes), len(examples.classes), "classes")
    info = LearnedInfo(
        NetworkIdentity(network.metadata.name, network.content_sha256, imgsz),
        tuple(records),
        config.licence,
        f"medrov {__version__}",
        {
            "examples": examples.name,
            "classes": {name: list(own) for name, own in zip(examples.classes, examples.texts, strict=True)},
            "images": len(views.plain),
            "folds": config.folds,
            "text_encoder": encoder,
        },
    )
    return info, vectors


def _learned_file(path: Path, info: LearnedInfo, vectors: Sequence[Sequence[Vector]]) -> LearnedFile:
    kernels, constants = as_arrays([vector for own in vectors for vector in own])
    classes = np.repeat(np.arange(len(vectors)), [len(own) for own in vectors])
    return LearnedFile(path, info, kernels, constants, classes)
