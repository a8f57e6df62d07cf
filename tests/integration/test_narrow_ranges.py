"""``weights/narrow_ranges.py``: ranges for int8 that bring the network nearer to fp32."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from medrov_cli.core.phantoms.smear import blood_smear
from medrov_cli.core.records.letterbox import Letterbox
from medrov_cli.core.weights import resolution
from medrov_cli.core.weights.number_formats import read_formats

SCRIPT = Path(__file__).parents[2] / "weights" / "narrow_ranges.py"
Ranges = Mapping[str, tuple[float, float]]


@pytest.fixture(scope="module")
def script() -> ModuleType:
    """Return the script as a module."""
    spec = importlib.util.spec_from_file_location("narrow_ranges", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_ranges_are_narrowed_while_the_error_falls(script: ModuleType) -> None:
    best = {"0": 35.0, "1": 10.0, "2.cv1": 5.0, "3.attn": 4.0}  # upper ends with the smallest error
    measured = {"3.attn": (-2.0, 8.0), "0": (-0.2, 100.0), "1": (-0.2, 10.0), "2.cv1": (-0.2, 7.2)}

    def error(ranges: Ranges) -> float:
        return sum(abs(np.log(ranges[stem][1] / best[stem])) for stem in best) + 1

    lines: list[str] = []
    found = script.narrow_ranges(measured, error, lines.append)
    assert found == {
        "0": (-0.2, 35.0),  # 0.7, 0.5 and 0.35 are each better than the one before
        "1": (-0.2, 10.0),  # already the best
        "2.cv1": (-0.2, 5.04),
        "3.attn": (-1.0, 4.0),  # a signed range is narrowed at both ends
    }
    assert [line.split(":")[0] for line in lines[1:]] == ["0", "0", "0", "2.cv1", "3.attn", "3.attn"]


def test_points_that_share_a_range_keep_one(script: ModuleType) -> None:
    measured = {"4.cv1": (-0.3, 20.0), "4.m.0.cv2": (-0.3, 20.0), "5": (-0.3, 8.0)}
    found = script.narrow_ranges(measured, lambda own: own["4.cv1"][1] + own["5"][1], lambda _: None)
    assert found["4.cv1"] == found["4.m.0.cv2"] == (-0.3, 7.0)
    assert found["5"] == (-0.3, 2.8)


def test_the_error_grows_when_values_are_cut_off(script: ModuleType) -> None:
    weights = resolution.resolve("medrov-n")
    formats = read_formats(weights)
    assert formats is not None
    image = blood_smear(3, size_hw=(240, 320)).pixels
    square = Letterbox.fit(image.shape[:2], 352).apply(image)
    outputs = script.Outputs(weights, square[None])
    tight = {stem: (low, high * 0.05) for stem, (low, high) in formats.ranges.items()}
    assert 0 < outputs.error(formats.ranges) < 0.1 < outputs.error(tight)
