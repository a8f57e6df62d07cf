"""Which images are nearly the same, and which only look alike."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medrov_cli.core.curation.duplicates import near_duplicates, near_pairs
from medrov_cli.core.curation.fingerprints import fingerprint, phash_of


def eyes(number: int, seed: int = 0) -> np.ndarray:
    """Return uint8 (number, 32, 32): bright discs on black, with weak detail of their own."""
    rng = np.random.default_rng(seed)
    disc = cv2.circle(np.zeros((32, 32), np.float32), (16, 16), 13, 150, -1)
    detail = np.stack([cv2.GaussianBlur(rng.normal(0, 60, (32, 32)), (0, 0), 2) for _ in range(number)])
    return np.clip(disc + 40 + detail, 0, 255).astype(np.uint8)


def hashes_of(thumbnails: np.ndarray) -> np.ndarray:
    return np.array([phash_of(thumbnail) for thumbnail in thumbnails], dtype=np.uint64)


@pytest.mark.parametrize("number", [4, 5, 10, 15, 16, 40])
def test_a_copy_is_told_from_what_only_looks_alike_however_small_the_source(number: int) -> None:
    thumbnails = eyes(number)
    flat = thumbnails.reshape(number, -1).astype(float)
    assert np.median(np.corrcoef(flat)) > 0.95  # as they are, all of them are alike
    hashes = hashes_of(thumbnails)
    assert list(near_pairs(thumbnails, hashes, max_hamming=64)) == []
    noise = np.random.default_rng(5).normal(0, 2, (32, 32))
    thumbnails[-1] = np.clip(thumbnails[0] * 0.7 + 20 + noise, 0, 255)  # a copy, and not simply the same
    (pair,) = near_pairs(thumbnails, hashes_of(thumbnails), max_hamming=64)
    assert (pair.first, pair.second) == (0, number - 1)
    assert pair.correlation > 0.95


def test_other_sources_do_not_change_what_is_found_in_one() -> None:
    few, many = eyes(8), eyes(40, seed=1)
    few[7] = few[0]
    thumbnails = np.concatenate([few, many])
    (pair,) = near_duplicates(
        thumbnails,
        hashes_of(thumbnails),
        ["train"] * 7 + ["test"] + ["train"] * 40,
        ["few"] * 8 + ["many"] * 40,
        ["fundoscopy"] * 48,
        max_hamming=64,
    )
    assert (pair.first, pair.second) == (0, 7)
    (alone,) = near_pairs(few, hashes_of(few), max_hamming=64)
    assert alone.correlation == pytest.approx(pair.correlation, abs=1e-5)


@given(
    st.lists(st.tuples(st.integers(0, 9), st.integers(0, 2)), min_size=1, max_size=30),
    st.floats(0, 1),
    st.integers(0, 64),
)
def test_all_pairs_hold_those_between_splits(
    drawn: list[tuple[int, int]], least: float, hamming: int
) -> None:
    rng = np.random.default_rng(0)
    kinds = eyes(10)
    noise = rng.integers(0, 12, (len(drawn), 32, 32))
    thumbnails = np.clip(np.stack([kinds[kind] for kind, _ in drawn]) + noise, 0, 255).astype(np.uint8)
    hashes = hashes_of(thumbnails)
    count = len(drawn)
    between = near_duplicates(
        thumbnails, hashes, [str(s) for _, s in drawn], ["s"] * count, ["CT"] * count, hamming, least
    )
    everything = {(p.first, p.second) for p in near_pairs(thumbnails, hashes, hamming, least - 1e-4)}
    assert {(pair.first, pair.second) for pair in between} <= everything
    assert all(first < second for first, second in everything)


@given(seed=st.integers(0, 10_000))
def test_a_dark_image_of_twelve_bits_has_the_fingerprint_of_its_bright_copy(
    tmp_path_factory: pytest.TempPathFactory, seed: int
) -> None:
    folder = tmp_path_factory.mktemp("deep")
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 6)).astype(np.float32)
    grey = cv2.resize(coarse, (60, 48), interpolation=cv2.INTER_CUBIC).clip(0, 255)
    cv2.imwrite(str(folder / "dark.png"), (grey * 4).astype(np.uint16))  # up to 1020 of 65535
    cv2.imwrite(str(folder / "bright.png"), (grey * 256).astype(np.uint16))
    dark, bright = (fingerprint(folder / name, (48, 60)) for name in ("dark.png", "bright.png"))
    assert dark.problem is None
    assert (dark.phash ^ bright.phash).bit_count() <= 2
    np.testing.assert_allclose(dark.thumbnail.astype(int), bright.thumbnail.astype(int), atol=2)
