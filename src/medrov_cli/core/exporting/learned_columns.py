"""Learned classes in an exported model: its columns, their scores, and the engine to compare with."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from medrov_cli.core.base.errors import usage_error
from medrov_cli.core.engines.anchors import keep_above
from medrov_cli.core.engines.interface import Engine
from medrov_cli.core.model.graph.detector import GraphColumns
from medrov_cli.core.prediction.adapted_weights import adapted_weights
from medrov_cli.core.prediction.classes import ClassList
from medrov_cli.core.prediction.column_engine import EngineLike
from medrov_cli.core.prediction.learned_classes import JoinedClasses, LearnedClasses
from medrov_cli.core.prediction.model_file import WeightsFile
from medrov_cli.core.prediction.open_predictor import guiding_classes
from medrov_cli.core.records.boxes import IntArray
from medrov_cli.core.records.detections import Candidates
from medrov_cli.core.records.frame import UInt8Array
from medrov_cli.core.records.score_maps import CalibrationInfo, ClassCalibration
from medrov_cli.core.settings.groups import DEFAULT_CONF
from medrov_cli.core.weights.metadata import WeightsMetadata


def with_learned(text: ClassList, learned: LearnedClasses) -> tuple[ClassList, GraphColumns]:
    """Return texts and learned classes as the classes of a graph; the embeddings stay those of the texts."""
    joined = JoinedClasses.join(text.texts, learned, keeps_order=False)
    return joined.classes(text, learned), GraphColumns(learned.columns, joined.columns)


def learned_alone(file: WeightsFile, learned: LearnedClasses) -> tuple[ClassList, GraphColumns]:
    """Return learned classes as those of a graph; the vocabulary of the weights guides its attention."""
    guides = guiding_classes(file)
    empty = replace(guides, names=(), synonyms=(), modalities=())
    joined = JoinedClasses.join([], learned, keeps_order=False)
    columns = GraphColumns(learned.columns, joined.columns + len(guides.names))
    return joined.classes(empty, learned), columns


def adapted_alone(file: WeightsFile, learned: LearnedClasses, *, has_texts: bool) -> Path:
    """Return the weights with the adapter of learned classes: an exported model has one network.

    Raises
    ------
    MedrovError
        ``USAGE`` if other classes belong to another network.
    """
    (adapter, count), *others = learned.adapters
    if has_texts or others or count < len(learned.names):
        raise usage_error(
            "--learned: classes with an adapter have a network of their own, which an exported model cannot "
            "join with other classes",
            "Export the classes of each such file alone.",
        )
    return adapted_weights(file.path, file.content_sha256, adapter)


def with_learned_calibration(
    metadata: WeightsMetadata, learned: LearnedClasses, imgsz: int
) -> WeightsMetadata:
    """Return metadata with the calibrations of learned classes, in place of those of their names."""
    own = {name.casefold() for name in learned.names}
    known = metadata.calibration or CalibrationInfo(
        "platt",
        "learned classes",
        "train",
        imgsz,
        (),
        ClassCalibration("", DEFAULT_CONF, 0.0, (0.0, 1.0), (0.0, 1.0)),
    )
    kept = tuple(item for item in known.classes if item.name.casefold() not in own)
    return replace(metadata, calibration=replace(known, classes=(*kept, *learned.calibrations)))


class AlignedEngine(EngineLike):
    """An engine of texts and learned classes whose anchors have the scores of all classes.

    See :class:`medrov_cli.core.engines.interface.Engine`.

    Parameters
    ----------
    engine
        Engine with the learned classes of ``columns``, from score 0 on.
    texts
        Number of texts of the engine.
    columns
        int64, (classes,): the chosen classes, counted over the texts and then the learned classes.
    """

    def __init__(self, engine: Engine, texts: int, columns: IntArray) -> None:
        super().__init__(engine)
        self._engine = engine
        self._texts = texts
        self._columns = columns

    def infer(self, images_rgb: UInt8Array, floor: float = 0.0) -> list[Candidates]:
        """Return the candidates of each image; see the interface."""
        found = []
        for candidates in self._engine.infer(images_rgb):
            anchors = len(candidates.scores) // 2  # those of the texts, then the same for learned classes
            scores = np.concatenate(
                (candidates.scores[:anchors, : self._texts], candidates.scores[anchors:, self._texts :]), 1
            )
            boxes = candidates.boxes_xyxy[:anchors]
            found.append(keep_above(boxes, scores[:, self._columns], floor, candidates.pooled))
        return found
