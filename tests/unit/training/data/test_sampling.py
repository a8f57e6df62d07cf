"""Which image comes when."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medrov_cli.core.datasets.sources import Sample
from medrov_cli.core.settings.choices import Balance, Modality
from medrov_cli.core.settings.train_groups import BalanceSettings
from medrov_cli.core.training.data.sampling import epoch_order, repeat_factors, sample_weights


def _samples(sizes: list[int]) -> list[Sample]:
    none = np.zeros((0, 4), dtype=np.float32)
    return [
        Sample(
            source,
            i,
            Path("x"),
            1,
            1,
            none,
            np.zeros(0, dtype=np.int64),
            None,
            none[:, 0],
            none,
            np.zeros(0, dtype=np.int64),
        )
        for source, size in enumerate(sizes)
        for i in range(size)
    ]


def _labelled(labels: list[list[int]]) -> list[Sample]:
    """Return one image a row, of one source, with a box of each label."""
    return [
        replace(sample, labels=np.asarray(row, dtype=np.int64))
        for sample, row in zip(_samples([len(labels)]), labels, strict=True)
    ]


CT = [Modality.CT] * 6
OFF = BalanceSettings(by=Balance.OFF)
LABELS = st.lists(st.lists(st.integers(0, 5), max_size=4), min_size=1, max_size=30)
SIZES = st.lists(st.integers(1, 40), min_size=1, max_size=6)
POWERS = st.floats(0, 2)
THRESHOLDS = st.floats(1e-3, 1)


@given(SIZES)
def test_off_draws_all_equally_often(sizes: list[int]) -> None:
    samples = _samples(sizes)
    assert repeat_factors(samples, CT, OFF).tolist() == [1.0] * len(samples)
    np.testing.assert_allclose(sample_weights(samples, CT, OFF), 1 / len(samples))


@pytest.mark.parametrize(
    ("power", "share"), [(0.0, 10 / 100), (1.0, 1 / 2), (0.5, 10**0.5 / (10**0.5 + 90**0.5))]
)
def test_share_of_a_small_source(power: float, share: float) -> None:
    weights = sample_weights(_samples([10, 90]), CT, BalanceSettings(power=power))
    np.testing.assert_allclose(weights[:10].sum(), share)


@given(SIZES, POWERS)
def test_by_source_with_threshold_1_is_the_size_to_the_minus_power(sizes: list[int], power: float) -> None:
    weights = sample_weights(_samples(sizes), CT, BalanceSettings(power=power))
    expected = np.repeat(np.array(sizes, dtype=np.float64) ** -power, sizes)
    np.testing.assert_allclose(weights, expected / expected.sum())


def test_draws_of_27_images_beside_700() -> None:
    weights = sample_weights(_samples([27, 700]), CT, BalanceSettings())
    # 27 ** 0.7 = 10.045 and 700 ** 0.7 = 98.078; 727 * 10.045 / (10.045 + 98.078) = 67.54
    np.testing.assert_allclose(weights[:27].sum() * 727, 67.54, atol=0.01)
    np.testing.assert_allclose(weights[:27] * 727, 2.5015, atol=0.001)  # times an epoch, each


def test_by_modality() -> None:
    modalities = [Modality.CT, Modality.CT, Modality.FUNDOSCOPY]
    config = BalanceSettings(Balance.MODALITY, power=1.0)
    factors = repeat_factors(_samples([5, 3, 2]), modalities, config)
    np.testing.assert_allclose(factors, [10 / 8] * 8 + [10 / 2] * 2)
    weights = sample_weights(_samples([5, 3, 2]), modalities, config)
    np.testing.assert_allclose(weights[8:].sum(), 1 / 2)


def test_by_class_the_rarest_of_an_image_decides() -> None:
    samples = _labelled([[0, 0], [0], [0], [0], [0, 1], [], [], [1, 2]])
    config = BalanceSettings(Balance.CLASS, power=0.5, threshold=0.5)
    # shares: 5/8 (over the threshold), 2/8 and 1/8; (4/2) ** 0.5 and (4/1) ** 0.5
    factors = [1, 1, 1, 1, 2**0.5, 1, 1, 2]
    np.testing.assert_allclose(repeat_factors(samples, CT, config), factors)
    np.testing.assert_allclose(sample_weights(samples, CT, config), np.array(factors) / (8 + 2**0.5))


def test_by_class_as_in_lvis() -> None:
    samples = _labelled([[0]] * 9999 + [[0, 1]])
    factors = repeat_factors(samples, CT, BalanceSettings(Balance.CLASS, power=0.5, threshold=0.001))
    assert factors[:9999].tolist() == [1.0] * 9999
    np.testing.assert_allclose(factors[9999], 10**0.5)  # a share of 1e-4 is a tenth of the threshold


@given(SIZES, POWERS, THRESHOLDS)
def test_a_rarer_source_has_no_smaller_factor(sizes: list[int], power: float, threshold: float) -> None:
    factors = repeat_factors(_samples(sizes), CT, BalanceSettings(Balance.SOURCE, power, threshold))
    assert (factors >= 1).all()
    own = np.repeat(sizes, sizes)
    assert (np.diff(factors[np.argsort(own)]) <= 0).all()


@given(LABELS, POWERS, THRESHOLDS)
def test_an_image_with_a_rarer_class_has_no_smaller_factor(
    labels: list[list[int]], power: float, threshold: float
) -> None:
    factors = repeat_factors(_labelled(labels), CT, BalanceSettings(Balance.CLASS, power, threshold))
    assert (factors >= 1).all()
    holders = {label: sum(label in row for row in labels) for row in labels for label in row}
    rarest = [min((holders[label] for label in row), default=len(labels)) for row in labels]
    assert (np.diff(factors[np.argsort(rarest)]) <= 0).all()


@given(LABELS, st.sampled_from(list(Balance)), POWERS)
def test_a_threshold_below_all_shares_is_off(labels: list[list[int]], by: Balance, power: float) -> None:
    samples = _labelled(labels)
    config = BalanceSettings(by, power, threshold=1 / len(samples) / 2)
    assert repeat_factors(samples, CT, config).tolist() == [1.0] * len(samples)
    np.testing.assert_array_equal(sample_weights(samples, CT, config), sample_weights(samples, CT, OFF))


@given(st.integers(0, 1000), st.floats(0, 1))
def test_epoch_draws_each_its_expected_number_of_times(seed: int, power: float) -> None:
    weights = sample_weights(_samples([4, 40]), CT, BalanceSettings(power=power))
    order = epoch_order(weights, seed, epoch=2)
    assert len(order) == 44
    counts = np.bincount(order, minlength=44)
    assert (np.abs(counts - weights * 44) < 1 + 1e-9).all()
    np.testing.assert_array_equal(order, epoch_order(weights, seed, epoch=2))


def test_epochs_differ() -> None:
    weights = sample_weights(_samples([30]), CT, OFF)
    assert epoch_order(weights, 0, 0).tolist() != epoch_order(weights, 0, 1).tolist()
    assert sorted(epoch_order(weights, 0, 0).tolist()) == list(range(30))
