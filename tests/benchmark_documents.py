"""Documents of schema ``medrov.benchmark/1``, and what is required of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema

from json_places import changed, places

SCHEMA = json.loads(
    (Path(__file__).parents[1] / "docs" / "schemas" / "medrov.benchmark-1.schema.json").read_text("utf-8")
)
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)
SECTIONS = ("runs", "against", "cold", "text", "scaling", "memory")
QUICK = ("--device", "cpu", "--images", 3, "--rounds", 2)


def measured(done: Any) -> Any:
    """Return a document, checked."""
    assert done.exit_code == 0, done.stderr
    VALIDATOR.validate(done.json)
    return done.json


def sections(document: Any) -> set[str]:
    """Return the names of the sections that are there."""
    return {name for name in SECTIONS if document[name] is not None}


def require_strict(document: Any) -> None:
    """Require that the schema refuses a document with any value of another type, or without any field."""
    VALIDATOR.validate(document)
    for way in places(document):
        assert not VALIDATOR.is_valid(changed(document, way, {"no": []})), way
    assert not VALIDATOR.is_valid(document | {"schema": "medrov.benchmark/2"})
    for key in SCHEMA["required"]:
        assert not VALIDATOR.is_valid({k: v for k, v in document.items() if k != key}), key
