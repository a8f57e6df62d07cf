"""Join a model file, classes, a text encoder and an engine into the parts of a predictor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from medrov_cli.core.base.environment import usable_cores
from medrov_cli.core.base.errors import usage_error
from medrov_cli.core.engines.interface import Engine, score_bytes
from medrov_cli.core.prediction.classes import ClassList
from medrov_cli.core.prediction.model_file import ModelFile
from medrov_cli.core.prediction.scoring import Scoring
from medrov_cli.core.records.frame import ModelIdentity
from medrov_cli.core.settings.groups import RuntimeSettings, SelectionSettings
from medrov_cli.core.settings.values import Prompt

ACCELERATOR_BATCH = 8
"""Images a forward pass on a GPU. Torch on a CPU is as fast with one: it has parallel work enough in it."""

MAX_STREAMS = 16
"""Images side by side on a CPU. Beyond this, streams get several cores each: each one takes memory."""

IMAGES_A_STREAM = 4
"""So many images are handed over together for each stream, so that one that is slow holds up none."""

SCORE_BUDGET_BYTES = 256 * 1024**2
"""Batches are cut so that their scores stay below this: a thousand classes must not fill the memory."""


@dataclass(frozen=True)
class PredictorParts:
    """An open engine with its classes and the rules of selection.

    Attributes
    ----------
    engine
        The network, for the classes.
    classes
        Of the engine's columns.
    scoring
        Threshold and calibration of each class.
    selection
        IoU of the suppression, and the largest number of detections.
    batch
        Images in a forward pass.
    identity
        Weights, vocabulary and engine, for the records; null for a network that is no file.
    """

    engine: Engine
    classes: ClassList
    scoring: Scoring
    selection: SelectionSettings = field(default_factory=SelectionSettings)
    batch: int = 1
    identity: ModelIdentity | None = None


def open_parts(
    file: ModelFile,
    classes: Sequence[str | Prompt] | ClassList | None,
    runtime: RuntimeSettings,
    selection: SelectionSettings,
    *,
    text_encoder: str | None = None,
    many: bool = True,
) -> PredictorParts:
    """Open a model file with its classes in an engine.

    Parameters
    ----------
    file
        Weights or an exported model.
    classes
        Names (``a``, or ``a/b`` with synonyms), prompts or vectors; null: the model's own.
    runtime
        Device, engine, precision, size of the input, batch, network.
    selection
        Which detections are kept.
    text_encoder
        Spec of the text encoder of the classes; that of the model where null.
    many
        For many images, several side by side; otherwise for one at a time.

    Raises
    ------
    MedrovError
        ``USAGE``, or a code of weights, exported models, engines and text encoders.
    """
    found = _class_list(file, classes, text_encoder, runtime.offline)
    engine = file.open(
        found.embeddings if file.classes is None else None,
        runtime,
        imgsz=runtime.imgsz or file.imgsz,
        streams=count_streams(many=many),
    )
    scoring = Scoring.from_metadata(
        found.texts, file.metadata, conf=selection.conf, raw_scores=selection.raw_scores
    )
    batch = choose_batch(engine, len(found.names), runtime.batch)
    return PredictorParts(engine, found, scoring, selection, batch, identify(file, engine, found, scoring))


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
    prompts = [Prompt.parse(item) if isinstance(item, str) else item for item in classes or ()]
    return file.find_classes(prompts, encoder=text_encoder, offline=offline)


def count_streams(*, many: bool) -> int:
    """Return the number of images that an engine computes side by side."""
    return min(usable_cores(), MAX_STREAMS) if many else 1


def choose_batch(engine: Engine, classes: int, batch: int | None) -> int:
    """Return the number of images in a forward pass: as asked for, or by engine; less for many classes."""
    side_by_side = IMAGES_A_STREAM * engine.streams if engine.streams > 1 else 1
    batch = batch or (ACCELERATOR_BATCH if engine.is_accelerator else side_by_side)
    return min(batch, max(1, SCORE_BUDGET_BYTES // score_bytes(engine.imgsz, classes)))


def identify(file: ModelFile, engine: Engine, classes: ClassList, scoring: Scoring) -> ModelIdentity:
    """Return weights, vocabulary and engine, for the records."""
    return ModelIdentity(
        name=file.metadata.name,
        sha256=file.sha256,
        vocabulary_sha256=classes.sha256,
        text_encoder=classes.text_encoder,
        engine=engine.name,
        imgsz=engine.imgsz,
        scores=scoring.kind,
    )
