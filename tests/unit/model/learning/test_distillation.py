"""How far a student is from its teacher."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from medrov_cli.core.model.learning.distillation import EDGES_FROM, Distillation, distillation_loss
from medrov_cli.core.model.network import Architecture, Detector, RawPredictions
from medrov_cli.core.settings.train_groups import LossGains

GAINS = LossGains()


def predictions(seed: int, columns: int = 3) -> RawPredictions:
    generator = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(2, 21, columns, generator=generator) - 3
    return RawPredictions(torch.randn(2, 21, 64, generator=generator), logits, ((4, 4), (2, 2), (1, 1)))


def reference(student: RawPredictions, teacher: RawPredictions, asked: Tensor) -> float:
    """Return the loss by loops over anchors and torch's own divergences."""
    scores = edges = norm = 0.0
    for image in range(len(asked)):
        columns = asked[image].nonzero()[:, 0]
        for anchor in range(teacher.logits.shape[1]):
            wanted = teacher.logits[image, anchor, columns].sigmoid()
            own = student.logits[image, anchor, columns].sigmoid()
            both = [torch.stack((p, 1 - p)) for p in (own, wanted)]
            scores += float(functional.kl_div(both[0].log(), both[1], reduction="sum"))
            surest = float(wanted.max())
            norm += surest
            if surest >= EDGES_FROM:
                rows = [p.distances[image, anchor].view(4, 16).softmax(1) for p in (student, teacher)]
                divergence = functional.kl_div(rows[0].log(), rows[1], reduction="none").sum(1).mean()
                edges += surest * float(divergence)
    return (GAINS.text * scores + GAINS.distribution * edges) / norm


@pytest.mark.parametrize("seed", range(3))
def test_equals_a_reference(seed: int) -> None:
    student, teacher = predictions(seed), predictions(seed + 10)
    asked = torch.tensor([[True, True, True], [True, False, True]])
    loss = float(distillation_loss(student, teacher, asked, GAINS))
    assert loss == pytest.approx(reference(student, teacher, asked), rel=1e-4)


def test_nothing_where_they_agree_and_nothing_from_what_is_not_compared() -> None:
    one, asked = predictions(0), torch.tensor([[True, True, False]] * 2)
    assert float(distillation_loss(one, one, asked, GAINS)) == pytest.approx(0, abs=1e-6)
    other = one._replace(logits=one.logits + torch.tensor([0.0, 0.0, 5.0]))
    assert float(distillation_loss(other, one, asked, GAINS)) == pytest.approx(0, abs=1e-6)
    background = one._replace(logits=torch.cat((one.logits, torch.ones(2, 21, 1)), 2))
    assert float(distillation_loss(background, one, asked, GAINS)) == pytest.approx(0, abs=1e-6)


def test_the_teacher_is_asked_without_gradient_and_the_student_learns() -> None:
    torch.manual_seed(0)
    teacher, student = (Detector(Architecture(scale, background=scale == "s")) for scale in ("s", "n"))
    images, text = torch.rand(2, 3, 64, 64), torch.randn(2, 4, 512)
    loss = Distillation(teacher.eval(), 2.0, GAINS)(
        images, text, torch.ones(2, 4, dtype=torch.bool), student(images, text)
    )
    loss.backward()
    assert loss > 0
    assert all(parameter.grad is None for parameter in teacher.parameters())
    assert all(own.grad is not None for own in student.head.parameters() if own.requires_grad)
