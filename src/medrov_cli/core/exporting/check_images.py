"""Images for the comparison and calibration of an export: of a dataset, or phantoms of all modalities."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from medrov_cli.core.base.errors import usage_error
from medrov_cli.core.base.progress import Progress
from medrov_cli.core.datasets.dataset import Dataset, load_dataset
from medrov_cli.core.datasets.sample_images import load_image
from medrov_cli.core.phantoms.kinds import KINDS, phantom_seed
from medrov_cli.core.records.frame import UInt8Array
from medrov_cli.core.records.letterbox import Letterbox
from medrov_cli.core.settings.export import FEWEST_IMAGES, ExportSettings

_SEED = 640
"""Seed of the phantoms, different from those of examples and training sets."""


@dataclass(frozen=True, slots=True, eq=False)
class CheckImages:
    """Images in the form of the model input.

    Attributes
    ----------
    squares_rgb
        uint8, (images, imgsz, imgsz, 3), letterboxed.
    source
        Origin of the images, for the metadata.
    dataset
        The dataset, reduced to these images; null for phantoms.
    """

    squares_rgb: UInt8Array
    source: str
    dataset: Dataset | None = None

    def at(self, imgsz: int) -> UInt8Array:
        """Return the first images in another model size."""
        some = self.squares_rgb[:8]
        return np.stack([Letterbox.fit(image.shape[:2], imgsz).apply(image) for image in some])


def check_images(config: ExportSettings, imgsz: int, advance: Progress) -> CheckImages:
    """Return the images; equal settings give equal images.

    Raises
    ------
    MedrovError
        ``DATASET_INVALID``; ``USAGE`` if the split has too few images.
    """
    if config.data is None:
        return _phantoms(config.images, imgsz, advance)
    dataset = load_dataset(config.data, config.data_root)
    samples = dataset.samples[config.split]
    if len(samples) < FEWEST_IMAGES:
        raise usage_error(
            f"--data {config.data}: {config.split} has {len(samples)} images, fewer than {FEWEST_IMAGES}",
            "Give another split, or leave --data out to use phantoms.",
        )
    count = min(config.images, len(samples))
    chosen = tuple(samples[row * len(samples) // count] for row in range(count))
    squares = []
    for done, sample in enumerate(chosen, 1):
        squares.append(Letterbox.fit((sample.height, sample.width), imgsz).apply(load_image(sample)))
        advance(done, count, "images")
    cut = replace(dataset, samples={**dataset.samples, config.split: chosen})
    return CheckImages(np.stack(squares), f"{dataset.name}, {config.split}", cut)


def _phantoms(count: int, imgsz: int, advance: Progress) -> CheckImages:
    squares = []
    for row in range(count):
        pixels = KINDS[row % len(KINDS)].draw(phantom_seed(_SEED, row)).pixels
        squares.append(Letterbox.fit((pixels.shape[0], pixels.shape[1]), imgsz).apply(pixels))
        advance(row + 1, count, "phantoms")
    return CheckImages(np.stack(squares), "phantoms")
