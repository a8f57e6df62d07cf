"""``weights/average.py``: the mean of two networks, as a file that a search opens."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from conftest import ROOT
from detect_fixtures import noise_image, write_eager_detector
from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.prediction.predictor import Predictor
from medrov_cli.core.settings.groups import RuntimeSettings
from medrov_cli.core.weights.container import is_of_network, load_tensors, read_metadata, save
from weights_fixtures import made_up_calibration

sys.path.insert(0, str(ROOT / "weights"))

from average import average

NAMES = ("polyp", "lung nodule")


def test_the_mean_of_two_networks(tmp_path: Path) -> None:
    one = write_eager_detector(tmp_path / "one.safetensors")
    other = write_eager_detector(tmp_path / "other.safetensors", seed=1)
    average(tmp_path / "mean.safetensors", [one, other])
    tensors = [load_tensors(tmp_path / f"{name}.safetensors") for name in ("one", "other", "mean")]
    assert tensors[2].keys() == tensors[0].keys()
    for name, value in tensors[2].items():
        if is_of_network(name):
            expected = (tensors[0][name].astype(np.float64) + tensors[1][name]) / 2
            np.testing.assert_allclose(value.astype(np.float64), expected, rtol=1e-3, atol=1e-6)
    with Predictor.open(tmp_path / "mean.safetensors", NAMES, RuntimeSettings("cpu")) as predictor:
        assert len(predictor.predict([noise_image(0)])) == 1


def test_what_belongs_to_one_network_is_left_out(tmp_path: Path) -> None:
    fitted = write_eager_detector(tmp_path / "one.safetensors", calibration=made_up_calibration())
    average(tmp_path / "mean.safetensors", [fitted])
    assert read_metadata(tmp_path / "mean.safetensors").calibration is None


def test_files_of_other_networks_are_refused(tmp_path: Path) -> None:
    one = write_eager_detector(tmp_path / "one.safetensors")
    tensors = load_tensors(one)
    tensors.pop("model.0.conv.weight")
    save(tmp_path / "other.safetensors", tensors, read_metadata(one))
    with pytest.raises(MedrovError, match="'model.0.conv.weight' is missing") as caught:
        average(tmp_path / "mean.safetensors", [one, tmp_path / "other.safetensors"])
    assert caught.value.code is ErrorCode.WEIGHTS_CORRUPT
