"""What an image is asked for: its classes, which others, and under which names."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medrov_cli.core.settings.train_groups import NegativeSettings
from medrov_cli.core.training.data.prompting import (
    ClassTexts,
    Prompts,
    broaden,
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
    texts = ClassTexts.build(("a/b", "c"), {"c": ("d", "a")})
    assert texts.texts == ("a", "b", "c", "d")
    assert texts.rows == ((0, 1), (2, 3, 0))
    rng = np.random.default_rng(0)
    drawn = {int(draw_texts(np.array([1]), texts, rng)[0]) for _ in range(50)}
    assert drawn == {0, 2, 3}


KINDS = ("brain tumor", "liver tumor", "liver", "spleen", "tumor", "cell")
BROADER = {
    "brain tumor": ("tumor", "lesion"),
    "liver tumor": ("tumor", "lesion"),
    "liver": ("organ",),
    "spleen": ("organ",),
    "tumor": ("lesion",),
}
TEXTS = ClassTexts.build(KINDS, {}, BROADER)
BELOW = {
    "tumor": {"brain tumor", "liver tumor", "tumor"},
    "lesion": {"brain tumor", "liver tumor", "tumor"},
    "organ": {"liver", "spleen"},
}


def test_broader_names_cover_the_classes_below_them_and_those_that_they_name() -> None:
    assert TEXTS.rows == ((0,), (1,), (2,), (3,), (4,), (5,))
    named = {TEXTS.texts[row]: {KINDS[i] for i in classes} for row, classes in TEXTS.covered.items()}
    assert named == BELOW


@given(
    labels=st.lists(st.integers(0, 5), max_size=8),
    others=st.sets(st.integers(0, 5)),
    unsure=st.sets(st.integers(0, 5)),
    hidden=st.sets(st.integers(0, 5), max_size=2),
    seed=st.integers(0, 999),
)
def test_broader_prompts_are_true(
    labels: list[int], others: set[int], unsure: set[int], hidden: set[int], seed: int
) -> None:
    labels = [label for label in labels if label not in hidden]
    rng = np.random.default_rng(seed)
    classes = rng.permutation(sorted({*labels, *others} - hidden)).astype(np.int64)
    maybe = np.isin(np.arange(6), list(unsure))
    before = Prompts(classes, classes.copy(), maybe[classes], np.array(labels, dtype=np.int64))
    after = broaden(before, TEXTS, 0.7, maybe, np.array(sorted(hidden), dtype=np.int64), rng)
    text_of = {int(c): TEXTS.texts[row] for c, row in zip(after.classes, after.text_rows, strict=True)}
    ignored = dict(zip(after.classes.tolist(), after.ignored.tolist(), strict=True))
    assert before.labels.tolist() == labels  # the input is left alone
    shown = {KINDS[label] for label in labels}
    for label, kept in zip(labels, after.labels.tolist(), strict=True):
        name = text_of[kept]
        assert KINDS[label] in BELOW.get(name, {name})
        if kept != label:
            assert text_of[kept] in BELOW
    broader = [name for class_id, name in text_of.items() if name != KINDS[class_id]]
    assert len(set(broader)) == len(broader)
    for class_id, name in text_of.items():
        below = BELOW[name] if name != KINDS[class_id] else {name}
        has_boxes = class_id in after.labels
        if name != KINDS[class_id]:
            assert not below & {KINDS[i] for i in hidden}
            assert ignored[class_id] or not below & {KINDS[i] for i in unsure}
        named = [i for i in text_of if text_of[i] == name]
        if not has_boxes and not ignored[class_id]:  # a negative is true for all that its text names
            assert not below & shown or len(named) == 1
    own = {KINDS[c] for c, name in text_of.items() if name == KINDS[c] and c in after.labels}
    assert own <= shown


def test_share_zero_changes_nothing() -> None:
    classes = np.arange(6)
    before = Prompts(classes, classes, np.zeros(6, np.bool_), np.array([0, 1]))
    after = broaden(
        before, TEXTS, 0.0, np.zeros(6, np.bool_), np.zeros(0, np.int64), np.random.default_rng(0)
    )
    assert all((one == other).all() for one, other in zip(before, after, strict=True))


def test_all_boxes_below_a_broader_name_are_one_prompt() -> None:
    classes = np.arange(6)
    before = Prompts(classes, classes, np.zeros(6, np.bool_), np.array([0, 1, 1, 2]))
    seen = set()
    for seed in range(40):
        nothing = np.zeros(6, np.bool_), np.zeros(0, np.int64)
        after = broaden(before, TEXTS, 0.5, *nothing, np.random.default_rng(seed))
        text_of = dict(
            zip(after.classes.tolist(), (TEXTS.texts[row] for row in after.text_rows), strict=True)
        )
        seen.add(tuple(text_of[label] for label in after.labels.tolist()))
    assert ("tumor", "tumor", "tumor", "liver") in seen
    assert ("brain tumor", "liver tumor", "liver tumor", "organ") in seen
    assert all(names[0] == names[1] or names[:2] == ("brain tumor", "liver tumor") for names in seen)
