"""Codes of classes in DICOM results: SNOMED CT, RadLex and DICOM codes, or the private scheme 99MEDROV."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from pydicom.sr.coding import Code

from medrov_cli.core.base.documents import read_toml_asset
from medrov_cli.core.text.lexicon import broader_name, lexicon
from medrov_cli.core.text.name_forms import name_keys, plain_name

CODES = "dicom_codes.toml"
"""Name of the asset."""

PRIVATE_SCHEME = "99MEDROV"
PRIVATE_SCHEME_NAME = "Class names of medrov in free text"

_CATEGORIES = {
    "anatomy": Code("123037004", "SCT", "Anatomical Structure"),
    "abnormality": Code("49755003", "SCT", "Morphologically Abnormal Structure"),
    "object": Code("260787004", "SCT", "Physical object"),
    "tissue": Code("85756007", "SCT", "Tissue"),
}
_SIDES = {"left": Code("7771000", "SCT", "Left"), "right": Code("24028007", "SCT", "Right")}

_MEANING_LENGTH = 64  # LO, PS3.5, 6.2
_NOT_IN_TEXT = re.compile(r"[\x00-\x1f\x7f\\]+")


@dataclass(frozen=True, slots=True)
class ClassCode:
    """Codes of one class.

    Attributes
    ----------
    finding
        Type of the finding; possibly broader than the class.
    category
        Category of the finding.
    name
        The class itself, in the private scheme.
    site, side
        Place and side of the patient; null if the class has none.
    """

    finding: Code
    category: Code
    name: Code
    site: Code | None = None
    side: Code | None = None


def code_of_class(name: str) -> ClassCode:
    """Return the codes of a class of the lexicon or a broader name, in any form; others have private ones."""
    private = private_code(name)
    keys = (plain_name(name), *name_keys(name), *filter(None, (broader_name(name),)))
    row: Mapping[str, Any] = next((_table()[key] for key in keys if key in _table()), {})
    kind = _CATEGORIES[row.get("kind", "abnormality")]
    site = row.get("site")
    return ClassCode(
        _parse(row["type"]) if "type" in row else private,
        kind,
        private,
        None if site is None else _parse(site),
        _SIDES.get(row.get("side", "")),
    )


def private_code(name: str) -> Code:
    """Return the code of a text in the private scheme: equal texts have equal codes."""
    digest = hashlib.sha256(plain_name(name).encode(errors="surrogateescape")).hexdigest()
    return Code(digest[:12].upper(), PRIVATE_SCHEME, dicom_text(name, _MEANING_LENGTH))


def dicom_text(text: str, length: int) -> str:
    """Return a text without control characters and backslashes, of limited length; never empty."""
    plain = _NOT_IN_TEXT.sub(" ", text.encode(errors="replace").decode())
    return " ".join(plain.split())[:length].strip() or "unnamed"


@cache
def _table() -> Mapping[str, Mapping[str, Any]]:
    """Return the rows by each name of the lexicon and its spelling keys; a name of the table counts first."""
    rows = read_toml_asset(CODES)
    synonyms = {text: rows[entry.name] for entry in lexicon() if entry.name in rows for text in entry.texts}
    names = synonyms | rows
    return {key: row for text, row in names.items() for key in name_keys(text)} | names


def _parse(text: str) -> Code:
    scheme, value, meaning = text.split(" ", 2)
    return Code(value, scheme, meaning)
