"""What is opened once for all images of a run: classes, and the network in an engine."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from medrov_cli.core.base.constants import EXPORTED_SUFFIXES
from medrov_cli.core.base.environment import usable_cores
from medrov_cli.core.engines.interface import Engine, score_bytes
from medrov_cli.core.prediction.classes import ClassList, asked_classes, stored_classes
from medrov_cli.core.prediction.open_predictor import open_detector
from medrov_cli.core.prediction.perimage import Selection
from medrov_cli.core.prediction.scoring import Scoring
from medrov_cli.core.prediction.session import Session
from medrov_cli.core.records.frame import ModelIdentity
from medrov_cli.core.settings.groups import RuntimeSettings, SelectionSettings
from medrov_cli.core.settings.values import Prompt
from medrov_cli.core.weights import container, resolution
from medrov_cli.core.weights.metadata import WeightsMetadata

ACCELERATOR_BATCH = 8
"""Images a forward pass on a GPU. Torch on a CPU is as fast with one: it has parallel work enough in it."""

MAX_STREAMS = 16
"""Images side by side on a CPU. Beyond this, streams get several cores each: each one takes memory."""

IMAGES_A_STREAM = 4
"""So many images are handed over together for each stream, so that one that is slow holds up none."""

SCORE_BUDGET_BYTES = 256 * 1024**2
"""Batches are cut so that their scores stay below this: a thousand classes must not fill the memory."""


def open_session(
    model: str,
    asked: Sequence[Prompt] | ClassList,
    runtime: RuntimeSettings,
    selection: SelectionSettings,
    *,
    text_encoder: str | None = None,
    timings: bool = False,
    many: bool = True,
) -> Session:
    """Open weights, or an exported model, with their classes in an engine.

    Parameters
    ----------
    model
        Name in the manifest, weights file, or exported model.
    asked
        What to find: prompts, none for the model's own; or vectors, not for a model with fixed classes.
    runtime, selection
        Settings.
    text_encoder
        Spec of the text encoder of the prompts; that of the weights where null.
    timings
        Whether records say how long their image took.
    many
        For many images, several side by side; otherwise for one at a time.

    Raises
    ------
    MedrovError
        ``USAGE``, or a code of weights and text encoder.
    """
    path = resolution.resolve(model, exported=True)
    streams = min(usable_cores(), MAX_STREAMS) if many else 1
    if path.suffix.lower() in EXPORTED_SUFFIXES:
        opened = _open_exported(path, asked, runtime, text_encoder, streams)
    else:
        opened = _open_weights(path, asked, runtime, text_encoder, streams)
    return _session(opened, runtime, selection, timings=timings)


class _Opened(NamedTuple):
    """A model file in an engine."""

    metadata: WeightsMetadata
    sha256: str
    classes: ClassList
    engine: Engine


def _open_weights(
    path: Path,
    asked: Sequence[Prompt] | ClassList,
    runtime: RuntimeSettings,
    text_encoder: str | None,
    streams: int,
) -> _Opened:
    metadata = container.read_metadata(path)
    if isinstance(asked, ClassList):
        classes = asked
    elif asked:
        classes = asked_classes(asked, metadata, encoder=text_encoder, offline=runtime.offline)
    else:
        classes = stored_classes(path, metadata)
    engine = open_detector(
        path,
        classes.embeddings,
        imgsz=runtime.imgsz or metadata.imgsz,
        device=runtime.device,
        engine=runtime.engine,
        precision=runtime.precision,
        streams=streams,
    )
    return _Opened(metadata, container.sha256_of(path), classes, engine)


def _open_exported(
    path: Path,
    asked: Sequence[Prompt] | ClassList,
    runtime: RuntimeSettings,
    text_encoder: str | None,
    streams: int,
) -> _Opened:
    """Open an exported model with its classes."""
    from medrov_cli.core.engines.exported.open_exported import open_exported, read_exported
    from medrov_cli.core.prediction.exported_classes import exported_classes

    model = read_exported(path)
    is_open = model.metadata.classes is None
    if isinstance(asked, ClassList):
        classes = asked if is_open else exported_classes((), text_encoder, runtime.offline, model)
    else:
        classes = exported_classes(asked, text_encoder, runtime.offline, model)
    metadata = model.metadata.weights
    engine = open_exported(
        model,
        classes.embeddings if is_open else None,
        imgsz=runtime.imgsz or model.metadata.imgsz or metadata.imgsz,
        device=runtime.device,
        engine=runtime.engine,
        precision=runtime.precision,
        streams=streams,
    )
    return _Opened(metadata, model.sha256, classes, engine)


def _session(
    opened: _Opened, runtime: RuntimeSettings, selection: SelectionSettings, *, timings: bool
) -> Session:
    metadata, sha256, classes, engine = opened
    scoring = Scoring.of(
        [(name, *synonyms) for name, synonyms in zip(classes.names, classes.synonyms, strict=True)],
        metadata,
        conf=selection.conf,
        raw_scores=selection.raw_scores,
    )
    identity = ModelIdentity(
        name=metadata.name,
        sha256=sha256,
        vocabulary_sha256=classes.sha256,
        text_encoder=classes.text_encoder,
        engine=engine.name,
        imgsz=engine.imgsz,
        scores=scoring.kind,
    )
    side_by_side = IMAGES_A_STREAM * engine.streams if engine.streams > 1 else 1
    batch = runtime.batch or (ACCELERATOR_BATCH if engine.is_accelerator else side_by_side)
    fitting = max(1, SCORE_BUDGET_BYTES // score_bytes(engine.imgsz, len(classes.names)))
    chosen = Selection(scoring, selection.iou, selection.max_det)
    return Session(engine, classes, identity, chosen, min(batch, fitting), timings)
