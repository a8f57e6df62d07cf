"""The search of a run of ``detect`` on a cluster: blocks of its inputs, with the records of one machine."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

from medrov_cli.core.base.scratch import scratch_folder
from medrov_cli.core.base.versions import package_versions
from medrov_cli.core.cluster.block_queue import block_size
from medrov_cli.core.cluster.ray_pool import RayPool
from medrov_cli.core.cluster.worker import SharedFile, share_files, share_model
from medrov_cli.core.detection.input_file import picture_of, to_record, to_sources
from medrov_cli.core.detection.open_detector import OpenedModel, open_detector
from medrov_cli.core.detection.resume import count_kept
from medrov_cli.core.pixels.inputs import Input
from medrov_cli.core.prediction.model_file import read_model_file
from medrov_cli.core.prediction.open_predictor import count_streams
from medrov_cli.core.records.detections import Detections
from medrov_cli.core.settings.detect import DetectSettings
from medrov_cli.core.settings.values import Prompt
from medrov_cli.core.weights.places import formats_path
from medrov_cli.core.writers.format_files import write_pictures

Made = tuple[dict[str, Any], Mapping[str, bytes]]
"""Record, and the files of its image by path in the output folder."""

Names = Mapping[str, Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class InputBlock:
    """Successive inputs of a run.

    Attributes
    ----------
    start
        Number of the first input.
    inputs
        The inputs.
    first_frame
        Frame of the first input from which on it is searched.
    is_last
        Whether no input follows.
    names
        Names of files of these inputs, by path, for each format that draws on images.
    """

    start: int
    inputs: tuple[Input, ...]
    first_frame: int
    is_last: bool
    names: Names

    def __str__(self) -> str:
        """Return the inputs for a message."""
        first, last = self.inputs[0].path, self.inputs[-1].path
        return first if first == last else f"{first} to {last}"


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """What a worker needs to open the predictor of a run.

    Attributes
    ----------
    config
        Settings of the run.
    prompts
        Its classes.
    streams
        Images in parallel of the driver, whose batches the workers repeat.
    model, learned
        Files in the cache of the node.
    """

    config: DetectSettings
    prompts: tuple[Prompt, ...]
    streams: int
    model: SharedFile
    learned: tuple[SharedFile, ...]


class DetectWorker:
    """Open predictor of a worker; a :class:`medrov_cli.core.cluster.worker.BlockWorker`."""

    def __init__(self, settings: WorkerSettings) -> None:
        config = settings.config
        classes = replace(config.classes, learned=tuple(file.path for file in settings.learned))
        self._config = replace(config, weights=str(settings.model.path), classes=classes)
        self._predictor = open_detector(self._config, settings.prompts, settings.streams)
        self._model = OpenedModel.from_predictor(self._predictor)

    def describe(self) -> dict[str, Any]:
        """Return the facts that are equal in all workers."""
        return {
            "versions": package_versions(),
            **{name: value for name, value in self._model.identity.as_dict().items() if value is not None},
            "batch": self._model.batch,
            "model": self._model,
        }

    def run(self, block: InputBlock) -> list[Made]:
        """Return the records of a block, with the files of its images."""
        stream = self._predictor.stream(
            to_sources(self._config, block.inputs, block.first_frame),
            threads=self._config.read.threads,
            keep_pixels=bool(block.names),
        )
        made: list[Made] = []
        with closing(stream):
            for item in stream:
                record = to_record(item, timings=self._config.timings)
                files: Mapping[str, bytes] = {}
                if block.names and isinstance(item, Detections) and item.frame is not None:
                    files = self._draw(record, item, block.names)
                made.append((record, files))
        return made

    def _draw(self, record: dict[str, Any], item: Detections, names: Names) -> dict[str, bytes]:
        if item.frame is None:
            return {}
        with scratch_folder() as folder:
            write_pictures(folder, record, picture_of(item.frame), self._model.names, names)
            files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
            return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


class ClusterSearch:
    """Workers of a cluster with the predictor of a run; a context manager that ends them.

    Parameters
    ----------
    config
        All settings.
    prompts
        Classes.
    worker
        Class of the workers, as ``module:class``.

    Raises
    ------
    MedrovError
        ``DEPENDENCY_MISSING``, ``USAGE``, a code of weights, or the failure of a worker.

    Attributes
    ----------
    model
        Facts about the predictor of the workers.
    """

    def __init__(
        self,
        config: DetectSettings,
        prompts: Sequence[Prompt],
        worker: str = f"{__name__}:{DetectWorker.__name__}",
    ) -> None:
        model = Path(read_model_file(config.weights).path)
        shared, contents = share_model(model, formats_path(model))
        learned: list[SharedFile] = []
        for own in config.classes.learned:
            files, more = share_files([own])
            learned += files
            contents += more
        settings = WorkerSettings(config, tuple(prompts), count_streams(many=True), shared[0], tuple(learned))
        self._pool = RayPool(config.cluster, worker, settings, [*shared, *learned], contents)
        try:
            self.model: OpenedModel = self._pool.describe()["model"]
        except BaseException:
            self._pool.close()
            raise
        self._step = 1 if self.model.computes_images_alone else self.model.batch

    def __enter__(self) -> Self:
        """Return the search."""
        return self

    def __exit__(self, *error: object) -> None:
        """End the workers."""
        self._pool.close()

    @property
    def stage(self) -> str:
        """Return the name of the stage for the progress, with the number of workers."""
        return f"detect, {self._pool.alive} worker(s)"

    def stream(
        self, inputs: Sequence[Input], first_input: int, first_frame: int, names: Names
    ) -> Generator[Made, None, None]:
        """Yield the records of inputs from a position on, in order, with the files of their images.

        Which images share a forward pass can show in the last bit of a score. Blocks therefore start where
        one machine starts a batch. Where a block does not end with a whole batch, because an input failed or
        has several frames, its last images are computed again in a block that starts with them.

        Parameters
        ----------
        inputs
            All inputs of the run.
        first_input, first_frame
            Position at which a batch starts.
        names
            Names of files of images; see :class:`medrov_cli.core.writers.sink.OutputFolder`.
        """
        position = (first_input, first_frame)
        size = block_size(len(inputs) - first_input, self._pool.workers, self._step)
        while position[0] < len(inputs):
            blocks = _cut(inputs, position, size, names)
            with closing(self._pool.run(blocks)) as results:
                for block, made in results:
                    kept = len(made)
                    if self._step > 1 and not block.is_last:
                        kept = count_kept((record for record, _ in made), self._step)
                    yield from made[:kept]
                    position = (block.start + len(block.inputs), 0)
                    if kept < len(made):
                        position = _behind(block, [record for record, _ in made[:kept]])
                        size *= 1 if kept else 2
                        break


def _behind(block: InputBlock, records: Sequence[dict[str, Any]]) -> tuple[int, int]:
    """Return the position behind the first records of a block, whose first input may have none left."""
    if not records:
        return block.start, block.first_frame
    last = records[-1]
    number = next(number for number, item in enumerate(block.inputs) if item.path == last["path"])
    if "error" in last or last["frame"] + 1 == last["frame_count"]:
        return block.start + number + 1, 0
    return block.start + number, last["frame"] + 1


def _cut(inputs: Sequence[Input], position: tuple[int, int], size: int, names: Names) -> Iterator[InputBlock]:
    start, first_frame = position
    while start < len(inputs):
        part = tuple(inputs[start : start + size])
        own = {
            format_name: {item.path: changed[item.path] for item in part if item.path in changed}
            for format_name, changed in names.items()
        }
        yield InputBlock(start, part, first_frame, start + len(part) >= len(inputs), own)
        start, first_frame = start + len(part), 0
