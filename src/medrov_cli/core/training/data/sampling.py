"""Order of the images of an epoch, balanced by repeat factors; a pure function of seed and epoch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Sequence

import numpy as np
import numpy.typing as npt

from medrov_cli.core.datasets.sources import Sample
from medrov_cli.core.records.boxes import IntArray
from medrov_cli.core.settings.choices import Balance, Modality
from medrov_cli.core.settings.train_groups import BalanceSettings


def repeat_factors(
    samples: Sequence[Sample], modalities: Sequence[Modality], config: BalanceSettings
) -> npt.NDArray[np.float64]:
    """Return the repeat factor of each image relative to an image of a common group, (n,), >= 1.

    It is the largest ``max(1, (threshold / share) ** power)`` over the groups of the image, where the share
    is the fraction of all images in the group: repeat factor sampling as in LVIS
    (arXiv 1908.03195: threshold 0.001, power 0.5, by class).

    Parameters
    ----------
    samples
        The training samples.
    modalities
        Modality of each source.
    config
        Groups, threshold and power. By class, an image belongs to each class of its boxes; an image without
        boxes has the factor 1.
    """
    groups = [set(_groups(sample, modalities, config.by)) for sample in samples]
    sizes = Counter(group for own in groups for group in own)
    of_group = {
        group: max(1.0, (config.threshold * len(samples) / size) ** config.power)
        for group, size in sizes.items()
    }
    factors = [max((of_group[group] for group in own), default=1.0) for own in groups]
    return np.array(factors, dtype=np.float64)


def sample_weights(
    samples: Sequence[Sample], modalities: Sequence[Modality], config: BalanceSettings
) -> npt.NDArray[np.float64]:
    """Return the probability of each sample, (n,), with sum 1; see :func:`repeat_factors`.

    By source with a threshold of 1, an image of a source of n images has the weight n ** -power.
    """
    factors = repeat_factors(samples, modalities, config)
    return np.asarray(factors / factors.sum(), dtype=np.float64)


def _groups(sample: Sample, modalities: Sequence[Modality], by: Balance) -> Iterable[Hashable]:
    match by:
        case Balance.OFF:
            return ()
        case Balance.SOURCE:
            return (sample.source_id,)
        case Balance.MODALITY:
            return (modalities[sample.source_id],)
        case Balance.CLASS:
            return (int(label) for label in sample.labels)


WINDOW_STEPS = 8
"""Number of consecutive steps whose samples are grouped by their shape."""


def group_by_shape(
    order: IntArray, aspects: npt.NDArray[np.float64], batch: int, seed: int, epoch: int
) -> IntArray:
    """Return the order of an epoch with samples of similar shape in each step.

    The samples of each `WINDOW_STEPS` steps are sorted by their aspect ratio, and the steps are shuffled.

    Parameters
    ----------
    order
        int64, (n,): see :func:`epoch_order`.
    aspects
        (samples,): width divided by height of each sample.
    batch
        Samples per step; those after the last complete step keep their places.
    seed, epoch
        Of the run.
    """
    rng = np.random.default_rng((seed, epoch, 0))
    steps = len(order) // batch
    rows = order[: steps * batch].reshape(steps, batch)
    grouped = []
    for first in range(0, steps, WINDOW_STEPS):
        window = rows[first : first + WINDOW_STEPS]
        by_aspect = window.ravel()[np.argsort(aspects[window.ravel()], kind="stable")]
        grouped.append(rng.permutation(by_aspect.reshape(window.shape)))
    return np.concatenate([*(own.ravel() for own in grouped), order[steps * batch :]])


def epoch_order(weights: npt.NDArray[np.float64], seed: int, epoch: int) -> IntArray:
    """Return the order of the samples of one epoch, int64, (n,), where n is the number of samples.

    Systematic sampling: each is drawn its expected number of times, rounded up or down.
    """
    rng = np.random.default_rng((seed, epoch))
    count = len(weights)
    shuffled = rng.permutation(count)
    edges = np.cumsum(weights[shuffled]) * count
    picks = np.searchsorted(edges, np.arange(count) + rng.random(), side="right")
    return rng.permutation(shuffled[np.minimum(picks, count - 1)])
