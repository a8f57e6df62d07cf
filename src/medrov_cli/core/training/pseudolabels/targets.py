"""What a network is taught in a step, and how proposals are added to it: new records, no changes."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from medrov_cli.core.model.learning.assigner import Targets


class TrainingTargets(NamedTuple):
    """What the network is asked, and what it should answer.

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


def add_objects(lesson: TrainingTargets, found: Targets) -> TrainingTargets:
    """Return the lesson with more targets of the classes that it asks for."""
    if not len(found.labels):
        return lesson
    joined = [torch.cat((old, new.to(old))) for old, new in zip(lesson.targets, found, strict=True)]
    order = joined[0].argsort(stable=True)
    return lesson._replace(targets=Targets(*(values[order] for values in joined)))


def add_unknown_objects(
    lesson: TrainingTargets, image_index: Tensor, boxes_xyxy: Tensor, embeddings: Tensor
) -> TrainingTargets:
    """Return the lesson with one more column and target for each unknown object.

    The class of an unknown object is its own embedding. A sample with fewer of them than another
    repeats its first text, ignored.

    Parameters
    ----------
    lesson
        The lesson.
    image_index
        int64, (n,), rising: the sample of each object.
    boxes_xyxy
        float32, (n, 4), in model pixels.
    embeddings
        float32, (n, 512), L2 norm 1.
    """
    if not len(image_index):
        return lesson
    text, ignored = lesson.text, lesson.ignored
    size, asked, _ = text.shape
    image = image_index.to(text.device)
    counts = torch.bincount(image, minlength=size)
    rank = torch.arange(len(image), device=text.device) - (counts.cumsum(0) - counts)[image]
    room = int(counts.max())
    more = text[:, :1].repeat(1, room, 1)
    more[image, rank] = embeddings.to(text)
    unused = torch.ones((size, room), dtype=torch.bool, device=text.device)
    unused[image, rank] = False
    columns = asked + rank
    wider = TrainingTargets(torch.cat((text, more), 1), lesson.targets, torch.cat((ignored, unused), 1))
    if not torch.equal(wider.text[image, columns], embeddings.to(text)):
        raise AssertionError("the class of an unknown object is not its own embedding")
    return add_objects(wider, Targets(image, columns, boxes_xyxy))
