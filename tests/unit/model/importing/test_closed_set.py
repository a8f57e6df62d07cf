"""A closed-set YOLOv8 as a start: equal to ultralytics where both networks have the layer."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from medrov_cli.core.base.errors import ExitCode, MedrovError
from medrov_cli.core.model.checkpoint import load_detector
from medrov_cli.core.model.importing.closed_set import UnfitTensorsError, start_from_closed_set
from medrov_cli.core.model.importing.importer import ImportSettings, import_ultralytics_checkpoint
from medrov_cli.core.weights.container import save
from medrov_cli.core.weights.metadata import WeightsMetadata
from weights_fixtures import SIDE, smooth_images

IMAGES = 8


@pytest.fixture(scope="module")
def images_rgb() -> np.ndarray:
    return (smooth_images(IMAGES, seed=3) * 255).byte().permute(0, 2, 3, 1).numpy()


@pytest.fixture(scope="module")
def closed() -> Any:
    """Return a YOLOv8n of ultralytics whose every layer depends on its input."""
    from medrov_cli.core.model.blocks import Conv  # noqa: F401 - keeps ultralytics off the network

    from ultralytics.nn.tasks import DetectionModel  # isort: skip

    torch.manual_seed(5)
    model = DetectionModel("yolov8n.yaml", verbose=False)
    model.model[9].cv1.act = torch.nn.SiLU()  # as YOLOv8 was trained; newer code leaves the activation out
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.weight, 0.6, 1.2)
            torch.nn.init.normal_(module.bias, 0, 0.3)
            module.momentum = 1.0
    with torch.no_grad():
        model.train()(smooth_images(4, seed=1))
    return model.eval()


def tensors_of(model: Any, *, folded: bool) -> dict[str, np.ndarray]:
    if folded:
        model = copy.deepcopy(model).fuse(verbose=False)
    return {name: value.numpy() for name, value in model.state_dict().items() if value.is_floating_point()}


def levels_of(layers: Any, images: torch.Tensor) -> list[torch.Tensor]:
    """Return the maps behind the backbone's layers."""
    maps = []
    for layer in layers:
        images = layer(images)
        maps.append(images)
    return maps


@pytest.mark.parametrize("folded", [False, True])
def test_the_backbone_equals_that_of_ultralytics(closed: Any, images_rgb: np.ndarray, folded: bool) -> None:
    detector = start_from_closed_set(tensors_of(closed, folded=folded), "n", lambda: images_rgb)
    images = smooth_images(2, seed=9)
    with torch.inference_mode():
        ours = levels_of([detector.model[str(index)] for index in range(10)], images)
        theirs = levels_of(closed.model[:10], images)
    for own, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(own, other, rtol=1e-5, atol=1e-5 * float(other.abs().max()))


@pytest.mark.parametrize("folded", [False, True])
def test_the_box_branch_computes_what_ultralytics_does(
    closed: Any, images_rgb: np.ndarray, folded: bool
) -> None:
    detector = start_from_closed_set(tensors_of(closed, folded=folded), "n", lambda: images_rgb)
    features = torch.randn(1, 64, SIDE // 8, SIDE // 8, generator=torch.Generator().manual_seed(2))
    with torch.inference_mode():
        own, other = detector.head.cv2[0](features), closed.model[-1].cv2[0](features)
    torch.testing.assert_close(own, other, rtol=1e-5, atol=1e-5 * float(other.abs().max()))


def test_rebuilt_batch_norms_have_the_statistics_of_the_images(closed: Any, images_rgb: np.ndarray) -> None:
    detector = start_from_closed_set(tensors_of(closed, folded=True), "n", lambda: images_rgb)
    images = torch.from_numpy(images_rgb).permute(0, 3, 1, 2).float() / 255
    first = detector.model["0"]
    with torch.inference_mode():
        seen = first.conv(images)
    torch.testing.assert_close(first.bn.running_mean, seen.mean((0, 2, 3)), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(first.bn.running_var, seen.var((0, 2, 3), correction=0), rtol=1e-3, atol=1e-6)
    with torch.no_grad():
        learning = first.train()(images)
        settled = first.eval()(images)
    torch.testing.assert_close(learning, settled, rtol=1e-3, atol=1e-3)


def test_channels_without_a_counterpart_start_small(closed: Any, images_rgb: np.ndarray) -> None:
    tensors = tensors_of(closed, folded=True)
    detector = start_from_closed_set(tensors, "n", lambda: images_rgb)
    weight = detector.model["12"].cv2.conv.weight
    known = tensors["model.12.cv2.conv.weight"].shape[1]
    np.testing.assert_array_equal(weight[:, :known].detach(), tensors["model.12.cv2.conv.weight"])
    assert 0 < float(weight[:, known:].detach().std()) < 0.02 * float(weight[:, :known].detach().std())


def test_tensors_of_another_network_are_refused(closed: Any, images_rgb: np.ndarray) -> None:
    tensors = tensors_of(closed, folded=True)
    with pytest.raises(UnfitTensorsError, match=r"model\.0\.conv"):
        start_from_closed_set(tensors, "s", lambda: images_rgb)
    with pytest.raises(UnfitTensorsError, match="fewer than"):
        start_from_closed_set(
            {"model.0.conv.weight": tensors["model.0.conv.weight"]}, "n", lambda: images_rgb
        )


def load(path: Path, settings: ImportSettings | None = None) -> tuple[Any, WeightsMetadata]:
    """Return the detector of an imported file, and its metadata."""
    tensors, metadata = import_ultralytics_checkpoint(path, settings)
    save(path.with_name("start.safetensors"), tensors, metadata)
    return load_detector(path.with_name("start.safetensors")), metadata


def assert_backbone_equal(detector: Any, closed: Any) -> None:
    images = smooth_images(2, seed=9)
    with torch.inference_mode():
        ours = levels_of([detector.model[str(index)] for index in range(10)], images)
        theirs = levels_of(closed.model[:10], images)
    for own, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(own, other, rtol=1e-5, atol=1e-5 * float(other.abs().max()))


def test_a_pickled_checkpoint_is_imported(closed: Any, tmp_path: Path) -> None:
    torch.save({"model": closed, "train_args": {"imgsz": 320}}, tmp_path / "yolov8n.pt")
    detector, metadata = load(tmp_path / "yolov8n.pt")
    assert_backbone_equal(detector, closed)
    assert (metadata.name, metadata.imgsz, metadata.vocabulary) == ("yolov8n", 320, ())
    assert metadata.text_encoder.spec == "minilm"
    assert "closed-set YOLOv8" in metadata.training.notes


def test_a_folded_safetensors_file_is_imported(closed: Any, images_rgb: np.ndarray, tmp_path: Path) -> None:
    save_file(tensors_of(closed, folded=True), tmp_path / "yolov8n-fused.safetensors")
    sides: list[int] = []

    def draw(side: int) -> np.ndarray:
        sides.append(side)
        return images_rgb

    settings = ImportSettings(imgsz=SIDE, draw_images=draw)
    detector, metadata = load(tmp_path / "yolov8n-fused.safetensors", settings)
    assert_backbone_equal(detector, closed)
    assert sides == [SIDE]
    assert metadata.architecture.text_adapter


def test_a_yolo_of_another_generation_is_refused(tmp_path: Path) -> None:
    from medrov_cli.core.model.blocks import Conv  # noqa: F401 - keeps ultralytics off the network

    from ultralytics.nn.tasks import DetectionModel  # isort: skip

    model = DetectionModel("yolo11n.yaml", verbose=False)
    names = {name: value.numpy() for name, value in model.state_dict().items() if value.is_floating_point()}
    save_file(names, tmp_path / "yolo11n.safetensors")
    with pytest.raises(MedrovError, match="is no YOLOv8") as caught:
        import_ultralytics_checkpoint(tmp_path / "yolo11n.safetensors")
    assert caught.value.exit_code == ExitCode.WEIGHTS
