"""What one training step is handed, and how samples are put together into it."""

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
"""Source images of a canvas, at most."""


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
        bool, (b, t): no negatives there: classes that the sample may show although it has no
        box of them, and columns that only fill up.
    classes
        int64, (b, t): rows of the dataset's classes; `NOBODY` for a column that only fills up a
        sample with fewer prompts, and repeats its first.
    regions_xyxy
        float32, (b, 4, 4): what is seen of each source image, in model pixels; no area where
        there is none.
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
    """A canvas, and what it is asked for.

    Attributes
    ----------
    canvas
        The model input; its labels are rows of the dataset's classes.
    sources
        int64, (tiles,): the source of each tile.
    classes, text_rows
        int64, (t,): the classes asked for, each once, and the text that names each.
    ignored
        bool, (t,): classes that are no negatives here.
    """

    canvas: Canvas
    sources: IntArray
    classes: IntArray
    text_rows: IntArray
    ignored: npt.NDArray[np.bool_]


def collate(samples: Sequence[PromptSet]) -> Batch:
    """Put samples together. Those with fewer prompts repeat their first one, ignored.

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
