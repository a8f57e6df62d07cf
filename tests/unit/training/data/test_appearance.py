"""Each change of pixels is where it belongs, does what its name says, and leaves shape and input alone."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest

from medrov_cli.core.settings.choices import Appearance, Modality
from medrov_cli.core.settings.train_groups import APPEARANCES, AppearanceSettings
from medrov_cli.core.training.data.appearance import change_pixels

NOTHING = AppearanceSettings(**{field.name: 0.0 for field in fields(AppearanceSettings)})
PINK = np.full((48, 40, 3), (200, 120, 180), dtype=np.uint8)


def _change(image: np.ndarray, modality: Modality, config: AppearanceSettings, seed: int = 0) -> np.ndarray:
    before = image.copy()
    changed = change_pixels(image, modality, config, np.random.default_rng(seed))
    assert (changed.shape, changed.dtype) == (image.shape, np.uint8)
    np.testing.assert_array_equal(image, before)
    return changed.astype(int)


def _noise(height: int = 40, width: int = 30) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 255, (height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize("appearance", list(Appearance))
@pytest.mark.parametrize("modality", list(Modality))
def test_pixels_change_and_shape_stays(modality: Modality, appearance: Appearance) -> None:
    for seed in range(20):
        assert (_change(_noise(), modality, APPEARANCES[appearance], seed) != _noise()).any()


@pytest.mark.parametrize("modality", list(Modality))
def test_nothing_asked_nothing_changed(modality: Modality) -> None:
    grey = np.repeat(_noise()[..., :1], 3, axis=2)  # colours go through HSV, which rounds
    np.testing.assert_array_equal(_change(grey, modality, NOTHING), grey)


@pytest.mark.parametrize("modality", [Modality.CT, Modality.MRI, Modality.XRAY, Modality.ULTRASOUND])
def test_a_grey_image_stays_grey_where_there_are_no_colours(modality: Modality) -> None:
    everything = replace(APPEARANCES[Appearance.MEDICAL], noise=1, blur=1, resolution=1, window=1)
    grey = np.repeat(_noise()[..., :1], 3, axis=2)
    changed = _change(grey, modality, replace(everything, compression=0))
    np.testing.assert_array_equal(changed[..., 0], changed[..., 1])
    np.testing.assert_array_equal(changed[..., 0], changed[..., 2])


def test_grey_takes_the_colours_alone() -> None:
    changed = _change(PINK, Modality.DERMOSCOPY, replace(NOTHING, grey=1))
    assert np.ptp(changed) == 0
    assert 120 < changed[0, 0, 0] < 200
    assert np.ptp(_change(PINK, Modality.XRAY, replace(NOTHING, grey=1))) == 80, "an X-ray has none to lose"


def test_stains_scale_in_density_and_white_stays_white() -> None:
    config = replace(NOTHING, stain=0.3)
    assert (_change(PINK, Modality.HISTOPATHOLOGY, config) != PINK).any()
    assert abs(_change(PINK, Modality.MICROSCOPY, config) - PINK).max() <= 3, "HSV rounds, no more"
    glass = np.full((8, 8, 3), 255, dtype=np.uint8)
    assert _change(glass, Modality.HISTOPATHOLOGY, config).min() >= 254
    means = np.array([_change(PINK, Modality.HISTOPATHOLOGY, config, seed).mean() for seed in range(60)])
    assert means.min() < PINK.mean() - 5 < PINK.mean() + 5 < means.max()


def test_a_window_cuts_both_ends_and_keeps_the_order() -> None:
    ramp = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 3, axis=2).repeat(4, axis=0)
    for seed in range(10):
        levels = _change(ramp, Modality.CT, replace(NOTHING, window=1), seed)[0, :, 0]
        assert (np.diff(levels) >= 0).all()
        assert (levels[0], levels[-1]) == (0, 255)
        assert (levels == 255).sum() > 1 or (levels == 0).sum() > 1
    np.testing.assert_array_equal(_change(ramp, Modality.ULTRASOUND, replace(NOTHING, window=1)), ramp)


def test_glare_only_brightens_some_of_an_endoscopy() -> None:
    config = replace(NOTHING, glare=1)
    difference = _change(np.full((200, 200, 3), 90, np.uint8), Modality.ENDOSCOPY, config) - 90
    assert difference.min() == 0 < difference.max()
    assert 0 < (difference > 0).mean() < 0.5
    assert (_change(np.full((200, 200, 3), 90, np.uint8), Modality.FUNDOSCOPY, config) == 90).all()


def test_a_vignette_darkens_corners_more_than_the_middle() -> None:
    flat = np.full((100, 120, 3), 200, np.uint8)
    changed = _change(flat, Modality.FUNDOSCOPY, replace(NOTHING, vignette=1))[..., 0]
    corners = changed[[0, 0, -1, -1], [0, -1, 0, -1]]
    assert corners.max() < changed[50, 60] <= 200
    assert (_change(flat, Modality.CT, replace(NOTHING, vignette=1)) == 200).all()


@pytest.mark.parametrize("loss", ["resolution", "blur"])
def test_detail_is_lost_and_the_mean_stays(loss: str) -> None:
    image = _noise(80, 80)
    changed = _change(image, Modality.XRAY, replace(NOTHING, **{loss: 1.0}))
    assert changed.std() < 0.9 * image.std()
    assert abs(changed.mean() - image.mean()) < 3


def test_speckle_is_stronger_where_it_is_bright() -> None:
    image = np.zeros((60, 60, 3), dtype=np.uint8)
    image[:, 30:] = 150
    speckled = _change(image, Modality.ULTRASOUND, replace(NOTHING, noise=1))
    assert speckled[:, :30].max() == 0 < speckled[:, 30:].std()


def test_compression_changes_little() -> None:
    changed = _change(PINK, Modality.ENDOSCOPY, replace(NOTHING, compression=1))
    assert abs(changed - PINK).max() < 16
