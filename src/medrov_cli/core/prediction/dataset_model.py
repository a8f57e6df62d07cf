"""A model file with the classes of a dataset."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from medrov_cli.core.base.errors import MedrovError, usage_error
from medrov_cli.core.datasets.dataset import Dataset
from medrov_cli.core.engines.interface import Engine
from medrov_cli.core.prediction.broader_prompts import name_columns
from medrov_cli.core.prediction.classes import ClassList, list_names
from medrov_cli.core.prediction.column_engine import ABSENT, ColumnEngine
from medrov_cli.core.prediction.input_shape import with_input_shape
from medrov_cli.core.prediction.learned_classes import JoinedClasses, LearnedClasses
from medrov_cli.core.prediction.model_file import ModelFile
from medrov_cli.core.prediction.open_predictor import (
    WIDE_STREAMS,
    PredictorParts,
    choose_batch,
    count_streams,
    identify,
)
from medrov_cli.core.prediction.predictor import Predictor
from medrov_cli.core.prediction.tile_rule import class_scales
from medrov_cli.core.records.boxes import IntArray
from medrov_cli.core.records.frame import Float32Array
from medrov_cli.core.settings.groups import RuntimeSettings, SelectionSettings
from medrov_cli.core.settings.tile_groups import TileJob
from medrov_cli.core.text.embedding import embed_texts, mean_embeddings
from medrov_cli.core.weights.metadata import ClassEntry


@dataclass(frozen=True)
class DatasetModel:
    """A model file, and the columns of a dataset's classes in it.

    Attributes
    ----------
    file
        Weights or an exported model.
    classes
        Names of the dataset's classes.
    columns
        Column of each class of the dataset in a model with fixed classes, or `ABSENT`; null for a model
        without fixed classes.
    text_encoder
        Spec of the text encoder of the class embeddings.
    runtime
        Device, engine, precision, size of the input and batch.
    warnings
        Warnings for reports.
    learned
        Learned classes, which replace the texts of their names; null: none.
    engine
        Engine of the workers of a cluster; null: that which the settings select here.
    """

    file: ModelFile
    classes: tuple[str, ...]
    columns: tuple[int, ...] | None
    text_encoder: str
    runtime: RuntimeSettings
    warnings: tuple[str, ...] = ()
    learned: LearnedClasses | None = None
    engine: str | None = None

    @classmethod
    def bind(
        cls,
        file: ModelFile,
        dataset: Dataset,
        runtime: RuntimeSettings,
        *,
        text_encoder: str | None,
        learned: LearnedClasses | None = None,
    ) -> DatasetModel:
        """Find the classes of a dataset in a model file.

        Raises
        ------
        MedrovError
            ``USAGE`` for another text encoder than that of fixed classes, or if the model or the learned
            classes have no class of the dataset.
        """
        runtime = with_input_shape(file, runtime)
        columns, warnings = None, list(file.warnings)
        if file.classes is not None:
            if text_encoder not in (None, file.text_encoder):
                raise fixed_classes_error("--text-encoder", file)
            columns = tuple(columns_of(file.classes, dataset.classes))
            warnings = [*_absent_classes(file, columns, dataset), *warnings]
        if learned is not None:
            own = {name.casefold() for name in dataset.classes}
            shared = [name for name in learned.names if name.casefold() in own]
            if not shared:
                raise usage_error(
                    f"--learned: {dataset.name} has none of the classes {list_names(learned.names)}",
                    "Name the learned classes as in the dataset.",
                )
            imgsz = runtime.imgsz or file.imgsz
            warnings += [f"learned, not searched by text: {list_names(shared)}", *learned.warnings(imgsz)]
        encoder = text_encoder or file.text_encoder
        return cls(file, dataset.classes, columns, encoder, runtime, tuple(warnings), learned)

    @property
    def learned_identity(self) -> list[str]:
        """Return what identifies the learned classes in the record of a run; empty: none."""
        return [] if self.learned is None else [self.learned.sha256]

    @property
    def imgsz(self) -> int:
        """Return the side of the square model input, in pixels."""
        return self.runtime.imgsz or self.file.imgsz

    @property
    def rectangles(self) -> bool:
        """Return whether the model input has the shape of each image."""
        return bool(self.runtime.rectangles)

    @cached_property
    def engine_name(self) -> str:
        """Return the name of the engine that the settings select."""
        return self.engine or self.file.choose_engine(self.runtime).value

    @cached_property
    def precision(self) -> str:
        """Return the name of the number format that the settings select."""
        return self.file.choose_precision(self.runtime).value

    @property
    def class_ids(self) -> IntArray:
        """Return the class of each column of the predictor, int64, (classes,); -1: none."""
        own = np.arange(len(self.classes))
        return own if self.columns is None else np.where(np.array(self.columns) == ABSENT, -1, own)

    def open(
        self,
        names: Sequence[Sequence[str]],
        selection: SelectionSettings,
        *,
        imgsz: int | None = None,
        tiles: TileJob | None = None,
    ) -> Predictor:
        """Open a predictor of the dataset's classes, in their order.

        Parameters
        ----------
        names
            Texts of each class whose embeddings are averaged; not used by a model with fixed classes.
        selection
            Thresholds, calibration and suppression.
        imgsz
            Side of the square model input, in pixels; that of the settings where null.
        tiles
            Tiles of slides and large images; null: every image is searched whole.

        Raises
        ------
        MedrovError
            ``USAGE`` and the codes of model files, engines and text encoders.
        """
        embeddings = None
        if self.columns is None:
            embeddings = embed_names(names, self.text_encoder, offline=self.runtime.offline)
        side, streams = imgsz or self.imgsz, count_streams(many=True)
        classes = ClassList.from_embeddings(
            self.classes, embeddings, synonyms=names, text_encoder=self.text_encoder
        )
        named = name_columns(
            classes, embeddings, self.file.metadata, selection, texts=names, offline=self.runtime.offline
        )
        classes, scoring = named.classes, named.scoring
        order, columns = self.columns, None
        if self.learned is not None:
            columns = self.learned.open_columns(selection, alone=False)
            joined = JoinedClasses.join([(name,) for name in self.classes], self.learned, keeps_order=True)
            order = tuple(joined.columns.tolist())
            classes = joined.classes(classes, self.learned)
            scoring = joined.scoring(scoring, self.learned, selection)

        def open_at(side: int, streams: int) -> Engine:
            engine = named.wrap(
                self.file.open(named.embeddings, self.runtime, imgsz=side, streams=streams, learned=columns)
            )
            return engine if order is None else ColumnEngine(engine, order)

        def open_wide(side: int) -> Engine:
            return open_at(side, min(streams, WIDE_STREAMS))

        engine = open_at(side, streams)
        parts = PredictorParts(
            engine,
            classes,
            scoring,
            selection,
            choose_batch(engine, max(named.count, len(classes.names)), self.runtime.batch),
            identify(self.file, engine, classes, scoring, rectangles=self.rectangles),
            self.file.kinds,
            tiles,
            class_scales(names, self.file.metadata, classes.kinds),
            open_wide if self.file.exported is None else None,
            self.rectangles,
        )
        return Predictor(parts)


def columns_of(classes: Sequence[ClassEntry], names: Sequence[str]) -> list[int]:
    """Return the column of each name in a model, without regard to case, or `ABSENT`.

    A name is that of the class with exactly this name, else with this name in other letter case, else with
    this synonym; the first of several.

    Parameters
    ----------
    classes
        Classes of the model, in the order of its columns, with their synonyms.
    names
        Classes of a dataset.
    """
    own = [(entry.name, column) for column, entry in enumerate(classes)]
    synonyms = [(text, column) for column, entry in enumerate(classes) for text in entry.synonyms]
    exact = dict(reversed(own))
    known = {text.casefold(): column for text, column in reversed([*own, *synonyms])}
    return [exact.get(name, known.get(name.casefold(), ABSENT)) for name in names]


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
    """Return the error of an option that a model with fixed classes does not support."""
    return usage_error(
        f"{flag}: the classes of {file.path.name} are fixed",
        "Leave it out, or export again with --open for any classes.",
    )


def _absent_classes(file: ModelFile, columns: Sequence[int], dataset: Dataset) -> list[str]:
    """Return a warning if a model does not have some of the classes."""
    absent = [name for name, column in zip(dataset.classes, columns, strict=True) if column == ABSENT]
    if len(absent) == len(columns):
        raise usage_error(
            f"{file.path.name} has no class of {dataset.name}",
            "Export the weights with --classes of the dataset, or with --open for any classes.",
        )
    if not absent:
        return []
    return [f"{file.path.name} does not have {', '.join(absent)}: they count as not found"]
