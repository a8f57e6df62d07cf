"""The loss and the assignment equal ultralytics' v8 detection loss."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from medrov_cli.core.base.constants import STRIDES
from medrov_cli.core.model.geometry import complete_iou
from medrov_cli.core.model.head import ContrastiveDetectionHead
from medrov_cli.core.model.learning.assigner import Targets, assign
from medrov_cli.core.model.learning.criterion import DetectionCriterion, distribution_focal_loss
from medrov_cli.core.model.network import RawPredictions

SIZE = 160
GRID = tuple((SIZE // stride, SIZE // stride) for stride in STRIDES)
ANCHORS = sum(rows * columns for rows, columns in GRID)


def _raw(batch: int, classes: int, seed: int) -> RawPredictions:
    generator = torch.Generator().manual_seed(seed)
    distances = torch.randn(batch, ANCHORS, 64, generator=generator) * 2
    logits = torch.randn(batch, ANCHORS, classes, generator=generator)
    return RawPredictions(distances.requires_grad_(), logits.requires_grad_(), GRID)


def _targets(batch: int, classes: int, count: int, seed: int) -> Targets:
    generator = torch.Generator().manual_seed(seed + 1)
    centre = torch.rand(count, 2, generator=generator) * SIZE
    half = torch.rand(count, 2, generator=generator) ** 2 * 40 + 2
    boxes = torch.cat((centre - half, centre + half), 1).clamp(0, SIZE)
    boxes[:, 2:] = torch.maximum(boxes[:, 2:], boxes[:, :2] + 1)
    image = torch.randint(0, batch, (count,), generator=generator).sort()[0]
    return Targets(image, torch.randint(0, classes, (count,), generator=generator), boxes)


def _head() -> ContrastiveDetectionHead:
    return ContrastiveDetectionHead((64, 128, 256), STRIDES)


def _ultralytics(raw: RawPredictions, targets: Targets, classes: int) -> dict[str, torch.Tensor]:
    from ultralytics.utils.loss import v8DetectionLoss

    head = SimpleNamespace(stride=torch.tensor(STRIDES, dtype=torch.float32), nc=classes, reg_max=16)
    model = SimpleNamespace(
        parameters=lambda: iter([torch.zeros(1)]),
        args=SimpleNamespace(box=7.5, cls=0.5, dfl=1.5),
        model=[head],
    )
    xywh = torch.cat(
        (
            (targets.boxes_xyxy[:, :2] + targets.boxes_xyxy[:, 2:]) / 2,
            targets.boxes_xyxy[:, 2:] - targets.boxes_xyxy[:, :2],
        ),
        1,
    )
    predictions = {
        "boxes": raw.distances.transpose(1, 2),
        "scores": raw.logits.transpose(1, 2),
        "feats": [torch.zeros(raw.logits.shape[0], 1, *grid) for grid in raw.grid_hw],
    }
    batch = {"batch_idx": targets.image_index, "cls": targets.labels, "bboxes": xywh / SIZE}
    return v8DetectionLoss(model).loss(predictions, batch)[1]


# In the crowd, boxes with fewer than ten overlapping anchors fill up with anchors of metric 0 there,
# picked by the order of a tie; we leave those out, which moves the text term by some 1e-4 of itself.
@pytest.mark.parametrize(
    ("count", "seed", "text_rtol"), [(1, 0, 1e-4), (12, 1, 1e-4), (60, 2, 1e-4), (300, 3, 2e-3)]
)
def test_loss_equals_ultralytics(count: int, seed: int, text_rtol: float) -> None:
    raw, targets = _raw(3, 5, seed), _targets(3, 5, count, seed)
    loss = DetectionCriterion(_head())(raw, targets)
    expected = _ultralytics(raw, targets, 5)
    torch.testing.assert_close(loss.box, expected["box_loss"], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(loss.text, expected["cls_loss"], rtol=text_rtol, atol=1e-5)
    torch.testing.assert_close(loss.distribution, expected["dfl_loss"], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(loss.total, loss.box + loss.text + loss.distribution)


def test_ignored_classes_are_no_negatives_but_their_targets_count() -> None:
    raw, targets = _raw(2, 4, 0), _targets(2, 4, 30, 0)
    ignored = torch.zeros(2, 4, dtype=torch.bool)
    ignored[0, 2] = True
    criterion = DetectionCriterion(_head())
    full, spared = criterion(raw, targets), criterion(raw, targets, ignored)
    torch.testing.assert_close(criterion(raw, targets, torch.zeros_like(ignored)).text, full.text)
    assert spared.text < full.text
    assert (spared.box, spared.distribution) == (full.box, full.distribution)
    (gradient,) = torch.autograd.grad(spared.text, raw.logits)
    (usual,) = torch.autograd.grad(full.text, raw.logits)
    touched = gradient[0, :, 2] != 0
    assert 0 < touched.sum() < ANCHORS, "only its own targets pull at an ignored class"
    torch.testing.assert_close(gradient[0, touched, 2], usual[0, touched, 2])
    torch.testing.assert_close(gradient[1], usual[1])


def test_no_targets_still_teaches_silence() -> None:
    raw = _raw(2, 3, 0)
    empty = Targets(torch.zeros(0, dtype=torch.int64), torch.zeros(0, dtype=torch.int64), torch.zeros(0, 4))
    loss = DetectionCriterion(_head())(raw, empty)
    assert loss.box.item() == 0
    assert loss.distribution.item() == 0
    loss.total.backward()
    assert raw.logits.grad is not None
    assert (raw.logits.grad > 0).all()


@given(count=st.integers(1, 80), seed=st.integers(0, 10_000))
def test_assignment_rules(count: int, seed: int) -> None:
    raw, targets = _raw(2, 4, seed), _targets(2, 4, count, seed)
    head = _head()
    boxes = head.decode(raw.distances.detach(), GRID)
    found = assign(targets, boxes, raw.logits.detach(), GRID, STRIDES)
    key = found.image_index * ANCHORS + found.anchor_index
    assert len(key.unique()) == len(key), "an anchor answers for one target"
    assert torch.equal(targets.image_index[found.target_index], found.image_index)
    assert (torch.bincount(found.target_index, minlength=count) <= ANCHORS).all()
    assert ((found.score >= 0) & (found.score <= 1)).all()
    centres, _ = head.anchors(GRID, boxes)
    centre = centres[found.anchor_index]
    box = targets.boxes_xyxy[found.target_index]
    middle, half = (box[:, :2] + box[:, 2:]) / 2, (box[:, 2:] - box[:, :2]).clamp_min(16) / 2
    assert ((centre - middle).abs() < half).all(), (
        "the target (at least 16 px wide) holds the anchor's centre"
    )


def test_complete_iou_by_hand() -> None:
    first = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 10], [0, 0, 10, 10]])
    second = torch.tensor([[0.0, 0, 10, 10], [10, 0, 20, 10], [5, 0, 15, 10]])
    # Same aspect: IoU less squared distance of the centres over the squared diagonal of the hull.
    expected = torch.tensor([1.0, 0 - 100 / 500, 50 / 150 - 25 / 325])
    torch.testing.assert_close(complete_iou(first, second), expected, rtol=0, atol=1e-5)


def test_distribution_focal_loss_by_hand() -> None:
    # Uniform logits: log p = -log 16 in both neighbours, whatever the target.
    loss = distribution_focal_loss(torch.zeros(1, 4, 16), torch.tensor([[0.0, 3.25, 7.5, 40.0]]))
    torch.testing.assert_close(loss, torch.log(torch.tensor([16.0])))
    # All mass on bin 3, target 3: no loss.
    peaked = torch.full((1, 4, 16), -50.0)
    peaked[..., 3] = 50.0
    torch.testing.assert_close(distribution_focal_loss(peaked, torch.full((1, 4), 3.0)), torch.zeros(1))
