"""Detections of a split: from a detector, with a journal to resume from, or from an earlier run."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from medrov_cli.core import weights
from medrov_cli.core.boxes import IntArray
from medrov_cli.core.data.dataset import Dataset
from medrov_cli.core.data.source import Sample
from medrov_cli.core.evaluation.config import EvalConfig, usage
from medrov_cli.core.evaluation.detection import Found, Predictor, detect_batch
from medrov_cli.core.io.journal import Journal, read_records
from medrov_cli.core.model.loading import load_network
from medrov_cli.core.records import Float32Array
from medrov_cli.core.runtime.interface import Engine, open_engine
from medrov_cli.core.text import embed_texts, synonyms_of
from medrov_cli.core.text.embedding import mean_embeddings
from medrov_cli.core.weights import WeightsMetadata

Advance = Callable[[int, int, str], None]
"""Called with the images done, their total, and what is being done."""


@dataclass(frozen=True, slots=True)
class Detector:
    """Weights that are to be evaluated.

    Attributes
    ----------
    path, sha256, metadata
        The file, its content, and what it says about itself.
    tensors_sha256
        What decides the detections: a calibration that is added later does not.
    imgsz
        Side of the square model input, in pixels.
    text_encoder
        What makes the class embeddings.
    """

    path: Path
    sha256: str
    tensors_sha256: str
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
        path = weights.resolve(config.weights)
        metadata = weights.read_metadata(path)
        encoder = config.text_encoder or metadata.text_encoder.spec
        imgsz = config.imgsz or metadata.imgsz
        return cls(path, weights.sha256_of(path), weights.sha256_of_tensors(path), metadata, imgsz, encoder)

    def open(self, embeddings: Float32Array, config: EvalConfig) -> Engine:
        """Load the network for some class embeddings."""
        return open_engine(
            self.path,
            embeddings,
            imgsz=self.imgsz,
            load_network=load_network,
            device=config.device,
            precision=config.precision,
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


def embed_classes(names: Sequence[Sequence[str]], detector: Detector, *, offline: bool) -> Float32Array:
    """Return the mean embedding of each class's names, float32, (classes, 512), L2 norm 1.

    Raises
    ------
    MedrovError
        The codes of text encoders.
    """
    texts = list(dict.fromkeys(text for group in names for text in group))
    row_of = {text: row for row, text in enumerate(texts)}
    table = embed_texts(texts, encoder=detector.text_encoder, offline=offline)
    return mean_embeddings(table, [[row_of[text] for text in group] for group in names])


class DetectionJournal:
    """Detections by image, in a file that survives a kill; without a folder, in memory alone.

    Parameters
    ----------
    path
        Final name of the file; null: nothing is written.
    identity
        What has to be equal for an earlier file to be of use; ``batch`` is the number of images
        that go through the network together.
    resume
        Whether to use an earlier file.

    Raises
    ------
    MedrovError
        ``USAGE``: the earlier file is of another detector, dataset or selection.
    """

    def __init__(self, path: Path | None, identity: Mapping[str, Any], *, resume: bool) -> None:
        self.found: list[Found] = []
        self._identity = identity
        self._journal: Journal | None = None
        if path is None:
            return
        if resume and path.exists():
            self._take(read_records(path), path)
            return
        self._journal = Journal(path)
        self._journal.open(lambda records: self._take(records, path) if resume else 0)
        if not self.found:
            self._journal.open(lambda _: 0)
            self._journal.append(self._identity)

    def _take(self, records: Iterator[dict[str, Any]], path: Path) -> int:
        """Take the detections of an earlier run; return how many records stay.

        Only whole batches stay: which images go through the network together shows in the last
        bits of their scores.
        """
        first = next(records, None)
        if first is None:
            return 0
        if changed := sorted(key for key in self._identity if first.get(key) != self._identity[key]):
            raise usage(
                f"--resume: the predictions in {path.parent} were made with another {', '.join(changed)}",
                "Repeat the settings of that run, give another --output, or --overwrite.",
            )
        found = [_from_record(record) for record in records]
        batch, total = self._identity["batch"], self._identity["images"]
        kept = len(found) if len(found) == total else len(found) // batch * batch
        self.found = found[:kept]
        return kept + 1

    def add(self, found: Found) -> None:
        """Take the detections of the next image."""
        if self._journal is None:
            self.found.append(_rounded(found))
            return
        record = _to_record(_rounded(found))
        self._journal.append(record)
        self.found.append(_from_record(record))

    def finish(self) -> None:
        """Give the file its name."""
        if self._journal is not None:
            self._journal.publish()

    def close(self) -> None:
        """Let go of the file; what is in it stays for the next run, also in this process."""
        if self._journal is not None:
            self._journal.close()


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


def _rounded(found: Found) -> Found:
    """Return detections as they are written, so that a resumed run has the same numbers."""
    return Found(
        np.round(found.boxes_xyxy.astype(np.float64), 2),
        np.round(found.scores.astype(np.float64), 6),
        found.labels,
    )


def _to_record(found: Found) -> dict[str, Any]:
    return {
        "boxes_xyxy": found.boxes_xyxy.tolist(),
        "scores": found.scores.tolist(),
        "labels": found.labels.tolist(),
    }


def _from_record(record: Mapping[str, Any]) -> Found:
    labels: IntArray = np.array(record["labels"], dtype=np.int64)
    return Found(
        np.array(record["boxes_xyxy"], dtype=np.float64).reshape(-1, 4),
        np.array(record["scores"], dtype=np.float64),
        labels,
    )
