"""Training batches: a pure function of the seed, the epoch and the step."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset

from medrov_cli.core.config import GRID
from medrov_cli.core.data.augmentation import (
    AugmentationConfig,
    Tile,
    change_pixels,
    place_mosaic,
    place_single,
    turn_and_flip,
)
from medrov_cli.core.data.dataset import Dataset
from medrov_cli.core.data.laterality import mirror_rows
from medrov_cli.core.data.presence import POSSIBLE
from medrov_cli.core.data.prompting import ClassTexts, choose_prompts, draw_texts
from medrov_cli.core.data.sampling import epoch_order, sample_weights
from medrov_cli.core.data.source import Sample
from medrov_cli.core.data.store import ImageStore


class Batch(NamedTuple):
    """What one training step is handed.

    Attributes
    ----------
    images
        uint8, (b, 3, size, size), RGB, channels last in memory.
    text_rows
        int64, (b, t): rows of the table of text embeddings.
    image_index
        int64, (n,): the sample of each box, rising.
    labels
        int64, (n,): the column of ``text_rows`` that names each box.
    boxes_xyxy
        float32, (n, 4), in model pixels.
    ignored
        bool, (b, t): classes that the sample may show although it has no box of them: no
        negatives there.
    """

    images: Tensor
    text_rows: Tensor
    image_index: Tensor
    labels: Tensor
    boxes_xyxy: Tensor
    ignored: Tensor


@dataclass(frozen=True, slots=True)
class LoaderConfig:
    """How batches are made.

    Attributes
    ----------
    imgsz
        Side of the square images, in pixels; a multiple of 32.
    multi_scale
        Each batch has a side drawn from the multiples of 32 within this share of ``imgsz``.
    batch
        Samples a step.
    seed
        Everything random follows from it.
    balance
        See :func:`medrov_cli.core.data.sampling.sample_weights`.
    max_prompts
        Prompts a sample (the paper: 80).
    augmentation
        Strengths.
    """

    imgsz: int
    multi_scale: float
    batch: int
    seed: int
    balance: float
    max_prompts: int
    augmentation: AugmentationConfig


class BatchSource(TorchDataset[Batch]):
    """The batches of one epoch: item i is step i.

    Parameters
    ----------
    dataset
        Classes and sources.
    samples, store
        The training samples and their images.
    texts
        The texts of the classes.
    config
        How batches are made.
    epoch
        0-based.
    mosaic
        Whether mosaics are made in this epoch.
    """

    def __init__(
        self,
        dataset: Dataset,
        samples: Sequence[Sample],
        store: ImageStore,
        texts: ClassTexts,
        config: LoaderConfig,
        epoch: int,
        *,
        mosaic: bool,
    ) -> None:
        self._sources = dataset.sources
        self._class_count = len(dataset.classes)
        self._possible = dataset.presence == POSSIBLE
        self._mirror = mirror_rows(dataset.classes)
        self._samples = samples
        self._store = store
        self._texts = texts
        self._config = config
        self._epoch = epoch
        self._mosaic = config.augmentation.mosaic if mosaic else 0.0
        self._sides = sides_of(config.imgsz, config.multi_scale)
        weights = sample_weights(samples, config.balance)
        self._cumulative = np.cumsum(weights)
        self._order = epoch_order(weights, config.seed, epoch)
        self._of_source = [
            np.flatnonzero([s.source_id == i for s in samples]) for i in range(len(dataset.sources))
        ]

    def __len__(self) -> int:
        return len(self._order) // self._config.batch

    def __getitem__(self, step: int) -> Batch:
        """Return the batch of a step."""
        size = self._config.batch
        rng = np.random.default_rng((self._config.seed, self._epoch, step))
        side = int(rng.choice(self._sides))
        samples = [self._sample(int(i), side, rng) for i in self._order[step * size : (step + 1) * size]]
        tiles = [tile for tile, _ in samples]
        asked = choose_prompts([t.labels for t in tiles], self._class_count, self._config.max_prompts, rng)
        columns = []
        for tile, classes in zip(tiles, asked, strict=True):
            column_of = np.zeros(self._class_count, dtype=np.int64)
            column_of[classes] = np.arange(len(classes))
            columns.append(column_of[tile.labels])
        images = torch.from_numpy(np.stack([tile.image_rgb for tile in tiles]))
        return Batch(
            images=images.permute(0, 3, 1, 2),
            text_rows=torch.from_numpy(np.stack([draw_texts(c, self._texts, rng) for c in asked])),
            image_index=torch.from_numpy(np.repeat(np.arange(size), [len(t.labels) for t in tiles])),
            labels=torch.from_numpy(np.concatenate(columns)),
            boxes_xyxy=torch.from_numpy(np.concatenate([t.boxes_xyxy for t in tiles])),
            ignored=torch.from_numpy(
                np.stack([possible[classes] for (_, possible), classes in zip(samples, asked, strict=True)])
            ),
        )

    def _sample(self, index: int, side: int, rng: np.random.Generator) -> tuple[Tile, npt.NDArray[np.bool_]]:
        """Return a sample, and which classes any of its images may show without a box."""
        config = self._config.augmentation
        if rng.random() >= self._mosaic:
            tile = place_single(self._tile(index, rng), side, config, rng)
            return tile, self._possible[self._samples[index].source_id]
        siblings = self._of_source[self._samples[index].source_id]
        same_source = rng.random() < config.same_source
        others = (
            rng.choice(siblings, 3)
            if same_source
            else np.minimum(np.searchsorted(self._cumulative, rng.random(3)), len(self._samples) - 1)
        )
        chosen = [int(i) for i in rng.permutation([index, *others])]
        mosaic = place_mosaic([self._tile(i, rng) for i in chosen], side, config, rng)
        return mosaic, self._possible[[self._samples[i].source_id for i in chosen]].any(0)

    def _tile(self, index: int, rng: np.random.Generator) -> Tile:
        sample, image = self._samples[index], self._store[index]
        modality = self._sources[sample.source_id].modality
        scale = np.array([image.shape[1] / sample.width, image.shape[0] / sample.height], dtype=np.float32)
        tile = Tile(image, sample.boxes_xyxy * np.tile(scale, 2), sample.labels)
        tile = turn_and_flip(tile, modality, self._mirror, self._config.augmentation, rng)
        return Tile(
            change_pixels(tile.image_rgb, modality, self._config.augmentation, rng),
            tile.boxes_xyxy,
            tile.labels,
        )


def sides_of(imgsz: int, multi_scale: float) -> list[int]:
    """Return the multiples of 32 within ``multi_scale`` (a share) of ``imgsz``, at least itself."""
    reach = int(imgsz * multi_scale) // GRID
    return [imgsz + GRID * step for step in range(-reach, reach + 1) if imgsz + GRID * step >= GRID]


def iterate(source: BatchSource, workers: int) -> Iterator[Batch]:
    """Return the batches of an epoch in order, made by ``workers`` processes ahead of time.

    The batches do not depend on the number of workers; 0 makes them in this process.
    """
    loader = DataLoader(
        source,
        batch_size=None,
        num_workers=workers,
        prefetch_factor=4 if workers else None,
        worker_init_fn=_quiet_worker,
    )
    return iter(loader)


def _quiet_worker(_: int) -> None:
    cv2.setNumThreads(0)
    torch.set_num_threads(1)
