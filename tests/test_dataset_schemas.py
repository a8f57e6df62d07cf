"""What ``medrov data`` and ``medrov pseudolabel`` print is what the published schemas say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import jsonschema
import numpy as np
import pytest

from detect_fixtures import write_eager_detector
from json_places import changed, places
from medrov_cli.core.base.errors import INPUT_ERRORS
from medrov_cli.core.curation.issues import Code, Severity
from medrov_cli.core.curation.presence_generation import Reason
from source_folders import Picture, write_source
from training_data import make_source

FOLDER = Path(__file__).parents[1] / "docs" / "schemas"
ABOUT = ("--modality", "CT", "--licence", "CC0")
PICTURES = [Picture(split, [("liver", 1, 2, 9, 9)], f"p{n}") for n, split in enumerate(("train", "test") * 2)]


def convert(medrov: Any, folder: Path) -> list[Any]:
    for kind, side in (("images", 8), ("masks", 8)):
        (folder / "in" / kind).mkdir(parents=True)
        for name in ("a", "b"):
            cv2.imwrite(str(folder / "in" / kind / f"{name}.png"), np.eye(side, dtype=np.uint8))
    (folder / "in" / "images" / "b.png").write_bytes(b"no image")
    options = ("--from", "masks", "--labels", "1=liver", *ABOUT, "--json")
    done = medrov("data", "convert", folder / "in", "-o", folder / "out", *options)
    assert done.exit_code == 3, done.stderr
    return [done.json]


def merge(medrov: Any, folder: Path) -> list[Any]:
    source = write_source(folder / "ct", PICTURES, ["liver", "other"])
    (folder / "map.yaml").write_text("rename: {liver: the liver}\ndrop: [other]\n")
    done = medrov("data", "merge", source, "--map", folder / "map.yaml", "-o", folder / "out", "--json")
    assert done.exit_code == 0, done.stderr
    assert done.json["sources"][0]["renamed"]
    assert done.json["sources"][0]["dropped"]
    return [done.json, json.loads((folder / "out" / "merge.json").read_text())]


def split(medrov: Any, folder: Path) -> list[Any]:
    source = write_source(folder / "ct", PICTURES, ["liver"])
    done = medrov("data", "split", source, "-o", folder / "out", "--json")
    assert done.exit_code == 0, done.stderr
    leaking = write_source(folder / "mr", [*PICTURES, Picture("val", [], "p0"), Picture("val")], ["liver"])
    (leaking / "images" / "006.png").write_bytes(b"no image")
    repaired = medrov("data", "split", leaking, "--repair", "--json")
    assert repaired.exit_code == 3, repaired.stderr
    assert repaired.json["moved"]["records"]
    assert medrov("data", "split", leaking, "--no-join-copies", "--json").json["near_copies"] is None
    return [done.json, repaired.json]


def check(medrov: Any, folder: Path) -> list[Any]:
    source = write_source(folder / "ct", [*PICTURES, Picture("val", [], "p0")], ["liver", "other"])
    done = medrov("data", "check", source, "--json")
    assert done.exit_code == 3, done.stderr
    assert {found["severity"] for found in done.json["findings"]} >= {"error", "warning"}
    return [done.json]


def stats(medrov: Any, folder: Path) -> list[Any]:
    source = write_source(folder / "ct", [*PICTURES, Picture(None)], ["liver", "other"])
    done = medrov("data", "stats", source, "--json")
    assert done.exit_code == 0, done.stderr
    return [done.json]


def presence(medrov: Any, folder: Path) -> list[Any]:
    write_source(folder / "ct", PICTURES, ["liver"])
    write_source(folder / "smear", [Picture("train")], ["rbc"], "microscopy")
    (folder / "data.yaml").write_text("sources: [ct, smear]\n")
    done = medrov("data", "presence", folder / "data.yaml", "-o", folder / "presence.csv", "--json")
    assert done.exit_code == 0, done.stderr
    return [done.json]


def export(medrov: Any, folder: Path) -> list[Any]:
    source = write_source(folder / "ct", PICTURES, ["liver"])
    (source / "images" / "002.png").unlink()
    done = medrov("data", "export", source, "--to", "yolo", "-o", folder / "out", "--json")
    assert done.exit_code == 3, done.stderr
    return [done.json]


def phantom(medrov: Any, folder: Path) -> list[Any]:
    options = ("--count", 1, "--modality", "microscopy", "--json")
    done = medrov("data", "phantom", "-o", folder / "out", *options)
    assert done.exit_code == 0, done.stderr
    return [done.json]


def labelled(medrov: Any, folder: Path) -> tuple[Any, ...]:
    """Make a dataset with an image that cannot be read; return the command that labels it."""
    make_source(folder / "data", "smear", "microscopy", ["polyp"])
    make_source(folder / "data", "slides", "histopathology", ["red blood cell", "lung nodule"])
    (folder / "data" / "smear" / "images" / "2.png").write_bytes(b"no image")
    (folder / "data.yaml").write_text("root: data\nsources: [smear, slides]\npresence: presence.csv\n")
    (folder / "presence.csv").write_text(
        "dataset,polyp,lung nodule,red blood cell\nsmear,1,0,0\nslides,-1,1,1\n"
    )
    weights = write_eager_detector(folder / "eager.safetensors")
    return ("pseudolabel", folder / "data.yaml", "-w", weights, "--device", "cpu", "--score", 0.3, "--json")


def pseudolabel(medrov: Any, folder: Path) -> list[Any]:
    command = labelled(medrov, folder)
    whole = medrov(*command, "-o", folder / "out")
    part = medrov(*command, "-o", folder / "parts", "--shard", "1/2")
    views = medrov(*command, "-w", write_eager_detector(folder / "b.safetensors", seed=1), "--dry-run")
    assert [done.exit_code for done in (whole, part, views)] == [3, 0, 3], whole.stderr
    assert part.json["waiting_for"]
    return [whole.json, part.json, views.json, json.loads((folder / "out" / "manifest.json").read_text())]


def apply(medrov: Any, folder: Path) -> list[Any]:
    page, decisions = folder / "page.html", folder / "decisions.json"
    assert medrov(*labelled(medrov, folder), "-o", folder / "out", "--review", page).exit_code == 3
    text = page.read_text().split('<script type="application/json" id="data">')[1].split("</script>")[0]
    data = json.loads(text)
    decisions.write_text(json.dumps({"schema": data["schema"], "labels": data["labels"], "decisions": []}))
    options = ("--labels", folder / "out", "-o", folder / "new", "--json")
    done = medrov("pseudolabel", "apply", decisions, *options)
    assert done.exit_code == 0, done.stderr
    jsonschema.Draft202012Validator(schema_of("medrov.pseudolabel")).validate(done.json["labels"])
    return [done.json, json.loads((folder / "new" / "manifest.json").read_text())]


MADE_BY = {
    "medrov.data.convert": convert,
    "medrov.data.merge": merge,
    "medrov.data.split": split,
    "medrov.data.check": check,
    "medrov.data.stats": stats,
    "medrov.data.presence": presence,
    "medrov.data.export": export,
    "medrov.data.phantom": phantom,
    "medrov.pseudolabel": pseudolabel,
    "medrov.pseudolabel.apply": apply,
}


def schema_of(name: str) -> Any:
    return json.loads((FOLDER / f"{name}-1.schema.json").read_text(encoding="utf-8"))


def test_every_document_of_both_commands_has_a_schema() -> None:
    names = {path.name.removesuffix("-1.schema.json") for path in FOLDER.iterdir()}
    assert names == {
        *MADE_BY,
        "medrov.benchmark",
        "medrov.detect",
        "medrov.eval",
        "medrov.export",
        "medrov.findings",
        "medrov.send",
    }


@pytest.mark.parametrize("name", MADE_BY)
def test_real_documents_are_valid_and_each_of_their_values_is_of_a_type(
    medrov: Any, tmp_path: Path, name: str
) -> None:
    schema = schema_of(name)
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    for document in MADE_BY[name](medrov, tmp_path):
        assert document["schema"] == f"{name}/1"
        validator.validate(document)
        for way in places(document):
            if way[0] != "labels":  # of apply: another document, which has a schema of its own
                assert not validator.is_valid(changed(document, way, {"no": []})), way
        assert not validator.is_valid(document | {"schema": f"{name}/2"})
        for key in schema["required"]:
            assert not validator.is_valid({k: v for k, v in document.items() if k != key}), key


def test_lists_of_codes_are_those_of_the_code() -> None:
    inputs = {code.value for code in INPUT_ERRORS}
    for name in ("medrov.data.convert", "medrov.data.export", "medrov.pseudolabel"):
        error = schema_of(name)["$defs"]["failure"]["properties"]["error"]
        assert set(error["properties"]["code"]["enum"]) == inputs
    finding = schema_of("medrov.data.check")["properties"]["findings"]["items"]["properties"]
    assert finding["code"]["enum"] == [code.value for code in Code]
    assert finding["severity"]["enum"] == [severity.value for severity in Severity]
    cell = schema_of("medrov.data.presence")["properties"]["cells"]["items"]["properties"]
    assert cell["reason"]["enum"] == [reason.value for reason in Reason]
