"""Workers of a Ray cluster, and blocks in the order in which they were given.

Ray schedules the workers, starts a dead one again on a node with room, and carries files and results. What it
does not have is here: results in order, a limit of blocks ahead, and blocks of a lost worker first.
"""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Self

from medrov_cli.core.base.errors import ErrorCode, MedrovError, usage_error
from medrov_cli.core.cluster.block_queue import Block, BlockQueue
from medrov_cli.core.cluster.connection import connect, count_room
from medrov_cli.core.cluster.worker import SharedFile, WorkerProcess, require_equal_workers
from medrov_cli.core.records.frame import UInt8Array
from medrov_cli.core.settings.cluster_groups import ClusterSettings

_THREADS = 2
"""Blocks that a worker computes at a time: while one reads its first images, the other uses the network."""
_QUEUED = 1
"""Further blocks that wait at a worker, so that it never waits for the driver."""
_MAX_STARTS = 20
"""Successive failures to start a worker before it is given up."""
_WAIT_S = 1.0


@dataclass(slots=True)
class _Worker:
    actor: Any
    is_ready: bool = False
    starts: int = 0
    blocks: int = 0


@dataclass(slots=True)
class _Job(Generic[Block]):
    """Call in progress: a block, or the description of a worker."""

    worker: _Worker
    number: int = -1
    block: Block | None = None


class RayPool:
    """Workers of one run; a context manager that ends them.

    Parameters
    ----------
    settings
        Cluster, number and resources of the workers.
    place, argument
        Class of the object in each worker, as ``module:class``, and its argument.
    files, contents
        Files that each node needs, and their bytes: they are put in the object store once.

    Raises
    ------
    MedrovError
        ``DEPENDENCY_MISSING``; ``USAGE`` if there is no such cluster, or no node has the resources.
    """

    def __init__(
        self,
        settings: ClusterSettings,
        place: str,
        argument: Any,
        files: Sequence[SharedFile] = (),
        contents: Sequence[UInt8Array] = (),
    ) -> None:
        self._ray = connect(settings)
        resources = {"num_cpus": settings.worker_cpus, "num_gpus": settings.worker_gpus}
        room = count_room(self._ray, settings)
        if not room:
            self.close()
            raise usage_error(
                f"no node has {settings.worker_cpus} CPU(s) and {settings.worker_gpus:g} GPU(s) for a worker",
                "Give smaller --worker-cpus and --worker-gpus, or add a node.",
            )
        references = [self._ray.put(content) for content in contents]
        self._opening = (place, argument, str(Path.cwd()), list(files), references)
        process = self._ray.remote(WorkerProcess).options(
            **resources, max_restarts=-1, max_task_retries=0, max_concurrency=_THREADS
        )
        self._workers = [_Worker(process.remote()) for _ in range(settings.workers or room)]
        self._jobs: dict[Any, _Job[Any]] = {}
        self._description: Mapping[str, Any] | None = None
        for worker in self._workers:
            self._start(worker)

    @property
    def workers(self) -> int:
        """Return the number of workers, also of those that are starting."""
        return len(self._workers)

    @property
    def alive(self) -> int:
        """Return the number of workers that are open."""
        return sum(worker.is_ready for worker in self._workers)

    def describe(self) -> Mapping[str, Any]:
        """Return the description of the workers, as soon as one is open.

        Raises
        ------
        MedrovError
            The failure of a worker, or ``INTERNAL`` if none can be started.
        """
        while self._description is None:
            self._receive(None)
        return self._description

    def run(self, blocks: Iterator[Block]) -> Generator[tuple[Block, Any], None, None]:
        """Yield each block with its result, in order; memory holds a few blocks for each worker.

        Raises
        ------
        MedrovError
            The failure of a block; ``INTERNAL`` if several workers died of one.
        """
        window = 2 * (_THREADS + _QUEUED) * len(self._workers)
        queue: BlockQueue[Block] = BlockQueue(blocks, window)
        try:
            while True:
                self._give(queue)
                if queue.is_empty and queue.told == queue.given:
                    return
                self._receive(queue)
                yield from queue.in_order()
        finally:
            self._forget_blocks()

    def close(self) -> None:
        """End the workers, and leave the cluster."""
        with contextlib.suppress(Exception):
            self._ray.shutdown()

    def __enter__(self) -> Self:
        """Return the pool."""
        return self

    def __exit__(self, *error: object) -> None:
        """End the workers."""
        self.close()

    def _start(self, worker: _Worker) -> None:
        worker.is_ready = False
        worker.starts += 1
        if worker.starts > _MAX_STARTS:
            if all(other.starts > _MAX_STARTS for other in self._workers):
                raise MedrovError(
                    ErrorCode.INTERNAL,
                    "no worker of the cluster can be started",
                    "Look at the logs of Ray on its nodes: is medrov installed there?",
                )
            return
        self._jobs[worker.actor.describe.remote(*self._opening)] = _Job(worker)

    def _give(self, queue: BlockQueue[Any]) -> None:
        """Give blocks to the workers with the fewest, until all have enough."""
        while True:
            free = [worker for worker in self._workers if worker.is_ready]
            free = [worker for worker in free if worker.blocks < _THREADS + _QUEUED]
            item = queue.next() if free else None
            if item is None:
                return
            worker = min(free, key=lambda worker: worker.blocks)
            worker.blocks += 1
            self._jobs[worker.actor.run.remote(item[1])] = _Job(worker, *item)

    def _receive(self, queue: BlockQueue[Any] | None) -> None:
        """Wait for calls to end, and take their results."""
        references = list(self._jobs)
        ready, _ = self._ray.wait(references, num_returns=1, timeout=_WAIT_S)
        if ready:
            ready, _ = self._ray.wait(references, num_returns=len(references), timeout=0)
        for reference in ready:
            job = self._jobs.pop(reference)
            job.worker.blocks -= job.block is not None
            try:
                value = self._ray.get(reference).open()
            except self._ray.exceptions.RayError:
                self._lose(job, queue)
                continue
            if job.block is None:
                self._accept(job.worker, value)
            elif queue is not None:
                queue.results[job.number] = (job.block, value)

    def _accept(self, worker: _Worker, description: Mapping[str, Any]) -> None:
        if self._description is None:
            self._description = description
        require_equal_workers(self._description, description)
        worker.is_ready, worker.starts = True, 0

    def _lose(self, job: _Job[Any], queue: BlockQueue[Any] | None) -> None:
        """Take back the block of a dead worker, and open the worker again where Ray starts it."""
        if job.block is not None and queue is not None:
            queue.lose(job.number, job.block)
        if job.worker.is_ready or job.block is None:
            self._start(job.worker)

    def _forget_blocks(self) -> None:
        """Drop the blocks of a pass that ended early; the workers stay."""
        for reference, job in list(self._jobs.items()):
            if job.block is not None:
                job.worker.blocks -= 1
                del self._jobs[reference]
                with contextlib.suppress(Exception):
                    self._ray.cancel(reference)
