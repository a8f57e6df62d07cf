"""Targets of a training step, and functions that return them with added proposals."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from medrov_cli.core.model.learning.assigner import Targets


class TrainingTargets(NamedTuple):
    """Class embeddings of a batch, and the targets of the network.

    Attributes
    ----------
    text
        float32, (b, t, 512): class embeddings, L2 norm 1.
    targets
        Boxes; a label is a column of ``text``.
    ignored
        bool, (b, t): columns without negatives.
    """

    text: Tensor
    targets: Targets
    ignored: Tensor


def add_objects(training_targets: TrainingTargets, found: Targets) -> TrainingTargets:
    """Return the targets with additional objects of prompted classes."""
    if not len(found.labels):
        return training_targets
    joined = [torch.cat((old, new.to(old))) for old, new in zip(training_targets.targets, found, strict=True)]
    order = joined[0].argsort(stable=True)
    return training_targets._replace(targets=Targets(*(values[order] for values in joined)))


def add_unknown_objects(
    training_targets: TrainingTargets, image_index: Tensor, boxes_xyxy: Tensor, embeddings: Tensor
) -> TrainingTargets:
    """Return the targets with an additional column and target for each unknown object.

    The class embedding of an unknown object is its own embedding. A sample with fewer unknown objects than
    another repeats its first text, ignored.

    Parameters
    ----------
    training_targets
        Targets of the batch.
    image_index
        int64, (n,), ascending: the sample of each object.
    boxes_xyxy
        float32, (n, 4), in model pixels.
    embeddings
        float32, (n, 512), L2 norm 1.
    """
    if not len(image_index):
        return training_targets
    text, ignored = training_targets.text, training_targets.ignored
    size, prompts, _ = text.shape
    image = image_index.to(text.device)
    counts = torch.bincount(image, minlength=size)
    rank = torch.arange(len(image), device=text.device) - (counts.cumsum(0) - counts)[image]
    width = int(counts.max())
    more = text[:, :1].repeat(1, width, 1)
    more[image, rank] = embeddings.to(text)
    unused = torch.ones((size, width), dtype=torch.bool, device=text.device)
    unused[image, rank] = False
    columns = prompts + rank
    wider = TrainingTargets(
        torch.cat((text, more), 1), training_targets.targets, torch.cat((ignored, unused), 1)
    )
    if not torch.equal(wider.text[image, columns], embeddings.to(text)):
        raise AssertionError("the class of an unknown object is not its own embedding")
    return add_objects(wider, Targets(image, columns, boxes_xyxy))
