"""``medrov detect`` over the folder of real formats: every file is accounted for, no patient is shown."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from conftest import SHARED_DATA, Finished, Medrov
from detect_fixtures import write_eager_detector

pytestmark = pytest.mark.slow

if not SHARED_DATA.is_dir():
    pytest.skip("the real images are not here", allow_module_level=True)

FORMATS = SHARED_DATA / "formats"
MANIFEST: list[dict[str, Any]] = json.loads((FORMATS / "manifest.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_eager_detector(tmp_path_factory.mktemp("weights") / "eager.safetensors")


@pytest.fixture
def found(run_medrov: Medrov, weights: Path, tmp_path: Path) -> Finished:
    """Run over the whole folder, every format written to ``out``."""
    return run_medrov(
        "detect", FORMATS, "--weights", weights, "--imgsz", 32, "--max-det", 2,
        "--output", tmp_path / "out", "--format", "jsonl,json,csv,coco,yolo,png", "--json",
        env={"OMP_NUM_THREADS": "1"}, timeout=900,
    )  # fmt: skip


def private_texts() -> list[str]:
    """Return the patients' names and ids, as far as they are long enough not to occur by chance."""
    texts = {str(item.get(key) or "").strip() for item in MANIFEST for key in ("patient_name", "patient_id")}
    parts = {part for text in texts for part in (text, *text.split("^"))}
    return sorted(part for part in parts if len(part) >= 6)


def text_of(path: Path) -> str:
    return path.read_bytes().decode("latin-1") if path.is_file() and path.suffix != ".png" else ""


def test_every_file_is_accounted_for_and_no_patient_is_shown(found: Finished, tmp_path: Path) -> None:
    assert found.exit_code == 3
    assert "Traceback" not in found.stdout + found.stderr
    out = tmp_path / "out"
    lines = [json.loads(line) for line in (out / "detections.jsonl").read_text().splitlines()]
    records = [line for line in lines if line["schema"] == "medrov.detect/1"]
    assert found.json["records"] == records
    volumes = [line for line in lines if line["schema"] == "medrov.findings/1"]
    assert found.json["volumes"] == volumes
    assert len(records) + len(volumes) == len(lines)
    assert volumes
    by_file: dict[str, list[dict[str, Any]]] = {}
    for record in records:
        by_file.setdefault(str(Path(record["path"]).relative_to(FORMATS)), []).append(record)
    summary = found.json["summary"]
    skipped = {str(Path(own["path"]).relative_to(FORMATS)): own["reason"] for own in summary["skipped"]}
    assert all(skipped.values())
    assert by_file.keys().isdisjoint(skipped)
    assert by_file.keys() | skipped.keys() == {item["file"] for item in MANIFEST}
    read = [item for item in MANIFEST if item["file"] not in skipped]
    for item in read:
        errors = [record["error"] for record in by_file[item["file"]] if "error" in record]
        assert bool(errors) == (not item.get("decodes", True)), item["file"]
        assert len(errors) <= 1
        assert all(error["code"] and error["message"] and error["hint"] for error in errors)
    assert len(MANIFEST) == 122
    assert summary["inputs"] == len(read)
    assert summary["failed"] == sum(not item.get("decodes", True) for item in read)
    images = [record for record in records if "error" not in record]
    assert len(list((out / "overlays").rglob("*.png"))) == len(images)
    assert len(list((out / "yolo" / "labels").rglob("*.txt"))) == len(images)

    shown = found.stdout + found.stderr + "".join(str(path) + text_of(path) for path in out.rglob("*"))
    # What the files and folders are called is the user's own choice of words.
    own_words = " ".join(item["file"] for item in MANIFEST)
    private = [text for text in private_texts() if text not in own_words]
    assert len(private) > 10
    assert not [text for text in private if text in shown]
