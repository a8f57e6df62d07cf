"""The nine kinds of phantoms: exact boxes, the same pixels from the same seed, and what each has to show."""

from __future__ import annotations

import hashlib

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medrov_cli.core.phantoms.brain import brain_mri
from medrov_cli.core.phantoms.kinds import KINDS, PhantomKind, ct_slice, phantom_seed, split_of, windowed_ct
from medrov_cli.core.phantoms.radiograph import chest_xray
from medrov_cli.core.phantoms.retina import fundus
from medrov_cli.core.phantoms.shapes import Phantom, burn_mark
from medrov_cli.core.phantoms.skin import skin_lesion
from medrov_cli.core.phantoms.sonogram import thyroid_ultrasound
from medrov_cli.core.phantoms.tissue import stained_tissue
from medrov_cli.core.settings.choices import Modality

SEEDS = st.integers(0, 2**40)
few_seeds = settings(max_examples=8, deadline=None, derandomize=True)
each_kind = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
SHIPPED = {
    "phantom_ct": "811072b1bd6ef774e821ec5a406d76722d77dbca332d9c5163f53623a88189b8",
    "phantom_endoscopy": "b99d904cbdee52f34a7bdb21316957c7a4a7b30600895328fc06f40f30d15eb7",
    "phantom_smear": "29abd089d4af31755e1de25415931999260bca729b4de974f646a5676127d9a3",
}
"""SHA-256 of pixels and boxes of the first three phantoms of seed 7: medrov-n was trained on these."""


def _named(phantom: Phantom, name: str) -> list[np.ndarray]:
    return [drawn.mask for drawn in phantom.objects if drawn.class_name == name]


def _grey(phantom: Phantom) -> np.ndarray:
    return phantom.pixels.astype(np.float64).mean(axis=2)


def test_there_is_one_kind_a_modality() -> None:
    assert [kind.modality for kind in KINDS] == list(Modality)
    assert len({kind.name for kind in KINDS}) == len(KINDS)


@pytest.mark.parametrize("name", SHIPPED)
def test_what_medrov_n_was_trained_on_stays_as_it_is(name: str) -> None:
    (kind,) = (kind for kind in KINDS if kind.name == name)
    digest = hashlib.sha256()
    for index in range(3):
        phantom = kind.draw(phantom_seed(7, index))
        digest.update(phantom.pixels.tobytes())
        digest.update(repr([(d.class_name, d.box_xyxy) for d in phantom.objects]).encode())
    assert digest.hexdigest() == SHIPPED[name]


@each_kind
@few_seeds
@given(seed=SEEDS)
@pytest.mark.slow
def test_boxes_are_those_of_masks_inside_an_8_bit_picture(kind: PhantomKind, seed: int) -> None:
    phantom = kind.draw(seed)
    assert phantom.modality is kind.modality
    assert phantom.pixels.dtype == np.uint8
    assert phantom.pixels.ndim == 3
    height, width = phantom.pixels.shape[:2]
    assert {drawn.class_name for drawn in phantom.objects} <= set(kind.classes)
    for drawn in phantom.objects:
        x, y, box_width, box_height = cv2.boundingRect(drawn.mask.astype(np.uint8))
        assert drawn.mask.shape == (height, width)
        assert drawn.box_xyxy == (x, y, x + box_width, y + box_height)


@each_kind
def test_the_seed_decides_everything(kind: PhantomKind) -> None:
    first, again, other = (kind.draw(seed) for seed in (3, 3, 4))
    assert np.array_equal(first.pixels, again.pixels)
    assert [d.box_xyxy for d in first.objects] == [d.box_xyxy for d in again.objects]
    assert not np.array_equal(first.pixels, other.pixels)


@each_kind
def test_every_class_turns_up(kind: PhantomKind) -> None:
    missing, seed = set(kind.classes), 0
    while missing:
        assert seed < 25, missing
        missing -= {drawn.class_name for drawn in kind.draw(seed).objects}
        seed += 1


@each_kind
def test_every_phantom_carries_the_mark_where_it_can_be_read(kind: PhantomKind) -> None:
    phantom = kind.draw(2)
    canvas = np.zeros(phantom.pixels.shape[:2], dtype=np.uint8)
    burn_mark(canvas, 1)
    mark = phantom.pixels[canvas == 1]
    assert np.unique(mark).size == 1
    around = cv2.dilate(canvas, np.ones((3, 3), dtype=np.uint8)) - canvas
    assert abs(float(np.median(phantom.pixels[around == 1])) - float(mark[0, 0])) > 20


def test_splits_and_seeds() -> None:
    assert [split_of(index) for index in range(10)] == ["train"] * 8 + ["val", "test"]
    assert (phantom_seed(0, 0), phantom_seed(7, 12)) == (1_000_000, 8_000_012)


def test_a_windowed_slice_has_the_objects_of_the_slice_in_hu() -> None:
    for seed in range(4):
        raw, shown = ct_slice(seed), windowed_ct(seed)
        assert raw.pixels.dtype == np.int16
        assert [d.box_xyxy for d in raw.objects] == [d.box_xyxy for d in shown.objects]
        bright, dark = raw.pixels > 600, raw.pixels < -950
        assert shown.pixels[bright].mean() > 200
        assert shown.pixels[dark].mean() < 60


@few_seeds
@given(seed=SEEDS)
@pytest.mark.slow
def test_a_radiograph_has_two_lungs_and_a_heart(seed: int) -> None:
    phantom = chest_xray(seed)
    (right,), (left,), (heart,) = (_named(phantom, n) for n in ("right lung", "left lung", "heart"))
    assert not (right & left).any()
    assert not (heart & (right | left)).any()
    columns = [np.nonzero(mask)[1].mean() for mask in (right, heart, left)]
    assert columns == sorted(columns)  # the patient's left is on the image's right
    grey = _grey(phantom)
    assert max(np.median(grey[right]), np.median(grey[left])) < np.median(grey[heart]) - 40


@few_seeds
@given(seed=SEEDS)
def test_a_tumour_is_bright_and_inside_the_brain(seed: int) -> None:
    phantom = brain_mri(seed)
    for mask in _named(phantom, "brain tumor"):
        ring = cv2.dilate(mask.astype(np.uint8), np.ones((13, 13), dtype=np.uint8)).astype(bool) & ~mask
        grey = _grey(phantom)
        assert np.percentile(grey[mask], 75) > np.median(grey[ring]) + 40
        assert np.median(grey[ring]) > 45  # brain, and not the black around the head


@pytest.mark.slow
def test_some_heads_and_necks_have_nothing() -> None:
    for draw in (brain_mri, thyroid_ultrasound):
        counts = [len(draw(seed).objects) for seed in range(40)]
        assert 1 <= counts.count(0) <= 12
        assert max(counts) <= 2


@few_seeds
@given(seed=SEEDS)
def test_a_thyroid_nodule_is_darker_than_the_gland(seed: int) -> None:
    phantom = thyroid_ultrasound(seed)
    for mask in _named(phantom, "thyroid nodule"):
        ring = cv2.dilate(mask.astype(np.uint8), np.ones((9, 9), dtype=np.uint8)).astype(bool) & ~mask
        grey = _grey(phantom)
        assert np.median(grey[mask]) < np.median(grey[ring]) - 15


@few_seeds
@given(seed=SEEDS)
def test_nuclei_are_blue_and_many(seed: int) -> None:
    phantom = stained_tissue(seed)
    masks = _named(phantom, "nuclei")
    assert len(masks) > 20
    inside = np.any(masks, axis=0)
    red, blue = phantom.pixels[..., 0].astype(int), phantom.pixels[..., 2].astype(int)
    assert np.median(red[inside]) < np.median(red[~inside]) - 40
    assert np.median(blue[inside]) > np.median(red[inside]) + 15


@few_seeds
@given(seed=SEEDS)
def test_a_lesion_is_darker_than_the_skin(seed: int) -> None:
    phantom = skin_lesion(seed)
    (drawn,) = phantom.objects
    grey = _grey(phantom)
    ring = cv2.dilate(drawn.mask.astype(np.uint8), np.ones((31, 31), dtype=np.uint8)).astype(bool)
    ring &= ~cv2.dilate(drawn.mask.astype(np.uint8), np.ones((15, 15), dtype=np.uint8)).astype(bool)
    assert np.median(grey[drawn.mask]) < np.median(grey[ring]) - 20


@few_seeds
@given(seed=SEEDS)
def test_the_cup_lies_in_the_disc_and_the_disc_on_the_retina(seed: int) -> None:
    phantom = fundus(seed)
    (disc,), (cup,) = (_named(phantom, name) for name in ("optic disc", "optic cup"))
    assert not (cup & ~disc).any()
    assert 0.05 < cup.sum() / disc.sum() < 0.75
    grey = _grey(phantom)
    y, x = np.mgrid[: grey.shape[0], : grey.shape[1]] + 0.5 - grey.shape[0] / 2
    assert not disc[np.hypot(x, y) > 0.46 * grey.shape[0]].any()
    retina = (np.hypot(x, y) < 0.45 * grey.shape[0]) & ~disc
    assert np.median(grey[disc]) > np.median(grey[retina]) + 25
