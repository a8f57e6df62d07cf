"""Spellings and plurals of names of the field."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medrov_cli.core.text.name_forms import close_name, name_keys, plain_spelling, singular_forms

KNOWN = ("polyp", "colon polyp", "pneumothorax", "left lung", "right lung", "l5 vertebra")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("brain tumour", "Brain tumor"),
        ("Retinal_Haemorrhage", "retinal hemorrhage"),
        ("foetal head", "fetal head"),
        ("leucocyte", "leukocyte"),
        ("leukaemia", "leukemia"),
        ("Barrett\u2019s oesophagus", "barrett's esophagus"),
        ("Barretts-oesophagus", "barretts esophagus"),
        ("ground glass opacity", "ground-glass  opacity"),
        ("na\u00efve cell", "naive cell"),
        ("caecum", "cecum"),
        ("muscle fibres", "muscle fibers"),
        ("iliac centre", "iliac center"),
        ("grey matter", "gray matter"),
        ("optic disk", "optic disc"),
        ("tumours", "tumors"),
        ("h\u00e6morrhage", "hemorrhage"),
        ("CD3+ cell", "CD3 positive cell"),
        ("HER2-", "her2 negative"),
    ],
)
def test_spellings_of_one_name_share_a_key(one: str, other: str) -> None:
    assert plain_spelling(one) == plain_spelling(other) != ""


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("left lung", "right lung"),
        ("ilium", "ileum"),
        ("l1 vertebra", "l2 vertebra"),
        ("tooth 11", "tooth 12"),
        ("CD3+ cell", "CD3- cell"),
        ("nodule < 5 mm", "nodule > 5 mm"),
    ],
)
def test_other_names_have_other_keys(one: str, other: str) -> None:
    assert set(name_keys(one)).isdisjoint(name_keys(other))


@given(st.text(max_size=30) | st.text("aeoutrbs'-_+ \u210c\u0130", max_size=12))
def test_a_key_has_plain_words_and_no_case(text: str) -> None:
    key = plain_spelling(text)
    assert key == " ".join(key.split()) == key.casefold()
    assert plain_spelling(text.upper()) == plain_spelling(text.upper().lower())
    assert name_keys(text)[0] == key


@pytest.mark.parametrize(
    ("plural", "singular"),
    [
        ("Red blood cells", "red blood cell"),
        ("Brain metastases", "brain metastasis"),
        ("biopsies", "biopsy"),
        ("abscesses", "abscess"),
        ("l1 vertebrae", "l1 vertebra"),
        ("colon  polyps", "colon polyp"),
        ("bacteria", "bacterium"),
        ("mitochondria", "mitochondrion"),
        ("thrombi", "thrombus"),
    ],
)
def test_singular_forms(plural: str, singular: str) -> None:
    assert singular in singular_forms(plural)


@pytest.mark.parametrize("text", ["abscess", "mass", "liver", "s", "as", ""])
def test_what_is_no_plural_has_no_singular(text: str) -> None:
    assert singular_forms(text) == ()


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("polp", "polyp"),
        ("Pneumothrax", "pneumothorax"),
        ("left  lng", "left lung"),
        ("nodule", None),
        ("l6 vertebra", None),
        ("l5 vertbra", "l5 vertebra"),
        ("", None),
    ],
)
def test_a_mistyped_name(text: str, meant: str | None) -> None:
    assert close_name(text, KNOWN) == meant
