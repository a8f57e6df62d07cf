"""The network as a graph, written without torch, gives what the torch network gives."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional

from medrov_cli.core.engines.anchors import decode_anchors
from medrov_cli.core.model.folding import fold_text
from medrov_cli.core.model.graph.detector import GraphForm, OutputForm, TextForm, build_graph
from medrov_cli.core.model.network import Architecture, Detector
from tolerances import BOX_ATOL_PX, SCORE_ATOL
from weights_fixtures import unit_rows

TEXT = unit_rows(7, seed=2)
Arrays = dict[str, np.ndarray]


def detector_of(scale: str = "n", *, adapter: bool = True, background: bool = False) -> Detector:
    """Return a network whose every statistic is another than a new one's."""
    torch.manual_seed(3)
    detector = Detector(Architecture(scale, text_adapter=adapter, background=background))
    for module in detector.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
            module.weight.data.uniform_(0.5, 1.5)
            module.bias.data.normal_(0, 0.1)
    for name, parameter in detector.named_parameters():
        if name.endswith(("attn.bias", "cv4.0.bias", "text_adapter.bias")):
            parameter.data.normal_(0, 0.05)
    if background:
        detector.keep_background(functional.normalize(torch.randn(512), dim=0))
    return detector.eval()


def tensors_of(detector: Detector) -> Arrays:
    return {name: value.numpy() for name, value in detector.state_dict().items()}


def images(height: int = 64, width: int = 64, count: int = 1) -> np.ndarray:
    return np.random.default_rng(5).integers(0, 256, (count, height, width, 3), dtype=np.uint8)


def by_torch(
    detector: Detector, pixels: np.ndarray, text: np.ndarray = TEXT
) -> tuple[np.ndarray, np.ndarray]:
    with torch.inference_mode():
        values = torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255
        boxes, scores = detector.detect(values, torch.from_numpy(text))
    return boxes.numpy(), scores.numpy()


def by_graph(tensors: Arrays, form: GraphForm, pixels: np.ndarray, text: np.ndarray = TEXT) -> Arrays:
    import onnxruntime

    fixed = text if form.text is TextForm.FIXED else None
    session = onnxruntime.InferenceSession(build_graph(tensors, form, fixed).SerializeToString())
    values: dict[str, Any] = {"images": pixels}
    if not form.bytes_in:
        values["images"] = np.ascontiguousarray(pixels.transpose(0, 3, 1, 2) / np.float32(255))
    if form.text is TextForm.EMBEDDINGS:
        values["embeddings"] = text
    if form.text is TextForm.FOLDED:
        values |= fold_text(tensors, text).inputs()
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, values), strict=True))


@pytest.mark.parametrize("scale", ["n", "s", "m", "l", "x"])
@pytest.mark.slow
def test_every_scale_gives_what_torch_gives(scale: str) -> None:
    detector = detector_of(scale, adapter=False)
    boxes, scores = by_torch(detector, images())
    found = by_graph(tensors_of(detector), GraphForm(input_hw=(64, 64)), images())
    np.testing.assert_allclose(found["boxes"], boxes, atol=BOX_ATOL_PX)
    np.testing.assert_allclose(found["scores"], scores, atol=SCORE_ATOL)
    assert scores.std() > 100 * SCORE_ATOL


@pytest.mark.parametrize("text", list(TextForm))
@pytest.mark.parametrize(("adapter", "background"), [(False, False), (True, False), (True, True)])
def test_every_form_of_the_text_gives_what_torch_gives(
    text: TextForm, *, adapter: bool, background: bool
) -> None:
    detector = detector_of(adapter=adapter, background=background)
    boxes, scores = by_torch(detector, images())
    found = by_graph(
        tensors_of(detector), GraphForm(text, input_hw=(64, 64), bytes_in=True, batch=1), images()
    )
    assert found["scores"].shape == scores.shape == (1, 84, 7)
    np.testing.assert_allclose(found["boxes"], boxes, atol=BOX_ATOL_PX)
    np.testing.assert_allclose(found["scores"], scores, atol=SCORE_ATOL)


@pytest.mark.parametrize(("height", "width", "count"), [(64, 64, 1), (96, 64, 3), (32, 160, 2)])
def test_a_free_size_takes_any_multiple_of_32(height: int, width: int, count: int) -> None:
    detector = detector_of()
    pixels = images(height, width, count)
    boxes, scores = by_torch(detector, pixels)
    found = by_graph(tensors_of(detector), GraphForm(), pixels)
    np.testing.assert_allclose(found["boxes"], boxes, atol=BOX_ATOL_PX)
    np.testing.assert_allclose(found["scores"], scores, atol=SCORE_ATOL)


@pytest.mark.parametrize("floor", [0.0, 1e-6, 0.5, 1.0])
def test_parts_are_worked_out_to_the_same_boxes_and_scores(floor: float) -> None:
    detector = detector_of(background=True)
    tensors = tensors_of(detector)
    boxes, scores = (array[0] for array in by_torch(detector, images()))
    form = GraphForm(
        TextForm.FOLDED, OutputForm.PARTS, input_hw=(64, 64), batch=1, bytes_in=True, pooled=True
    )
    parts = {name: value[0] for name, value in by_graph(tensors, form, images()).items()}
    found = decode_anchors(parts, fold_text(tensors, TEXT), floor, (64, 64))
    kept = scores.max(1) >= floor
    np.testing.assert_allclose(found.boxes_xyxy, boxes[kept], atol=BOX_ATOL_PX)
    np.testing.assert_allclose(found.scores, scores[kept], atol=SCORE_ATOL)


def test_parts_of_a_large_image_are_those_of_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("medrov_cli.core.model.graph.network.PLACES_AT_ONCE", 50)  # 144 = 48 + 48 + 48
    detector = detector_of()
    tensors, pixels = tensors_of(detector), images(96, 96)
    boxes, scores = (array[0] for array in by_torch(detector, pixels))
    form = GraphForm(
        TextForm.FOLDED, OutputForm.PARTS, input_hw=(96, 96), batch=1, bytes_in=True, pooled=True
    )
    parts = {name: value[0] for name, value in by_graph(tensors, form, pixels).items()}
    found = decode_anchors(parts, fold_text(tensors, TEXT), 0.0, (96, 96))
    np.testing.assert_allclose(found.boxes_xyxy, boxes, atol=BOX_ATOL_PX)
    np.testing.assert_allclose(found.scores, scores, atol=SCORE_ATOL)
    best = np.concatenate([parts[f"best{level}"] for level in range(3)])
    np.testing.assert_allclose(1 / (1 + np.exp(-best)), scores.max(1), atol=SCORE_ATOL)


@pytest.mark.parametrize("count", [1, 1000])
def test_any_number_of_classes_goes_through_one_graph(count: int) -> None:
    detector, text = detector_of(), unit_rows(count, seed=8)
    _, scores = by_torch(detector, images(), text)
    found = by_graph(tensors_of(detector), GraphForm(TextForm.EMBEDDINGS), images(), text)
    np.testing.assert_allclose(found["scores"], scores, atol=SCORE_ATOL)


def test_the_same_weights_make_the_same_bytes_and_metadata_travels_along() -> None:
    tensors = tensors_of(detector_of())
    form = GraphForm(input_hw=(64, 64), metadata={"b": "2", "a": "1"})
    first, second = build_graph(tensors, form, TEXT), build_graph(tensors, form, TEXT)
    assert first.SerializeToString(deterministic=True) == second.SerializeToString(deterministic=True)
    assert {entry.key: entry.value for entry in first.metadata_props} == {"a": "1", "b": "2"}


def test_tensors_are_left_as_they_were() -> None:
    tensors = tensors_of(detector_of())
    before = {name: value.copy() for name, value in tensors.items()}
    build_graph(tensors, GraphForm(), TEXT)
    assert all(np.array_equal(value, before[name]) for name, value in tensors.items())


def test_fixed_text_needs_classes() -> None:
    with pytest.raises(ValueError, match="class embeddings"):
        build_graph(tensors_of(detector_of()), GraphForm())


def test_no_torch_is_needed() -> None:
    script = (
        "import sys; import medrov_cli.core.model.graph.detector, medrov_cli.core.model.loading;"
        "print([name for name in ('torch', 'ultralytics') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
