"""``medrov benchmark``: every section, both modes, and what is refused. No figure is judged."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from benchmark_documents import QUICK, measured, require_strict, sections
from detect_fixtures import IMGSZ, write_eager_detector, write_images


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_eager_detector(tmp_path_factory.mktemp("weights") / "eager.safetensors")


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("images")
    write_images(folder, 2)
    return folder


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
    for text in (
        "torch-cpu",
        "decode",
        "suppression",
        "weights eager (",
        "7 synthetic classes",
        "of 2 files",
    ):
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


def test_memory(medrov: Any, weights: Path, images: Path) -> None:
    options = ("--memory", 20, "--engine", "onnx", *QUICK[:-1], 1, "--json")
    document = measured(medrov("benchmark", images, "-w", weights, *options))
    assert sections(document) == {"memory"}
    memory = document["memory"]
    assert (memory["images"], memory["settled_after"], len(memory["samples"])) == (20, 10, 20)


@pytest.mark.slow
def test_every_value_has_a_type_and_every_field_is_needed(medrov: Any, weights: Path, images: Path) -> None:
    command = ("benchmark", images, "-w", weights, "--engine", "onnx", *QUICK[:-1], 1, "--json")
    require_strict(measured(medrov(*command, "--fps", "--memory", 4)))


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
        (("--memory", 1), "--memory 1"),
        (("--imgsz", 100), "--imgsz 100"),
        (("--device", "gpu"), "--device 'gpu'"),
    ],
)
def test_contradictions_are_refused(medrov: Any, weights: Path, options: tuple[Any, ...], named: str) -> None:
    done = medrov("benchmark", "-w", weights, "--images", 1, *options, "--json")
    assert done.exit_code == 2
    assert named in done.json["error"]["message"]


@pytest.mark.parametrize(
    ("options", "script"),
    [
        (("--against", "ultralytics"), "ultralytics_predictor.py"),
        (("--against=nobody",), "ultralytics_predictor.py"),
        (("--cold",), "cold_start.py"),
        (("--scaling", "curves"), "scaling_curves.py"),
        (("--text",), "text_encoder.py"),
    ],
)
def test_a_removed_option_names_its_script(medrov: Any, options: tuple[str, ...], script: str) -> None:
    done = medrov("benchmark", *options, "--json")
    assert done.exit_code == 2
    message = done.json["error"]["message"]
    assert options[0].split("=")[0] in message
    assert f"benchmarks/{script}" in message
    assert (Path(__file__).parents[2] / "benchmarks" / script).is_file()


def test_the_options_are_removed_from_benchmark_alone(medrov: Any) -> None:
    assert "No such option: --cold" in medrov("doctor", "--cold").stderr


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
