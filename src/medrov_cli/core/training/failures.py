"""Conversion of torch's errors of memory and determinism to errors with a code."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from medrov_cli.core.base.errors import ErrorCode, MedrovError, usage_error

_NO_MEMORY = ("out of memory", "can't allocate memory", "not enough memory")
"""Messages of torch's allocators that raise no exception of their own."""


@contextmanager
def clear_failures() -> Iterator[None]:
    """Convert torch's errors for missing memory or a missing deterministic operation.

    Raises
    ------
    MedrovError
        ``OUT_OF_MEMORY``, ``USAGE``.
    """
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        text = str(error).lower()
        if isinstance(error, torch.OutOfMemoryError | MemoryError) or any(w in text for w in _NO_MEMORY):
            raise MedrovError(
                ErrorCode.OUT_OF_MEMORY,
                "the device or the machine has no memory left",
                "Resume with --accumulate 2, or use a smaller --batch or --imgsz in a new --output. The "
                "last saved state is complete.",
            ) from error
        if "deterministic" in text:
            raise usage_error(
                f"--deterministic: {str(error).splitlines()[0]}",
                "Leave --deterministic out on this device.",
            ) from error
        raise
