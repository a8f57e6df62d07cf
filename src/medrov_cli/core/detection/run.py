"""Procedure of ``medrov detect``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING

from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.base.progress import Progress
from medrov_cli.core.detection.detect_run import DetectRun, RecordCallback
from medrov_cli.core.detection.open_detector import OpenedModel, open_detector
from medrov_cli.core.detection.shards import select_shard
from medrov_cli.core.detection.summary import DetectionSummary
from medrov_cli.core.pixels.early_decoder import LOOKED_AT, start_needed_decoder
from medrov_cli.core.pixels.found_files import SkippedFile
from medrov_cli.core.pixels.inputs import FoundInputs, InputList, find_inputs
from medrov_cli.core.prediction.predictor import Predictor
from medrov_cli.core.runs.stored_output import stored_output
from medrov_cli.core.settings.detect import DetectSettings
from medrov_cli.core.settings.tile_groups import ShardUnit
from medrov_cli.core.settings.values import Prompt
from medrov_cli.core.text.prompts import read_classes
from medrov_cli.core.writers.json_lines import JSONL_FILE
from medrov_cli.core.writers.run_files import is_overlay, pictures_in
from medrov_cli.core.writers.sink import prepare_formats, require_folder, require_free

if TYPE_CHECKING:
    from medrov_cli.core.detection.cluster_search import ClusterSearch


def run_detection(
    config: DetectSettings,
    *,
    stdin: Iterable[str] | None = None,
    on_record: RecordCallback | None = None,
    on_progress: Progress | None = None,
) -> DetectionSummary:
    """Detect all classes in all inputs.

    Parameters
    ----------
    config
        All settings.
    stdin
        Lines of standard input, for an input ``-``.
    on_record
        Called with every record of schema ``medrov.detect/1``, in the order of the inputs, and with one of
        schema ``medrov.findings/1`` after the slices of each volume; first those of an earlier run that is
        resumed. Calls never overlap.
    on_progress
        Called with the number of processed images, of expected images, and the stage.

    Raises
    ------
    MedrovError
        ``USAGE``, ``NO_INPUT``, ``OUTPUT_FAILED``, or a code of weights and text encoder. An
        input that fails is a record, not an exception.
    """
    config.check()
    with stored_output(config.output, JSONL_FILE, offline=config.runtime.offline) as output:
        return _detect(replace(config, output=output), stdin, on_record, on_progress)


def _detect(
    config: DetectSettings,
    stdin: Iterable[str] | None,
    on_record: RecordCallback | None,
    on_progress: Progress | None,
) -> DetectionSummary:
    prompts = read_classes(config.classes, stdin)
    if config.output.folder is None:
        require_folder(config.formats)
    elif not (config.output.resume or config.output.overwrite):
        require_free(config.output.folder)
    found = find_inputs(
        config.inputs,
        stdin=stdin,
        ends_with_null=config.ends_with_null,
        offline=config.runtime.offline,
        pictures_in=pictures_in,
    )
    every, skipped = _inputs(config, found)
    shard = None if config.shard_by is ShardUnit.TILES else config.shard
    inputs = every if shard is None else InputList.build(select_shard(every, shard))
    start_needed_decoder([item.path for item in islice(inputs, LOOKED_AT)])
    prepare_formats(config.formats)
    if on_progress is not None and inputs:
        on_progress(0, len(inputs), "load")
    with _open_search(config, prompts) as (model, search):
        run = DetectRun(config, model, search, inputs, every, skipped, on_record, on_progress)
        with closing(run):
            return run.execute()


@contextmanager
def _open_search(
    config: DetectSettings, prompts: Sequence[Prompt]
) -> Iterator[tuple[OpenedModel, Predictor | ClusterSearch]]:
    """Yield a predictor in this process, or workers of a cluster, with facts about them."""
    if config.cluster.on is None:
        with open_detector(config, prompts) as predictor:
            yield OpenedModel.from_predictor(predictor), predictor
    else:
        from medrov_cli.core.detection.cluster_search import ClusterSearch

        with ClusterSearch(config, prompts) as search:
            yield search.model, search


def _inputs(config: DetectSettings, found: FoundInputs) -> tuple[InputList, list[SkippedFile]]:
    """Return the inputs of the run, also those of other shards, and the files that are left out."""
    inputs, skipped = found.inputs, list(found.skipped)
    if config.output.folder is not None:  # written files are not inputs, if the output is in an input folder
        place = config.output.address or config.output.folder
        inputs = InputList.build(item for item in inputs if not is_overlay(place, item.path))
        skipped = [file for file in skipped if not is_overlay(place, file.path)]
    if not inputs:
        raise MedrovError(
            ErrorCode.NO_INPUT, "no input was given", "Give files, folders, or a list on stdin."
        )
    return inputs, skipped
