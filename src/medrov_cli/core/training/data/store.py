"""Training images, decoded once, shrunk once, and kept in memory; images that cannot be read are left out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.base.progress import Progress, no_progress
from medrov_cli.core.datasets.sample_images import load_image
from medrov_cli.core.datasets.sources import Sample
from medrov_cli.core.records.frame import UInt8Array

UNREADABLE_SHARE = 0.01
"""Fraction of the images of a split that may be unreadable, chosen here: more are a fault of the dataset. One
image may be unreadable in any split."""

T = TypeVar("T")


class ImageStore:
    """Images of some samples, none with a side above ``max_side`` pixels.

    Parameters
    ----------
    samples
        The samples.
    max_side
        Side to which larger images are downscaled, in pixels.
    progress
        Called with the number of images read so far, their total and the stage ``read``.

    Attributes
    ----------
    samples
        The samples whose file is present, decodes and has the size of its record; ``store[i]`` is the image
        of ``samples[i]``.
    failures
        Errors of the other samples, which name their file.

    Raises
    ------
    MedrovError
        ``DATASET_INVALID`` if more images fail than `UNREADABLE_SHARE`.
    """

    def __init__(self, samples: Sequence[Sample], max_side: int, progress: Progress = no_progress) -> None:
        self._images: list[UInt8Array] = []
        self.samples: list[Sample] = []
        self.failures: list[MedrovError] = []
        for sample, image in _read(samples, lambda sample: load_image(sample, max_side), progress):
            if isinstance(image, MedrovError):
                self.failures.append(image)
            else:
                self.samples.append(sample)
                self._images.append(image)
        _require_few(self.failures, len(samples))

    def __getitem__(self, index: int) -> UInt8Array:
        """Return the image, uint8, (h, w, 3), RGB."""
        return self._images[index]

    def __len__(self) -> int:
        return len(self._images)


def readable_samples(
    samples: Sequence[Sample], progress: Progress = no_progress
) -> tuple[list[Sample], list[MedrovError]]:
    """Return the samples whose image can be read, and the errors of the others; no image is kept.

    Raises
    ------
    MedrovError
        As `ImageStore`.
    """
    tried = list(_read(samples, lambda sample: load_image(sample).shape, progress))
    failures = [found for _, found in tried if isinstance(found, MedrovError)]
    _require_few(failures, len(samples))
    return [sample for sample, found in tried if not isinstance(found, MedrovError)], failures


def _read(
    samples: Sequence[Sample], read: Callable[[Sample], T], progress: Progress
) -> Iterator[tuple[Sample, T | MedrovError]]:
    def attempt(sample: Sample) -> T | MedrovError:
        try:
            return read(sample)
        except MedrovError as error:
            return error

    with ThreadPoolExecutor() as pool:
        for done, (sample, found) in enumerate(zip(samples, pool.map(attempt, samples), strict=True), 1):
            yield sample, found
            progress(done, len(samples), "read")


def _require_few(failures: Sequence[MedrovError], total: int) -> None:
    if len(failures) > max(1, int(UNREADABLE_SHARE * total)):
        raise MedrovError(
            ErrorCode.DATASET_INVALID,
            f"{len(failures)} of {total} images cannot be read, the first: {failures[0].message}",
            "List them with 'medrov data check', and repair or remove them.",
        )
