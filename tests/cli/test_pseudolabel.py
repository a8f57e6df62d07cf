"""``medrov pseudolabel`` at the command line: what it prints and writes, and how it ends."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from detect_fixtures import write_eager_detector
from medrov_cli.commands.signature import parameters
from medrov_cli.core.datasets.dataset import load_dataset
from medrov_cli.core.datasets.truth import truth_sha256
from medrov_cli.core.records.boxes import iou_matrix, xywh_to_xyxy
from medrov_cli.core.runs.locking import FolderLock
from medrov_cli.core.settings.io_groups import DatasetSettings
from medrov_cli.core.settings.label_rule import LabelRule
from medrov_cli.core.settings.pseudolabel import PseudolabelSettings
from training_data import IMAGES, make_source
from weights_fixtures import made_up_calibration

QUICK = ("--device", "cpu", "--score", 0.3)
SOURCES = ("smear", "slides & <b>")


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    return write_eager_detector(tmp_path / "eager.safetensors")


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    make_source(tmp_path / "data", "smear", "microscopy", ["polyp"])
    make_source(tmp_path / "data", "slides", "histopathology", ["red blood cell", "lung nodule"])
    path = tmp_path / "data.yaml"
    path.write_text(
        "name: toy\nroot: data\nsources:\n- smear\n- {path: slides, name: 'slides & <b>'}\n"
        "classes: {polyp: bump/growth}\nnovel: [polyp]\npresence: presence.csv\n"
    )
    (tmp_path / "presence.csv").write_text(
        "dataset,polyp,lung nodule,red blood cell\nsmear,1,0,0\nslides & <b>,-1,1,1\n"
    )
    return path


def folder_bytes(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def labels_of(folder: Path, name: str = "smear") -> list[dict[str, Any]]:
    document = json.loads((folder / name / "annotations.json").read_text())
    return [a for a in document["annotations"] if a.get("source") == "pseudo"]


def test_what_is_written(medrov: Any, dataset: Path, weights: Path, tmp_path: Path) -> None:
    before = folder_bytes(tmp_path / "data")
    done = medrov("pseudolabel", dataset, "-w", weights, *QUICK, "-o", tmp_path / "out", "--json")
    assert done.exit_code == 0, done.stderr
    assert folder_bytes(tmp_path / "data") == before
    report = done.json
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert report == manifest | {"output": str(tmp_path / "out"), "waiting_for": []}
    assert manifest["schema"] == "medrov.pseudolabel/1"
    assert (manifest["images"], manifest["splits"]) == (IMAGES["train"], ["train"])
    sha256 = hashlib.sha256(weights.read_bytes()).hexdigest()
    assert manifest["model"] == {"name": "eager", "sha256": sha256}
    assert manifest["rule"] == {"score": 0.3, "scores": "raw", "nms_iou": 0.3, "truth_iou": 0.3}
    for name, expected in manifest["outputs"].items():
        assert hashlib.sha256((tmp_path / "out" / name).read_bytes()).hexdigest() == expected
    assert str(tmp_path) not in "".join(p.read_text() for p in (tmp_path / "out").rglob("*") if p.is_file())

    original = json.loads((tmp_path / "data" / "smear" / "annotations.json").read_text())
    written = json.loads((tmp_path / "out" / "smear" / "annotations.json").read_text())
    count = len(original["annotations"])
    assert json.dumps(written["annotations"][:count]) == json.dumps(original["annotations"])
    assert written["images"] == original["images"]
    added = written["annotations"][count:]
    assert len(added) == manifest["boxes"] == manifest["sources"]["smear"]["boxes"] > 5
    names = {category["id"]: category for category in written["categories"]}
    train = {image["id"] for image in original["images"] if image["split"] == "train"}
    for label in added:
        assert names[label["category_id"]]["name"] in ("red blood cell", "lung nodule")
        assert names[label["category_id"]]["source"] == label["source"] == "pseudo"
        assert label["score"] >= 0.3
        assert label["image_id"] in train
        assert (label["model"], label["rule"]) == (manifest["model"], manifest["rule"])
        truth = [a["bbox"] for a in original["annotations"] if a["image_id"] == label["image_id"]]
        overlap = iou_matrix(*(xywh_to_xyxy(np.array(b, dtype=float)) for b in ([label["bbox"]], truth)))
        assert overlap.max() < 0.3
    # Nothing can be added to the other source: its file is the same.
    assert folder_bytes(tmp_path / "out")["slides_b_/annotations.json"] == before["slides/annotations.json"]

    first, again = load_dataset(dataset), load_dataset(tmp_path / "out" / "dataset.yaml")
    assert [source.name for source in again.sources] == list(SOURCES)
    assert again.classes == first.classes == ("polyp", "red blood cell", "lung nodule")
    assert again.presence.tolist() == first.presence.tolist()
    assert truth_sha256(load_dataset(tmp_path / "out" / "dataset.yaml", pseudo=()), again.samples["val"]) == (
        truth_sha256(first, first.samples["val"])
    )
    assert again.synonyms == first.synonyms
    assert [again.classes[row] for row in again.novel] == ["polyp"]
    assert all(sample.image_path.is_file() for sample in again.samples["train"])
    assert sum(len(s.labels) for s in again.samples["train"]) == 2 * IMAGES["train"] + len(added)
    assert sum(len(s.labels) for s in again.samples["val"]) == 2 * IMAGES["val"]


def test_the_same_input_gives_the_same_bytes(
    medrov: Any, dataset: Path, weights: Path, tmp_path: Path
) -> None:
    for name in ("a", "b"):
        page = tmp_path / f"{name}.html"
        done = medrov("pseudolabel", dataset, "-w", weights, *QUICK, "-o", tmp_path / name, "--review", page)
        assert done.exit_code == 0, done.stderr
    assert folder_bytes(tmp_path / "a") == folder_bytes(tmp_path / "b")
    assert (tmp_path / "a.html").read_bytes() == (tmp_path / "b.html").read_bytes()
    own = medrov("pseudolabel", dataset, "-w", weights, *QUICK, "-o", tmp_path / "a")
    assert own.exit_code == 2
    assert "--resume" in own.stderr
    assert (
        medrov("pseudolabel", dataset, "-w", weights, *QUICK, "-o", tmp_path / "a", "--overwrite").exit_code
        == 0
    )
    assert folder_bytes(tmp_path / "a") == folder_bytes(tmp_path / "b")


def test_a_second_round_adds_nothing(medrov: Any, dataset: Path, weights: Path, tmp_path: Path) -> None:
    options = ("-w", weights, *QUICK, "--splits", "train,val,test")
    first = medrov("pseudolabel", dataset, *options, "-o", tmp_path / "out", "--json").json
    assert first["boxes"] > first["images"] == sum(IMAGES.values())
    second = medrov(
        "pseudolabel", tmp_path / "out" / "dataset.yaml", *options, "-o", tmp_path / "out2", "--json"
    )
    assert second.exit_code == 0, second.stderr
    assert (second.json["images"], second.json["boxes"]) == (first["images"], 0)
    assert labels_of(tmp_path / "out2") == labels_of(tmp_path / "out")
    assert load_dataset(tmp_path / "out2" / "dataset.yaml").samples["train"][0].image_path.is_file()


def test_dry_run(medrov: Any, dataset: Path, weights: Path, tmp_path: Path) -> None:
    before = folder_bytes(tmp_path)
    done = medrov("pseudolabel", dataset, "-w", weights, *QUICK, "--dry-run", "-o", tmp_path / "out")
    assert done.exit_code == 0, done.stderr
    assert folder_bytes(tmp_path) == before
    rows = [re.split(r"  +", line) for line in done.stdout.splitlines()]
    assert rows[0] == [
        "source",
        "class",
        "images",
        "with label",
        "labels",
        "min",
        "25 %",
        "50 %",
        "75 %",
        "max",
    ]
    assert [row[:3] for row in rows[1:3]] == [
        ["smear", "red blood cell", str(IMAGES["train"])],
        ["smear", "lung nodule", str(IMAGES["train"])],
    ]
    report = medrov("pseudolabel", dataset, "-w", weights, *QUICK, "--dry-run", "--json").json
    assert report["output"] is None
    counts = report["sources"]["smear"]["classes"]
    assert [row[4] for row in rows[1:3]] == [str(own["boxes"]) for own in counts.values()]
    assert sum(own["boxes"] for own in counts.values()) == report["boxes"]
    none = medrov("pseudolabel", dataset, "-w", weights, "--score", 1, "--dry-run")
    assert none.stdout.splitlines()[1].split()[-5:] == ["-"] * 5


def test_resume_gives_the_same_bytes(medrov: Any, dataset: Path, weights: Path, tmp_path: Path) -> None:
    options = ("pseudolabel", dataset, "-w", weights, *QUICK, "--batch", 2)
    assert medrov(*options, "-o", tmp_path / "a").exit_code == 0
    assert medrov(*options, "-o", tmp_path / "b").exit_code == 0
    whole = folder_bytes(tmp_path / "b")
    lines = whole["proposals.jsonl"].splitlines(keepends=True)
    for name in whole:
        (tmp_path / "b" / name).unlink()
    # As after a kill: the header, three images of which two are a whole batch, and half a line.
    (tmp_path / "b" / ".proposals.jsonl.partial").write_bytes(b"".join(lines[:4]) + lines[4][:20])
    assert medrov(*options, "-o", tmp_path / "b").exit_code == 2
    resumed = medrov(*options, "-o", tmp_path / "b", "--resume")
    assert resumed.exit_code == 0, resumed.stderr
    assert folder_bytes(tmp_path / "b") == whole == folder_bytes(tmp_path / "a")
    # Killed while the dataset was written: all that was found is there.
    (tmp_path / "b" / "manifest.json").unlink()
    assert medrov(*options, "-o", tmp_path / "b", "--resume").exit_code == 0
    assert folder_bytes(tmp_path / "b") == whole
    other = medrov(*options, "-o", tmp_path / "b", "--resume", "--nms-iou", 0.5)
    assert other.exit_code == 2
    assert "nms_iou" in other.stderr
    # What is found does not depend on the annotated boxes: this needs no new search.
    stricter = medrov(*options, "-o", tmp_path / "b", "--resume", "--truth-iou", 0, "--json")
    assert (stricter.exit_code, stricter.json["boxes"]) == (0, 0)


def test_the_last_shard_writes_the_dataset(medrov: Any, dataset: Path, weights: Path, tmp_path: Path) -> None:
    options = ("pseudolabel", dataset, "-w", weights, *QUICK, "--batch", 1, "--json")
    whole = medrov(*options, "-o", tmp_path / "whole").json
    waiting = []
    for number in (2, 3, 1):
        done = medrov(*options, "-o", tmp_path / "out", "--shard", f"{number}/3")
        assert done.exit_code == 0, done.stderr
        waiting.append(done.json["waiting_for"])
        assert (tmp_path / "out" / "manifest.json").exists() is (number == 1)
    assert waiting == [["1/3", "3/3"], ["1/3"], []]
    assert done.json | {"output": None} == whole | {"output": None}
    expected = folder_bytes(tmp_path / "whole")
    expected.pop("proposals.jsonl")
    shown = {k: v for k, v in folder_bytes(tmp_path / "out").items() if not k.startswith("proposals")}
    assert shown == expected
    # Shards of a run with other settings are no part of this one.
    other = medrov(*options, "-o", tmp_path / "out", "--shard", "1/3", "--overwrite", "--nms-iou", 0.5)
    assert other.json["waiting_for"] == ["2/3", "3/3"]


@pytest.mark.skipif(sys.platform == "win32", reason="nothing is locked there")
def test_shards_share_a_folder_that_a_whole_run_needs_alone(
    medrov: Any, dataset: Path, weights: Path, tmp_path: Path
) -> None:
    options = ("pseudolabel", dataset, "-w", weights, *QUICK, "-o", tmp_path / "out")
    (tmp_path / "out").mkdir()
    lock = FolderLock(tmp_path / "out", is_shared=True)
    lock.acquire()
    refused = medrov(*options)
    assert refused.exit_code == 2
    assert "another process is writing there" in refused.stderr
    assert medrov(*options, "--shard", "1/2").exit_code == 0
    lock.release()
    lock = FolderLock(tmp_path / "out")
    lock.acquire()
    assert medrov(*options, "--shard", "2/2").exit_code == 2
    lock.release()


@pytest.mark.slow
def test_views_and_weights_that_must_agree(medrov: Any, dataset: Path, weights: Path, tmp_path: Path) -> None:
    other = write_eager_detector(tmp_path / "other.safetensors", seed=1)
    options = (
        "pseudolabel",
        dataset,
        *QUICK,
        "-w",
        weights,
        "-w",
        other,
        "--flip",
        "--scales",
        "0.67,1.0",
        "--json",
    )
    counts = {}
    for agree in (1, 2, 8):
        report = medrov(*options, "--agree", agree, "--dry-run").json
        assert report["rule"]["views"] == 8
        counts[agree] = report["boxes"]
    assert counts[1] > counts[2] >= counts[8]
    done = medrov(*options, "--agree", 2, "-o", tmp_path / "out")
    assert done.exit_code == 0, done.stderr
    assert [model["name"] for model in done.json["models"]] == ["eager", "eager"]
    assert (done.json["rule"] | {"views": 8, "agree": 2, "agree_iou": 0.5}) == done.json["rule"]
    assert all(label["models"] == done.json["models"] for label in labels_of(tmp_path / "out"))


def test_calibrated_scores(medrov: Any, dataset: Path, weights: Path, tmp_path: Path) -> None:
    own = write_eager_detector(tmp_path / "own.safetensors", calibration=made_up_calibration())
    report = medrov(
        "pseudolabel", dataset, "-w", own, "--score", 0.75, "--calibrated", "--dry-run", "--json"
    ).json
    counts = report["sources"]["smear"]["classes"]
    assert counts["lung nodule"]["boxes"] == 0  # its calibrated scores end at 0.5
    assert report["rule"]["scores"] == "calibrated"
    done = medrov("pseudolabel", dataset, "-w", weights, "--calibrated", "--dry-run")
    assert done.exit_code == 2
    assert "medrov eval --fit" in done.stderr


def test_another_presence_table(medrov: Any, dataset: Path, weights: Path, tmp_path: Path) -> None:
    table = tmp_path / "other.csv"
    table.write_text("dataset,polyp,lung nodule,red blood cell\nsmear,1,-1,-1\nslides & <b>,0,1,1\n")
    options = ("pseudolabel", dataset, "-w", weights, *QUICK, "--presence", table)
    report = medrov(*options, "-o", tmp_path / "out", "--json").json
    assert {name: list(own["classes"]) for name, own in report["sources"].items()} == {
        "smear": [], "slides & <b>": ["polyp"],
    }  # fmt: skip
    assert load_dataset(tmp_path / "out" / "dataset.yaml").presence.tolist() == [[1, -1, -1], [0, 1, 1]]


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        ((), 2, "--output"),
        (("--dry-run", "--shard", "1/2"), 2, "--shard"),
        (("--dry-run", "--review", "x.html"), 2, "--review"),
        (("--dry-run", "--agree", 2), 2, "--agree 2"),
        (("--dry-run", "--scales", "a"), 2, "--scales"),
        (("--dry-run", "--scales", "1,1.01"), 2, "--scales"),
        (("--dry-run", "--splits", "tests"), 2, "'tests'"),
        (("--dry-run", "-w", "eager.safetensors", "-w", "eager.safetensors"), 2, "--weights"),
        (("--dry-run", "-w", "none.safetensors"), 5, "none.safetensors"),
        (("--output", "data.yaml"), 2, "is a file"),
        (("--output", "o", "--resume", "--overwrite"), 2, "--resume"),
        (("--dry-run", "--presence", "none.csv"), 4, "none.csv"),
    ],
)
def test_refusals(
    medrov: Any,
    dataset: Path,
    weights: Path,
    monkeypatch: Any,
    options: tuple[Any, ...],
    code: int,
    said: str,
) -> None:
    monkeypatch.chdir(dataset.parent)
    given = () if "-w" in options else ("-w", weights)
    done = medrov("pseudolabel", dataset, *given, *options)
    assert (done.exit_code, done.stdout) == (code, "")
    assert said in done.stderr


@pytest.mark.parametrize("how", [(), ("--resume",), ("--overwrite",)])
def test_files_of_the_dataset_are_never_replaced(
    medrov: Any, dataset: Path, weights: Path, tmp_path: Path, how: tuple[str, ...]
) -> None:
    data = tmp_path / "data"
    (data / "slides").rename(data / "slides_b_")  # the name that the source gets in the output
    for name in ("data.yaml", "presence.csv"):
        text = (tmp_path / name).read_text().replace("root: data", "root: .").replace("slides,", "slides_b_,")
        (data / name.replace("data.yaml", "dataset.yaml")).write_text(text)
    before = folder_bytes(data)
    label = ("pseudolabel", data / "dataset.yaml", "-w", weights, *QUICK)
    done = medrov(*label, "-o", data, *how)
    assert (done.exit_code, "is a file of the dataset" in " ".join(done.stderr.split())) == (2, True)
    out = tmp_path / "out"
    assert medrov(*label, "-o", out).exit_code == 0
    labels = hashlib.sha256((out / "manifest.json").read_bytes()).hexdigest()
    file = tmp_path / "decisions.json"
    file.write_text(
        json.dumps({"schema": "medrov.pseudolabel-decisions/1", "labels": labels, "decisions": []})
    )
    if how != ("--resume",):  # `apply` has no such option
        done = medrov("pseudolabel", "apply", file, "--labels", out, "-o", data, *how)
        assert (done.exit_code, str(data) in "".join(done.stderr.split())) == (2, True)
    assert folder_bytes(data) == before


def test_files_of_others_are_replaced_by_overwrite_alone(
    medrov: Any, dataset: Path, weights: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    (out / "smear").mkdir(parents=True)
    label = ("pseudolabel", dataset, "-w", weights, *QUICK, "-o", out)
    for name in ("dataset.yaml", "presence.csv", "smear/annotations.json"):
        (out / name).write_text("mine")
        for how in ((), ("--resume",)):
            done = medrov(*label, *how)
            assert (done.exit_code, f"{name} exists" in " ".join(done.stderr.split())) == (2, True)
        assert (out / name).read_text() == "mine"
        (out / name).unlink()
    page = tmp_path / "page.html"
    page.write_text("mine")
    done = medrov(*label, "--review", page)
    assert (done.exit_code, "already exists" in done.stderr, page.read_text()) == (2, True, "mine")
    (out / "dataset.yaml").write_text("mine")
    assert medrov(*label, "--review", page, "--overwrite").exit_code == 0
    assert medrov(*label, "--review", page, "--resume").exit_code == 0
    page.write_text("mine")
    assert medrov(*label, "--review", page, "--resume").exit_code == 2


def test_nothing_is_possible(medrov: Any, dataset: Path, weights: Path) -> None:
    dataset.write_text("root: data\nsources: [smear, slides]\n")
    done = medrov("pseudolabel", dataset, "-w", weights, "--dry-run", "--json")
    assert done.exit_code == 4
    assert done.json["error"]["code"] == "no_input"
    assert "--presence" in done.json["error"]["hint"]


def test_an_unreadable_image_is_a_record_and_is_looked_at_again_when_it_is_repaired(
    medrov: Any, dataset: Path, weights: Path, tmp_path: Path
) -> None:
    options = ("pseudolabel", dataset, "-w", weights, *QUICK, "--batch", 2)
    assert medrov(*options, "-o", tmp_path / "whole").exit_code == 0
    everything = folder_bytes(tmp_path / "whole")
    assert {5, 7} < {label["image_id"] for label in labels_of(tmp_path / "whole")}
    image = tmp_path / "data" / "smear" / "images" / "5.png"
    whole = image.read_bytes()
    image.write_bytes(b"no image")
    failed = medrov(*options, "-o", tmp_path / "out", "--json")
    assert failed.exit_code == 3
    assert "smear/5.png: The file cannot be decoded." in failed.stderr
    report = failed.json
    assert report == json.loads((tmp_path / "out" / "manifest.json").read_text()) | {
        "output": str(tmp_path / "out"),
        "waiting_for": [],
    }
    assert (report["images"], report["sources"]["smear"]["images"]) == (IMAGES["train"] - 1,) * 2
    (failure,) = report["failures"]
    assert failure["path"] == "smear/5.png"
    assert failure["error"]["code"] == "decode_failed"
    assert failure["error"].keys() == {"code", "message", "hint"}
    assert str(tmp_path) not in "".join(p.read_text() for p in (tmp_path / "out").rglob("*") if p.is_file())
    # Its own annotations are there, and nothing was added to it.
    original = json.loads((tmp_path / "data" / "smear" / "annotations.json").read_text())
    written = json.loads((tmp_path / "out" / "smear" / "annotations.json").read_text())
    assert written["images"] == original["images"]
    assert written["annotations"][: len(original["annotations"])] == original["annotations"]
    labels = labels_of(tmp_path / "out")
    assert labels
    assert all(label["image_id"] != 5 for label in labels)
    again = medrov(*options, "-o", tmp_path / "out", "--resume")
    assert again.exit_code == 3
    assert "1 image(s) not read" in again.stdout
    image.write_bytes(whole)
    repaired = medrov(*options, "-o", tmp_path / "out", "--resume", "--json")
    assert (repaired.exit_code, repaired.json["failures"]) == (0, [])
    assert folder_bytes(tmp_path / "out") == everything


def test_a_dry_run_with_an_image_that_is_missing_or_of_another_size(
    medrov: Any, dataset: Path, weights: Path, tmp_path: Path
) -> None:
    images = tmp_path / "data" / "smear" / "images"
    (images / "1.png").unlink()
    cv2.imwrite(str(images / "2.png"), np.zeros((10, 20, 3), np.uint8))
    before = folder_bytes(tmp_path)
    done = medrov("pseudolabel", dataset, "-w", weights, *QUICK, "--dry-run", "--json")
    assert done.exit_code == 3
    assert folder_bytes(tmp_path) == before
    assert [(f["path"], f["error"]["code"]) for f in done.json["failures"]] == [
        ("smear/1.png", "not_found"),
        ("smear/2.png", "bad_metadata"),
    ]
    assert "20 x 10 pixels; annotations.json says 64 x 64" in done.stderr
    assert done.json["images"] == IMAGES["train"] - 2


def test_shards_tell_of_the_images_that_others_could_not_read(
    medrov: Any, dataset: Path, weights: Path, tmp_path: Path
) -> None:
    options = ("pseudolabel", dataset, "-w", weights, *QUICK, "--batch", 1, "--json")
    assert medrov(*options, "-o", tmp_path / "whole").exit_code == 0
    image = tmp_path / "data" / "smear" / "images" / "3.png"  # the second of the first shard
    whole = image.read_bytes()
    image.unlink()
    first = medrov(*options, "-o", tmp_path / "out", "--shard", "1/2")
    assert (first.exit_code, first.json["waiting_for"]) == (3, ["2/2"])
    assert first.json["images"] == IMAGES["train"] // 2 - 1
    last = medrov(*options, "-o", tmp_path / "out", "--shard", "2/2")
    assert last.exit_code == 3
    assert [f["path"] for f in last.json["failures"]] == ["smear/3.png"]
    assert last.json["images"] == IMAGES["train"] - 1
    assert (tmp_path / "out" / "manifest.json").exists()
    image.write_bytes(whole)
    assert medrov(*options, "-o", tmp_path / "out", "--shard", "1/2", "--resume").exit_code == 0
    expected = {k: v for k, v in folder_bytes(tmp_path / "whole").items() if not k.startswith("proposals")}
    shown = {k: v for k, v in folder_bytes(tmp_path / "out").items() if not k.startswith("proposals")}
    assert shown == expected


def test_without_any_image_that_can_be_read_there_is_no_dataset(
    medrov: Any, dataset: Path, weights: Path, tmp_path: Path
) -> None:
    for image in (tmp_path / "data" / "smear" / "images").iterdir():
        image.write_bytes(b"no image")
    options = ("pseudolabel", dataset, "-w", weights, *QUICK, "-o", tmp_path / "out", "--json")
    done = medrov(*options, "--review", tmp_path / "page.html")
    assert done.exit_code == 4
    assert (done.json["output"], len(done.json["failures"])) == (None, IMAGES["train"])
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["proposals.jsonl"]
    assert not (tmp_path / "page.html").exists()
    shutil.rmtree(tmp_path / "data" / "smear")
    make_source(tmp_path / "data", "smear", "microscopy", ["polyp"])
    assert medrov(*options, "--resume").exit_code == 0


def test_defaults_are_those_of_the_core() -> None:
    rule = LabelRule()
    config = PseudolabelSettings(data=DatasetSettings(dataset=Path("data.yaml")))
    defaults = {option.name: option.given_default for option in parameters(PseudolabelSettings)}
    for name in ("score", "calibrated", "nms_iou", "flip", "agree"):
        assert defaults[name] == getattr(rule, name)
    assert defaults["truth_iou"] == rule.max_truth_iou
    for name in ("threads", "dry_run", "presence"):
        assert defaults[name] == getattr(config, name)
    for name in ("batch", "device", "imgsz"):
        assert defaults[name] == getattr(config.runtime, name)
    for name in ("resume", "overwrite"):
        assert defaults[name] == getattr(config.output, name)


def reviewed(
    medrov: Any, dataset: Path, weights: Path, tmp_path: Path
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Make labels in ``out`` and a page; return decisions without any, and the labels."""
    done = medrov(
        "pseudolabel",
        dataset,
        "-w",
        weights,
        *QUICK,
        "-o",
        tmp_path / "out",
        "--review",
        tmp_path / "page.html",
    )
    assert done.exit_code == 0, done.stderr
    text = (tmp_path / "page.html").read_text()
    data = json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', text)[1])
    assert data["sources"]["smear"]["classes"] == ["red blood cell", "lung nodule"]
    labels = labels_of(tmp_path / "out")
    assert [item["id"] for item in data["items"]] == [label["id"] for label in labels]
    assert text.count('id="picture-') == len(labels)
    return {"schema": data["schema"], "labels": data["labels"], "decisions": []}, labels


def test_apply(medrov: Any, dataset: Path, weights: Path, tmp_path: Path) -> None:
    decisions, labels = reviewed(medrov, dataset, weights, tmp_path)
    document = json.loads((tmp_path / "out" / "smear" / "annotations.json").read_text())
    names = {category["id"]: category["name"] for category in document["categories"]}
    was = names[labels[2]["category_id"]]
    other = next(name for name in ("red blood cell", "lung nodule") if name != was)
    decisions["decisions"] = [
        {"source": "smear", "id": labels[0]["id"], "decision": "accept"},
        {"source": "smear", "id": labels[1]["id"], "decision": "reject"},
        {"source": "smear", "id": labels[2]["id"], "decision": "relabel", "class": other},
    ]
    file = tmp_path / "decisions.json"
    file.write_text(json.dumps(decisions))
    before = folder_bytes(tmp_path / "out")
    done = medrov(
        "pseudolabel", "apply", file, "--labels", tmp_path / "out", "-o", tmp_path / "new", "--json"
    )
    assert done.exit_code == 0, done.stderr
    assert folder_bytes(tmp_path / "out") == before
    report = done.json
    assert report["schema"] == "medrov.pseudolabel.apply/1"
    assert report == json.loads((tmp_path / "new" / "manifest.json").read_text()) | {
        "output": str(tmp_path / "new")
    }
    left = len(labels) - 3
    assert report["sources"] == {
        "smear": {"accepted": 1, "rejected": 1, "relabelled": 1, "undecided": left},
        "slides & <b>": {"accepted": 0, "rejected": 0, "relabelled": 0, "undecided": 0},
    }
    after = labels_of(tmp_path / "new")
    id_of = {name: key for key, name in names.items()}
    assert after == [
        labels[0] | {"reviewed": True},
        labels[2] | {"category_id": id_of[other], "reviewed": True, "was": was},
        *labels[3:],
    ]
    dataset_after = load_dataset(tmp_path / "new" / "dataset.yaml")
    assert sum(len(s.labels) for s in dataset_after.samples["train"]) == 2 * IMAGES["train"] + len(labels) - 1
    assert dataset_after.samples["train"][0].image_path.is_file()
    again = medrov("pseudolabel", "apply", file, "--labels", tmp_path / "out", "-o", tmp_path / "new")
    assert again.exit_code == 2
    table = medrov(
        "pseudolabel", "apply", file, "--labels", tmp_path / "out", "-o", tmp_path / "new", "--overwrite"
    )
    assert table.stdout.splitlines()[1].split() == ["smear", "1", "1", "1", str(left)]


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"decision": "relabel", "class": "polyp"}, "annotated or impossible"),
        ({"decision": "relabel", "class": "no such"}, "annotated or impossible"),
        ({"decision": "relabel"}, "not a file of decisions"),
        ({"decision": "accept", "class": "polyp"}, "not a file of decisions"),
        ({"decision": "perhaps"}, "not a file of decisions"),
        ({"decision": "reject", "id": 1}, "not a reviewed label"),
        ({"decision": "reject", "id": True}, "not a file of decisions"),
        ({"decision": "reject", "source": "other"}, "no source 'other'"),
    ],
)
def test_decisions_that_cannot_be(
    medrov: Any, dataset: Path, weights: Path, tmp_path: Path, entry: dict[str, Any], said: str
) -> None:
    decisions, labels = reviewed(medrov, dataset, weights, tmp_path)
    decisions["decisions"] = [{"source": "smear", "id": labels[0]["id"], **entry}]
    file = tmp_path / "decisions.json"
    file.write_text(json.dumps(decisions))
    done = medrov("pseudolabel", "apply", file, "--labels", tmp_path / "out", "-o", tmp_path / "new")
    assert (done.exit_code, done.stdout) == (4, "")
    assert said in done.stderr
    assert not (tmp_path / "new").exists()


def test_decisions_on_other_labels(medrov: Any, dataset: Path, weights: Path, tmp_path: Path) -> None:
    decisions, labels = reviewed(medrov, dataset, weights, tmp_path)
    twice = [{"source": "smear", "id": labels[0]["id"], "decision": "accept"}] * 2
    cases = [
        (decisions | {"labels": "0" * 64}, "does not belong to the labels"),
        (decisions | {"decisions": twice}, "two decisions"),
        (decisions | {"schema": "medrov.detect/1"}, "not a file of decisions"),
        ([], "not a file of decisions"),
    ]
    file = tmp_path / "decisions.json"
    apply = ("pseudolabel", "apply", file, "--labels", tmp_path / "out")
    for document, said in cases:
        file.write_text(json.dumps(document))
        done = medrov(*apply, "-o", tmp_path / "new")
        assert done.exit_code == 4
        assert said in done.stderr
    file.write_text(json.dumps(decisions))
    assert medrov(*apply, "-o", tmp_path / "out").exit_code == 2
    assert medrov(*apply, "-o", file).exit_code == 2
    assert (
        medrov("pseudolabel", "apply", file, "--labels", tmp_path / "data", "-o", tmp_path / "new").exit_code
        == 4
    )
    assert (
        medrov("pseudolabel", "apply", tmp_path / "none", "--labels", tmp_path / "out", "-o", file).exit_code
        == 2
    )
    with (tmp_path / "out" / "presence.csv").open("a") as stream:
        stream.write("\n")
    changed = medrov(*apply, "-o", tmp_path / "new")
    assert changed.exit_code == 4
    assert "presence.csv was changed after it was written" in changed.stderr


def test_the_page_escapes_what_a_dataset_may_say(
    medrov: Any, dataset: Path, weights: Path, tmp_path: Path
) -> None:
    dataset.write_text(
        dataset.read_text().replace("name: toy", "name: '</title><script>alert(1)</script>@data@'")
    )
    reviewed(medrov, dataset, weights, tmp_path)
    text = (tmp_path / "page.html").read_text()
    assert "<title>Review of &lt;/title&gt;&lt;script&gt;alert(1)&lt;/script&gt;@data@</title>" in text
    assert "slides & <b>" not in text
    assert "http:" not in text.replace("http://www.w3.org", "")
    assert "https:" not in text


def test_help_and_usage(medrov: Any) -> None:
    assert "pseudolabel [OPTIONS] {DATASET} | apply FILE" in medrov("pseudolabel", "--help").stdout
    assert (
        "Usage: medrov pseudolabel apply [OPTIONS] {FILE}" in medrov("pseudolabel", "apply", "--help").stdout
    )
    assert medrov("pseudolabel").exit_code == 2
    assert medrov("pseudolabel", "apply").exit_code == 2
    missing = medrov("pseudolabel", "apply", "x.json", "--json")
    assert missing.exit_code == 2
    assert "--labels" in missing.json["error"]["message"]
    assert "'medrov pseudolabel apply --help'" in missing.json["error"]["hint"]
    assert "DATASET" in medrov("pseudolabel", "--flip").stderr
