"""A model file on the classes of a dataset."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from medrov_cli.core.base.errors import MedrovError, usage_error
from medrov_cli.core.datasets.dataset import Dataset
from medrov_cli.core.engines.interface import Engine
from medrov_cli.core.prediction.classes import ClassList
from medrov_cli.core.prediction.model_file import ModelFile
from medrov_cli.core.prediction.open_predictor import PredictorParts, count_streams, identify
from medrov_cli.core.prediction.predictor import Predictor
from medrov_cli.core.prediction.scoring import Scoring
from medrov_cli.core.records.boxes import IntArray
from medrov_cli.core.records.detections import Candidates
from medrov_cli.core.records.frame import Float32Array, UInt8Array
from medrov_cli.core.settings.groups import RuntimeSettings, SelectionSettings
from medrov_cli.core.text.embedding import embed_texts, mean_embeddings
from medrov_cli.core.text.lexicon import synonyms_of
from medrov_cli.core.weights.metadata import ClassEntry

ABSENT = -1
"""The column of a class that a model does not have."""


@dataclass(frozen=True)
class DatasetModel:
    """A model file, and how its classes relate to those of a dataset.

    Attributes
    ----------
    file
        Weights or an exported model.
    classes
        Names of the dataset's classes.
    columns
        Of each class of the dataset, its column in a model with fixed classes, or `ABSENT`; null for a
        model of any classes.
    text_encoder
        Spec of the text encoder of the class embeddings.
    runtime
        Where and how the network runs.
    warnings
        Sentences for the reader of a report.
    """

    file: ModelFile
    classes: tuple[str, ...]
    columns: tuple[int, ...] | None
    text_encoder: str
    runtime: RuntimeSettings
    warnings: tuple[str, ...] = ()

    @classmethod
    def bind(
        cls, file: ModelFile, dataset: Dataset, runtime: RuntimeSettings, *, text_encoder: str | None
    ) -> DatasetModel:
        """Return a model file with the dataset's classes found in it.

        Raises
        ------
        MedrovError
            ``USAGE`` for another text encoder than that of fixed classes, or classes of which the model has
            none.
        """
        columns, warnings = None, list(file.warnings)
        if file.classes is not None:
            if text_encoder not in (None, file.text_encoder):
                raise fixed_classes_error("--text-encoder", file)
            columns = tuple(columns_of(file.classes, dataset.classes))
            warnings = [*_absent_classes(file, columns, dataset), *warnings]
        encoder = text_encoder or file.text_encoder
        return cls(file, dataset.classes, columns, encoder, runtime, tuple(warnings))

    @property
    def imgsz(self) -> int:
        """Return the side of the square model input, in pixels."""
        return self.runtime.imgsz or self.file.imgsz

    @cached_property
    def engine_name(self) -> str:
        """Return the name of the engine that the settings choose."""
        return self.file.choose_engine(self.runtime).value

    @property
    def class_ids(self) -> IntArray:
        """Return the class that each column of the predictor finds, int64, (classes,); -1 where none."""
        own = np.arange(len(self.classes))
        return own if self.columns is None else np.where(np.array(self.columns) == ABSENT, -1, own)

    def open(
        self, names: Sequence[Sequence[str]], selection: SelectionSettings, *, imgsz: int | None = None
    ) -> Predictor:
        """Open a predictor of the dataset's classes, in their order.

        Parameters
        ----------
        names
            Of each class: the texts whose embeddings are averaged; not used by a model with fixed classes.
        selection
            Which detections are kept.
        imgsz
            Side of the square model input, in pixels; that of the settings where null.

        Raises
        ------
        MedrovError
            ``USAGE`` and the codes of model files, engines and text encoders.
        """
        embeddings = None
        if self.columns is None:
            embeddings = embed_names(names, self.text_encoder, offline=self.runtime.offline)
        engine = self.file.open(
            embeddings, self.runtime, imgsz=imgsz or self.imgsz, streams=count_streams(many=True)
        )
        if self.columns is not None:
            engine = ColumnEngine(engine, self.columns)
        classes = ClassList.from_embeddings(
            self.classes, embeddings, synonyms=names, text_encoder=self.text_encoder
        )
        scoring = Scoring.from_metadata(
            names, self.file.metadata, conf=selection.conf, raw_scores=selection.raw_scores
        )
        identity = identify(self.file, engine, classes, scoring)
        return Predictor(PredictorParts(engine, classes, scoring, selection, identity=identity))


class ColumnEngine:
    """An engine of other classes, in another order; an absent class has the score 0 everywhere.

    See :class:`medrov_cli.core.engines.interface.Engine`.

    Parameters
    ----------
    engine
        The engine.
    columns
        Of each class, its column in the engine; `ABSENT` where there is none.
    """

    def __init__(self, engine: Engine, columns: Sequence[int]) -> None:
        self.name = engine.name
        self.imgsz = engine.imgsz
        self.is_accelerator = engine.is_accelerator
        self.streams = engine.streams
        self._engine = engine
        self._absent = np.array(columns) == ABSENT
        self._columns = np.where(self._absent, 0, columns)

    def infer(self, images_rgb: UInt8Array, floor: float = 0.0) -> list[Candidates]:
        """Return the candidates of each image; see the interface."""
        found = []
        for candidates in self._engine.infer(images_rgb, floor):
            scores = candidates.scores[:, self._columns]
            scores[:, self._absent] = 0
            found.append(Candidates(candidates.boxes_xyxy, scores))
        return found


def columns_of(classes: Sequence[ClassEntry], names: Sequence[str]) -> list[int]:
    """Return a model's column of each name, in any case of its letters; `ABSENT` where there is none.

    Parameters
    ----------
    classes
        Of the model, in the order of its columns; their synonyms count as names of theirs.
    names
        Classes of a dataset.
    """
    known: dict[str, int] = {}
    for column, entry in enumerate(classes):
        for text in (entry.name, *entry.synonyms):
            known.setdefault(text.casefold(), column)
    return [known.get(name.casefold(), ABSENT) for name in names]


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


def fixed_classes_error(flag: str, file: ModelFile) -> MedrovError:
    """Return the error of an option that a model with fixed classes does not have."""
    return usage_error(
        f"{flag}: the classes of {file.path.name} are fixed",
        "Leave it out, or export again with --open for any classes.",
    )


def _absent_classes(file: ModelFile, columns: Sequence[int], dataset: Dataset) -> list[str]:
    """Return a warning of the classes that a model does not have, if there are any."""
    absent = [name for name, column in zip(dataset.classes, columns, strict=True) if column == ABSENT]
    if len(absent) == len(columns):
        raise usage_error(
            f"{file.path.name} has no class of {dataset.name}",
            "Export the weights with --classes of the dataset, or with --open for any classes.",
        )
    if not absent:
        return []
    return [f"{file.path.name} does not have {', '.join(absent)}: they count as not found"]
