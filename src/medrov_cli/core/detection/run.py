"""Detect: open what is needed once, then run over all inputs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import closing

from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.base.progress import Progress
from medrov_cli.core.detection.detect_run import DetectRun, RecordCallback
from medrov_cli.core.detection.summary import DetectionSummary
from medrov_cli.core.pixels.inputs import Input, expand_inputs
from medrov_cli.core.prediction.predictor import Predictor
from medrov_cli.core.settings.detect import DetectSettings
from medrov_cli.core.settings.values import Prompt
from medrov_cli.core.text.prompts import read_classes
from medrov_cli.core.writers.sink import is_overlay, require_folder, require_free


def run_detection(
    config: DetectSettings,
    *,
    stdin: Iterable[str] | None = None,
    on_record: RecordCallback | None = None,
    on_progress: Progress | None = None,
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
    prompts = read_classes(config.classes, stdin)
    if config.output.folder is None:
        require_folder(config.formats)
    elif not (config.output.resume or config.output.overwrite):
        require_free(config.output.folder)
    inputs = _inputs(config, stdin)
    if on_progress is not None and inputs:
        on_progress(0, len(inputs), "load")
    with (
        _open_predictor(config, prompts) as predictor,
        closing(DetectRun(config, predictor, inputs, on_record, on_progress)) as run,
    ):
        return run.execute()


def _open_predictor(config: DetectSettings, prompts: Sequence[Prompt]) -> Predictor:
    return Predictor.open(
        config.weights,
        prompts,
        config.runtime,
        config.selection,
        config.text_encoder,
    )


def _inputs(config: DetectSettings, stdin: Iterable[str] | None) -> list[Input]:
    """Return what is to be searched: the run's share of what was given."""
    inputs = expand_inputs(config.inputs, stdin=stdin)
    if config.output.folder is not None:  # a folder that holds the output: what is written is no input
        inputs = [item for item in inputs if not is_overlay(config.output.folder, item.path)]
    if not inputs:
        raise MedrovError(
            ErrorCode.NO_INPUT, "no input was given", "Give files, folders, or a list on stdin."
        )
    return inputs if config.shard is None else inputs[config.shard.number - 1 :: config.shard.count]
