"""Training batches: a pure function of the seed, the epoch and the step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from torch.utils.data import Dataset as TorchDataset

from medrov_cli.core.base.constants import GRID
from medrov_cli.core.datasets.dataset import Dataset
from medrov_cli.core.datasets.laterality import mirror_rows
from medrov_cli.core.datasets.presence import POSSIBLE
from medrov_cli.core.datasets.sources import Sample
from medrov_cli.core.records.boxes import IntArray
from medrov_cli.core.records.letterbox import Letterbox, rectangle_hw
from medrov_cli.core.settings.train_groups import AugmentationSettings, BalanceSettings, NegativeSettings
from medrov_cli.core.training.data.appearance import change_pixels
from medrov_cli.core.training.data.augmentation import (
    Canvas,
    TrainingTile,
    place_mosaic,
    place_single,
    turn_and_flip,
)
from medrov_cli.core.training.data.batch import MAX_TILES, Batch, PromptSet, collate
from medrov_cli.core.training.data.prompting import ClassTexts, draw_prompt_count, draw_texts, sample_prompts
from medrov_cli.core.training.data.sampling import epoch_order, group_by_shape, sample_weights
from medrov_cli.core.training.data.store import ImageStore


@dataclass(frozen=True, slots=True)
class LoaderSettings:
    """Settings of the batches.

    Attributes
    ----------
    imgsz
        Side of the square images, in pixels; a multiple of 32.
    multi_scale
        Fraction of ``imgsz`` by which the side of a step may differ, drawn from the multiples of 32.
    batch
        Samples per step, over all processes.
    seed
        Random seed.
    max_prompts
        Maximum number of prompts per sample (80 in the paper).
    rectangles
        Fraction of the steps whose input has the shape of the images, without mosaics.
    balance, negatives, augmentation
        Settings of sampling, of negative prompts, and of augmentation.
    """

    imgsz: int
    multi_scale: float
    batch: int
    seed: int
    max_prompts: int
    rectangles: float = 0.0
    balance: BalanceSettings = field(default_factory=BalanceSettings)
    negatives: NegativeSettings = field(default_factory=NegativeSettings)
    augmentation: AugmentationSettings = field(default_factory=AugmentationSettings)


@dataclass(frozen=True, slots=True)
class Share:
    """Samples of a step that a process loads together.

    Attributes
    ----------
    processes, process
        Number of processes, and 0-based rank of this one.
    parts
        Number of consecutive batches into which a step is divided.
    """

    processes: int = 1
    process: int = 0
    parts: int = 1

    def positions(self, part: int, batch: int) -> range:
        """Return the positions of a part within the samples of a step."""
        size = batch // (self.processes * self.parts)
        first = (part * self.processes + self.process) * size
        return range(first, first + size)


class BatchSource(TorchDataset[Batch]):
    """Batches of one epoch: item ``step * parts + part``.

    A sample depends on the seed, the epoch, the step and its position in the step only, not on the process or
    the other samples.

    Parameters
    ----------
    dataset
        Classes and sources. Novel classes are not prompted, and their boxes are not used.
    samples, store
        The training samples and their images.
    texts
        Texts of the classes.
    nearest
        See :func:`medrov_cli.core.training.data.prompting.nearest_classes`.
    config
        How batches are made.
    epoch
        0-based.
    mosaic
        Whether the epoch uses mosaics.
    share
        Samples that this process loads.
    """

    def __init__(
        self,
        dataset: Dataset,
        samples: Sequence[Sample],
        store: ImageStore,
        texts: ClassTexts,
        nearest: IntArray,
        config: LoaderSettings,
        epoch: int,
        *,
        mosaic: bool,
        share: Share | None = None,
    ) -> None:
        modalities = [source.modality for source in dataset.sources]
        self._modalities = modalities
        self._taught = np.setdiff1d(np.arange(len(dataset.classes)), dataset.novel)
        self._possible = dataset.presence == POSSIBLE
        self._mirror = mirror_rows(dataset.classes)
        self._samples = samples
        self._store = store
        self._texts = texts
        self._nearest = nearest
        self._config = config
        self._epoch = epoch
        self._share = share or Share()
        self._mosaic = config.augmentation.mosaic if mosaic else 0.0
        self._sides = sides_of(config.imgsz, config.multi_scale)
        weights = sample_weights(samples, modalities, config.balance)
        self._cumulative = np.cumsum(weights)
        self._order = epoch_order(weights, config.seed, epoch)
        if config.rectangles:
            aspects = np.array([sample.width / sample.height for sample in samples])
            self._order = group_by_shape(self._order, aspects, config.batch, config.seed, epoch)
        source_ids = np.array([sample.source_id for sample in samples])
        self._of_source = [np.flatnonzero(source_ids == row) for row in range(len(dataset.sources))]

    @property
    def steps(self) -> int:
        """Return the number of steps of the epoch."""
        return len(self._order) // self._config.batch

    def __len__(self) -> int:
        return self.steps * self._share.parts

    def __getitem__(self, item: int) -> Batch:
        """Return a batch."""
        step, part = divmod(item, self._share.parts)
        config = self._config
        rng = np.random.default_rng((config.seed, self._epoch, step + 1))
        side = int(rng.choice(self._sides))
        count = draw_prompt_count(len(self._taught), config.max_prompts, rng)
        rows = self._order[step * config.batch : (step + 1) * config.batch]
        shape = self._shape_of(rows, side) if rng.random() < config.rectangles else None
        samples = []
        for position in self._share.positions(part, config.batch):
            own = np.random.default_rng((config.seed, self._epoch, step + 1, position + 1))
            samples.append(self._sample(int(rows[position]), side, shape, count, own))
        return collate(samples)

    def _shape_of(self, rows: IntArray, side: int) -> tuple[int, int]:
        """Return height and width of the input for some samples, whose longest side is ``side``."""
        sizes = [(self._samples[row].height, self._samples[row].width) for row in rows]
        return rectangle_hw([Letterbox.fit(size, side).content_hw for size in sizes], side)

    def _sample(
        self, index: int, side: int, shape: tuple[int, int] | None, count: int, rng: np.random.Generator
    ) -> PromptSet:
        """Return a sample with its prompts."""
        chosen, canvas = self._canvas(index, side, rng) if shape is None else self._alone(index, shape, rng)
        taught = np.isin(canvas.labels, self._taught)
        canvas = Canvas(
            canvas.image_rgb, canvas.boxes_xyxy[taught], canvas.labels[taught], canvas.regions_xyxy
        )
        negatives = self._config.negatives
        classes = sample_prompts(canvas.labels, self._taught, count, negatives, self._nearest, rng)
        sources = np.array([self._samples[i].source_id for i in chosen], dtype=np.int64)
        unsure = self._possible[sources].any(0) if negatives.federated else np.zeros(len(self._mirror), bool)
        return PromptSet(canvas, sources, classes, draw_texts(classes, self._texts, rng), unsure[classes])

    def _canvas(self, index: int, side: int, rng: np.random.Generator) -> tuple[list[int], Canvas]:
        """Return a canvas with one image or a mosaic, and its samples."""
        config = self._config.augmentation
        if rng.random() >= self._mosaic:
            return [index], place_single(self._tile(index, rng), (side, side), config, rng)
        siblings = self._of_source[self._samples[index].source_id]
        same_source = rng.random() < config.same_source
        others = (
            rng.choice(siblings, MAX_TILES - 1)
            if same_source
            else np.minimum(
                np.searchsorted(self._cumulative, rng.random(MAX_TILES - 1)), len(self._samples) - 1
            )
        )
        chosen = [int(i) for i in rng.permutation([index, *others])]
        return chosen, place_mosaic([self._tile(i, rng) for i in chosen], side, config, rng)

    def _alone(
        self, index: int, shape: tuple[int, int], rng: np.random.Generator
    ) -> tuple[list[int], Canvas]:
        """Return a canvas of height and width ``shape`` with one image, and its sample."""
        tile = self._tile(index, rng, keep_shape=True)
        return [index], place_single(tile, shape, self._config.augmentation, rng)

    def _tile(self, index: int, rng: np.random.Generator, *, keep_shape: bool = False) -> TrainingTile:
        sample, image = self._samples[index], self._store[index]
        modality = self._modalities[sample.source_id]
        scale = np.array([image.shape[1] / sample.width, image.shape[0] / sample.height], dtype=np.float32)
        tile = TrainingTile(image, sample.boxes_xyxy.astype(np.float32) * np.tile(scale, 2), sample.labels)
        augmentation = self._config.augmentation
        tile = turn_and_flip(tile, modality, self._mirror, augmentation, rng, keep_shape=keep_shape)
        return TrainingTile(
            change_pixels(tile.image_rgb, modality, augmentation.appearance, rng),
            tile.boxes_xyxy,
            tile.labels,
        )


def sides_of(imgsz: int, multi_scale: float) -> list[int]:
    """Return the multiples of 32 within ``multi_scale`` (a fraction) of ``imgsz``, at least itself."""
    reach = int(imgsz * multi_scale) // GRID
    return [imgsz + GRID * step for step in range(-reach, reach + 1) if imgsz + GRID * step >= GRID]
