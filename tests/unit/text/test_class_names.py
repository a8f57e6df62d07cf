"""Texts of the classes of a dataset."""

from __future__ import annotations

from medrov_cli.core.text.class_names import name_parts, names_of_classes


def test_empty_parts_of_a_name_are_left_out() -> None:
    assert name_parts(" mass/ / tumour /") == ("mass", "tumour")
    assert names_of_classes(["zzz/", "yyy"], {"yyy": ("other",)}) == [("zzz",), ("yyy", "other")]


def test_a_text_of_two_classes_is_a_synonym_of_neither() -> None:
    given = {"c": ("d", "A", "shared"), "e": ("shared",)}
    assert names_of_classes(["a/b", "c", "e"], given) == [("a", "b"), ("c", "d"), ("e",)]
    whole = dict.fromkeys(names_of_classes(["lung nodule"], {})[0])
    assert "pulmonary nodule" in whole
    pair = names_of_classes(["lung nodule", "pulmonary nodule"], {})
    assert pair == [("lung nodule",), ("pulmonary nodule",)]
