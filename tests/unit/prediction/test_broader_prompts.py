"""Broader names: which classes stand for them, and the highest of their scores."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fake_engines import FakeEngine
from medrov_cli.core.prediction.broader_prompts import BroaderEngine, BroaderPrompts, name_columns
from medrov_cli.core.prediction.classes import ClassList
from medrov_cli.core.prediction.scoring import Scoring
from medrov_cli.core.prediction.tile_rule import ClassScale, class_scales
from medrov_cli.core.records.detections import NO_CANDIDATE, Candidates
from medrov_cli.core.records.score_maps import ClassCalibration
from medrov_cli.core.settings.choices import Modality
from medrov_cli.core.settings.groups import SelectionSettings
from medrov_cli.core.weights.metadata import ClassEntry
from weights_fixtures import made_up_calibration, metadata

WEIGHTS = metadata(
    vocabulary=(
        ClassEntry("brain tumor", ("brain tumor", "glioma"), (Modality.MRI,)),
        ClassEntry("liver tumor", (), (Modality.CT,)),
        ClassEntry("liver", (), (Modality.CT,)),
        ClassEntry("tooth"),
        ClassEntry("incisor"),
    ),
    calibration=made_up_calibration(),
)


def kinds_of(*texts: str) -> list[list[str]] | None:
    found = BroaderPrompts.find([(text,) for text in texts], WEIGHTS)
    return None if found is None else [[entry.name for entry in kinds] for kinds in found.kinds]


def test_broader_names_are_the_classes_below_them_that_the_weights_know() -> None:
    assert kinds_of("tumor", "liver", "Tumours") == [
        ["brain tumor", "liver tumor"],
        [],
        ["brain tumor", "liver tumor"],
    ]
    found = BroaderPrompts.find([("tumor",), ("liver",)], WEIGHTS)
    assert found is not None
    assert found.owners.tolist() == [0, 0, 1]
    assert found.texts == (("brain tumor", "brain tumor", "glioma"), ("liver tumor",), ("liver",))


def test_plurals_are_the_class_of_their_singular() -> None:
    assert kinds_of("Livers", "brain tumors", "teeth", "incisors", "gliomas") == [
        ["liver"],
        ["brain tumor"],
        [],  # no form of "tooth" in the table, and no rule
        ["incisor"],
        ["brain tumor"],
    ]


def test_other_spellings_are_the_class_of_the_weights() -> None:
    assert kinds_of("Brain tumour", "liver_tumours", "brain-tumor", "livre") == [
        ["brain tumor"],
        ["liver tumor"],
        ["brain tumor"],
        [],
    ]


def test_the_singular_of_a_plural_name_is_its_class() -> None:
    entries = (ClassEntry("platelets"), ClassEntry("hard exudates"), ClassEntry("nuclei"))
    names = [("platelet",), ("hard exudate",), ("nucleus",)]
    found = BroaderPrompts.find(names, replace(WEIGHTS, vocabulary=entries))
    assert found is not None
    assert [[entry.name for entry in kinds] for kinds in found.kinds] == [[entry.name] for entry in entries]


@pytest.mark.parametrize("text", ["tooth", "liver tumor", "glioma", "spoon", "vein"])
def test_names_of_the_weights_and_others_are_left_alone(text: str) -> None:
    assert kinds_of(text) is None  # tooth is broader than incisor, but known; no vein is known


def test_a_name_with_a_known_synonym_is_left_alone() -> None:
    assert BroaderPrompts.find([("tumor", "brain tumor")], WEIGHTS) is None


def test_classes_outside_the_default_vocabulary_stand_for_a_name_only_alone() -> None:
    entries = tuple(replace(entry, is_default=entry.name != "liver tumor") for entry in WEIGHTS.vocabulary)
    found = BroaderPrompts.find([("tumor",)], replace(WEIGHTS, vocabulary=entries))
    assert found is not None
    assert [entry.name for entry in found.kinds[0]] == ["brain tumor"]
    hidden = tuple(replace(entry, is_default=False) for entry in WEIGHTS.vocabulary)
    found = BroaderPrompts.find([("tumor",)], replace(WEIGHTS, vocabulary=hidden))
    assert found is not None
    assert len(found.kinds[0]) == 2


def prompts_and_columns(maps: bool) -> tuple[BroaderPrompts, Scoring]:
    found = BroaderPrompts.find([("liver",), ("tumor",)], WEIGHTS)
    assert found is not None
    halved = ClassCalibration("", 0.4, 0.5, (0.0, 1.0), (0.0, 0.5))
    plain = ClassCalibration("", 0.2, 0.5, (0.0, 1.0), (0.0, 1.0))
    return found, Scoring(np.array([0.3, 0.4, 0.2]), (plain, halved, plain) if maps else None)


SCORES = st.lists(st.lists(st.floats(0, 1, width=32), min_size=4, max_size=4), min_size=1, max_size=6)


@given(SCORES, st.booleans())
def test_score_is_the_highest_of_the_kinds_above_their_thresholds(
    rows: list[list[float]], maps: bool
) -> None:
    prompts, columns = prompts_and_columns(maps)
    scores = np.array(rows, dtype=np.float32)  # liver, brain tumor, liver tumor, and a learned class

    def find(images: np.ndarray, floor: float) -> list[Candidates]:
        assert floor == 0.1
        return [Candidates(np.zeros((len(scores), 4), np.float32), scores) for _ in images]

    engine = BroaderEngine(FakeEngine(32, find), prompts, columns)
    (found,) = engine.infer(np.zeros((1, 32, 32, 3), np.uint8), 0.1)
    for row, own in zip(rows, found.scores.tolist(), strict=True):
        kinds = [
            own * (0.5 if maps and threshold == 0.4 else 1.0)
            for own, threshold in ((row[1], 0.4), (row[2], 0.2))
            if np.float32(own) >= threshold
        ]
        assert own == pytest.approx([row[0], max(kinds, default=NO_CANDIDATE), row[3]], abs=1e-6)


def test_thresholds_and_warnings_of_the_classes() -> None:
    prompts, columns = prompts_and_columns(maps=True)
    own = prompts.scoring(columns, ["liver", "tumor"])
    assert own.thresholds[0] == 0.3
    assert 0 < own.thresholds[1] < 0.001
    assert own.floor == 0.2  # that of the kinds: anchors below it are not decoded
    assert own.warnings == ("'tumor' is searched as 'brain tumor', 'liver tumor'",)
    assert own.shown(np.array([0.4, 0.4]), np.array([0, 1])).tolist() == [0.4, 0.4]


def test_kinds_give_their_modalities_and_identify_the_classes() -> None:
    prompts, _ = prompts_and_columns(maps=True)
    before = ClassList.from_embeddings(["liver", "tumor"], np.zeros((2, 512), np.float32))
    after = prompts.classes(before)
    assert after.modalities == (frozenset(), frozenset({Modality.MRI, Modality.CT}))
    assert after.kinds == ((), ("brain tumor", "liver tumor"))
    assert after.sha256 != before.sha256
    assert after.warnings(Modality.ULTRASOUND) == ("requested, but not expected in ultrasound: 'tumor'",)


@pytest.mark.parametrize("literal", [False, True])
def test_columns_have_the_embeddings_of_the_kinds(literal: bool) -> None:
    own = np.eye(2, 512, dtype=np.float32)
    classes = ClassList.from_embeddings(["liver", "tumor"], own, text_encoder="minilm")
    selection = SelectionSettings(literal=literal)
    texts = [("liver",), ("tumor",)]
    named = name_columns(classes, own, WEIGHTS, selection, texts=texts, offline=True)
    assert named.embeddings is not None
    assert (named.embeddings[0] == own[0]).all()
    if literal:
        assert named.count == 2
        assert (named.embeddings == own).all()
        assert named.scoring.thresholds.tolist() == [0.3, 0.25]  # no operating point of the text
        return
    assert named.count == 3
    assert np.linalg.norm(named.embeddings, axis=1) == pytest.approx(1, abs=1e-3)
    assert isinstance(named.wrap(FakeEngine(32)), BroaderEngine)


def test_scale_of_a_broader_name_is_the_finest_of_its_kinds() -> None:
    entries = (
        ClassEntry("brain tumor", mpp=2.0, object_px=30.0),
        ClassEntry("liver tumor", mpp=1.0),
        ClassEntry("liver", object_px=200.0),
    )
    weights = replace(WEIGHTS, vocabulary=entries)
    kinds = ((), ("brain tumor", "liver tumor"), ("liver",), ())
    found = class_scales([("liver",), ("tumor",), ("organ",), ("spoon",)], weights, kinds)
    assert found == (ClassScale(None, 200.0), ClassScale(1.0, 30.0), ClassScale(None, 200.0), ClassScale())
    assert class_scales([("tumor",)], weights) == (ClassScale(),)
