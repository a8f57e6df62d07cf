"""open_clip's image towers as encoders of crops, on tiny models with random weights."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from medrov_cli.core.records.frame import Float32Array, UInt8Array
from medrov_cli.core.text.encoders import open_encoder
from medrov_cli.core.text.image_encoders import open_image_encoder
from medrov_cli.core.text.protocol import ImageEncoder

SIZES_HW = [(1, 1), (7, 3), (160, 160), (32, 32), (40, 90), (300, 200)]


@pytest.fixture(params=["clip_folder", "bert_folder"])
def folder(request: pytest.FixtureRequest) -> Path:
    """Return a model of open_clip's own kind, then one built like BiomedCLIP."""
    found: Path = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def encoder(folder: Path) -> ImageEncoder:
    return open_image_encoder(f"local-dir:{folder}")


@pytest.fixture
def loaded(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Return a list that gets every model that open_clip makes."""
    import open_clip

    models: list[Any] = []
    create = open_clip.create_model

    def create_and_keep(*arguments: Any, **options: Any) -> Any:
        models.append(create(*arguments, **options))
        return models[-1]

    monkeypatch.setattr(open_clip, "create_model", create_and_keep)
    return models


@pytest.fixture
def crops_rgb() -> list[UInt8Array]:
    """Return crops of noise, each of its own size."""
    random = np.random.default_rng(7)
    return [random.integers(0, 256, (height, width, 3), np.uint8) for height, width in SIZES_HW]


def plain_open_clip(folder: Path, crops_rgb: list[UInt8Array]) -> Float32Array:
    """Encode with open_clip alone, preprocessing and all, image by image."""
    import open_clip
    import torch
    from PIL import Image

    config = json.loads((folder / "open_clip_config.json").read_text())["model_cfg"]["text_cfg"]
    if "hf_model_name" in config:
        config |= {"hf_model_name": str(folder), "hf_model_pretrained": False}
    model, preprocess = open_clip.create_model_from_pretrained(f"local-dir:{folder}", text_cfg=config)
    with torch.no_grad():
        rows = [
            model.eval().encode_image(preprocess(Image.fromarray(crop))[None], normalize=True)[0]
            for crop in crops_rgb
        ]
    return np.stack([row.numpy() for row in rows])


def test_crops_give_what_open_clip_gives(
    encoder: ImageEncoder, folder: Path, crops_rgb: list[UInt8Array]
) -> None:
    rows = encoder.encode_images(crops_rgb)
    assert rows.shape == (len(crops_rgb), encoder.identity.width)
    assert rows.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(rows, plain_open_clip(folder, crops_rgb), atol=1e-5)
    assert not np.allclose(rows[2], rows[3], atol=1e-3)


def test_the_models_own_preprocessing_is_used(
    bert_folder: Path, tmp_path: Path, crops_rgb: list[UInt8Array]
) -> None:
    copy = shutil.copytree(bert_folder, tmp_path / "model")
    path = copy / "open_clip_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"preprocess_cfg": {}}))
    rows, others = (
        open_image_encoder(f"local-dir:{folder}").encode_images(crops_rgb) for folder in (bert_folder, copy)
    )
    assert not np.allclose(rows, others, atol=1e-3)


def test_a_batch_gives_what_its_crops_give_alone(encoder: ImageEncoder, crops_rgb: list[UInt8Array]) -> None:
    alone = np.concatenate([encoder.encode_images([crop]) for crop in crops_rgb])
    np.testing.assert_allclose(encoder.encode_images(crops_rgb), alone, atol=1e-5)


def test_more_crops_than_a_forward_pass_takes_keep_their_order(
    clip_folder: Path, crops_rgb: list[UInt8Array], loaded: list[Any]
) -> None:
    encoder = open_image_encoder(f"local-dir:{clip_folder}")
    passes: list[int] = []
    loaded[0].visual.register_forward_hook(lambda _tower, inputs, _output: passes.append(len(inputs[0])))
    rows = encoder.encode_images(crops_rgb * 22)  # 132 crops
    assert passes == [64, 64, 4]
    np.testing.assert_allclose(rows, np.tile(encoder.encode_images(crops_rgb), (22, 1)), atol=1e-5)


def test_crops_are_not_changed(encoder: ImageEncoder, crops_rgb: list[UInt8Array]) -> None:
    before = [crop.copy() for crop in crops_rgb]
    encoder.encode_images(crops_rgb)
    for crop, untouched in zip(crops_rgb, before, strict=True):
        np.testing.assert_array_equal(crop, untouched)


def test_a_crop_may_be_a_view_of_a_read_only_image(
    encoder: ImageEncoder, crops_rgb: list[UInt8Array]
) -> None:
    image = crops_rgb[-1]
    image.flags.writeable = False
    view = image[20:60, 50:150]
    assert not view.flags.c_contiguous
    np.testing.assert_array_equal(encoder.encode_images([view]), encoder.encode_images([view.copy()]))


def test_no_gradient_is_kept(folder: Path, crops_rgb: list[UInt8Array], loaded: list[Any]) -> None:
    import torch

    encoder = open_image_encoder(f"local-dir:{folder}")
    outputs: list[torch.Tensor] = []
    loaded[0].visual.register_forward_hook(lambda _tower, _inputs, output: outputs.append(output))
    with torch.enable_grad():
        encoder.encode_images(crops_rgb)
    assert [output.requires_grad for output in outputs] == [False]
    assert not any(parameter.requires_grad for parameter in loaded[0].parameters())


def test_the_precision_around_makes_no_difference(encoder: ImageEncoder, crops_rgb: list[UInt8Array]) -> None:
    import torch

    expected = encoder.encode_images(crops_rgb)
    with torch.autocast("cpu", torch.bfloat16):
        np.testing.assert_array_equal(encoder.encode_images(crops_rgb), expected)


def test_no_crops_give_no_rows(encoder: ImageEncoder) -> None:
    rows = encoder.encode_images([])
    assert rows.shape == (0, encoder.identity.width)
    assert rows.dtype == np.float32


def test_a_single_grey_pixel_is_a_crop(encoder: ImageEncoder) -> None:
    pixel, square = (np.full((side, side, 3), 128, np.uint8) for side in (1, 90))
    rows = encoder.encode_images([pixel, square])
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(rows[0], rows[1], atol=1e-5)  # grey at any size


@pytest.mark.parametrize("resize_mode", ["shortest", "longest", "squash"])
@pytest.mark.parametrize("tall", [False, True])
def test_of_an_endless_strip_the_middle_is_encoded(
    clip_folder: Path, tmp_path: Path, resize_mode: str, tall: bool
) -> None:
    folder = shutil.copytree(clip_folder, tmp_path / "model")
    path = folder / "open_clip_config.json"
    config = json.loads(path.read_text())
    path.write_text(json.dumps(config | {"preprocess_cfg": {"resize_mode": resize_mode}}))
    strip = np.random.default_rng(3).integers(0, 256, (1, 20_032, 3), np.uint8)
    middle = strip[:, 10_000:10_032]
    if tall:
        strip, middle = strip.transpose(1, 0, 2), middle.transpose(1, 0, 2)
    rows = open_image_encoder(f"local-dir:{folder}").encode_images([strip, middle])
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(rows[0], rows[1], atol=1e-5)


def test_images_and_texts_share_a_space(encoder: ImageEncoder, folder: Path) -> None:
    text_encoder = open_encoder(f"local-dir:{folder}")
    assert encoder.identity == text_encoder.identity
    image = encoder.encode_images([np.zeros((8, 8, 3), np.uint8)])
    assert image.shape == text_encoder.encode(["polyp"]).shape


def test_the_text_tower_is_not_kept(folder: Path, loaded: list[Any]) -> None:
    from safetensors import safe_open

    encoder = open_image_encoder(f"local-dir:{folder}")
    with safe_open(folder / "open_clip_model.safetensors", "pt") as weights:
        names = set(weights.keys())
    tower = {name for name in names if name.startswith("visual.")}
    assert tower < names
    assert set(loaded[0].state_dict()) == tower
    assert encoder.encode_images([np.zeros((8, 8, 3), np.uint8)]).any()


def test_nothing_is_printed_or_logged(
    bert_folder: Path, crops_rgb: list[UInt8Array], capfd: pytest.CaptureFixture[str]
) -> None:
    open_image_encoder(f"local-dir:{bert_folder}").encode_images(crops_rgb)
    captured = capfd.readouterr()
    assert (captured.out, captured.err) == ("", "")
