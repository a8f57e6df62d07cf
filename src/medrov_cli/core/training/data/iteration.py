"""Batches of an epoch in order, loaded ahead by other processes."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator

import cv2
import torch
from torch.utils.data import DataLoader

from medrov_cli.core.training.data.batch import Batch
from medrov_cli.core.training.data.loader import BatchSource


def iterate(source: BatchSource, workers: int, first: int = 0) -> Iterator[Batch]:
    """Return the batches of an epoch in order, loaded in advance by ``workers`` processes.

    The batches do not depend on the number of workers; 0 loads them in this process.

    Parameters
    ----------
    source
        Batches of the epoch.
    workers
        Number of processes.
    first
        First item.
    """
    if workers:
        _give_back_memory()
    loader = DataLoader(
        source,
        sampler=range(first, len(source)),
        batch_size=None,
        num_workers=workers,
        prefetch_factor=4 if workers else None,
        worker_init_fn=_quiet_worker,
    )
    return iter(loader)


def _give_back_memory() -> None:
    """Return freed memory to the system if the C library supports it: a forked worker would keep a copy."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim is not None:
        trim(0)


def _quiet_worker(_: int) -> None:
    cv2.setNumThreads(0)
    torch.set_num_threads(1)
