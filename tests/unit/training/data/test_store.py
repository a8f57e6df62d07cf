"""Deep images come to training and evaluation as the same 8 bits that ``detect`` sees."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.datasets.sample_images import load_image
from medrov_cli.core.datasets.sources import Sample
from medrov_cli.core.pixels.read import read_frames
from medrov_cli.core.training.data.store import ImageStore, readable_samples

NO_BOXES = np.zeros((0, 4), np.float32)
RAMP = np.arange(1000, 1256, dtype=np.uint16).reshape(16, 16)
"""All of it lies in one or two steps of the high byte."""


def sample_of(path: Path, height: int, width: int) -> Sample:
    none = np.zeros(0, np.int64)
    return Sample(0, 1, path, height, width, NO_BOXES, none, None, np.zeros(0, np.float32), NO_BOXES, none)


def test_sixteen_bits_of_grey_are_spread_not_cut(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), RAMP)
    pixels = load_image(sample_of(tmp_path / "a.png", 16, 16))
    assert (pixels.dtype, pixels.shape) == (np.uint8, (16, 16, 3))
    # The percentiles 0.5 and 99.5 of 1000..1255 are 1001.275 and 1253.725; 1128 lies 126.725 above the first.
    assert pixels[8, 0].tolist() == [round(126.725 / 252.45 * 255)] * 3
    assert (pixels.min(), pixels.max()) == (0, 255)


@given(values=arrays.arrays(np.uint16, st.tuples(st.integers(1, 12), st.integers(1, 12))))
def test_training_sees_what_detect_sees(
    tmp_path_factory: pytest.TempPathFactory, values: np.ndarray[tuple[int, int], np.dtype[np.uint16]]
) -> None:
    folder = tmp_path_factory.mktemp("deep")
    cv2.imwrite(str(folder / "a.png"), values)
    tifffile.imwrite(folder / "a.tif", values, photometric="minisblack")
    for name in ("a.png", "a.tif"):
        (frame,) = read_frames(str(folder / name))
        loaded = load_image(sample_of(folder / name, *values.shape))
        np.testing.assert_array_equal(loaded, frame.pixels_rgb, err_msg=name)


def test_eight_bits_stay_as_they_are(tmp_path: Path) -> None:
    pixels = np.arange(4 * 5 * 3, dtype=np.uint8).reshape(4, 5, 3)
    cv2.imwrite(str(tmp_path / "a.png"), pixels[..., ::-1])
    np.testing.assert_array_equal(load_image(sample_of(tmp_path / "a.png", 4, 5)), pixels)


def test_a_deep_image_that_is_cut_short_is_named(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), RAMP)
    (tmp_path / "a.png").write_bytes((tmp_path / "a.png").read_bytes()[:60])
    for name, said in (("a.png", "cannot be decoded"), ("none.png", "does not exist")):
        with pytest.raises(MedrovError, match=rf"{name}: .*{said}") as caught:
            load_image(sample_of(tmp_path / name, 16, 16))
        assert caught.value.code is ErrorCode.DATASET_INVALID


def test_few_unreadable_images_are_left_out(tmp_path: Path) -> None:
    """One image of a split may be unreadable, or one in a hundred."""
    noise = np.random.default_rng(0).integers(0, 256, (40, 40, 3)).astype(np.uint8)
    for name in ("a.jpg", "b.jpg", "c.jpg"):
        cv2.imwrite(str(tmp_path / name), noise)
    data = (tmp_path / "b.jpg").read_bytes()
    (tmp_path / "b.jpg").write_bytes(data[: len(data) // 2])
    samples = [sample_of(tmp_path / name, 40, 40) for name in ("a.jpg", "b.jpg", "c.jpg")]
    store = ImageStore(samples, 20)
    assert ([sample.path for sample in store.samples], len(store)) == ([samples[0].path, samples[2].path], 2)
    assert [samples[1].path in error.message for error in store.failures] == [True]
    kept, failures = readable_samples(samples)
    assert (kept, len(failures)) == ([samples[0], samples[2]], 1)
    for read in (lambda: ImageStore(samples, 20), lambda: readable_samples(samples)):
        (tmp_path / "c.jpg").write_bytes(b"no image")
        with pytest.raises(MedrovError, match=r"2 of 3 images .*b\.jpg") as caught:
            read()
        assert caught.value.code is ErrorCode.DATASET_INVALID
