"""The network equals ultralytics' own YOLO-World v2 on the same weights."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from medrov_cli.core.model.network import Architecture, Detector


def _reference(scale: str) -> torch.nn.Module:
    """Return ultralytics' model with statistics that are not those of a new model."""
    from ultralytics.nn.tasks import WorldModel

    torch.manual_seed(7)
    model = WorldModel(f"yolov8{scale}-worldv2.yaml", nc=80, verbose=False)
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
            module.weight.data.uniform_(0.5, 1.5)
            module.bias.data.normal_(0, 0.1)
    model.model[-1].nc = 7
    return model


def _inputs(height: int = 96, width: int = 64) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    images = torch.rand(2, 3, height, width, generator=generator)
    text = functional.normalize(torch.randn(7, 512, generator=generator), dim=-1)
    return images, text


@pytest.mark.parametrize("scale", ["n", "s", "m", "l", "x"])
def test_every_scale_takes_ultralytics_state_dict(scale: str) -> None:
    reference = _reference(scale)
    detector = Detector(Architecture(scale))
    detector.load_state_dict(reference.state_dict(), strict=True)


def test_detections_equal_ultralytics() -> None:
    reference = _reference("n").eval()
    detector = Detector(Architecture("n")).eval()
    detector.load_state_dict(reference.state_dict())
    images, text = _inputs()
    with torch.no_grad():
        expected = reference.predict(images, txt_feats=text[None])[0]
        boxes, scores = detector.detect(images, text)
    xywh = expected[:, :4].transpose(1, 2)
    corners = torch.cat((xywh[..., :2] - xywh[..., 2:] / 2, xywh[..., :2] + xywh[..., 2:] / 2), -1)
    assert boxes.shape == (2, 12 * 8 + 6 * 4 + 3 * 2, 4)
    torch.testing.assert_close(boxes, corners, rtol=1e-5, atol=1e-4)
    torch.testing.assert_close(scores, expected[:, 4:].transpose(1, 2), rtol=1e-4, atol=1e-8)


def test_training_pass_and_statistics_equal_ultralytics() -> None:
    reference = _reference("n").train()
    detector = Detector(Architecture("n")).train()
    detector.load_state_dict(reference.state_dict())
    images, text = _inputs()
    expected = reference.predict(images, txt_feats=text[None])
    raw = detector(images, text)
    torch.testing.assert_close(raw.logits, expected["scores"].transpose(1, 2), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(raw.distances, expected["boxes"].transpose(1, 2), rtol=1e-4, atol=1e-4)
    ours, theirs = detector.state_dict(), reference.state_dict()
    for name in theirs:
        if "running" in name:
            torch.testing.assert_close(ours[name], theirs[name], rtol=1e-4, atol=1e-5)


def test_gradients_equal_ultralytics() -> None:
    # Without the batch's own statistics: they cancel the bias before the norm, whose gradient is noise.
    reference = _reference("n").train()
    detector = Detector(Architecture("n")).train()
    detector.load_state_dict(reference.state_dict())
    for model in (reference, detector):
        for module in model.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.eval()
    images, text = _inputs()
    reference.predict(images, txt_feats=text[None])["scores"].square().mean().backward()
    detector(images, text).logits.square().mean().backward()
    theirs = dict(reference.named_parameters())
    compared = 0
    for name, parameter in detector.named_parameters():
        if parameter.grad is not None and theirs[name].grad is not None:
            scale = theirs[name].grad.abs().max().item()
            torch.testing.assert_close(parameter.grad, theirs[name].grad, rtol=1e-3, atol=1e-4 * scale + 1e-9)
            compared += 1
    assert compared > 150


def test_batched_equals_single() -> None:
    detector = Detector(Architecture("n", text_adapter=True)).eval()
    images, text = _inputs()
    with torch.no_grad():
        together = detector.detect(images, text)
        alone = detector.detect(images[1:], text)
    torch.testing.assert_close(together[0][1:], alone[0], rtol=1e-4, atol=1e-3)
    torch.testing.assert_close(together[1][1:], alone[1], rtol=1e-4, atol=1e-7)


def test_score_of_a_class_depends_on_its_own_row() -> None:
    detector = Detector(Architecture("n")).eval()
    images, text = _inputs()
    with torch.no_grad():
        scores = detector.detect(images, text)[1]
        swapped = detector.detect(images, text[[1, 0, 2, 3, 4, 5, 6]])[1]
    torch.testing.assert_close(scores[..., [1, 0, 2, 3, 4, 5, 6]], swapped, rtol=1e-4, atol=1e-8)


def test_adapter_starts_by_taking_off_what_texts_share() -> None:
    detector = Detector(Architecture("n", text_adapter=True))
    shared = functional.normalize(torch.ones(512), dim=0)
    own = torch.eye(512)[:2]
    text = functional.normalize(0.95 * shared + 0.3 * own, dim=-1)
    before = float(text[0] @ text[1])
    detector.center_text(text)
    adapted = detector.adapt_text(text)
    assert before > 0.9
    assert float(adapted[0].detach() @ adapted[1].detach()) < before - 0.1
    torch.testing.assert_close(adapted.norm(dim=-1), torch.ones(2))


def test_whitening_turns_what_many_texts_share_down_and_keeps_close_what_is_one() -> None:
    from medrov_cli.core.text.embedding import embed_texts
    from medrov_cli.core.text.lexicon import lexicon

    texts = sorted({text for entry in lexicon() for text in entry.texts})
    detector = Detector(Architecture("n", text_adapter=True))
    detector.whiten_text(torch.from_numpy(embed_texts(texts, offline=True)))
    names = ["benign breast tumor", "malignant breast tumor", "lung nodule", "pulmonary nodule"]
    rows = detector.adapt_text(torch.from_numpy(embed_texts(names, offline=True))).detach()
    torch.testing.assert_close(rows.norm(dim=-1), torch.ones(4))
    assert float(rows[0] @ rows[1]) < 0.5, "0.79 as MiniLM has them"
    assert float(rows[2] @ rows[3]) > 0.65, "one thing under two names"
    adapted = detector.adapt_text(torch.from_numpy(embed_texts(texts, offline=True))).detach().double()
    spread = torch.linalg.eigvalsh((adapted - adapted.mean(0)).T @ (adapted - adapted.mean(0)))
    raw = torch.from_numpy(embed_texts(texts, offline=True)).double()
    before = torch.linalg.eigvalsh((raw - raw.mean(0)).T @ (raw - raw.mean(0)))
    assert float(spread.max() / spread.sum()) < 0.5 * float(before.max() / before.sum())
