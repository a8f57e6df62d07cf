"""``medrov learn`` and ``--learned``: what they write, whom they leave alone, and how they end."""

from __future__ import annotations

import json
import math
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import nibabel
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from conftest import Medrov
from detect_fixtures import noise_image, write_eager_detector, write_images
from image_files import write_dicom
from learned_fixtures import write_random_classes
from medrov_cli.core.learning.run import run_learning
from medrov_cli.core.records.box_maps import BoxMap
from medrov_cli.core.settings.groups import RuntimeSettings
from medrov_cli.core.settings.learn import LearnSettings
from medrov_cli.core.weights.learned_file import read_learned, write_learned
from training_data import make_source
from weights_fixtures import made_up_calibration

SIZE_LIMIT = 64 * 1024


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_eager_detector(tmp_path_factory.mktemp("weights") / "eager.safetensors")


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("examples")
    make_source(folder, "squares", "x-ray", ["bright square", "polyp"])
    (folder / "data.yaml").write_text("name: squares\nsources: [squares]\n")
    return folder / "data.yaml"


@pytest.fixture(scope="module")
def learned(examples: Path, weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Learn both classes once."""
    path = tmp_path_factory.mktemp("learned") / "squares.classes.safetensors"
    run_learning(settings_of(examples, weights, path))
    return path


def settings_of(examples: Path, weights: Path, output: Path) -> LearnSettings:
    return LearnSettings(
        examples=examples,
        weights=str(weights),
        output=output,
        folds=2,
        runtime=RuntimeSettings(device="cpu"),
        licence="CC0-1.0",
    )


@pytest.fixture
def images(tmp_path: Path) -> Path:
    write_images(tmp_path / "images", 3)
    return tmp_path / "images"


def records(medrov: Medrov, *arguments: object) -> list[dict[str, Any]]:
    done = medrov("detect", *arguments, "--device", "cpu", "--format", "jsonl")
    assert done.exit_code == 0, done.stderr
    return done.lines


def of_text(found: list[dict[str, Any]], names: set[str]) -> list[list[Any]]:
    return [[own for own in record["detections"] if own["class"] in names] for record in found]


def objects(found: list[dict[str, Any]], name: str) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Return the detections of a class, each after its record."""
    return [(record, own) for record in found for own in record["detections"] if own["class"] == name]


def halves_of(own: dict[str, Any], record: dict[str, Any]) -> list[tuple[int, float, float]]:
    """Return axis, start and end of the middle half of a box, where no edge of the image clips it."""
    box, sizes = own["box_xyxy"], (record["width"], record["height"])
    quarters = [(box[axis + 2] - box[axis]) / 4 for axis in (0, 1)]
    return [
        (axis, box[axis] + quarters[axis], box[axis + 2] - quarters[axis])
        for axis in (0, 1)
        if box[axis] > 0 and box[axis + 2] < sizes[axis]
    ]


# What is learned


def test_file_has_record_and_size(learned: Path, weights: Path) -> None:
    file = read_learned(learned)
    assert file.names == ("bright square", "polyp")
    first = file.info.classes[0]
    assert (first.images, first.boxes, first.negatives) == (4, 4, 4)
    assert first.validation is not None
    assert first.validation.folds == 2
    assert 0 < first.calibration.threshold <= 1
    assert file.info.licence == "CC0-1.0"
    assert file.info.network.name == "eager"
    assert file.info.recipe["examples"] == "squares"
    assert learned.stat().st_size <= 2 * SIZE_LIMIT
    assert str(learned.parent) not in learned.read_bytes().decode("latin-1")


def test_equal_examples_give_equal_bytes(
    learned: Path, examples: Path, weights: Path, tmp_path: Path
) -> None:
    run_learning(settings_of(examples, weights, tmp_path / "again.safetensors"))
    assert (tmp_path / "again.safetensors").read_bytes() == learned.read_bytes()


def test_command_prints_one_document_and_shows_the_file(
    medrov: Medrov, examples: Path, weights: Path, tmp_path: Path
) -> None:
    path = tmp_path / "polyp.classes.safetensors"
    options = ("-w", weights, "--device", "cpu", "--classes", "polyp", "--folds", 0, "-o", path, "--json")
    done = medrov("learn", examples, *options)
    assert done.exit_code == 0, done.stderr
    assert done.json["schema"] == "medrov.learn/1"
    assert done.json["bytes"] == path.stat().st_size <= SIZE_LIMIT
    (own,) = done.json["learned"]["classes"]
    assert (own["name"], own["validation"], own["calibration"]["threshold"]) == ("polyp", None, 0.25)
    shown = medrov("learn", path, "--show", "--json")
    assert shown.exit_code == 0, shown.stderr
    assert shown.json["learned"] == done.json["learned"]
    table = medrov("learn", path, "--show")
    assert "polyp" in table.stdout
    again = medrov("learn", examples, *options)
    assert (again.exit_code, again.json["error"]["code"]) == (2, "usage")


def test_coco_folder_is_read_like_a_dataset(
    medrov: Medrov, examples: Path, weights: Path, tmp_path: Path
) -> None:
    path = tmp_path / "coco.classes.safetensors"
    done = medrov(
        "learn",
        examples.parent / "squares",
        "-w",
        weights,
        "--device",
        "cpu",
        "--folds",
        0,
        "-o",
        path,
        "--json",
    )
    assert done.exit_code == 0, done.stderr
    assert [own["boxes"] for own in done.json["learned"]["classes"]] == [9, 10]  # images of all splits


# Where it is used


def test_detect_finds_learned_classes_alone(
    medrov: Medrov, weights: Path, images: Path, tmp_path: Path
) -> None:
    write_random_classes(tmp_path / "a.safetensors", weights, ["fracture", "pin"])
    write_random_classes(tmp_path / "b.safetensors", weights, ["cast"], seed=5)
    options = ("--learned", tmp_path / "a.safetensors", "--learned", tmp_path / "b.safetensors")
    found = records(medrov, images, "-w", weights, *options)
    names = {own["class"] for record in found for own in record["detections"]}
    assert names
    assert names <= {"fracture", "pin", "cast"}
    again = records(medrov, images, "-w", weights, *options, "--raw-scores", "--engine", "onnx")
    assert {own["class"] for record in again for own in record["detections"]} == names


def test_learned_classes_alone_are_searched_at_the_size_of_their_fit(
    medrov: Medrov, weights: Path, images: Path, tmp_path: Path
) -> None:
    file = write_random_classes(tmp_path / "a.safetensors", weights, ["fracture"], threshold=0.05)
    side = file.info.network.imgsz * 2
    network = replace(file.info.network, imgsz=side)
    write_learned(replace(file, info=replace(file.info, network=network)))
    common = (images, "-w", weights, "--learned", file.path)
    alone = records(medrov, *common)
    assert alone == records(medrov, *common, "--imgsz", side)
    assert not [text for text in alone[0]["warnings"] if "learned at" in text]
    for options, size in ((("--classes", "polyp"), side // 2), (("--imgsz", 64), 64)):
        (warning,) = (text for text in records(medrov, *common, *options)[0]["warnings"] if "px" in text)
        assert warning == f"learned at {side} px, searched at {size} px: thresholds may not hold"


@pytest.mark.parametrize("engine", ["torch", "onnx", "openvino"])
def test_box_map_changes_the_boxes_of_its_class_alone(
    engine: str, medrov: Medrov, weights: Path, images: Path, tmp_path: Path
) -> None:
    half = BoxMap((0.0, 0.0), (1.0, 1.0), (*(0.0,) * 10, math.log(0.5), math.log(0.5)))
    both = []
    for name, box_map in (("plain", None), ("mapped", half)):
        path = tmp_path / f"{name}.safetensors"
        write_random_classes(path, weights, ["fracture"], threshold=0.05, box_map=box_map)
        options = ("--classes", "polyp", "--learned", path, "--engine", engine, "--raw-scores")
        both.append(records(medrov, images, "-w", weights, *options))
    plain, mapped = both
    assert any(of_text(plain, {"polyp"}))
    assert of_text(mapped, {"polyp"}) == of_text(plain, {"polyp"})
    before = objects(plain, "fracture")
    checked = 0
    for _, own in objects(mapped, "fracture"):
        halves = [halves_of(other, record) for record, other in before if other["score"] == own["score"]]
        matches = [
            len(found)
            for found in halves
            if all(own["box_xyxy"][axis::2] == pytest.approx(ends, abs=0.02) for axis, *ends in found)
        ]
        assert matches
        checked += max(matches) > 0
    assert checked
    info = read_learned(tmp_path / "mapped.safetensors").info
    assert info.classes[0].calibration.box_map == half


@pytest.mark.parametrize("engine", ["torch", "onnx", "openvino"])
def test_texts_keep_their_detections_to_the_bit(
    engine: str, medrov: Medrov, weights: Path, images: Path, tmp_path: Path
) -> None:
    write_random_classes(tmp_path / "a.safetensors", weights, ["fracture", "pin"], threshold=0.05)
    common = (images, "-w", weights, "--classes", "polyp,lung nodule", "--max-det", 20, "--engine", engine)
    before = records(medrov, *common)
    after = records(medrov, *common, "--learned", tmp_path / "a.safetensors")
    assert any(record["detections"] for record in before)
    assert any(of_text(after, {"fracture", "pin"}))
    assert of_text(after, {"polyp", "lung nodule"}) == [record["detections"] for record in before]


def test_name_in_texts_and_learned_is_the_learned_one(
    medrov: Medrov, weights: Path, images: Path, tmp_path: Path
) -> None:
    write_random_classes(tmp_path / "a.safetensors", weights, ["Polyp"], threshold=0.05)
    common = (images, "-w", weights, "--classes", "polyp,lung nodule")
    before = records(medrov, *common)
    after = records(medrov, *common, "--learned", tmp_path / "a.safetensors")
    alone = records(medrov, *common[:3], "--classes", "lung nodule", "--learned", tmp_path / "a.safetensors")
    assert of_text(after, {"lung nodule"}) == of_text(before, {"lung nodule"})
    assert not any(of_text(after, {"polyp"}))
    assert any(of_text(after, {"Polyp"}))
    assert "learned, not searched by text: 'polyp'" in after[0]["warnings"]
    assert not [text for text in alone[0]["warnings"] if text.startswith("learned")]


def test_a_thousand_learned_classes(medrov: Medrov, weights: Path, images: Path, tmp_path: Path) -> None:
    names = [f"class {number}" for number in range(1000)]
    write_random_classes(tmp_path / "many.safetensors", weights, names)
    found = records(medrov, images, "-w", weights, "--learned", tmp_path / "many.safetensors")
    assert len({own["class"] for record in found for own in record["detections"]}) > 20


def test_eval_leaves_the_other_class_as_it_was(
    medrov: Medrov, examples: Path, weights: Path, tmp_path: Path
) -> None:
    write_random_classes(tmp_path / "a.safetensors", weights, ["polyp", "pin"])
    common = (
        "eval",
        examples,
        "-w",
        weights,
        "--split",
        "val",
        "--device",
        "cpu",
        "--bootstrap",
        0,
        "--json",
    )
    before, after = medrov(*common), medrov(*common, "--learned", tmp_path / "a.safetensors")
    assert (before.exit_code, after.exit_code) == (0, 0), after.stderr

    def class_of(report: Any, name: str) -> Any:
        return report["coco"]["presence"]["classes"][name]

    assert class_of(after.json, "bright square") == class_of(before.json, "bright square")
    assert after.json["calibration"] != before.json["calibration"]  # of the detections of all classes
    assert "learned, not searched by text: 'polyp', 'pin'" not in after.json["warnings"]
    assert any("'polyp'" in text for text in after.json["warnings"])


def test_pseudolabel_proposes_learned_classes(
    medrov: Medrov, examples: Path, weights: Path, tmp_path: Path
) -> None:
    write_random_classes(tmp_path / "a.safetensors", weights, ["polyp"], threshold=0.01)
    table = tmp_path / "presence.csv"
    table.write_text("dataset,bright square,polyp\nsquares,1,0\n")
    document = json.loads((examples.parent / "squares" / "annotations.json").read_text())
    document["annotations"] = [own for own in document["annotations"] if own["category_id"] == 0]
    document["categories"][1]["source"] = "pseudo"
    shutil.copytree(examples.parent / "squares", tmp_path / "squares")
    (tmp_path / "squares" / "annotations.json").write_text(json.dumps(document))
    (tmp_path / "data.yaml").write_text("name: squares\nsources: [squares]\npresence: presence.csv\n")
    common = (
        "pseudolabel",
        tmp_path / "data.yaml",
        "-w",
        weights,
        "--device",
        "cpu",
        "--score",
        0.9,
        "--dry-run",
        "--json",
    )
    before, after = medrov(*common), medrov(*common, "--learned", tmp_path / "a.safetensors")
    assert (before.exit_code, after.exit_code) == (0, 0), after.stderr
    assert after.json["boxes"] != before.json["boxes"]


def test_like_finds_its_own_example(medrov: Medrov, examples: Path, weights: Path, tmp_path: Path) -> None:
    folder = examples.parent / "squares" / "images"
    document = json.loads((folder.parent / "annotations.json").read_text())
    left, top, width, height = document["annotations"][0]["bbox"]
    box = f"{left},{top},{left + width},{top + height}"
    options = (folder / "1.png", "-w", weights, "--raw-scores")
    found = records(medrov, *options, "--like", f"{folder / '1.png'}:{box}=square")
    best = found[0]["detections"][0]
    assert best["class"] == "square"
    assert best["score"] > 0.5
    x1, y1, x2, y2 = best["box_xyxy"]
    assert x1 < left + width  # the boxes of a random network are no better than that
    assert x2 > left
    assert y1 < top + height
    assert y2 > top
    write_random_classes(tmp_path / "a.safetensors", weights, ["pin"])
    both = records(
        medrov,
        *options,
        *("--like", f"{folder / '1.png'}:{box}"),
        *("--learned", tmp_path / "a.safetensors", "--classes", "polyp"),
    )
    assert {own["class"] for own in both[0]["detections"]} >= {"example", "pin"}


def test_no_warning_is_about_the_text_of_a_learned_class(
    medrov: Medrov, images: Path, tmp_path: Path
) -> None:
    weights = write_eager_detector(tmp_path / "a.safetensors", calibration=made_up_calibration())
    write_random_classes(tmp_path / "pin.safetensors", weights, ["pin", "cell"])
    learned = ("--learned", tmp_path / "pin.safetensors")
    found = records(medrov, images, "-w", weights, "--classes", "Pin, cell, gall stone", *learned)
    said = " ".join(found[0]["warnings"])
    assert "no operating point; shown from a raw score of 0.25: 'gall stone'" in said
    assert "learned, not searched by text: 'Pin', 'cell'" in said
    assert "searched as" not in said


def like_vectors(medrov: Medrov, weights: Path, image: Path, *options: object) -> str:
    """Return the SHA-256 of the class of a run by example."""
    return str(records(medrov, image, "-w", weights, *options)[0]["model"]["vocabulary_sha256"])


def test_like_shows_an_example_in_tiles_as_the_run_does(
    medrov: Medrov, weights: Path, tmp_path: Path
) -> None:
    tiles = [noise_image(number)[:60, :60] for number in range(25)]
    large = np.vstack([np.hstack(tiles[row : row + 5]) for row in range(0, 25, 5)])
    tile = large[123:183, 118:178]  # of 60 pixels, with the example in its middle
    for name, pixels in (("tile.png", tile), ("large.png", large)):
        cv2.imwrite(str(tmp_path / name), pixels)
    own = ("--like", f"{tmp_path / 'tile.png'}:20,25,40,35")
    same = ("--like", f"{tmp_path / 'large.png'}:138,148,158,158")
    other = ("--like", f"{tmp_path / 'large.png'}:110,100,170,140")  # another one in a part of the tile
    images = (tmp_path / "tile.png", tmp_path / "large.png")
    small, in_tiles = (like_vectors(medrov, weights, image, "--tile", 60, *own) for image in images)
    assert small == in_tiles
    found = [
        like_vectors(medrov, weights, images[1], "--tile", 60, *options)
        for options in (same, (*same, "--region", "0,0,100,100"), (*same, *same), (*same, *other))
    ]
    assert found[:3] == [small] * 3
    assert found[3] != small
    assert like_vectors(medrov, weights, images[1], "--tile", "off", *same) != small


@pytest.mark.parametrize("option", [("--window", "lung"), ("--axis", "coronal")])
def test_like_reads_an_example_as_the_run_reads_its_images(
    medrov: Medrov, weights: Path, tmp_path: Path, option: tuple[str, str]
) -> None:
    values = np.random.default_rng(0).integers(-1000, 400, (40, 40, 40)).astype(np.int16)
    path = tmp_path / ("a.dcm" if option[0] == "--window" else "a.nii.gz")
    if path.suffix == ".dcm":
        write_dicom(path, values[0], Modality="CT", RescaleIntercept=0, RescaleSlope=1)
    else:
        nibabel.save(nibabel.Nifti1Image(values, np.eye(4)), path)
    like = ("--like", f"{path}:10,10,20,20")
    assert like_vectors(medrov, weights, path, *like) != like_vectors(medrov, weights, path, *like, *option)


@pytest.mark.parametrize(
    ("like", "exit_code", "words"),
    [
        ("1.png", 2, ("--like", "x1,y1,x2,y2")),
        ("1.png:1,2,3", 2, ("--like",)),
        ("1.png:9,2,3,4", 2, ("no area",)),
        ("1.png:1,2,x,4", 2, ("--like",)),
        ("1.png:900,900,990,990=pin", 2, ("outside", "64 x 64")),
        ("none.png:1,2,3,4", 4, ("--like", "none.png", "does not exist")),
    ],
)
def test_bad_examples_of_like(
    like: str, exit_code: int, words: tuple[str, ...], medrov: Medrov, examples: Path, weights: Path
) -> None:
    folder = examples.parent / "squares" / "images"
    done = medrov("detect", folder / "1.png", "-w", weights, "--device", "cpu", "--like", folder / like)
    refused(done, exit_code, *words)


# Refusals


def refused(done: Any, exit_code: int, *words: str) -> None:
    assert done.exit_code == exit_code, done.stderr
    for word in words:
        assert word in done.stderr


def test_another_network_is_refused_with_a_hint(
    medrov: Medrov, weights: Path, images: Path, tmp_path: Path
) -> None:
    other = write_eager_detector(tmp_path / "other.safetensors", seed=1)
    write_random_classes(tmp_path / "a.safetensors", weights, ["fracture"])
    done = medrov("detect", images, "-w", other, "--learned", tmp_path / "a.safetensors")
    refused(done, 5, "eager", "medrov learn made up")


def test_damaged_files_are_refused(medrov: Medrov, weights: Path, images: Path, tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    write_random_classes(path, weights, ["fracture"])
    tensors = load_file(path)
    header = path.read_bytes()
    path.write_bytes(header[:-50])
    refused(medrov("detect", images, "-w", weights, "--learned", path), 5, "not a complete")
    save_file(tensors, path)
    refused(medrov("detect", images, "-w", weights, "--learned", path), 5, "no learned classes")
    refused(medrov("detect", images, "-w", weights, "--learned", tmp_path / "none"), 5, "no file")


def test_a_class_learned_twice_is_refused(
    medrov: Medrov, weights: Path, images: Path, tmp_path: Path
) -> None:
    for name in ("a", "b"):
        write_random_classes(tmp_path / f"{name}.safetensors", weights, ["fracture"])
    files = [option for name in ("a", "b") for option in ("--learned", tmp_path / f"{name}.safetensors")]
    refused(medrov("detect", images, "-w", weights, *files), 2, "fracture", "a.safetensors")


def changed(examples: Path, folder: Path, change: Any) -> Path:
    """Copy the examples with a change of their document."""
    shutil.copytree(examples.parent / "squares", folder / "squares")
    path = folder / "squares" / "annotations.json"
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))
    (folder / "data.yaml").write_text("name: squares\nsources: [squares]\n")
    return folder / "data.yaml"


def learn(medrov: Medrov, examples: Path, weights: Path, folder: Path, *more: object) -> Any:
    output = folder / "out.safetensors"
    return medrov("learn", examples, "-w", weights, "--device", "cpu", "-o", output, *more)


def test_a_class_without_a_box(medrov: Medrov, examples: Path, weights: Path, tmp_path: Path) -> None:
    def drop_polyps(document: Any) -> None:
        document["annotations"] = [own for own in document["annotations"] if own["category_id"] == 0]

    data = changed(examples, tmp_path, drop_polyps)
    refused(learn(medrov, data, weights, tmp_path, "--classes", "polyp"), 4, "'polyp'")
    refused(learn(medrov, data, weights, tmp_path, "--classes", "pin"), 2, "'pin'", "bright square")
    done = learn(medrov, data, weights, tmp_path, "--folds", 0)
    refused(done, 0, "without a box", "polyp")


def test_one_image_works_and_warns(medrov: Medrov, examples: Path, weights: Path, tmp_path: Path) -> None:
    def keep_one(document: Any) -> None:
        document["images"] = document["images"][:1]
        document["annotations"] = document["annotations"][:1]

    done = learn(medrov, changed(examples, tmp_path, keep_one), weights, tmp_path, "--json")
    refused(done, 0, "not validated")
    assert done.json["learned"]["classes"][0]["validation"] is None


def test_boxes_outside_and_unreadable_images(
    medrov: Medrov, examples: Path, weights: Path, tmp_path: Path
) -> None:
    def move(document: Any) -> None:
        document["annotations"][0]["bbox"] = [500, 500, 10, 10]

    data = changed(examples, tmp_path, move)
    (tmp_path / "squares" / "images" / "2.png").write_bytes(b"no image")
    done = learn(medrov, data, weights, tmp_path, "--folds", 0, "--json")
    refused(done, 3, "without an area inside")
    assert [own["path"].rsplit("/", 1)[-1] for own in done.json["failures"]] == ["2.png"]
    assert read_learned(tmp_path / "out.safetensors").names


@pytest.mark.parametrize(
    ("options", "word"),
    [
        (("--folds", 1), "--folds"),
        (("-o", "x.onnx"), "safetensors"),
        (("--show", "-o", "x.safetensors"), "--show"),
        (("-w", "none.onnx"), "none.onnx"),
    ],
)
def test_bad_options(options: tuple[object, ...], word: str, medrov: Medrov, examples: Path) -> None:
    done = medrov("learn", examples, "-o", "y.safetensors", *options)
    assert done.exit_code in (2, 5)
    assert word in done.stderr


def test_unknown_format_and_missing_examples(medrov: Medrov, tmp_path: Path) -> None:
    (tmp_path / "boxes.txt").write_text("1 2 3")
    refused(medrov("learn", tmp_path / "boxes.txt", "-o", tmp_path / "o.safetensors"), 2, "--from")
    refused(medrov("learn", tmp_path / "none", "-o", tmp_path / "o.safetensors"), 4, "no examples")
