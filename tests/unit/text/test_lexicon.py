"""The lexicon keeps its own rules."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from medrov_cli.core.base.documents import read_toml_asset
from medrov_cli.core.settings.choices import Modality
from medrov_cli.core.text.lexicon import (
    BROADER_NAMES,
    broader_name,
    broader_names_of,
    lexicon,
    modalities_of,
    synonyms_of,
)
from medrov_cli.core.text.name_forms import name_keys, plain_spelling

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


def test_names_are_plain() -> None:
    texts = [text for entry in lexicon() for text in entry.texts]
    assert [
        text for text in texts if text != " ".join(text.lower().split()) or "/" in text or "," in text
    ] == []
    assert [entry.name for entry in lexicon() if not entry.modalities] == []


@pytest.mark.parametrize(("one", "other"), OPPOSITES)
def test_no_class_has_two_opposites(one: str, other: str) -> None:
    words = {entry.name: {word for text in entry.texts for word in text.split()} for entry in lexicon()}
    assert sum(one in found for found in words.values()) > 0
    assert [name for name, found in words.items() if {one, other} <= found] == []


def test_each_name_of_a_sided_class_keeps_its_side() -> None:
    lost = [
        text
        for entry in lexicon()
        for side in ("left", "right")
        if side in entry.name.split()
        for text in entry.texts
        if side not in _sides(text)
    ]
    assert lost == []


def _sides(text: str) -> set[str]:
    """Return the sides that a text names; the first digit of a tooth's number is its quadrant."""
    number = re.fullmatch(r"tooth ([1-4])[1-8]", text)
    named = {"right" if number[1] in "14" else "left"} if number else set()
    return named | ({"left", "right"} & set(text.split()))


def test_any_name_of_a_class_finds_the_others() -> None:
    assert synonyms_of("red blood cell") == ("rbc", "erythrocyte")
    assert synonyms_of(" RBC ") == ("red blood cell", "erythrocyte")
    assert synonyms_of("red blood cell/rbc") == ("erythrocyte",)
    assert synonyms_of("flying saucer") == ()


def test_modalities_are_those_of_all_named_parts() -> None:
    assert modalities_of("pulmonary nodule") == (Modality.CT, Modality.XRAY)
    assert modalities_of("optic disc/polyp") == (Modality.CT, Modality.FUNDOSCOPY, Modality.ENDOSCOPY)
    assert modalities_of("flying saucer") == ()


def test_broader_names_keep_their_rules() -> None:
    known = {text for entry in lexicon() for text in entry.texts}
    broader = read_toml_asset(BROADER_NAMES)
    assert len(broader) > 50
    forms = Counter(form for name, fields in broader.items() for form in (name, *fields["synonyms"]))
    assert [form for form, count in forms.items() if count > 1] == []
    keys = Counter(plain_spelling(form) for form in forms)
    assert [key for key, count in keys.items() if count > 1] == []
    assert [form for form in forms for key in name_keys(form)[1:] if key in keys] == []  # plurals are found
    assert [form for form in forms if form != " ".join(form.lower().split())] == []
    for name, fields in broader.items():
        assert set(fields["covers"]) <= known - {name}, name
        assert len(set(fields["covers"])) == len(fields["covers"]) > 0, name


def test_broader_names_of_a_class() -> None:
    assert broader_names_of("Brain tumour") == ("tumor", "lesion", "brain lesion")
    assert broader_names_of("wbc") == ("cell", "blood cell", "immune cell")
    assert "tooth" not in broader_names_of("tooth")
    assert broader_names_of("no such thing") == ()


def test_forms_of_a_broader_name() -> None:
    assert broader_name("Tumours") == broader_name("tumor") == "tumor"
    assert broader_name("brain tumors") == "brain tumor"
    assert broader_name("Haemorrhages") == "hemorrhage"
    assert broader_name("brain-structures") == "brain structure"
    assert broader_name("no such thing") is None


def test_no_spelling_is_that_of_two_classes() -> None:
    owners: dict[str, set[str]] = {}
    for entry in lexicon():
        for text in entry.texts:
            owners.setdefault(plain_spelling(text), set()).add(entry.name)
    assert [names for names in owners.values() if len(names) > 1] == []
    plurals = [(entry.name, key) for entry in lexicon() for text in entry.texts for key in name_keys(text)]
    assert [(name, key) for name, key in plurals if owners.get(key, {name}) != {name}] == []
