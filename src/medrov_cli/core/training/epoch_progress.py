"""Progress of a training run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from medrov_cli.core.base.processor import PrecisionChoice


@dataclass(frozen=True, slots=True)
class TrainProgress:
    """Progress of a run, for a progress bar.

    Attributes
    ----------
    stage
        ``precision``, ``read``, ``notice``, ``train``, ``val``, or ``epoch`` for one that has ended.
    done, total
        Numbers of images, steps or epochs, depending on the stage.
    epoch, epochs
        1-based.
    loss
        Loss of the last step.
    entry
        Metrics of a completed epoch, as in ``metrics.jsonl``.
    precision
        The number format that was chosen, and why; at the start.
    notice
        A warning about the dataset or the result.
    """

    stage: str
    done: int
    total: int
    epoch: int = 0
    epochs: int = 0
    loss: float | None = None
    entry: Mapping[str, Any] | None = None
    precision: PrecisionChoice | None = None
    notice: str | None = None


TrainProgressCallback = Callable[[TrainProgress], None]
