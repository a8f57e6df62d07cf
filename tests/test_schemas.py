"""What ``medrov detect`` writes is what the published schema says, and the schema can refuse."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from medrov_cli.core.base.errors import INPUT_ERRORS

ROOT = Path(__file__).parents[1]
SCHEMA = json.loads((ROOT / "docs" / "schemas" / "medrov.detect-1.schema.json").read_text(encoding="utf-8"))
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)


def test_the_schema_is_one() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    assert set(SCHEMA["$defs"]["error"]["properties"]["code"]["enum"]) == {
        code.value for code in INPUT_ERRORS
    }


def test_everything_that_detect_writes(medrov: Any, tmp_path: Path) -> None:
    inputs = [ROOT / "examples" / name for name in ("chest_ct.dcm", "polyp.png")]
    options = ("--output", tmp_path / "out", "--format", "jsonl,json", "--json")
    done = medrov("detect", *inputs, tmp_path / "none.png", *options)
    assert done.exit_code == 3, done.stderr
    VALIDATOR.validate(done.json)
    VALIDATOR.validate(json.loads((tmp_path / "out" / "detections.json").read_text()))
    lines = [json.loads(line) for line in (tmp_path / "out" / "detections.jsonl").read_text().splitlines()]
    assert len(lines) == 3
    for line in lines:
        VALIDATOR.validate(line)
    assert lines == done.json["records"]


@pytest.mark.parametrize(
    ("keys", "value"),
    [
        (("model", "sha256"), "abc"),
        (("detections", 0, "box_xyxy"), [1, 2, 3]),
        (("detections", 0, "score"), 1.5),
        (("modality",), "ct"),
        (("schema",), "medrov.detect/2"),
    ],
)
def test_the_schema_refuses(medrov: Any, keys: tuple[Any, ...], value: Any) -> None:
    done = medrov("detect", ROOT / "examples" / "polyp.png", "--conf", 0, "--max-det", 1, "--format", "jsonl")
    record = copy.deepcopy(done.lines[0])
    VALIDATOR.validate(record)
    target = record
    for key in keys[:-1]:
        target = target[key]
    target[keys[-1]] = value
    assert not VALIDATOR.is_valid(record)
