"""Pseudo-labels of a training step: targets from the teacher's proposals for a batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch

from medrov_cli.core.base.constants import TEXT_WIDTH
from medrov_cli.core.datasets.presence import NOBODY, PresenceTable
from medrov_cli.core.model.learning.assigner import Targets
from medrov_cli.core.records.boxes import FloatArray, IntArray
from medrov_cli.core.records.frame import Float32Array, UInt8Array
from medrov_cli.core.settings.teacher_groups import ProposalSettings
from medrov_cli.core.training.data.batch import Batch
from medrov_cli.core.training.pseudolabels.proposal_rules import (
    Proposals,
    attribute,
    confident,
    crops_of,
    split_by_presence,
    unannotated,
)
from medrov_cli.core.training.pseudolabels.targets import TrainingTargets, add_objects, add_unknown_objects

EncodeImages = Callable[[Sequence[UInt8Array]], Float32Array]
"""Function of crops, uint8, (h, w, 3), RGB, to embeddings, float32, (n, width), L2 norm 1."""


class ImageProposals(NamedTuple):
    """Selected proposals of one image, beside its ground truth.

    Attributes
    ----------
    known_classes
        Objects of prompted classes.
    unknown_xyxy
        float, (m, 4), in model pixels: objects of no prompted class.
    crops_xyxy
        int64, (m, 4): crops of the unknown objects, in whole model pixels.
    """

    known_classes: Proposals
    unknown_xyxy: FloatArray
    crops_xyxy: IntArray


class AddedCounts(NamedTuple):
    """Numbers of targets that were added to a batch."""

    known_classes: int = 0
    unknown_classes: int = 0


def select_proposals(
    candidates: Proposals,
    truth_xyxy: FloatArray,
    classes: IntArray,
    regions_xyxy: FloatArray,
    sources: IntArray,
    size_hw: tuple[int, int],
    presence: PresenceTable,
    config: ProposalSettings,
) -> ImageProposals:
    """Return the selected proposals of one image, by all rules in order.

    Parameters
    ----------
    candidates
        See :func:`medrov_cli.core.training.pseudolabels.proposal_rules.confident`.
    truth_xyxy
        float, (m, 4): the ground truth, in model pixels.
    classes
        int64, (t,): the class of each prompt.
    regions_xyxy, sources
        (k, 4) and (k,): visible regions of source images, and their sources.
    size_hw
        Height and width of the model input, in pixels.
    presence
        int8, (sources, classes).
    config
        Thresholds.
    """
    proposals = unannotated(confident(candidates, size_hw, config), truth_xyxy, config)
    region = attribute(proposals.boxes_xyxy, regions_xyxy)
    source = np.where(region == NOBODY, NOBODY, sources[region])
    known, unknown = split_by_presence(proposals, source, classes, presence)
    if not config.unknown_objects:
        unknown[:] = False
    boxes = proposals.boxes_xyxy[unknown]
    chosen, crops = crops_of(boxes, regions_xyxy[region[unknown]], max(size_hw), config)
    return ImageProposals(proposals.subset(known), boxes[chosen], crops[chosen])


@dataclass(frozen=True, slots=True)
class PseudoLabeller:
    """Extension of training targets by the proposals of a teacher.

    Attributes
    ----------
    config
        Thresholds.
    presence
        int8, (sources, classes).
    encode_images
        Image tower of the foundation model; needed for unknown objects only.
    """

    config: ProposalSettings
    presence: PresenceTable
    encode_images: EncodeImages | None = None

    def __call__(
        self, training_targets: TrainingTargets, batch: Batch, candidates: Sequence[Proposals]
    ) -> tuple[TrainingTargets, AddedCounts]:
        """Return the targets with the selected proposals, and their numbers; inputs are not changed.

        Parameters
        ----------
        training_targets
            Targets of the batch without the teacher.
        batch
            Batch on the CPU.
        candidates
            Candidates of the teacher, one record per sample.
        """
        selected = self._select(batch, candidates)
        known = _concatenated(
            [f.known_classes.boxes_xyxy for f in selected], [f.known_classes.columns for f in selected]
        )
        taught = add_objects(training_targets, known)
        crops = [
            np.ascontiguousarray(image[:, top:bottom, left:right].transpose(1, 2, 0))
            for image, found in zip(batch.images.numpy(), selected, strict=True)
            for left, top, right, bottom in found.crops_xyxy
        ]
        if self.encode_images is None or not crops:
            return taught, AddedCounts(len(known.labels))
        encoded = self.encode_images(crops)
        embeddings = np.zeros((len(crops), TEXT_WIDTH), np.float32)
        embeddings[:, : encoded.shape[1]] = encoded
        boxes = [f.unknown_xyxy for f in selected]
        unknown = _concatenated(boxes, [np.zeros(len(b), np.int64) for b in boxes])
        taught = add_unknown_objects(
            taught, unknown.image_index, unknown.boxes_xyxy, torch.from_numpy(embeddings)
        )
        return taught, AddedCounts(len(known.labels), len(crops))

    def _select(self, batch: Batch, candidates: Sequence[Proposals]) -> list[ImageProposals]:
        height, width = batch.images.shape[-2:]
        index, truth = batch.image_index.numpy(), batch.boxes_xyxy.numpy()
        return [
            select_proposals(
                candidates[row],
                truth[index == row],
                batch.classes[row].numpy(),
                batch.regions_xyxy[row].numpy(),
                batch.region_sources[row].numpy(),
                (height, width),
                self.presence,
                self.config,
            )
            for row in range(len(batch.images))
        ]


def _concatenated(boxes_xyxy: Sequence[FloatArray], labels: Sequence[IntArray]) -> Targets:
    """Return the concatenated records of all images."""
    image = np.repeat(np.arange(len(boxes_xyxy)), [len(b) for b in boxes_xyxy])
    boxes = np.concatenate(boxes_xyxy).astype(np.float32)
    return Targets(torch.from_numpy(image), torch.from_numpy(np.concatenate(labels)), torch.from_numpy(boxes))
