"""``medrov benchmark``: every section, both modes, and what is refused. No figure is judged."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from detect_fixtures import IMGSZ, write_eager_detector, write_images
from json_places import changed, places

SCHEMA = json.loads(
    (Path(__file__).parents[2] / "docs" / "schemas" / "medrov.benchmark-1.schema.json").read_text("utf-8")
)
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)
SECTIONS = ("runs", "against", "cold", "text", "scaling", "memory")
QUICK = ("--device", "cpu", "--images", 3, "--rounds", 2)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_eager_detector(tmp_path_factory.mktemp("weights") / "eager.safetensors")


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("images")
    write_images(folder, 2)
    return folder


def measured(done: Any) -> Any:
    """Return a document, checked."""
    assert done.exit_code == 0, done.stderr
    VALIDATOR.validate(done.json)
    return done.json


def sections(document: Any) -> set[str]:
    return {name for name in SECTIONS if document[name] is not None}


def test_one_engine_on_phantoms(medrov: Any, weights: Path) -> None:
    document = measured(medrov("benchmark", "--fps", "-w", weights, "--engine", "onnx", *QUICK, "--json"))
    assert sections(document) == {"runs"}
    settings = document["settings"]
    assert (settings["images_from"], settings["files"], settings["images"]) == ("phantoms", 3, 3)
    assert (settings["classes"], settings["classes_from"], settings["imgsz"]) == (3, "weights", IMGSZ)
    (row,) = document["runs"]
    assert (row["engine"], row["precision"], row["batch"]) == ("onnxruntime-cpu", "fp32", 1)
    assert (row["forward_ratio"], row["end_to_end_ratio"]) == (1, 1)
    for key in ("forward_images_per_s", "end_to_end_images_per_s"):
        assert len(row[key]["rounds"]) == 2
        assert min(row[key]["rounds"]) > 0
    means = [stage["mean"] for stage in row["stages_ms"].values()]
    assert min(means) > 0
    # A mean of sums is the sum of the means, but for the rounding to four digits.
    assert sum(means) == pytest.approx(row["latency_ms"]["mean"], rel=2e-3)


def test_a_table_for_people(medrov: Any, weights: Path, images: Path) -> None:
    done = medrov("benchmark", images, "-w", weights, "--engine", "torch", "--classes", 7, *QUICK)
    assert done.exit_code == 0, done.stderr
    for text in ("torch-cpu", "decode", "suppression", "weights eager (", "7 made-up classes", "of 2 files"):
        assert text in done.stdout
    assert "ultralytics 8" not in done.stdout.split("weights eager")[1]


def test_engines_side_by_side(medrov: Any, weights: Path, images: Path) -> None:
    engines = "openvino, torch-bf16"
    done = medrov("benchmark", images, "-w", weights, "--compare", engines, "--batch", 2, *QUICK, "--json")
    document = measured(done)
    rows = document["runs"]
    assert [row["name"] for row in rows] == ["openvino", "torch-bf16"]
    assert [row["engine"] for row in rows] == ["openvino-cpu", "torch-cpu-bf16"]
    assert [row["batch"] for row in rows] == [2, 2]
    assert document["settings"]["images_from"] == "files"
    fast, slow = (row["end_to_end_images_per_s"]["rounds"] for row in rows)
    by_round = sorted(own / other for own, other in zip(slow, fast, strict=True))
    assert rows[0]["end_to_end_ratio"] == 1
    assert rows[1]["end_to_end_ratio"] == pytest.approx(sum(by_round) / 2, rel=2e-3)


def test_a_rival_with_the_same_network(medrov: Any, weights: Path, images: Path) -> None:
    done = medrov(
        "benchmark",
        images,
        "-w",
        weights,
        "--against",
        "ultralytics",
        "--engine",
        "openvino",
        *QUICK,
        "--json",
    )
    document = measured(done)
    assert sections(document) == {"runs", "against"}
    against = document["against"]
    assert against["largest_difference"]["score"] < 5e-4
    assert against["largest_difference"]["box_px"] < 0.05
    best = max(against["trials"], key=lambda trial: trial["images_per_s"])
    assert against["settings"].items() <= best.items()
    ours, theirs = (part["end_to_end_images_per_s"]["rounds"] for part in (document["runs"][0], against))
    by_round = [own / other for own, other in zip(ours, theirs, strict=True)]
    assert against["ratios"][0]["ratio"] == pytest.approx(sum(by_round) / 2, rel=2e-3)


@pytest.mark.slow
def test_curves_and_memory(medrov: Any, weights: Path, images: Path, tmp_path: Path) -> None:
    options = ("--scaling", tmp_path / "curves", "--memory", 20, "--engine", "onnx")
    done = medrov("benchmark", images, "-w", weights, *options, *QUICK[:-1], 1, "--json")
    document = measured(done)
    assert sections(document) == {"scaling", "memory"}
    values = {axis: [point["value"] for point in points] for axis, points in document["scaling"].items()}
    assert values["classes"] == [1, 10, 100, 1000, 2000]
    assert values["imgsz"] == [224, 320, 416, 512, 640]
    assert values["batch"] == [1, 2, 4, 8, 16]
    for axis in values:
        assert (tmp_path / "curves" / f"{axis}.png").read_bytes().startswith(b"\x89PNG")
    memory = document["memory"]
    assert (memory["images"], memory["settled_after"], len(memory["samples"])) == (20, 10, 20)


@pytest.mark.slow
def test_cold_starts(medrov: Any, weights: Path) -> None:
    options = ("--device", "cpu", "--engine", "onnx", "--rounds", 1)
    done = medrov("benchmark", "--cold", "-w", weights, *options, "--images", 1, "--json")
    document = measured(done)
    assert sections(document) == {"cold"}
    ours, theirs = document["cold"]["medrov"], document["cold"]["ultralytics"]
    ratio = ours["seconds"]["median"] / theirs["seconds"]["median"]
    assert document["cold"]["wall_ratio"] == pytest.approx(ratio, rel=2e-3)
    assert ours["peak_rss_mb"] < theirs["peak_rss_mb"]  # no torch in ours


def test_the_text_side(medrov: Any, weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = tmp_path / "cache"
    monkeypatch.setenv("MEDROV_CACHE", str(cache))
    done = medrov("benchmark", "--text", "-w", weights, "--classes", 5, "--rounds", 1, "--json")
    document = measured(done)
    assert sections(document) == {"text"}
    text = document["text"]
    assert (text["encoder"], text["classes"]) == ("minilm", 5)
    change = text["cached_classes_ms"] + text["fold_classes_ms"]
    assert text["change_of_vocabulary_ms"] == pytest.approx(change, rel=2e-3)
    assert not (cache / "text").exists(), "the user's cache was used"


@pytest.mark.slow
def test_every_value_has_a_type_and_every_field_is_needed(
    medrov: Any, weights: Path, images: Path, tmp_path: Path
) -> None:
    command = ("benchmark", images, "-w", weights, "--engine", "onnx", *QUICK[:-1], 1, "--json")
    document = measured(medrov(*command, "--against", "ultralytics", "--memory", 4))
    document |= {
        "text": measured(medrov("benchmark", "--text", "-w", weights, "--classes", 2, "--json"))["text"]
    }
    VALIDATOR.validate(document)
    for way in places(document):
        assert not VALIDATOR.is_valid(changed(document, way, {"no": []})), way
    assert not VALIDATOR.is_valid(document | {"schema": "medrov.benchmark/2"})
    for key in SCHEMA["required"]:
        assert not VALIDATOR.is_valid({k: v for k, v in document.items() if k != key}), key


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (("--rounds", 2, "--seconds", 3), "--rounds and --seconds"),
        (("--seconds", 0), "--seconds 0"),
        (("--compare", "onnx"), "at least two"),
        (("--compare", "onnx,onnx"), "at least two"),
        (("--compare", "onnx,tensorflow"), "'tensorflow'"),
        (("--compare", "onnx,torch", "--engine", "onnx"), "--engine and --precision"),
        (("--compare", "torch,onnx-bf16"), "bf16"),
        (("--cold", "--classes", 3), "--cold and --classes"),
        (("--memory", 1), "--memory 1"),
        (("--text", "a.png"), "--text reads no images"),
        (("--imgsz", 100), "--imgsz 100"),
        (("--device", "gpu"), "--device 'gpu'"),
        (("--against", "nobody"), "--against"),
    ],
)
def test_contradictions_are_refused(medrov: Any, weights: Path, options: tuple[Any, ...], named: str) -> None:
    done = medrov("benchmark", "-w", weights, "--images", 1, *options, "--json")
    assert done.exit_code == 2
    assert named in done.json["error"]["message"]


def test_a_folder_of_curves_is_no_file(medrov: Any, weights: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = medrov("benchmark", "-w", weights, "--scaling", tmp_path / "file")
    assert done.exit_code == 2
    assert "--scaling" in done.stderr


def test_what_ultralytics_cannot_read_is_refused(medrov: Any, weights: Path) -> None:
    example = Path(__file__).parents[2] / "examples" / "chest_ct.dcm"
    done = medrov("benchmark", example, "-w", weights, "--against", "ultralytics", *QUICK)
    assert done.exit_code == 2
    assert "cannot read" in done.stderr


def test_an_image_that_cannot_be_read_is_told_before_anything_is_timed(
    medrov: Any, weights: Path, tmp_path: Path
) -> None:
    (tmp_path / "a.png").write_bytes(b"no image")
    done = medrov("benchmark", tmp_path / "a.png", "-w", weights, *QUICK, "--json")
    assert done.exit_code == 4
    assert done.json["error"]["code"] == "unsupported_format"


def test_a_list_of_paths_on_stdin(run_medrov: Any, weights: Path, images: Path) -> None:
    listed = "".join(f"{path}\n" for path in sorted(images.iterdir()))
    done = run_medrov("benchmark", "-", "-w", weights, "--engine", "onnx", *QUICK, "--json", stdin=listed)
    document = measured(done)
    assert (document["settings"]["images_from"], document["settings"]["files"]) == ("files", 2)


def test_absent_weights(medrov: Any) -> None:
    done = medrov("benchmark", "-w", "medrov-nothing")
    assert done.exit_code == 5
