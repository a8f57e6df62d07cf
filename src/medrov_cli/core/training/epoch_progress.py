"""What a training run reports while it runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from medrov_cli.core.base.processor import PrecisionChoice


@dataclass(frozen=True, slots=True)
class TrainProgress:
    """Where a run is, for a progress bar.

    Attributes
    ----------
    stage
        ``precision``, ``read``, ``train``, ``val``, or ``epoch`` for one that has ended.
    done, total
        Images, steps, images, epochs.
    epoch, epochs
        1-based.
    loss
        Of the last step.
    entry
        What an epoch that has ended was worth, as in ``metrics.jsonl``.
    precision
        The number format that was chosen, and why; at the start.
    """

    stage: str
    done: int
    total: int
    epoch: int = 0
    epochs: int = 0
    loss: float | None = None
    entry: Mapping[str, Any] | None = None
    precision: PrecisionChoice | None = None


TrainProgressCallback = Callable[[TrainProgress], None]
