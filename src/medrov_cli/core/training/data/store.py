"""Training images, decoded once, shrunk once, and kept in memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from medrov_cli.core.datasets.sample_images import load_image
from medrov_cli.core.datasets.sources import Sample
from medrov_cli.core.records.frame import UInt8Array


class ImageStore:
    """Hold the images of some samples, none with a side above ``max_side`` pixels.

    Parameters
    ----------
    samples
        The samples; ``store[i]`` is the image of ``samples[i]``.
    max_side
        Larger images are shrunk to this.
    progress
        Called with the number of images read so far and their total.

    Raises
    ------
    MedrovError
        ``DATASET_INVALID`` if a file is missing, does not decode, or has another size than
        its record.
    """

    def __init__(
        self,
        samples: Sequence[Sample],
        max_side: int,
        progress: Callable[[int, int], None] | None = None,
    ) -> None:
        self._images: list[UInt8Array] = []
        with ThreadPoolExecutor() as pool:
            for image in pool.map(lambda sample: load_image(sample, max_side), samples):
                self._images.append(image)
                if progress is not None:
                    progress(len(self._images), len(samples))

    def __getitem__(self, index: int) -> UInt8Array:
        """Return the image, uint8, (h, w, 3), RGB."""
        return self._images[index]

    def __len__(self) -> int:
        return len(self._images)
