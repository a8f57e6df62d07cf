"""What an image is asked for: its classes, which others, and under which names."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medrov_cli.core.settings.train_groups import NegativeSettings
from medrov_cli.core.training.data.prompting import (
    ClassTexts,
    draw_prompt_count,
    draw_texts,
    nearest_classes,
    sample_prompts,
)

CLASSES = 20
NEAREST = nearest_classes(np.random.default_rng(0).normal(size=(CLASSES, 8)).astype(np.float32))
NOBODY_ELSE = NegativeSettings(random=False, hard=False)


@given(
    st.lists(st.integers(0, CLASSES - 1), max_size=30),
    st.integers(1, 30),
    st.booleans(),
    st.booleans(),
    st.sets(st.integers(0, CLASSES - 1), max_size=10),
    st.integers(0, 99),
)
def test_prompts_hold_the_own_classes_once_and_no_others_than_may_be(
    labels: list[int], count: int, random: bool, hard: bool, unseen: set[int], seed: int
) -> None:
    own = sorted(set(labels) - unseen)
    candidates = np.setdiff1d(np.arange(CLASSES), list(unseen))
    chosen = sample_prompts(
        np.array(own * 2, dtype=np.int64),
        candidates,
        count,
        NegativeSettings(random=random, hard=hard),
        NEAREST,
        np.random.default_rng(seed),
    ).tolist()
    assert set(own) <= set(chosen)
    assert len(set(chosen)) == len(chosen) >= 1
    assert not set(chosen) & unseen
    if random:
        assert len(chosen) == max(min(count, len(candidates)), len(own))
    elif hard and own:
        assert set(chosen) - set(own) <= set(NEAREST[own].flatten().tolist())
    elif own:
        assert chosen == own or sorted(chosen) == own


def test_hard_negatives_come_first() -> None:
    angles = np.array([0.0, 0.1, 0.3, 0.7, 1.5, 3.0])
    embeddings = np.stack([np.cos(angles), np.sin(angles)], 1).astype(np.float32)
    nearest = nearest_classes(embeddings)
    assert nearest[0].tolist() == [1, 2, 3]
    assert nearest[4].tolist() == [3, 2, 1]
    assert nearest_classes(embeddings[:2]).tolist() == [[1], [0]]
    hard = NegativeSettings(hard=True)
    for seed in range(20):
        rng = np.random.default_rng(seed)
        chosen = sample_prompts(np.array([0]), np.arange(6), 4, hard, nearest, rng)
        assert sorted(chosen.tolist()) == [0, 1, 2, 3]
    plain = {
        tuple(sorted(sample_prompts(np.array([0]), np.arange(6), 4, NegativeSettings(), nearest, rng)))
        for rng in map(np.random.default_rng, range(20))
    }
    assert len(plain) > 1


def test_without_negatives_an_empty_image_is_asked_for_something() -> None:
    none = np.zeros(0, dtype=np.int64)
    chosen = sample_prompts(none, np.arange(5), 80, NOBODY_ELSE, NEAREST, np.random.default_rng(0))
    assert len(chosen) == 1


@pytest.mark.parametrize(("classes", "cap"), [(41, 80), (157, 80), (1, 80)])
def test_full_vocabulary_and_subsets(classes: int, cap: int) -> None:
    rng = np.random.default_rng(0)
    counts = [draw_prompt_count(classes, cap, rng) for _ in range(400)]
    most = min(classes, cap)
    assert max(counts) == most
    assert min(counts) >= 1
    if most > 1:
        assert 0.5 < np.mean(np.array(counts) == most) < 0.75


def test_texts_of_a_class() -> None:
    texts = ClassTexts.build([("a", "b"), ("c", "d", "a")])
    assert texts.texts == ("a", "b", "c", "d")
    assert texts.rows == ((0, 1), (2, 3, 0))
    rng = np.random.default_rng(0)
    drawn = {int(draw_texts(np.array([1]), texts, rng)[0]) for _ in range(50)}
    assert drawn == {0, 2, 3}
