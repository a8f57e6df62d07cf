"""What is opened once for all images of a run: classes, and the network in an engine."""

from __future__ import annotations

from pathlib import Path

from medrov_cli.core.base.constants import EXPORTED_SUFFIXES
from medrov_cli.core.base.environment import usable_cores
from medrov_cli.core.engines.interface import Engine, score_bytes
from medrov_cli.core.prediction.classes import ClassList, asked_classes, stored_classes
from medrov_cli.core.prediction.open_predictor import open_detector
from medrov_cli.core.prediction.perimage import Selection
from medrov_cli.core.prediction.scoring import Scoring
from medrov_cli.core.prediction.session import Session
from medrov_cli.core.records.frame import ModelIdentity
from medrov_cli.core.settings.detect import DetectConfig
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


def open_session(config: DetectConfig, *, classes: ClassList | None = None, many: bool = True) -> Session:
    """Open weights, or an exported model, with their classes in an engine.

    Parameters
    ----------
    config
        All settings.
    classes
        What to find, in place of what the settings say; not for a model that has its classes worked in.
    many
        For many images, several side by side; otherwise for one at a time.

    Raises
    ------
    MedrovError
        ``USAGE``, or a code of weights and text encoder.
    """
    path = resolution.resolve(config.weights, exported=True)
    streams = min(usable_cores(), MAX_STREAMS) if many else 1
    if path.suffix.lower() in EXPORTED_SUFFIXES:
        return _open_exported(config, path, classes, streams)
    metadata = container.read_metadata(path)
    if classes is None:
        classes = _classes_of(config, path, metadata)
    engine = open_detector(
        path,
        classes.embeddings,
        imgsz=config.imgsz or metadata.imgsz,
        device=config.device,
        engine=config.engine,
        precision=config.precision,
        streams=streams,
    )
    return _session(config, metadata, container.sha256_of(path), classes, engine)


def _classes_of(config: DetectConfig, path: Path, metadata: WeightsMetadata) -> ClassList:
    if config.classes:
        return asked_classes(config.classes, metadata, encoder=config.text_encoder, offline=config.offline)
    return stored_classes(path, metadata)


def _open_exported(config: DetectConfig, path: Path, classes: ClassList | None, streams: int) -> Session:
    """Open an exported model with its classes."""
    from medrov_cli.core.engines.exported.open_exported import open_exported, read_exported
    from medrov_cli.core.prediction.exported_classes import exported_classes

    model = read_exported(path)
    is_open = model.metadata.classes is None
    if classes is None or not is_open:
        classes = exported_classes(config, model)
    metadata = model.metadata.weights
    engine = open_exported(
        model,
        classes.embeddings if is_open else None,
        imgsz=config.imgsz or model.metadata.imgsz or metadata.imgsz,
        device=config.device,
        engine=config.engine,
        precision=config.precision,
        streams=streams,
    )
    return _session(config, metadata, model.sha256, classes, engine)


def _session(
    config: DetectConfig, metadata: WeightsMetadata, sha256: str, classes: ClassList, engine: Engine
) -> Session:
    scoring = Scoring.of(
        [(name, *synonyms) for name, synonyms in zip(classes.names, classes.synonyms, strict=True)],
        metadata,
        conf=config.conf,
        raw_scores=config.raw_scores,
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
    batch = config.batch or (ACCELERATOR_BATCH if engine.is_accelerator else side_by_side)
    fitting = max(1, SCORE_BUDGET_BYTES // score_bytes(engine.imgsz, len(classes.names)))
    selection = Selection(scoring, config.iou, config.max_det)
    return Session(engine, classes, identity, selection, min(batch, fitting), config.timings)
