"""Classes with an adapter: one adapter for all images, and one for each fold of the validation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from medrov_cli.core.base.progress import Progress
from medrov_cli.core.learning.adapter_fit import RANK, STEPS, AdapterTask
from medrov_cli.core.learning.class_fit import Fold
from medrov_cli.core.learning.class_fits import ClassFits, FitTask
from medrov_cli.core.learning.example_squares import ExampleSquare
from medrov_cli.core.learning.examples import ExampleImage
from medrov_cli.core.learning.views import ViewSet
from medrov_cli.core.prediction.adapted_weights import adapted_weights
from medrov_cli.core.prediction.model_file import WeightsFile
from medrov_cli.core.prediction.open_predictor import guiding_classes
from medrov_cli.core.weights.adapter import Adapter, AdapterInfo

MAX_FOLDS = 3
"""Largest number of folds, of which each needs an adapter of its own."""

MAX_IMAGES = 2000
"""Largest number of images that an adapter is fitted to; more are drawn evenly."""

MakeViews = Callable[[WeightsFile], ViewSet]
"""Function of a network to the views of all readable images."""


@dataclass(frozen=True, slots=True, eq=False)
class AdaptedFits:
    """An adapter with the fits of the classes on its network.

    Attributes
    ----------
    adapter, info
        The adapter and its record.
    fits
        The classes; text figures are those of the network without adapters.
    """

    adapter: Adapter
    info: AdapterInfo
    fits: ClassFits

    @property
    def is_finite(self) -> bool:
        """Return whether all vectors are finite: features of a network that diverged are not."""
        return all(np.isfinite(own.kernel).all() for vectors in self.fits.vectors for own in vectors)


def fit_adapted(
    task: FitTask,
    network: WeightsFile,
    plain: ClassFits,
    readable: Sequence[int],
    make_views: MakeViews,
    progress: Progress,
) -> AdaptedFits:
    """Fit an adapter and all classes on its network.

    Parameters
    ----------
    task
        Examples and groups.
    network
        The network.
    plain
        Fits without an adapter, from whose vectors the adapter starts.
    readable
        Rows of the images that can be read.
    make_views
        See `MakeViews`.
    progress
        Called with steps, examples and classes.

    Raises
    ------
    MedrovError
        ``output_failed`` if the cache cannot be written.
    """
    guides = guiding_classes(network).embeddings
    if guides is None:
        raise ValueError("the vocabulary of weights has embeddings")
    fit = AdapterTask(network.path, guides, task.imgsz, task.examples.classes)
    squares = _squares(task.examples.images, readable, task.imgsz)

    parts = _parts(task, squares)

    def adapted(own: Sequence[ExampleSquare], number: int) -> tuple[Adapter, ViewSet]:
        def advance(done: int, total: int | None, stage: str) -> None:
            progress(done, total, f"{stage} of adapter {number} of {len(parts) + 1}")

        adapter = fit.fit(own, plain.vectors, advance)
        path = adapted_weights(network.path, network.content_sha256, adapter)
        return adapter, make_views(WeightsFile.read(path))

    folds: list[Fold] = []
    for number, held_out in enumerate(parts, 1):
        _, views = adapted([square for square in squares if square.image not in held_out], number)
        folds.append((held_out, views))
    adapter, views = adapted(squares, len(parts) + 1)
    # without folds there is no validation: this adapter has seen every image
    own = task if folds else replace(task, folds=0)
    fits = _with_text_of(own.fit(views, progress, folds), plain)
    info = AdapterInfo(RANK, STEPS, fits.mean_ap50, plain.mean_ap50)
    return AdaptedFits(adapter, info, fits)


def _squares(images: Sequence[ExampleImage], readable: Sequence[int], imgsz: int) -> list[ExampleSquare]:
    """Return the squares of at most `MAX_IMAGES` images."""
    step = -(-len(readable) // MAX_IMAGES)
    return [ExampleSquare.fit(row, images[row], images[row].read(), imgsz) for row in readable[::step]]


def _parts(task: FitTask, squares: Sequence[ExampleSquare]) -> list[set[int]]:
    """Return the images that are held out in turn, by whole groups; empty: examples in one group."""
    shown = list(dict.fromkeys(task.groups[own.image] for own in squares if len(own.labels)))
    count = min(task.folds, MAX_FOLDS, len(shown))
    if count < 2:
        return []
    order = [*shown, *(group for group in dict.fromkeys(task.groups) if group not in shown)]
    part_of = {group: number % count for number, group in enumerate(order)}
    parts = np.array([part_of[group] for group in task.groups])
    return [set(np.flatnonzero(parts == number).tolist()) for number in range(count)]


def _with_text_of(fits: ClassFits, plain: ClassFits) -> ClassFits:
    """Return fits whose figures of texts are those of the network without adapters."""
    records = []
    for own, other in zip(fits.records, plain.records, strict=True):
        validation = own.validation
        if validation is not None and other.validation is not None:
            validation = replace(validation, text_ap50=other.validation.text_ap50)
        records.append(replace(own, validation=validation))
    return ClassFits(tuple(records), fits.vectors)
