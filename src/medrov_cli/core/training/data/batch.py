"""Batches of a training step, and their collation from samples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from medrov_cli.core.datasets.presence import NOBODY
from medrov_cli.core.records.boxes import IntArray
from medrov_cli.core.training.data.augmentation import Canvas

MAX_TILES = 4
"""Maximum number of source images of a canvas."""


class Batch(NamedTuple):
    """Batch of one training step.

    Attributes
    ----------
    images
        uint8, (b, 3, height, width), RGB, channels last in memory.
    text_rows
        int64, (b, t): rows of the table of text embeddings.
    image_index
        int64, (n,), ascending: the sample of each box.
    labels
        int64, (n,): the column of ``text_rows`` that names each box.
    boxes_xyxy
        float32, (n, 4), in model pixels.
    ignored
        bool, (b, t): columns without negatives: classes that the sample may show without a box of them, and
        padding columns.
    classes
        int64, (b, t): rows of the dataset's classes; `NOBODY` for a padding column, which repeats the
        sample's first prompt.
    regions_xyxy
        float32, (b, 4, 4): visible region of each source image, in model pixels; without area if there is
        none.
    region_sources
        int64, (b, 4): the dataset's source of each region, or `NOBODY`.
    """

    images: Tensor
    text_rows: Tensor
    image_index: Tensor
    labels: Tensor
    boxes_xyxy: Tensor
    ignored: Tensor
    classes: Tensor
    regions_xyxy: Tensor
    region_sources: Tensor


class PromptSet(NamedTuple):
    """Canvas with its prompts.

    Attributes
    ----------
    canvas
        The model input; its labels are rows of the dataset's classes.
    sources
        int64, (tiles,): the source of each tile.
    classes, text_rows
        int64, (t,): the prompted classes, each once, and the text of each.
    ignored
        bool, (t,): classes that are not negatives in this sample.
    """

    canvas: Canvas
    sources: IntArray
    classes: IntArray
    text_rows: IntArray
    ignored: npt.NDArray[np.bool_]


def collate(samples: Sequence[PromptSet]) -> Batch:
    """Collate samples to a batch. Samples with fewer prompts repeat their first one, ignored.

    A repeated text changes neither the neck's features, which depend on the largest similarity
    to any text, nor the loss.
    """
    size = len(samples)
    width = max(len(sample.classes) for sample in samples)
    classes = np.full((size, width), NOBODY, dtype=np.int64)
    ignored = np.ones((size, width), dtype=np.bool_)
    text_rows = np.empty((size, width), dtype=np.int64)
    regions = np.zeros((size, MAX_TILES, 4), dtype=np.float32)
    sources = np.full((size, MAX_TILES), NOBODY, dtype=np.int64)
    columns = []
    for row, sample in enumerate(samples):
        own = len(sample.classes)
        classes[row, :own] = sample.classes
        ignored[row, :own] = sample.ignored
        text_rows[row] = sample.text_rows[0]
        text_rows[row, :own] = sample.text_rows
        tiles = len(sample.sources)
        regions[row, :tiles] = sample.canvas.regions_xyxy
        sources[row, :tiles] = sample.sources
        order = np.argsort(sample.classes)
        columns.append(order[np.searchsorted(sample.classes, sample.canvas.labels, sorter=order)])
    images = torch.from_numpy(np.stack([sample.canvas.image_rgb for sample in samples]))
    counts = [len(sample.canvas.labels) for sample in samples]
    return Batch(
        images=images.permute(0, 3, 1, 2),
        text_rows=torch.from_numpy(text_rows),
        image_index=torch.from_numpy(np.repeat(np.arange(size), counts)),
        labels=torch.from_numpy(np.concatenate(columns)),
        boxes_xyxy=torch.from_numpy(np.concatenate([sample.canvas.boxes_xyxy for sample in samples])),
        ignored=torch.from_numpy(ignored),
        classes=torch.from_numpy(classes),
        regions_xyxy=torch.from_numpy(regions),
        region_sources=torch.from_numpy(sources),
    )
