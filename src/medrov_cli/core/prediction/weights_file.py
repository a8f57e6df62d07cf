"""Detections of a split by a detector, those of an earlier run first."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from medrov_cli.core.base.environment import usable_cores
from medrov_cli.core.datasets.dataset import Dataset
from medrov_cli.core.datasets.sources import Sample
from medrov_cli.core.engines.interface import Engine
from medrov_cli.core.engines.open_engine import choose_engine
from medrov_cli.core.prediction.detection_journal import DetectionJournal
from medrov_cli.core.prediction.open_predictor import open_detector
from medrov_cli.core.prediction.split_detection import Predictor, detect_batch
from medrov_cli.core.records.detections import Found
from medrov_cli.core.records.frame import Float32Array
from medrov_cli.core.settings.evaluate import EvalConfig
from medrov_cli.core.text.embedding import embed_texts, mean_embeddings
from medrov_cli.core.text.lexicon import synonyms_of
from medrov_cli.core.weights import container, resolution
from medrov_cli.core.weights.metadata import WeightsMetadata


class Judged(Protocol):
    """A detector that is to be evaluated.

    Attributes
    ----------
    sha256
        Of the file.
    content_sha256
        Of what decides the detections: a calibration that is added later does not.
    metadata
        What the weights say about themselves.
    imgsz
        Side of the square model input, in pixels.
    text_encoder
        What makes the class embeddings.
    exported
        What kind of export it is; null for weights.
    warnings
        What a reader of the report should know.
    """

    @property
    def sha256(self) -> str: ...  # noqa: D102
    @property
    def content_sha256(self) -> str: ...  # noqa: D102
    @property
    def metadata(self) -> WeightsMetadata: ...  # noqa: D102
    @property
    def imgsz(self) -> int: ...  # noqa: D102
    @property
    def text_encoder(self) -> str: ...  # noqa: D102
    @property
    def exported(self) -> dict[str, Any] | None: ...  # noqa: D102
    @property
    def warnings(self) -> tuple[str, ...]: ...  # noqa: D102

    def engine(self, config: EvalConfig) -> str:
        """Return the name of the engine that the settings choose."""

    def predictor(self, names: Sequence[Sequence[str]], config: EvalConfig) -> Predictor:
        """Return what finds the dataset's classes, each asked for by the mean of its names."""


@dataclass(frozen=True, slots=True)
class Detector:
    """Weights that are to be evaluated; see :class:`Judged`.

    Attributes
    ----------
    path, sha256, metadata
        The file, its content, and what it says about itself.
    content_sha256
        Of the tensors.
    imgsz
        Side of the square model input, in pixels.
    text_encoder
        What makes the class embeddings.
    """

    path: Path
    sha256: str
    content_sha256: str
    metadata: WeightsMetadata
    imgsz: int
    text_encoder: str

    @classmethod
    def resolve(cls, config: EvalConfig) -> Detector:
        """Return the weights that the settings name.

        Raises
        ------
        MedrovError
            The codes of weights.
        """
        path = resolution.resolve(config.weights)
        metadata = container.read_metadata(path)
        encoder = config.text_encoder or metadata.text_encoder.spec
        imgsz = config.imgsz or metadata.imgsz
        return cls(
            path, container.sha256_of(path), container.sha256_of_tensors(path), metadata, imgsz, encoder
        )

    @property
    def exported(self) -> None:
        """Nothing: these are weights."""
        return None

    @property
    def warnings(self) -> tuple[str, ...]:
        """Nothing to warn of."""
        return ()

    def engine(self, config: EvalConfig) -> str:
        """Return the name of the engine that the settings choose."""
        return choose_engine(config.engine, config.device, config.precision).value

    def predictor(self, names: Sequence[Sequence[str]], config: EvalConfig) -> Predictor:
        """Load the network for some names of the classes."""
        embeddings = embed_names(names, self.text_encoder, offline=config.offline)
        return self.open(embeddings, config).infer

    def open(self, embeddings: Float32Array, config: EvalConfig) -> Engine:
        """Load the network for some class embeddings."""
        return open_detector(
            self.path,
            embeddings,
            imgsz=self.imgsz,
            device=config.device,
            engine=config.engine,
            precision=config.precision,
            streams=usable_cores(),
        )


def names_of_classes(dataset: Dataset) -> list[tuple[str, ...]]:
    """Return the names of each class: its own parts first, then the yaml's synonyms or the lexicon's."""
    return [
        tuple(
            dict.fromkeys(
                [part.strip() for part in name.split("/")]
                + list(dataset.synonyms.get(name) or synonyms_of(name))
            )
        )
        for name in dataset.classes
    ]


def embed_names(names: Sequence[Sequence[str]], text_encoder: str, *, offline: bool) -> Float32Array:
    """Return the mean embedding of each class's names, float32, (classes, 512), L2 norm 1.

    Raises
    ------
    MedrovError
        The codes of text encoders.
    """
    texts = list(dict.fromkeys(text for group in names for text in group))
    row_of = {text: row for row, text in enumerate(texts)}
    table = embed_texts(texts, encoder=text_encoder, offline=offline)
    return mean_embeddings(table, [[row_of[text] for text in group] for group in names])


def detect_split(
    predict: Predictor,
    samples: Sequence[Sample],
    imgsz: int,
    config: EvalConfig,
    journal: DetectionJournal,
    advance: Callable[[int, int], None],
) -> list[Found]:
    """Return the detections of every image; those in the journal are not computed again."""
    selection = config.selection
    advance(len(journal.found), len(samples))
    while (done := len(journal.found)) < len(samples):
        for found in detect_batch(predict, samples[done : done + selection.batch], imgsz, selection):
            journal.add(found)
        advance(len(journal.found), len(samples))
    journal.finish()
    return journal.found


def truth_sha256(dataset: Dataset, samples: Sequence[Sample]) -> str:
    """Return the identity of a split's truth: names of images and classes, boxes, labels."""
    digest = hashlib.sha256(json.dumps(dataset.classes).encode())
    for sample in samples:
        name = f"{dataset.sources[sample.source_id].name}/{sample.image_path.name}"
        digest.update(json.dumps([name, sample.height, sample.width]).encode())
        for values in (sample.boxes_xyxy, sample.labels, sample.crowd_xyxy, sample.crowd_labels):
            digest.update(np.ascontiguousarray(values).tobytes())
    return digest.hexdigest()
