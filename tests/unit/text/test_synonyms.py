"""The lexicon keeps its own rules."""

from __future__ import annotations

from collections import Counter

import pytest

from medrov_cli.core.config import Modality
from medrov_cli.core.text import modalities_of, synonyms_of
from medrov_cli.core.text.synonyms import Entry, lexicon

OPPOSITES = [
    ("left", "right"),
    ("benign", "malignant"),
    ("red", "white"),
    ("upper", "lower"),
    ("non-enhancing", "enhancing"),
]


def test_every_name_stands_in_one_line_only() -> None:
    counts = Counter(text for entry in lexicon() for text in entry.texts)
    assert len(counts) > 400
    assert [text for text, count in counts.items() if count > 1] == []


@pytest.mark.parametrize("entry", lexicon(), ids=lambda entry: entry.name)
def test_names_are_plain_and_no_class_has_two_opposites(entry: Entry) -> None:
    for text in entry.texts:
        assert text == " ".join(text.lower().split())
        assert "/" not in text
        assert "," not in text
    for one, other in OPPOSITES:
        sides = {side for text in entry.texts for side in (one, other) if side in text.split()}
        assert len(sides) <= 1


@pytest.mark.parametrize(
    "entry", [entry for entry in lexicon() if entry.name.startswith(("left ", "right "))]
)
def test_each_name_of_a_sided_class_keeps_its_side(entry: Entry) -> None:
    side = entry.name.split()[0]
    if entry.name.endswith("ventricle"):
        return  # named by the heart's side; "right ventricular cavity" needs no other word
    assert all(side in text.split() for text in entry.texts)


def test_any_name_of_a_class_finds_the_others() -> None:
    assert synonyms_of("red blood cell") == ("rbc", "erythrocyte")
    assert synonyms_of(" RBC ") == ("red blood cell", "erythrocyte")
    assert synonyms_of("red blood cell/rbc") == ("erythrocyte",)
    assert synonyms_of("flying saucer") == ()


def test_modalities_are_those_of_all_named_parts() -> None:
    assert modalities_of("pulmonary nodule") == (Modality.CT, Modality.XRAY)
    assert modalities_of("optic disc/polyp") == (Modality.CT, Modality.FUNDOSCOPY, Modality.ENDOSCOPY)
    assert modalities_of("flying saucer") == ()
