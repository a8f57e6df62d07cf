"""From a teacher's proposals to more targets: whose class is what, and that nothing else changes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from medrov_cli.core.base.constants import TEXT_WIDTH
from medrov_cli.core.datasets.presence import NOBODY
from medrov_cli.core.model.learning.assigner import Targets
from medrov_cli.core.model.learning.freezing import train_mode
from medrov_cli.core.model.network import Architecture, Detector
from medrov_cli.core.records.frame import Float32Array, UInt8Array
from medrov_cli.core.settings.choices import Part
from medrov_cli.core.settings.teacher_groups import ProposalSettings
from medrov_cli.core.training.data.batch import Batch
from medrov_cli.core.training.pseudolabels.proposal_rules import Proposals
from medrov_cli.core.training.pseudolabels.proposals import PseudoLabeller
from medrov_cli.core.training.pseudolabels.targets import TrainingTargets, add_objects, add_unknown_objects
from medrov_cli.core.training.pseudolabels.teacher import predict_candidates

SIZE = 160
PRESENCE = np.array([[1, 0, -1]], dtype=np.int8)  # class 0 annotated, 1 possible, 2 impossible


def unit(rows: int, seed: int = 0) -> torch.Tensor:
    values = torch.randn(rows, TEXT_WIDTH, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.normalize(values, dim=-1)


def random_targets(size: int, prompts: int, boxes: int, seed: int = 0) -> TrainingTargets:
    rng = np.random.default_rng(seed)
    image = torch.from_numpy(np.sort(rng.integers(0, size, boxes)))
    corner = torch.from_numpy(rng.uniform(0, SIZE / 2, (boxes, 2))).float()
    return TrainingTargets(
        unit(size * prompts, seed).view(size, prompts, TEXT_WIDTH),
        Targets(
            image, torch.from_numpy(rng.integers(0, prompts, boxes)), torch.cat((corner, corner + 20), 1)
        ),
        torch.from_numpy(rng.random((size, prompts)) < 0.2),
    )


@given(st.integers(0, 9999), st.integers(1, 5), st.integers(0, 12), st.integers(0, 12))
def test_the_class_of_an_unknown_object_is_its_own_embedding(
    seed: int, size: int, boxes: int, unknown: int
) -> None:
    given = random_targets(size, 3, boxes, seed)
    rng = np.random.default_rng(seed)
    image = torch.from_numpy(np.sort(rng.integers(0, size, unknown)))
    added_boxes = torch.from_numpy(rng.uniform(0, SIZE, (unknown, 4))).float()
    embeddings = unit(unknown, seed + 1)
    before = [value.clone() for value in (given.text, *given.targets, given.ignored)]

    wider = add_unknown_objects(given, image, added_boxes, embeddings)

    for old, new in zip(before, (given.text, *given.targets, given.ignored), strict=True):
        assert torch.equal(old, new), "inputs stay as they are"
    targets = wider.targets
    assert len(targets.labels) == boxes + unknown
    assert (targets.image_index.diff() >= 0).all(), "the sample of each box rises"
    torch.testing.assert_close(wider.text.norm(dim=-1), torch.ones(wider.text.shape[:2]))
    for row in range(unknown):
        mine = (targets.boxes_xyxy == added_boxes[row]).all(1) & (targets.image_index == image[row])
        (place,) = mine.nonzero().flatten().tolist()
        column = targets.labels[place]
        assert torch.equal(wider.text[image[row], column], embeddings[row])
        assert not wider.ignored[image[row], column], "its own column teaches"
    extra = wider.text.shape[1] - 3
    assert extra == (int(torch.bincount(image, minlength=size).max()) if unknown else 0)
    used = torch.zeros((size, extra), dtype=torch.bool)
    new = targets.labels >= 3
    used[targets.image_index[new], targets.labels[new] - 3] = True
    assert torch.equal(wider.ignored[:, 3:], ~used), "a column that only fills up teaches nothing"
    repeated = wider.text[:, 3:] == wider.text[:, :1]
    assert repeated.all(-1)[~used].all()


def test_added_objects_stand_with_their_images() -> None:
    given = random_targets(3, 4, 6)
    found = Targets(torch.tensor([0, 2]), torch.tensor([3, 1]), torch.tensor([[1.0, 2, 3, 4], [5, 6, 7, 8]]))
    targets = add_objects(given, found).targets
    assert (targets.image_index.diff() >= 0).all()
    rows = [(int(i), int(c)) for i, c in zip(targets.image_index, targets.labels, strict=True)]
    own = [(int(i), int(c)) for i, c in zip(given.targets.image_index, given.targets.labels, strict=True)]
    assert sorted(rows) == sorted([*own, (0, 3), (2, 1)])
    none = Targets(torch.zeros(0, dtype=torch.long), torch.zeros(0, dtype=torch.long), torch.zeros(0, 4))
    assert add_objects(given, none) is given


def batch_of_one(truth: list[list[float]], width: int = SIZE) -> Batch:
    """Return one canvas: its left half is source 0, its right half is padding."""
    image = np.random.default_rng(0).integers(0, 255, (1, 3, SIZE, width), dtype=np.uint8)
    regions = torch.zeros(1, 4, 4)
    regions[0, 0] = torch.tensor([0, 0, SIZE / 2, SIZE])
    return Batch(
        images=torch.from_numpy(image),
        text_rows=torch.tensor([[0, 1, 2]]),
        image_index=torch.zeros(len(truth), dtype=torch.long),
        labels=torch.zeros(len(truth), dtype=torch.long),
        boxes_xyxy=torch.tensor(truth).view(-1, 4),
        ignored=torch.tensor([[False, True, False]]),
        classes=torch.tensor([[0, 1, 2]]),
        regions_xyxy=regions,
        region_sources=torch.tensor([[0, NOBODY, NOBODY, NOBODY]]),
    )


class _Tower:
    """Encodes a crop by its mean, and remembers what it saw."""

    def __init__(self) -> None:
        self.crops: list[UInt8Array] = []

    def __call__(self, images_rgb: Sequence[UInt8Array]) -> Float32Array:
        self.crops.extend(images_rgb)
        rows = np.stack([np.append(image.mean((0, 1)), 1.0) for image in images_rgb]).astype(np.float32)
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def targets_for(batch: Batch) -> TrainingTargets:
    targets = Targets(batch.image_index, batch.labels, batch.boxes_xyxy)
    return TrainingTargets(unit(3).view(1, 3, TEXT_WIDTH), targets, batch.ignored)


def test_a_batch_by_hand() -> None:
    batch = batch_of_one([[10, 10, 40, 40]])
    candidates = Proposals(
        np.array(
            [
                [10, 10, 41, 41],  # annotated: explained by the truth
                [10, 60, 40, 90],  # possible but not annotated: believed
                [50, 20, 70, 40],  # annotated class without a box: unknown
                [40, 100, 60, 120],  # impossible class: unknown
                [10, 130, 30, 150],  # possible, but not confident
                [100, 20, 130, 50],  # on padding
            ],
            dtype=np.float32,
        ),
        np.array([0.99, 0.95, 0.94, 0.93, 0.89, 0.99], dtype=np.float32),
        np.array([0, 1, 0, 2, 1, 1]),
    )
    given, tower = targets_for(batch), _Tower()
    labeller = PseudoLabeller(ProposalSettings(unknown_objects=True), PRESENCE, tower)
    taught, counts = labeller(given, batch, [candidates])
    assert tuple(counts) == (1, 2)
    assert taught.targets.labels.tolist() == [0, 1, 3, 4]
    np.testing.assert_array_equal(taught.targets.boxes_xyxy[1:], candidates.boxes_xyxy[1:4])
    assert [crop.shape for crop in tower.crops] == [(32, 32, 3), (32, 32, 3)]
    image = batch.images[0].numpy().transpose(1, 2, 0)
    np.testing.assert_array_equal(tower.crops[0], image[14:46, 44:76])
    assert taught.text.shape == (1, 5, TEXT_WIDTH)
    expected = tower(tower.crops[:1])[0]
    np.testing.assert_array_equal(taught.text[0, 3, :4], expected)
    assert not taught.text[0, 3, 4:].any()

    known_only = PseudoLabeller(ProposalSettings(), PRESENCE)
    taught, counts = known_only(given, batch, [candidates])
    assert tuple(counts) == (1, 0)
    assert taught.targets.labels.tolist() == [0, 1]
    assert taught.text is given.text


def test_proposals_of_a_rectangle_are_clipped_to_its_sides() -> None:
    batch = batch_of_one([], width=96)
    low, small = [10, 110, 40, 170], [50, 20, 60, 32]  # the last is smaller than 50/640 of the longer side
    candidates = Proposals(np.array([low, small], np.float32), np.array([0.95, 0.94]), np.array([1, 2]))
    labeller = PseudoLabeller(ProposalSettings(unknown_objects=True), PRESENCE, _Tower())
    taught, counts = labeller(targets_for(batch), batch, [candidates])
    assert tuple(counts) == (1, 0)
    assert taught.targets.boxes_xyxy.tolist() == [[10, 110, 40, SIZE]]


def test_without_findings_the_targets_are_the_same_object() -> None:
    batch = batch_of_one([])
    nothing = Proposals(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int64))
    given = targets_for(batch)
    labeller = PseudoLabeller(ProposalSettings(unknown_objects=True), PRESENCE, _Tower())
    taught, counts = labeller(given, batch, [nothing])
    assert taught is given
    assert tuple(counts) == (0, 0)


@pytest.mark.parametrize("frozen", [(), (Part.BACKBONE,)])
def test_a_look_leaves_the_network_as_it_was(frozen: tuple[Part, ...]) -> None:
    torch.manual_seed(0)
    detector = Detector(Architecture("n"))
    train_mode(detector, frozen)
    modes = [module.training for module in detector.modules()]
    before = {name: value.clone() for name, value in detector.state_dict().items()}
    images, text = torch.rand(2, 3, 64, 64), unit(6).view(2, 3, TEXT_WIDTH)
    classes = torch.tensor([[0, 1, 2], [1, 0, NOBODY]])
    seen = predict_candidates(detector, images, text, classes, 0.0)
    assert [module.training for module in detector.modules()] == modes
    for name, value in detector.state_dict().items():
        assert torch.equal(value, before[name]), name
    assert [len(found.scores) for found in seen] == [84 * 3, 84 * 2]
    assert set(seen[1].columns.tolist()) == {0, 1}, "a column that only fills up answers nothing"
    boxes, scores = detector.eval().detect(images, text)
    np.testing.assert_array_equal(seen[0].boxes_xyxy[::3], boxes[0].detach().numpy())
    np.testing.assert_array_equal(seen[0].scores, scores[0].detach().flatten().numpy())
    assert [len(f.scores) for f in predict_candidates(detector, images, text, classes, 1.01)] == [0, 0]
