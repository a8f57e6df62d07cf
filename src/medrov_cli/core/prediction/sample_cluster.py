"""Search of the samples of a dataset on a cluster: blocks of whole batches, results as of one machine."""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self, TypeAlias

from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.base.versions import package_versions
from medrov_cli.core.cluster.block_queue import block_size
from medrov_cli.core.cluster.ray_pool import RayPool
from medrov_cli.core.cluster.worker import SharedFile, share_files, share_model
from medrov_cli.core.datasets.sources import Sample
from medrov_cli.core.prediction.dataset_model import DatasetModel
from medrov_cli.core.prediction.learned_classes import LearnedClasses
from medrov_cli.core.prediction.model_file import read_model_file
from medrov_cli.core.prediction.sample_search import SampleSearch, SampleStream
from medrov_cli.core.records.detections import Detections, Failure
from medrov_cli.core.records.frame import UInt8Array
from medrov_cli.core.settings.cluster_groups import ClusterSettings
from medrov_cli.core.settings.groups import RuntimeSettings
from medrov_cli.core.weights.places import formats_path

Names: TypeAlias = tuple[tuple[str, ...], ...]
"""Texts of each class."""


@dataclass(frozen=True, slots=True)
class SampleBlock:
    """Successive samples of a dataset.

    Attributes
    ----------
    start
        Number of the first sample in the pass.
    samples
        The samples.
    names
        Texts of each class whose embeddings are averaged.
    batch
        Images per forward pass.
    is_last
        Whether no sample follows.
    """

    start: int
    samples: tuple[Sample, ...]
    names: Names
    batch: int
    is_last: bool

    def __str__(self) -> str:
        """Return the samples for a message."""
        first, last = self.samples[0].path, self.samples[-1].path
        return first if first == last else f"{first} to {last}"


@dataclass(frozen=True, slots=True)
class FailedSample:
    """Error of a sample, as plain values."""

    path: str
    code: ErrorCode
    message: str
    hint: str


@dataclass(frozen=True, slots=True)
class SharedModel:
    """What a worker needs to open a model with the classes of a dataset.

    Attributes
    ----------
    file
        Model file in the cache of the node.
    classes, columns, text_encoder, runtime
        See :class:`medrov_cli.core.prediction.dataset_model.DatasetModel`.
    """

    file: SharedFile
    classes: tuple[str, ...]
    columns: tuple[int, ...] | None
    text_encoder: str
    runtime: RuntimeSettings


@dataclass(frozen=True, slots=True)
class SampleTask:
    """What the workers of a pass do: models, files of learned classes, and how they search."""

    models: tuple[SharedModel, ...]
    learned: tuple[SharedFile, ...]
    search: SampleSearch


class SampleWorker:
    """Open search of a worker; a :class:`medrov_cli.core.cluster.worker.BlockWorker`."""

    def __init__(self, task: SampleTask) -> None:
        files = [read_model_file(model.file.path) for model in task.models]
        learned = LearnedClasses.read_for_each([file.path for file in task.learned], files)
        self._models = [
            DatasetModel(file, model.classes, model.columns, model.text_encoder, model.runtime, learned=own)
            for file, model, own in zip(files, task.models, learned, strict=True)
        ]
        self._search = task.search
        self._free = threading.Lock()
        self._names: Names | None = None
        self._stream: SampleStream | None = None

    def describe(self) -> dict[str, Any]:
        """Return the facts that are equal in all workers."""
        return {
            "versions": package_versions(),
            "sha256": [model.file.sha256 for model in self._models],
            "engine": [model.engine_name for model in self._models],
        }

    def run(self, block: SampleBlock) -> list[Detections | FailedSample]:
        """Return the result of each sample of a block."""
        stream = self._opened(block.names)
        with closing(stream(block.samples, batch=block.batch)) as items:
            return [_plain(item) for item in items]

    def _opened(self, names: Names) -> SampleStream:
        """Return the search for the texts of a pass, which is opened with its first block."""
        with self._free:
            if self._stream is None or self._names != names:
                self._stream = self._search.open(self._models, names)
                self._names = names
            return self._stream


class SampleCluster:
    """Workers of a cluster with the models of a dataset; a context manager that ends them.

    Parameters
    ----------
    settings
        Cluster, number and resources of the workers.
    models
        Models with the classes of a dataset.
    learned
        Files of learned classes.
    search
        How samples are searched.

    Raises
    ------
    MedrovError
        ``DEPENDENCY_MISSING``, ``USAGE``, a code of weights, or the failure of a worker.
    """

    def __init__(
        self,
        settings: ClusterSettings,
        models: Sequence[DatasetModel],
        learned: Sequence[Path],
        search: SampleSearch,
    ) -> None:
        shared: list[SharedFile] = []
        contents: list[UInt8Array] = []
        own: list[SharedModel] = []
        for model in models:
            files, more = share_model(model.file.path, formats_path(model.file.path))
            shared, contents = shared + files, contents + more
            own.append(SharedModel(files[0], model.classes, model.columns, model.text_encoder, model.runtime))
        of_learned: list[SharedFile] = []
        for path in learned:
            files, more = share_files([path])
            of_learned, contents = of_learned + files, contents + more
        task = SampleTask(tuple(own), tuple(of_learned), search)
        worker = f"{__name__}:{SampleWorker.__name__}"
        self._pool = RayPool(settings, worker, task, [*shared, *of_learned], contents)
        try:
            self._described: Mapping[str, Any] = self._pool.describe()
        except BaseException:
            self._pool.close()
            raise

    def __enter__(self) -> Self:
        """Return the cluster."""
        return self

    def __exit__(self, *error: object) -> None:
        """End the workers."""
        self._pool.close()

    def with_engines(self, models: Sequence[DatasetModel]) -> list[DatasetModel]:
        """Return the models with the engines of the workers, for the record of the run."""
        engines = self._described["engine"]
        return [replace(model, engine=engine) for model, engine in zip(models, engines, strict=True)]

    def describe_stage(self, stage: str) -> str:
        """Return the name of a stage for the progress, with the number of workers."""
        return f"{stage}, {self._pool.alive} worker(s)"

    def open(self, names: Sequence[Sequence[str]]) -> SampleStream:
        """Return the stream of the samples of a pass with these texts of each class."""
        texts = tuple(tuple(group) for group in names)

        def stream(samples: Sequence[Sample], *, batch: int) -> Generator[Detections | Failure, None, None]:
            return self._search(samples, texts, batch)

        return stream

    def _search(
        self, samples: Sequence[Sample], names: Names, batch: int
    ) -> Generator[Detections | Failure, None, None]:
        """Yield the results, in order.

        Blocks start where one machine starts a batch. An image in tiles ends a batch: the images behind it
        that are no whole batch in their block are computed again in a block that starts with them.
        """
        start, size = 0, block_size(len(samples), self._pool.workers, batch)
        while start < len(samples):
            with closing(self._pool.run(_cut(samples, start, size, names, batch))) as results:
                for block, items in results:
                    kept = len(items) if block.is_last else _count_whole(items, batch)
                    yield from map(_result, items[:kept])
                    start = block.start + kept
                    if kept < len(items):
                        break


def _cut(samples: Sequence[Sample], start: int, size: int, names: Names, batch: int) -> Iterator[SampleBlock]:
    for first in range(start, len(samples), size):
        part = tuple(samples[first : first + size])
        yield SampleBlock(first, part, names, batch, first + len(part) == len(samples))


def _count_whole(items: Sequence[Detections | FailedSample], batch: int) -> int:
    """Return the number of items up to the end of the last whole batch; an image in tiles ends one."""
    kept = counted = 0
    for number, item in enumerate(items, 1):
        is_tiled = isinstance(item, Detections) and item.tiling is not None
        counted = 0 if is_tiled else counted + 1
        if counted % batch == 0:
            kept = number
    return kept


def _plain(item: Detections | Failure) -> Detections | FailedSample:
    """Return what a journal keeps of a result."""
    if isinstance(item, Failure):
        return FailedSample(item.path, item.error.code, item.error.message, item.error.hint)
    return Detections(item.boxes_xyxy, item.scores, item.labels, kind=item.kind, tiling=item.tiling)


def _result(item: Detections | FailedSample) -> Detections | Failure:
    if isinstance(item, FailedSample):
        return Failure(item.path, MedrovError(item.code, item.message, item.hint))
    return item
