"""Which image comes when: balanced over sources, and a pure function of seed and epoch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from medrov_cli.core.boxes import IntArray
from medrov_cli.core.data.source import Sample


def sample_weights(samples: Sequence[Sample], balance: float) -> npt.NDArray[np.float64]:
    """Return how often each sample is to be drawn, (n,), summing to 1.

    Parameters
    ----------
    samples
        The training samples.
    balance
        0 draws every image equally often, so that large sources dominate; 1 draws every source
        equally often, so that small ones are seen again and again. Between, a source of n
        images weighs n ** (1 - balance).
    """
    sizes = Counter(sample.source_id for sample in samples)
    weights = np.array([sizes[sample.source_id] ** -balance for sample in samples])
    return np.asarray(weights / weights.sum(), dtype=np.float64)


def epoch_order(weights: npt.NDArray[np.float64], seed: int, epoch: int) -> IntArray:
    """Return the samples of one epoch, in order: as many as there are samples, int64, (n,).

    Systematic sampling: each is drawn its expected number of times, rounded up or down.
    """
    rng = np.random.default_rng((seed, epoch))
    count = len(weights)
    shuffled = rng.permutation(count)
    edges = np.cumsum(weights[shuffled]) * count
    picks = np.searchsorted(edges, np.arange(count) + rng.random(), side="right")
    return rng.permutation(shuffled[np.minimum(picks, count - 1)])
