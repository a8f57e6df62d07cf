"""Tables of the DICOM standard (PS3.3) for dicom-validator.

dicom-validator reads the DocBook sources of the standard from the network. The package ``dicom-standard`` has
the same tables as JSON, with all macros included; this module gives them the form that the validator expects.
"""

from __future__ import annotations

import functools
import html
import json
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(sys.prefix) / "standard"
"""Where the package ``dicom-standard`` puts its tables."""

CONTENT = "sr-document-content"

ALWAYS_OF_TYPE = {
    "(0040,A300)": ["NUM"],
    "(0040,A168)": ["CODE"],
    "(0008,1199)": ["IMAGE", "COMPOSITE", "WAVEFORM"],
    "(0070,0022)": ["SCOORD", "SCOORD3D"],
    "(0070,0023)": ["SCOORD", "SCOORD3D"],
    "(3006,0024)": ["SCOORD3D"],
    "(0040,A130)": ["TCOORD"],
    "(0040,A050)": ["CONTAINER"],
    "(0040,A160)": ["TEXT"],
    "(0040,A120)": ["DATETIME"],
    "(0040,A121)": ["DATE"],
    "(0040,A122)": ["TIME"],
    "(0040,A123)": ["PNAME"],
    "(0040,A124)": ["UIDREF"],
}
"""Value types of content items that have an attribute; no others have it: the macros of PS3.3 C.17.3.2, whose
conditions the tables have lost."""

SOMETIMES = ("(0040,A132)", "(0040,A138)", "(0040,A13A)", "(0040,A504)", "(0048,0301)")
"""Attributes of these macros with conditions that do not follow from the object alone."""

Table = dict[str, Any]


@functools.cache
def standard_info() -> Any:
    """Return the tables of all SOP classes; skip the test without the packages."""
    pytest.importorskip("dicom_validator", reason="dicom-validator is not installed (pip install -e .[dev])")
    if not FOLDER.is_dir():
        pytest.skip("dicom-standard is not installed (pip install -e .[dev])")
    from dicom_validator.validator.dicom_info import DicomInfo

    dictionary = {
        row["tag"]: {"name": row["name"], "vr": row["valueRepresentation"], "vm": row["valueMultiplicity"]}
        for row in _rows("attributes")
    }
    conditions = _Conditions(dictionary)
    iods: Table = {}
    ids = {row["name"]: row["id"] for row in _rows("ciods")}
    members = _members("ciod_to_modules", "moduleId", "modules", conditions)
    groups = _members("ciod_to_fg_macros", "macroId", "macros", conditions)
    for row in _rows("sops"):
        own = ids.get(row["ciod"])
        if own is not None:
            iods[row["id"]] = {
                "title": row["ciod"],
                "modules": members.get(own, {}),
                "group_macros": groups.get(own, {}),
            }
    modules: Table = {row["id"]: {} for name in ("modules", "macros") for row in _rows(name)}
    _add_attributes(modules, "module_to_attributes", "moduleId", dictionary, conditions)
    _add_attributes(modules, "macro_to_attributes", "macroId", dictionary, conditions)
    _make_recursive(modules[CONTENT])
    return DicomInfo(dictionary, iods, modules)


class _Conditions:
    """Conditions of texts, as far as the validator understands them."""

    def __init__(self, dictionary: Table) -> None:
        from dicom_validator.spec_reader.condition_parser import ConditionParser

        self._parser = ConditionParser({tag: dict(row) for tag, row in dictionary.items()})

    def of(self, markup: str | None) -> Table:
        """Return the condition in a text, with the key of a row; empty: none that can be checked."""
        text = re.sub(r"(?is)<div>\s*<h3>Note</h3>.*?</div>", " ", markup or "")
        text = " ".join(html.unescape(re.sub(r"<[^>]+>", " ", text)).split())
        if "equired" not in text and "shall" not in text:
            return {}
        found = self._parser.parse(text).result_dict()
        return {} if found["type"] == "U" else {"cond": found}


def _rows(name: str) -> Iterator[Table]:
    yield from json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))


def _members(name: str, key: str, titles: str, conditions: _Conditions) -> dict[str, Table]:
    """Return the modules or macros of each IOD by title."""
    title_of = {row["id"]: row["name"] for row in _rows(titles)}
    members: dict[str, Table] = {}
    for row in _rows(name):
        own = {"ref": row[key], "use": row["usage"], **conditions.of(row["conditionalStatement"])}
        members.setdefault(row["ciodId"], {})[title_of[row[key]]] = own
    return members


def _add_attributes(
    modules: Table, name: str, key: str, dictionary: Mapping[str, Table], conditions: _Conditions
) -> None:
    """Add the attributes of modules or macros, which the table names by their path."""
    for row in _rows(name):
        _, *tags = row["path"].split(":")
        if any("x" in tag.lower() for tag in tags):  # repeating groups
            continue
        *parents, tag = (f"({own[:4]},{own[4:]})".upper() for own in tags)
        level = modules[row[key]]
        for parent in parents:
            level = level.setdefault(parent, {"name": parent, "type": "3"}).setdefault("items", {})
        entry = level.setdefault(tag, {})
        entry |= {"name": dictionary.get(tag, {}).get("name", tag), "type": row["type"]}
        if row["type"] in ("1C", "2C", "3"):
            entry |= conditions.of(row["description"])


def _make_recursive(content: Table) -> None:
    """Make content items of any depth, whose attributes follow from their value type."""
    nested = content["(0040,A730)"]["items"]
    for level in (content, nested):
        for tag in (tag for tag in SOMETIMES if tag in level):
            level[tag] = {"name": level[tag]["name"], "type": "3"}
        for tag, types in ALWAYS_OF_TYPE.items():
            if tag in level:
                rule = {"type": "MN", "op": "=", "tag": "(0040,A040)", "index": 0, "values": types}
                level[tag] |= {"type": f"{level[tag]['type'][0]}C", "cond": rule}
    own = {tag: entry for tag, entry in nested.items() if tag not in content}
    content["(0040,A730)"]["items"] = {"include": [{"ref": CONTENT}], **own}
