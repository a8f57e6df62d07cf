"""Every file of ``examples/`` does what it says, run as a user would run it."""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
import zlib
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest

from medrov_cli.core.datasets.dataset import load_dataset
from medrov_cli.core.datasets.sample_images import load_image
from medrov_cli.core.phantoms.abdomen import abdomen_volume
from medrov_cli.core.phantoms.radiograph import chest_xray
from medrov_cli.core.pixels.read import read_frames
from medrov_cli.core.records.boxes import iou_matrix
from medrov_cli.core.settings.choices import Modality

EXAMPLES = Path(__file__).parents[2] / "examples"
INPUTS = ("chest_ct.dcm", "blood_smear.png", "polyp.png", "ct_volume.nii.gz")
VOLUME_SLICES = 16


def _run(*command: str | Path, exit_code: int = 0, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a command with this interpreter's scripts first in the path; show why it failed, if it does."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SLURM_")}
    environment |= {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHON": sys.executable,
        "OMP_NUM_THREADS": "1",
        **variables,
    }
    done = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, env=environment, check=False
    )
    assert done.returncode == exit_code, done.stderr
    return done


def _make_phantoms(*arguments: str | Path) -> None:
    _run(sys.executable, EXAMPLES / "make_phantoms.py", *arguments)


def _truth() -> dict[tuple[str, int], list[dict[str, Any]]]:
    records = json.loads((EXAMPLES / "truth.json").read_text())
    return {(record["path"], record["frame"]): record["objects"] for record in records}


@pytest.fixture(scope="module")
def remade(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the example inputs, made again."""
    folder = tmp_path_factory.mktemp("remade")
    _make_phantoms("--output", folder)
    return folder


def test_the_inputs_can_be_made_again_from_nothing(remade: Path) -> None:
    assert sorted(path.name for path in remade.iterdir()) == sorted([*INPUTS, "truth.json"])
    assert (remade / "truth.json").read_bytes() == (EXAMPLES / "truth.json").read_bytes()
    for name in INPUTS:
        ours, committed = (list(read_frames(str(folder / name))) for folder in (remade, EXAMPLES))
        assert len(ours) == len(committed)
        for left, right in zip(ours, committed, strict=True):
            assert np.array_equal(left.pixels_rgb, right.pixels_rgb)


@pytest.mark.skipif("zlib-ng" in zlib.ZLIB_RUNTIME_VERSION, reason="zlib-ng packs the same data differently")
@pytest.mark.parametrize("name", INPUTS)
def test_the_inputs_are_made_again_byte_for_byte(remade: Path, name: str) -> None:
    assert (remade / name).read_bytes() == (EXAMPLES / name).read_bytes()


def test_the_inputs_are_small() -> None:
    assert sum((EXAMPLES / name).stat().st_size for name in (*INPUTS, "truth.json")) < 1_000_000


def test_the_truth_is_about_the_frames_that_the_reader_gives() -> None:
    truth = _truth()
    frames = {(name, f.index): f for name in INPUTS for f in read_frames(str(EXAMPLES / name))}
    assert truth.keys() == frames.keys()
    assert len(frames) == 3 + VOLUME_SLICES
    for key, objects in truth.items():
        assert objects
        boxes = np.array([o["box_xyxy"] for o in objects])
        assert boxes.min() >= 0
        assert (boxes[:, 2] <= frames[key].width).all()
        assert (boxes[:, 3] <= frames[key].height).all()
    chest = frames["chest_ct.dcm", 0]
    assert chest.modality is Modality.CT
    assert chest.pixel_spacing_mm == pytest.approx((0.675334, 0.675334))


def test_the_slices_of_the_volume_are_read_as_they_were_drawn() -> None:
    # Same order and orientation, or the boxes would be about other pixels.
    drawn = abdomen_volume(3, slices=VOLUME_SLICES, size=160).voxels_hu
    for frame in read_frames(str(EXAMPLES / "ct_volume.nii.gz")):
        seen = frame.pixels_rgb[..., 0].ravel()
        hu = np.clip(drawn[frame.index].ravel(), -140, 240)
        assert np.corrcoef(seen, hu)[0, 1] > 0.8


def test_the_dicom_example_says_that_it_is_nobody() -> None:
    dataset = pydicom.dcmread(EXAMPLES / "chest_ct.dcm")
    assert dataset.PatientName == "SYNTHETIC^PHANTOM"
    assert dataset.BurnedInAnnotation == "YES"
    assert list(dataset.ImageType[:2]) == ["DERIVED", "SECONDARY"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return what the training example leaves: ``data``, with ten phantoms a source, and ``run``."""
    folder = tmp_path_factory.mktemp("trained")
    _run(EXAMPLES / "train_phantoms.sh", folder, COUNT="10", EPOCHS="1", IMGSZ="64")
    return folder


@pytest.mark.slow
def test_the_training_example_trains(trained: Path) -> None:
    assert (trained / "run" / "best.safetensors").is_file()
    (entry,) = (trained / "run" / "metrics.jsonl").read_text().splitlines()
    assert np.isfinite(json.loads(entry)["map50"])


@pytest.mark.slow
def test_training_phantoms_are_a_data_set(trained: Path) -> None:
    dataset = load_dataset(EXAMPLES / "phantoms.yaml", root=trained / "data")
    assert [len(dataset.samples[split]) for split in ("train", "val", "test")] == [24, 3, 3]
    assert [source.modality for source in dataset.sources] == [
        Modality.CT,
        Modality.MICROSCOPY,
        Modality.ENDOSCOPY,
    ]
    assert {"lung nodule", "colon polyp", "red blood cell", "platelets", "left kidney"} <= set(
        dataset.classes
    )
    assert all(len(sample.boxes_xyxy) for sample in dataset.samples["train"])


@pytest.mark.slow
def test_training_phantoms_are_not_the_examples(trained: Path) -> None:
    dataset = load_dataset(EXAMPLES / "phantoms.yaml", root=trained / "data")
    examples = [next(read_frames(str(EXAMPLES / name))).pixels_rgb for name in INPUTS]
    for sample in (s for samples in dataset.samples.values() for s in samples):
        pixels = load_image(sample)
        assert not any(pixels.shape == other.shape and np.array_equal(pixels, other) for other in examples)


@pytest.mark.slow
def test_five_sources_in_five_formats_become_one_dataset_without_findings(tmp_path: Path) -> None:
    done = _run(EXAMPLES / "five_sources.sh", tmp_path, COUNT="10", VOLUMES="5")
    assert "5 source(s), 70 image(s), " in done.stdout
    assert "0 error(s), 0 warning(s), 0 note(s)" in done.stdout
    dataset = load_dataset(tmp_path / "dataset" / "dataset.yaml")
    assert [source.name for source in dataset.sources] == ["chest", "abdomen", "polyps", "eyes", "smears"]
    assert len({source.modality for source in dataset.sources}) == 5
    assert all(dataset.samples[split] for split in ("train", "val", "test"))
    assert "platelet" in dataset.classes
    assert dataset.synonyms["colon polyp"] == ("polyp",)
    # What went out by five formats has come back: the radiographs' boxes are those of the drawings.
    chest = [s for samples in dataset.samples.values() for s in samples if s.source_id == 0]
    for sample in chest:
        drawn = chest_xray(int(sample.image_path.stem.split("_")[-1]))
        ours = sorted((o.class_name, *o.box_xyxy) for o in drawn.objects)
        boxes = zip(sample.labels, sample.boxes_xyxy.tolist(), strict=True)
        assert sorted((dataset.classes[label], *box) for label, box in boxes) == ours


@pytest.mark.parametrize(
    ("name", "class_name"),
    [
        ("chest_ct.dcm", "lung nodule"),
        ("blood_smear.png", "white blood cell"),
        ("polyp.png", "colon polyp"),
        ("ct_volume.nii.gz", "liver"),
    ],
)
def test_the_embedded_model_finds_something_true(name: str, class_name: str) -> None:
    done = _run(
        "medrov", "detect", EXAMPLES / name, "--classes", class_name, "--format", "jsonl", "--offline"
    )
    truth = _truth()
    overlaps = []
    for record in map(json.loads, done.stdout.splitlines()):
        if "findings" in record:
            continue
        objects = truth[name, record["frame"]]
        true = [o["box_xyxy"] for o in objects if o["class"] == class_name]
        found = [d["box_xyxy"] for d in record["detections"] if d["class"] == class_name]
        if true and found:
            boxes = (np.asarray(rows, dtype=np.float32) for rows in (true, found))
            overlaps.append(float(iou_matrix(*boxes).max()))
    assert max(overlaps, default=0) > 0.5


@pytest.mark.slow
def test_the_array_job_shares_the_work(tmp_path: Path) -> None:
    images = tmp_path / "images"
    images.mkdir()
    for name in INPUTS:
        shutil.copy(EXAMPLES / name, images)
    for task in (0, 1):  # as sbatch --array=0-1 numbers them
        _run(
            EXAMPLES / "batch_array_job.sh",
            images,
            tmp_path / "results",
            SLURM_ARRAY_TASK_ID=str(task),
            SLURM_ARRAY_TASK_MIN="0",
            SLURM_ARRAY_TASK_COUNT="2",
        )
    _run(EXAMPLES / "batch_array_job.sh", images, tmp_path / "alone")
    parts = [tmp_path / "results" / f"part-{task}-of-2" / "detections.jsonl" for task in (1, 2)]
    whole = tmp_path / "alone" / "part-1-of-1" / "detections.jsonl"
    lines = [part.read_text().splitlines() for part in parts]
    assert all(lines)
    assert sorted(lines[0] + lines[1]) == sorted(whole.read_text().splitlines())
    images_of_both = [line for line in lines[0] + lines[1] if "findings" not in json.loads(line)]
    assert len(images_of_both) == 3 + VOLUME_SLICES


@pytest.mark.skipif(shutil.which("jq") is None, reason="jq is not installed")
def test_jsonl_becomes_csv(tmp_path: Path) -> None:
    missing = tmp_path / "missing.png"
    done = _run(EXAMPLES / "jsonl_to_csv.sh", EXAMPLES / "blood_smear.png", missing, exit_code=3)
    rows = list(csv.DictReader(StringIO(done.stdout)))
    cells = [row for row in rows if not row["error"]]
    assert cells
    assert all(float(row["x1"]) < float(row["x2"]) for row in cells)
    assert "red blood cell" in {row["class"] for row in cells}
    assert [(row["path"], row["error"]) for row in rows if row["error"]] == [(str(missing), "not_found")]


def test_without_jq_the_script_says_so(tmp_path: Path) -> None:
    bash = shutil.which("bash")
    assert bash is not None
    done = subprocess.run(
        [bash, EXAMPLES / "jsonl_to_csv.sh"],
        capture_output=True,
        text=True,
        env={"PATH": str(tmp_path)},
        check=False,
    )
    assert done.returncode == 1
    assert "jq is not installed" in done.stderr
    assert done.stdout == ""
