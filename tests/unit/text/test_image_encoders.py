"""Finding an image encoder by its name, and every reason to refuse one."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from medrov_cli.core.base.errors import ErrorCode, ExitCode, MedrovError
from medrov_cli.core.text.image_encoders import check_image_tower, locate_image_encoder, open_image_encoder

Refused = Callable[..., object]

CROP_RGB = np.arange(20 * 30 * 3, dtype=np.uint8).reshape(20, 30, 3)


@pytest.fixture(params=[check_image_tower, locate_image_encoder, open_image_encoder])
def refuse(request: pytest.FixtureRequest) -> Refused:
    """Return each of the functions that refuse an encoder."""
    function: Refused = request.param
    return function


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("minilm", "text encoder minilm has no image tower"),
        ("biomedclip", "unknown text encoder 'biomedclip'"),
        ("hf-hub:nobody", "unknown text encoder"),
        ("local-dir:", "unknown text encoder"),
    ],
)
def test_what_is_no_image_encoder_is_refused(refuse: Refused, spec: str, message: str) -> None:
    with pytest.raises(MedrovError, match=message) as caught:
        refuse(spec)
    assert caught.value.code is ErrorCode.USAGE
    assert caught.value.exit_code is ExitCode.USAGE
    assert caught.value.hint == (
        "Use --text-encoder hf-hub:ORG/NAME or local-dir:PATH: "
        "unknown objects need an encoder with an image tower."
    )


def test_a_config_without_image_tower_is_refused(refuse: Refused, clip_folder: Path, tmp_path: Path) -> None:
    config = json.loads((clip_folder / "open_clip_config.json").read_text())
    del config["model_cfg"]["vision_cfg"]
    (tmp_path / "open_clip_config.json").write_text(json.dumps(config))
    with pytest.raises(MedrovError, match="has no image tower") as caught:
        refuse(f"local-dir:{tmp_path}")
    assert caught.value.code is ErrorCode.USAGE
    assert "unknown objects need" in caught.value.hint


def test_a_folder_without_model_is_refused(refuse: Refused, tmp_path: Path) -> None:
    with pytest.raises(MedrovError, match=r"has no open_clip_config\.json") as caught:
        refuse(f"local-dir:{tmp_path}")
    assert caught.value.code is ErrorCode.ENCODER_MISSING
    assert caught.value.exit_code is ExitCode.WEIGHTS
    assert caught.value.hint


def test_the_check_reads_the_config_alone(clip_folder: Path, tmp_path: Path) -> None:
    shutil.copy(clip_folder / "open_clip_config.json", tmp_path)
    (tmp_path / "open_clip_model.safetensors").mkdir()  # nobody can read that
    check_image_tower(f"local-dir:{tmp_path}")
    with pytest.raises(MedrovError, match="cannot load image encoder") as caught:
        open_image_encoder(f"local-dir:{tmp_path}")
    assert caught.value.code is ErrorCode.ENCODER_MISSING


def test_preprocessing_that_open_clip_does_not_know_is_refused(clip_folder: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(clip_folder, tmp_path / "model")
    path = folder / "open_clip_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"preprocess_cfg": {"resize_mode": "twist"}}))
    with pytest.raises(MedrovError, match="cannot load image encoder") as caught:
        open_image_encoder(f"local-dir:{folder}")
    assert caught.value.code is ErrorCode.ENCODER_MISSING


@pytest.mark.parametrize("name", ["config.json", "tokenizer_config.json"])
def test_a_model_with_code_of_its_own_is_refused(bert_folder: Path, tmp_path: Path, name: str) -> None:
    folder = shutil.copytree(bert_folder, tmp_path / "model")
    content = json.loads((folder / name).read_text())
    (folder / name).write_text(json.dumps({**content, "auto_map": {"AutoModel": "evil.Evil"}}))
    with pytest.raises(MedrovError, match="requires its own code, which is not executed") as caught:
        open_image_encoder(f"local-dir:{folder}")
    assert caught.value.code is ErrorCode.ENCODER_MISSING


@pytest.mark.parametrize("by_environment", [False, True])
def test_the_hub_is_not_asked_while_offline(
    refuse: Refused, hub: Path, monkeypatch: pytest.MonkeyPatch, by_environment: bool
) -> None:
    assert not list(hub.iterdir())
    if by_environment:
        monkeypatch.setenv("MEDROV_OFFLINE", "1")
    with pytest.raises(MedrovError, match="hf-hub:org/absent is not in the local cache") as caught:
        refuse("hf-hub:org/absent", offline=not by_environment)
    assert caught.value.code is ErrorCode.NETWORK_FORBIDDEN
    assert "--offline" in caught.value.hint
    assert "minilm" not in caught.value.hint


def test_a_cached_model_of_the_hub_is_used_without_network(
    hub: Path, bert_folder: Path, put_in_hub: Callable[..., Path]
) -> None:
    snapshot = put_in_hub(hub, "org/tiny", bert_folder)
    put_in_hub(hub, "nobody/not-on-this-machine", bert_folder, "config.json")
    check_image_tower("hf-hub:org/tiny", offline=True)
    encoder = open_image_encoder("hf-hub:org/tiny", offline=True)
    assert (encoder.identity.name, encoder.identity.revision) == ("org/tiny", snapshot.name)
    local = open_image_encoder(f"local-dir:{bert_folder}").encode_images([CROP_RGB])
    np.testing.assert_array_equal(encoder.encode_images([CROP_RGB]), local)


def test_a_cached_config_without_weights_is_refused_when_it_is_loaded(
    hub: Path, clip_folder: Path, put_in_hub: Callable[..., Path]
) -> None:
    put_in_hub(hub, "org/tiny", clip_folder, "open_clip_config.json")
    source = locate_image_encoder("hf-hub:org/tiny", offline=True)
    assert source.identity.width == 64
    with pytest.raises(MedrovError, match="weights of hf-hub:org/tiny") as caught:
        source.load("cpu")
    assert caught.value.code is ErrorCode.NETWORK_FORBIDDEN
    assert "minilm" not in caught.value.hint
