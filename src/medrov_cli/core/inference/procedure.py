"""Detect: open what is needed once, then run over all inputs."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

from medrov_cli.core import weights
from medrov_cli.core.engines import open_detector
from medrov_cli.core.errors import ErrorCode, MedrovError
from medrov_cli.core.inference.classlist import asked_classes, stored_classes
from medrov_cli.core.inference.config import DetectConfig
from medrov_cli.core.inference.perimage import Selection
from medrov_cli.core.inference.run import DetectRun, ProgressCallback, RecordCallback, Session
from medrov_cli.core.inference.scoring import Scoring
from medrov_cli.core.inference.tally import DetectionSummary
from medrov_cli.core.io.inputs import Input, expand_inputs
from medrov_cli.core.io.output_folder import OutputFolder
from medrov_cli.core.records import ModelIdentity
from medrov_cli.core.runtime.interface import score_bytes
from medrov_cli.core.runtime.machine import usable_cores

ACCELERATOR_BATCH = 8
"""Images a forward pass on a GPU. Torch on a CPU is as fast with one: it has parallel work enough in it."""

MAX_STREAMS = 16
"""Images side by side on a CPU. Beyond this, streams get several cores each: each one takes memory."""

IMAGES_A_STREAM = 4
"""So many images are handed over together for each stream, so that one that is slow holds up none."""

SCORE_BUDGET_BYTES = 256 * 1024**2
"""Batches are cut so that their scores stay below this: a thousand classes must not fill the memory."""


def run_detection(
    config: DetectConfig,
    *,
    stdin: Iterable[str] | None = None,
    on_record: RecordCallback | None = None,
    on_progress: ProgressCallback | None = None,
) -> DetectionSummary:
    """Search all inputs for all classes.

    Parameters
    ----------
    config
        All settings.
    stdin
        Lines of standard input, for an input ``-``.
    on_record
        Handed every record of schema ``medrov.detect/1``, in the order of the inputs; those of
        an earlier run that is resumed come first. Calls never overlap.
    on_progress
        Handed the images that are done, the images that are expected, and a word.

    Raises
    ------
    MedrovError
        ``USAGE``, ``NO_INPUT``, ``OUTPUT_FAILED``, or a code of weights and text encoder. An
        input that fails is a record, not an exception.
    """
    config.check()
    if config.output is not None and not (config.resume or config.overwrite):
        OutputFolder.require_free(config.output)
    inputs = _inputs(config, stdin)
    if on_progress is not None and inputs:
        on_progress(0, len(inputs), "load")
    session = _open_session(config, weights.resolve(config.weights))
    with closing(DetectRun(config, session, inputs, on_record, on_progress)) as run:
        return run.execute()


def _inputs(config: DetectConfig, stdin: Iterable[str] | None) -> list[Input]:
    """Return what is to be searched: the run's share of what was given."""
    inputs = expand_inputs(config.inputs, stdin=stdin)
    if config.output is not None:  # a folder that holds the output: what is written is no input
        inputs = [item for item in inputs if not OutputFolder.is_overlay(config.output, item.path)]
    if not inputs:
        raise MedrovError(
            ErrorCode.NO_INPUT, "no input was given", "Give files, folders, or a list on stdin."
        )
    return inputs if config.shard is None else inputs[config.shard.number - 1 :: config.shard.count]


def _open_session(config: DetectConfig, path: Path) -> Session:
    """Open weights, classes and engine."""
    metadata = weights.read_metadata(path)
    if config.classes:
        classes = asked_classes(config.classes, metadata, encoder=config.text_encoder, offline=config.offline)
    else:
        classes = stored_classes(path, metadata)
    imgsz = config.imgsz or metadata.imgsz
    engine = open_detector(
        path,
        classes.embeddings,
        imgsz=imgsz,
        device=config.device,
        engine=config.engine,
        precision=config.precision,
        streams=min(usable_cores(), MAX_STREAMS),
    )
    scoring = Scoring.of(
        [(name, *synonyms) for name, synonyms in zip(classes.names, classes.synonyms, strict=True)],
        metadata,
        conf=config.conf,
        raw_scores=config.raw_scores,
    )
    identity = ModelIdentity(
        name=metadata.name,
        sha256=weights.sha256_of(path),
        vocabulary_sha256=classes.sha256,
        text_encoder=classes.text_encoder,
        engine=engine.name,
        imgsz=imgsz,
        scores=scoring.kind,
    )
    side_by_side = IMAGES_A_STREAM * engine.streams if engine.streams > 1 else 1
    batch = config.batch or (ACCELERATOR_BATCH if engine.is_accelerator else side_by_side)
    fitting = max(1, SCORE_BUDGET_BYTES // score_bytes(imgsz, len(classes.names)))
    selection = Selection(scoring, config.iou, config.max_det)
    return Session(engine, classes, identity, selection, min(batch, fitting), config.timings)
