"""Join a model file, classes, a text encoder and an engine into the parts of a predictor."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from medrov_cli.core.base.environment import usable_cores
from medrov_cli.core.base.errors import usage_error
from medrov_cli.core.engines.interface import Engine, score_bytes
from medrov_cli.core.prediction.broader_prompts import name_columns
from medrov_cli.core.prediction.classes import ClassList
from medrov_cli.core.prediction.column_engine import ColumnEngine
from medrov_cli.core.prediction.input_shape import with_input_shape
from medrov_cli.core.prediction.learned_classes import JoinedClasses, LearnedClasses
from medrov_cli.core.prediction.model_file import ModelFile
from medrov_cli.core.prediction.scoring import Scoring
from medrov_cli.core.prediction.tile_rule import ClassScale, class_scales
from medrov_cli.core.records.frame import ModelIdentity
from medrov_cli.core.records.image_kinds import KindClassifier
from medrov_cli.core.settings.field import check_values
from medrov_cli.core.settings.groups import RuntimeSettings, SelectionSettings
from medrov_cli.core.settings.tile_groups import TileJob
from medrov_cli.core.settings.values import Prompt
from medrov_cli.core.text.prompts import to_prompts

ACCELERATOR_BATCH = 8
"""Images per forward pass on a GPU. On a CPU, torch is as fast with one image: it parallelises within it."""

MAX_STREAMS = 16
"""Largest number of parallel images on a CPU: each needs memory. With more cores, each gets several."""

IMAGES_A_STREAM = 4
"""Images per batch and stream, so that a slow image does not delay the other streams."""

WIDE_STREAMS = 4
"""Largest number of larger inputs in parallel on a CPU: with more cores, several compute one."""

SCORE_BUDGET_BYTES = 256 * 1024**2
"""Largest size of the scores of a batch, in bytes; it limits the batch for many classes."""


@dataclass(frozen=True)
class PredictorParts:
    """An open engine with its classes and the rules of selection.

    Attributes
    ----------
    engine
        The network with its classes.
    classes
        Classes of the columns of the engine.
    scoring
        Threshold and calibration of each class.
    selection
        IoU of the suppression, and the largest number of detections.
    batch
        Images per forward pass.
    identity
        Weights, vocabulary and engine, for the records; null for a network without a file.
    kinds
        Classifier of image kinds; null if the model has none.
    tiles
        Tiles of slides and large images; null: no image is cut.
    scales
        Scale of each class at training; empty: unknown.
    open_wide
        Function of a side of the model input to an engine with the same columns, for several tiles in one
        forward pass; null: the input has one size.
    rectangles
        Whether the model input has the shape of each image, and is not a square.
    """

    engine: Engine
    classes: ClassList
    scoring: Scoring
    selection: SelectionSettings = field(default_factory=SelectionSettings)
    batch: int = 1
    identity: ModelIdentity | None = None
    kinds: KindClassifier | None = None
    tiles: TileJob | None = None
    scales: tuple[ClassScale, ...] = ()
    open_wide: Callable[[int], Engine] | None = None
    rectangles: bool = False

    def wide_batch(self, side: int) -> int:
        """Return the number of inputs of a larger side per forward pass."""
        classes = len(self.classes.names)
        return max(1, min(self.batch, WIDE_STREAMS, SCORE_BUDGET_BYTES // score_bytes(side, classes)))


def open_parts(
    file: ModelFile,
    classes: Sequence[str | Prompt] | ClassList | None,
    runtime: RuntimeSettings,
    selection: SelectionSettings,
    *,
    text_encoder: str | None = None,
    many: bool = True,
    learned: LearnedClasses | None = None,
) -> PredictorParts:
    """Open a model file with its classes in an engine.

    Parameters
    ----------
    file
        Weights or an exported model.
    classes
        Names (``a``, or ``a/b`` with synonyms), prompts or vectors, or names in one text, comma separated;
        null: those of the model.
    runtime
        Device, engine, precision, size of the input, batch, network.
    selection
        Thresholds, calibration and suppression.
    text_encoder
        Spec of the text encoder of the classes; that of the model where null.
    many
        Whether several images are computed in parallel.
    learned
        Learned classes, which follow the others; without ``classes`` they are alone, and the model input has
        by default the size of their fit.

    Raises
    ------
    MedrovError
        ``USAGE``, or a code of weights, exported models, engines and text encoders.
    """
    check_values(selection)
    check_values(runtime)
    runtime.check()
    alone = learned is not None and not isinstance(classes, ClassList) and not classes
    if alone and learned is not None and runtime.imgsz is None:
        runtime = replace(runtime, imgsz=learned.own_imgsz)
    runtime = with_input_shape(file, runtime)
    imgsz, streams = runtime.imgsz or file.imgsz, count_streams(many=many)
    found = guiding_classes(file) if alone else _class_list(file, classes, text_encoder, runtime.offline)
    embeddings = found.embeddings if file.classes is None else None
    own = () if learned is None else learned.names
    named = name_columns(
        found, embeddings, file.metadata, selection, texts=found.texts, offline=runtime.offline, learned=own
    )
    scoring, found = named.scoring, named.classes
    columns = None if learned is None else learned.open_columns(selection, alone=alone)
    wrap: Callable[[Engine], Engine] = _as_it_is
    if fixed := found.fixed_columns:
        wrap = lambda engine: ColumnEngine(engine, fixed)  # noqa: E731
    if learned is not None:
        wrap, found, scoring = _with_learned(found, scoring, learned, selection, imgsz, alone=alone)

    def open_at(side: int, streams: int) -> Engine:
        engine = file.open(named.embeddings, runtime, imgsz=side, streams=streams, learned=columns)
        return wrap(named.wrap(engine))

    def open_wide(side: int) -> Engine:
        return open_at(side, min(streams, WIDE_STREAMS))

    engine = open_at(imgsz, streams)
    batch = choose_batch(engine, max(named.count, len(found.names)), runtime.batch)
    rectangles = bool(runtime.rectangles)
    identity = identify(file, engine, found, scoring, rectangles=rectangles)
    scales = class_scales(found.texts, file.metadata, found.kinds)
    return PredictorParts(
        engine,
        found,
        scoring,
        selection,
        batch,
        identity,
        file.kinds,
        scales=scales,
        open_wide=open_wide if file.exported is None else None,
        rectangles=rectangles,
    )


def _as_it_is(engine: Engine) -> Engine:
    return engine


def _with_learned(
    text: ClassList,
    scoring: Scoring,
    learned: LearnedClasses,
    selection: SelectionSettings,
    imgsz: int,
    *,
    alone: bool,
) -> tuple[Callable[[Engine], Engine], ClassList, Scoring]:
    """Return texts and learned classes, or the latter alone.

    The first item is a function of an engine to one with their columns.
    """
    if alone:
        text, scoring = (
            replace(text, names=(), synonyms=(), modalities=(), asked=True),
            scoring.without_classes(),
        )
    joined = JoinedClasses.join(text.texts, learned, keeps_order=False)
    columns = joined.columns.tolist()
    wrap = (lambda engine: ColumnEngine(engine, columns)) if joined.replaced else _as_it_is
    scoring = joined.scoring(scoring, learned, selection)
    scoring = replace(scoring, warnings=(*scoring.warnings, *learned.warnings(imgsz)))
    return wrap, joined.classes(text, learned), scoring


def guiding_classes(file: ModelFile) -> ClassList:
    """Return the vocabulary of weights, which guides the attention where learned classes are alone.

    Raises
    ------
    MedrovError
        ``USAGE`` if the weights have none.
    """
    found = file.find_classes([], encoder=None, offline=True)
    return replace(found, asked=True)


def _class_list(
    file: ModelFile,
    classes: Sequence[str | Prompt] | ClassList | None,
    text_encoder: str | None,
    offline: bool,
) -> ClassList:
    if isinstance(classes, ClassList):
        if file.classes is not None:
            raise usage_error(
                f"{file.path.name} has fixed classes: it takes no vectors",
                "Leave the classes out, or export again with --open for any.",
            )
        return classes
    prompts = () if classes is None else to_prompts(classes)
    return file.find_classes(prompts, encoder=text_encoder, offline=offline)


def count_streams(*, many: bool) -> int:
    """Return the number of images that an engine computes in parallel."""
    return min(usable_cores(), MAX_STREAMS) if many else 1


def choose_batch(engine: Engine, classes: int, batch: int | None, streams: int | None = None) -> int:
    """Return the number of images per forward pass: as given, or by engine; less for many classes.

    Parameters
    ----------
    engine
        The open engine.
    classes
        Number of classes.
    batch
        As given.
    streams
        Images in parallel of the machine whose batches are repeated, for an engine that supports it; null:
        those of the engine.
    """
    if streams is None or not engine.name.startswith("openvino"):
        streams = engine.streams
    side_by_side = IMAGES_A_STREAM * streams if streams > 1 else 1
    batch = batch or (ACCELERATOR_BATCH if engine.is_accelerator else side_by_side)
    return min(batch, max(1, SCORE_BUDGET_BYTES // score_bytes(engine.imgsz, classes)))


def identify(
    file: ModelFile, engine: Engine, classes: ClassList, scoring: Scoring, *, rectangles: bool
) -> ModelIdentity:
    """Return weights, vocabulary, engine and form of the model input, for the records."""
    return ModelIdentity(
        name=file.metadata.name,
        sha256=file.sha256,
        vocabulary_sha256=classes.sha256,
        text_encoder=classes.text_encoder,
        engine=engine.name,
        imgsz=engine.imgsz,
        scores=scoring.kind,
        rectangles=rectangles,
    )
