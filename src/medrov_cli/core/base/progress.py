"""The type of a progress callback."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[int, int | None, str], None]
"""Called with the steps done, their total (None: unknown) and the name of the stage."""


def no_progress(done: int, total: int | None, stage: str) -> None:
    """Report nothing."""
