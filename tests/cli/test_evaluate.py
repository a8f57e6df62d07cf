"""``medrov eval`` at the command line: what it prints and writes, and how it ends."""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from detect_fixtures import write_eager_detector
from medrov_cli.commands.signature import parameters
from medrov_cli.core.runs.locking import FolderLock
from medrov_cli.core.settings.evaluate import EvaluateSettings
from medrov_cli.core.settings.io_groups import DatasetSettings
from medrov_cli.core.weights.container import read_metadata
from training_data import IMAGES, make_source
from weights_fixtures import write_detector

SCHEMA = json.loads(
    (Path(__file__).parents[2] / "docs" / "schemas" / "medrov.eval-1.schema.json").read_text(encoding="utf-8")
)
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)

SCORED = ("--bootstrap", 20, "--split", "val")
QUICK = ("--imgsz", 64, "--device", "cpu", *SCORED)


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    make_source(tmp_path, "smear", "microscopy", ["polyp", "lung nodule"])
    make_source(tmp_path, "slides", "histopathology", ["red blood cell"])
    path = tmp_path / "data.yaml"
    path.write_text(
        "name: toy\nsources: [smear, slides]\nnovel: [red blood cell]\npresence: presence.csv\n"
        "classes: {polyp: bump/growth, lung nodule: nodule, red blood cell: erythrocyte}\n"
    )
    (tmp_path / "presence.csv").write_text(
        "dataset,polyp,lung nodule,red blood cell\nsmear,1,1,0\nslides,-1,0,1\n"
    )
    return path


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    return write_detector(tmp_path / "tiny.safetensors")


def perfect(medrov: Any, dataset: Path, tmp_path: Path) -> dict[str, Any]:
    """Return the truth as predictions with score 0.9."""
    done = medrov("eval", dataset, "--split", "val", "--export-truth", tmp_path / "truth.json", "--json")
    assert done.exit_code == 0, done.stderr
    assert done.json == {
        "schema": "medrov.eval-truth/1",
        "path": str(tmp_path / "truth.json"),
        "images": 2 * IMAGES["val"],
    }
    document = json.loads((tmp_path / "truth.json").read_text())
    for annotation in document["annotations"]:
        annotation["score"] = 0.9
    return document


def write(path: Path, document: Any) -> Path:
    path.write_text(json.dumps(document))
    return path


@pytest.mark.slow
def test_a_detector(medrov: Any, dataset: Path, weights: Path, tmp_path: Path) -> None:
    options = ("--weights", weights, *QUICK, "--output", tmp_path / "out", "--synonyms", "--verify")
    done = medrov("eval", dataset, *options, "--json")
    assert done.exit_code == 0, done.stderr
    report = done.json
    VALIDATOR.validate(report)
    assert report == json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["dataset"]["images"] == 2 * IMAGES["val"]
    assert report["model"]["name"] == "tiny"
    assert report["coco"]["difference_from_pycocotools"] < 1e-9
    assert set(report["synonyms"]["classes"]["polyp"]["names"]) == {"polyp", "bump", "growth"}
    assert report["open_vocabulary"]["novel"]["classes"] == 1
    for name in ("report.html", "images.csv", "predictions.json", "curves/pr.png", "curves/froc.svg"):
        assert (tmp_path / "out" / name).stat().st_size
    with (tmp_path / "out" / "images.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["source"] for row in rows] == ["smear"] * IMAGES["val"] + ["slides"] * IMAGES["val"]
    assert "detecting" in done.stderr
    again = medrov("eval", dataset, *options)
    assert again.exit_code == 2
    assert "--resume" in again.stderr


def test_its_own_predictions_give_the_same_report(
    medrov: Any, dataset: Path, weights: Path, tmp_path: Path
) -> None:
    first = medrov("eval", dataset, "--weights", weights, *QUICK, "-o", tmp_path / "out", "--json").json
    predictions = tmp_path / "out" / "predictions.json"
    second = medrov("eval", dataset, "--predictions", predictions, *SCORED, "--json").json
    VALIDATOR.validate(second)
    for key in ("coco", "froc", "nms_ap", "absent", "confusion", "sizes", "operating_points"):
        assert second[key] == first[key]
    assert second["model"] is None


def test_predictions_below_conf_are_left_out(medrov: Any, dataset: Path, tmp_path: Path) -> None:
    document = perfect(medrov, dataset, tmp_path)
    scores = (0.0001, 0.5, 0.9)
    for number, annotation in enumerate(document["annotations"]):
        annotation["score"] = scores[number % 3]
    file = write(tmp_path / "p.json", document)
    for given, least in (((), None), (("--conf", 0.5), 0.5)):
        done = medrov("eval", dataset, "--predictions", file, *SCORED, "--bootstrap", 0, *given, "--json")
        assert done.exit_code == 0, done.stderr
        settings = done.json["settings"]
        assert [settings[key] for key in ("conf", "iou", "literal", "precision")] == [least, None, None, None]
        expected = [a for a in document["annotations"] if a["score"] >= (least or 0)]
        assert done.json["predictions"]["detections"] == len(expected)


@pytest.mark.slow
def test_resume_reuses_what_is_whole(medrov: Any, dataset: Path, weights: Path, tmp_path: Path) -> None:
    options = ("eval", dataset, "--weights", weights, *QUICK, "--batch", 4)
    undisturbed = medrov(*options, "-o", tmp_path / "a", "--json").json
    medrov(*options, "-o", tmp_path / "b")
    whole = (tmp_path / "b" / "predictions.jsonl").read_bytes()
    lines = whole.splitlines(keepends=True)
    (tmp_path / "b" / "predictions.jsonl").unlink()
    (tmp_path / "b" / "report.json").unlink()
    # As after a kill: the header, six images of which four are a whole batch, and half a line.
    partial = tmp_path / "b" / ".predictions.jsonl.partial"
    partial.write_bytes(b"".join(lines[:7]) + lines[7][:30])
    assert medrov(*options, "-o", tmp_path / "b").exit_code == 2
    resumed = medrov(*options, "-o", tmp_path / "b", "--resume", "--json")
    assert resumed.exit_code == 0, resumed.stderr
    assert resumed.json == undisturbed
    assert (tmp_path / "b" / "predictions.jsonl").read_bytes() == whole
    assert not partial.exists()
    other = medrov(*options, "-o", tmp_path / "b", "--resume", "--imgsz", 96)
    assert other.exit_code == 2
    assert "imgsz" in other.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="nothing is locked there")
def test_a_folder_that_another_run_has_locked_is_refused(medrov: Any, dataset: Path, tmp_path: Path) -> None:
    predictions = write(tmp_path / "predictions.json", perfect(medrov, dataset, tmp_path))
    options = ("eval", dataset, "--predictions", predictions, *SCORED)
    folder = tmp_path / "out"
    folder.mkdir()
    lock = FolderLock(folder)
    lock.acquire()
    refused = medrov(*options, "-o", folder, "--overwrite")
    assert refused.exit_code == 2
    assert "another process is writing there" in refused.stderr
    assert list(folder.iterdir()) == []
    lock.release()
    assert medrov(*options, "-o", folder).exit_code == 0


def test_perfect_predictions(medrov: Any, dataset: Path, tmp_path: Path) -> None:
    file = write(tmp_path / "p.json", perfect(medrov, dataset, tmp_path))
    done = medrov("eval", dataset, "--predictions", file, *SCORED, "--json")
    assert done.exit_code == 0, done.stderr
    report = done.json
    VALIDATOR.validate(report)
    for protocol in ("presence", "plain"):
        macro = report["coco"][protocol]["macro"]
        assert (macro["ap"], macro["ap50"], macro["ar_max"]) == pytest.approx((1, 1, 1))
    assert report["froc"]["mean"]["cpm"] == 1
    assert report["froc"]["mean"]["interval"] == [1, 1]
    assert report["calibration"]["d_ece"] == pytest.approx(0.1)
    assert set(report["absent"]["false_positives_per_image"]) == {0}
    assert report["absent"]["at_operating_points"] == 0
    assert report["operating_points"]["macro_f1"] == 1
    assert [sum(row) for row in report["confusion"]["counts"]] == [5, 5, 10, 0]


def test_possible_but_unannotated_is_neither_right_nor_wrong(
    medrov: Any, dataset: Path, tmp_path: Path
) -> None:
    document = perfect(medrov, dataset, tmp_path)
    rows = {category["name"]: category["id"] for category in document["categories"]}
    slides = [i["id"] for i in document["images"] if i["file_name"].startswith("slides/")]
    box = {"bbox": [0, 0, 9, 9], "score": 0.99}

    def scored(name: str) -> dict[str, Any]:
        extra = [{"image_id": image, "category_id": rows[name], **box} for image in slides]
        changed = document | {"annotations": document["annotations"] + extra}
        file = write(tmp_path / "p.json", changed)
        return medrov("eval", dataset, "--predictions", file, *SCORED, "--json").json["coco"]

    possible = scored("lung nodule")  # 0 in presence.csv
    assert possible["presence"]["classes"]["lung nodule"]["ap50"] == pytest.approx(1)
    assert possible["plain"]["classes"]["lung nodule"]["ap50"] < 0.5
    impossible = scored("polyp")  # -1
    assert impossible["presence"]["classes"]["polyp"]["ap50"] < 0.5


def test_plain_is_followed_by_all_sections(medrov: Any, dataset: Path, tmp_path: Path) -> None:
    document = perfect(medrov, dataset, tmp_path)
    nodule = next(c["id"] for c in document["categories"] if c["name"] == "lung nodule")
    slides = [i["id"] for i in document["images"] if i["file_name"].startswith("slides/")]
    extra = [{"image_id": i, "category_id": nodule, "bbox": [0, 0, 9, 9], "score": 0.99} for i in slides]
    file = write(tmp_path / "p.json", document | {"annotations": document["annotations"] + extra})
    options = ("eval", dataset, "--predictions", file, *SCORED)
    aware, plain = medrov(*options, "--json").json, medrov(*options, "--plain", "--json").json
    VALIDATOR.validate(plain)
    assert plain["coco"] | {"map50_interval": 0} == aware["coco"] | {"map50_interval": 0}
    assert max(aware["absent"]["false_positives_per_image"]) == 0
    assert max(plain["absent"]["false_positives_per_image"]) == len(slides) / 20
    assert aware["absent"]["at_operating_points"] == 0
    # Its best F1 on these images is reached with them: they are as sure as the right ones.
    assert plain["absent"]["at_operating_points"] == len(slides) / 20
    assert aware["froc"]["classes"]["lung nodule"]["cpm"] == 1
    assert plain["froc"]["classes"]["lung nodule"]["cpm"] < 1
    assert aware["open_vocabulary"]["base"]["ap50"] == pytest.approx(1)
    assert plain["open_vocabulary"]["base"]["ap50"] < 0.9
    assert (aware["settings"]["protocol"], plain["settings"]["protocol"]) == ("presence", "plain")
    first = medrov(*options, "--plain").stdout
    assert "mean of classes, presence" in first


def test_lines_for_people(medrov: Any, dataset: Path, tmp_path: Path) -> None:
    file = write(tmp_path / "p.json", perfect(medrov, dataset, tmp_path))
    done = medrov("eval", dataset, "--predictions", file, *SCORED)
    assert done.exit_code == 0, done.stderr
    words = [line.split() for line in done.stdout.splitlines()]
    assert ["smear", "microscopy", "10", "10", "1.000", "1.000", "1.000"] in words
    assert "CPM (hit iou:0.5): 1.000 [1.000, 1.000]" in done.stdout
    assert "mAP50 base 1.000, novel 1.000, harmonic 1.000" in done.stdout


@pytest.mark.slow
def test_without_a_bootstrap_there_are_no_intervals(medrov: Any, dataset: Path, tmp_path: Path) -> None:
    file = write(tmp_path / "p.json", perfect(medrov, dataset, tmp_path))
    options = ("--predictions", file, "--split", "val", "--bootstrap", 0)
    medrov("eval", dataset, *options, "-o", tmp_path / "out")
    done = medrov("eval", dataset, *options, "--compare", tmp_path / "out" / "report.json", "--json")
    assert done.exit_code == 0, done.stderr
    VALIDATOR.validate(done.json)
    assert done.json["froc"]["mean"]["cpm"] == 1
    assert done.json["froc"]["mean"]["interval"] is None
    assert done.json["coco"]["map50_interval"] is None
    assert done.json["comparison"]["metrics"]["mAP50"]["interval"] is None
    assert (tmp_path / "out" / "report.html").stat().st_size


def test_comparison_with_another_run(medrov: Any, dataset: Path, tmp_path: Path) -> None:
    document = perfect(medrov, dataset, tmp_path)
    good = write(tmp_path / "good.json", document)
    medrov("eval", dataset, "--predictions", good, *SCORED, "-o", tmp_path / "good")
    polyp = next(c["id"] for c in document["categories"] if c["name"] == "polyp")
    worse = [a for a in document["annotations"] if a["category_id"] != polyp]
    file = write(tmp_path / "bad.json", document | {"annotations": worse})
    other = tmp_path / "good" / "report.json"
    done = medrov("eval", dataset, "--predictions", file, *SCORED, "--compare", other, "--json")
    assert done.exit_code == 0, done.stderr
    VALIDATOR.validate(done.json)
    classes = done.json["comparison"]["classes"]
    polyps = classes["polyp"]
    assert [polyps[key] for key in ("this", "other", "difference")] == pytest.approx([0, 1, -1])
    assert polyps["interval"] == pytest.approx([-1, -1])
    assert classes["lung nodule"]["interval"] == [0, 0]
    assert done.json["comparison"]["metrics"]["mAP50"]["difference"] == pytest.approx(-1 / 3)
    assert (
        "mAP50 against" in medrov("eval", dataset, "--predictions", file, *SCORED, "--compare", other).stdout
    )
    elsewhere = medrov("eval", dataset, "--predictions", file, "--split", "train", "--compare", other)
    assert (elsewhere.exit_code, "other images" in elsewhere.stderr) == (2, True)


def test_a_report_with_wrong_values_is_refused(medrov: Any, dataset: Path, tmp_path: Path) -> None:
    file = write(tmp_path / "good.json", perfect(medrov, dataset, tmp_path))
    medrov("eval", dataset, "--predictions", file, *SCORED, "-o", tmp_path / "good")
    other = tmp_path / "good" / "report.json"
    report = json.loads(other.read_text())
    for broken in (
        report | {"coco": None},
        report | {"coco": report["coco"] | {"presence": []}},
        report | {"coco": report["coco"] | {"presence": {"classes": {"polyp": {"ap50": "high"}}}}},
        report | {"coco": report["coco"] | {"presence": {"classes": {"polyp": {}}}}},
        report | {"coco": report["coco"] | {"plain": report["coco"]["plain"] | {"macro": {"ap": "high"}}}},
        report | {"froc": {"mean": {"cpm": 10**400}}},
        report | {"froc": {"mean": 3}},
        report | {"calibration": {"d_ece": True}},
    ):
        write(other, broken)
        done = medrov("eval", dataset, "--predictions", file, *SCORED, "--compare", other)
        assert done.exit_code == 2, done.stderr
        assert "is not a report of medrov eval" in done.stderr


def test_a_bare_list_of_results_and_images_of_other_splits(
    medrov: Any, dataset: Path, tmp_path: Path
) -> None:
    document = perfect(medrov, dataset, tmp_path)
    bare = write(tmp_path / "list.json", document["annotations"])
    done = medrov("eval", dataset, "--predictions", bare, *SCORED, "--json")
    assert done.json["coco"]["presence"]["macro"]["ap50"] == pytest.approx(1)
    for image in document["images"]:
        image["file_name"] = image["file_name"].replace("/images/", "/")
    document["images"].append({"id": 99, "file_name": "smear/1.png"})  # of the train split
    document["annotations"].append({"image_id": 99, "category_id": 1, "bbox": [0, 0, 1, 1], "score": 1})
    done = medrov("eval", dataset, "--predictions", write(tmp_path / "p.json", document), *SCORED)
    assert done.exit_code == 0, done.stderr
    assert "1 prediction(s) on images of other splits are left out" in done.stderr


def test_a_single_source_keeps_its_own_ids(medrov: Any, tmp_path: Path) -> None:
    make_source(tmp_path, "smear", "microscopy", ["polyp", "lung nodule"])
    yaml = tmp_path / "one.yaml"
    yaml.write_text("sources: [smear]\n")
    own = json.loads((tmp_path / "smear" / "annotations.json").read_text())
    results = [
        {"image_id": a["image_id"], "category_id": a["category_id"], "bbox": a["bbox"], "score": 0.8}
        for a in own["annotations"]
    ]
    done = medrov("eval", yaml, "--predictions", write(tmp_path / "p.json", results), *SCORED, "--json")
    assert done.exit_code == 0, done.stderr
    assert done.json["coco"]["presence"]["macro"]["ap"] == pytest.approx(1)


def evaluate_results(
    medrov: Any, folder: Path, source: tuple[list[Any], list[Any], list[str]], results: Any
) -> Any:
    """Return the COCO figures of ``eval --predictions`` on one source of 300 x 300 pixels."""
    ids, annotations, classes = source
    images = [{"id": own, "file_name": f"{own}.png", "width": 300, "height": 300} for own in ids]
    document = {
        "info": {"modality": "ct"},
        "images": [own | {"split": "val"} for own in images],
        "annotations": [own | {"id": number} for number, own in enumerate(annotations)],
        "categories": [{"id": number, "name": name} for number, name in enumerate(classes, 1)],
    }
    (folder / "ct").mkdir(exist_ok=True)
    write(folder / "ct" / "annotations.json", document)
    (folder / "data.yaml").write_text("sources: [ct]\n")
    file = write(folder / "p.json", results)
    return medrov("eval", folder / "data.yaml", "--predictions", file, *SCORED, "--bootstrap", 0, "--json")


def box(image: Any, bbox: list[float], label: int = 1, **more: Any) -> dict[str, Any]:
    return {"image_id": image, "category_id": label, "bbox": bbox, **more}


@pytest.mark.parametrize(
    ("truth", "prediction", "ap50", "ap75"),
    [
        ([280, 280, 40, 40], [280, 280, 40, 40], 1, 1),  # both leave the image
        ([280, 280, 40, 40], [280, 280, 20, 20], 1, 1),
        ([10.1, 20.3, 40, 10], [10.1, 20.3, 40, 5], 1, 0),  # an IoU of exactly 0.5
    ],
)
def test_boxes_are_cut_and_compared_in_double_precision(
    medrov: Any, tmp_path: Path, truth: list[float], prediction: list[float], ap50: float, ap75: float
) -> None:
    source = ([1], [box(1, truth)], ["polyp"])
    done = evaluate_results(medrov, tmp_path, source, [box(1, prediction, score=0.9)])
    found = done.json["coco"]["presence"]["macro"]
    assert (found["ap50"], found["ap75"]) == (pytest.approx(ap50), pytest.approx(ap75))


def test_the_size_of_an_object_is_exact(medrov: Any, tmp_path: Path) -> None:
    own = box(1, [0, 0, 31.999999, 32], area=1023.99998)
    done = evaluate_results(medrov, tmp_path, ([1], [own], ["polyp"]), [])
    found = done.json["coco"]["presence"]["macro"]
    assert (found["ap_small"], found["ap_medium"]) == (0, None)


@pytest.mark.parametrize("ids", [[2, 1], ["img_b", "img_a"], [1.7, 1.2]])
def test_equal_scores_rank_by_the_id_of_their_image(medrov: Any, tmp_path: Path, ids: list[Any]) -> None:
    """As in pycocotools: the detection of the first id is right, and the AP is 1."""
    right = box(ids[1], [10, 10, 20, 20])
    results = [box(ids[0], [200, 200, 20, 20], score=0.5), right | {"score": 0.5}]
    done = evaluate_results(medrov, tmp_path, (ids, [right], ["polyp"]), results)
    assert done.exit_code == 0, done.stderr
    assert done.json["coco"]["presence"]["macro"]["ap"] == pytest.approx(1)


def test_classes_that_differ_in_letter_case_alone(medrov: Any, tmp_path: Path) -> None:
    truths = [box(1, [10, 10, 20, 20], 1), box(1, [100, 100, 20, 20], 2), box(1, [200, 10, 20, 20], 3)]
    source = ([1], truths, ["Polyp", "polyp", "Ulcer"])
    images = [{"id": 1, "file_name": "1.png"}]
    categories = [{"id": number, "name": name} for number, name in enumerate(("Polyp", "polyp", "ULCER"), 1)]
    found = [own | {"score": 0.9} for own in truths]
    document = {"images": images, "categories": categories, "annotations": found}
    done = evaluate_results(medrov, tmp_path, source, document)
    assert done.json["coco"]["presence"]["macro"]["ap"] == pytest.approx(1)
    categories[0]["name"] = "POLYP"
    done = evaluate_results(medrov, tmp_path, source, document)
    assert (done.exit_code, done.json["error"]["code"]) == (4, "predictions_invalid")
    assert "'Polyp' or 'polyp'" in done.json["error"]["message"]


@pytest.mark.parametrize("predictions", [[], {"images": [], "categories": [], "annotations": []}])
def test_no_prediction_at_all(medrov: Any, dataset: Path, tmp_path: Path, predictions: Any) -> None:
    file = write(tmp_path / "p.json", predictions)
    done = medrov("eval", dataset, "--predictions", file, *SCORED, "-o", tmp_path / "out", "--json")
    assert done.exit_code == 0, done.stderr
    VALIDATOR.validate(done.json)
    assert done.json["coco"]["presence"]["macro"]["ap50"] == 0
    assert done.json["calibration"]["d_ece"] is None


def test_no_truth_at_all(medrov: Any, dataset: Path, tmp_path: Path) -> None:
    file = write(tmp_path / "p.json", perfect(medrov, dataset, tmp_path))
    for name in ("smear", "slides"):
        path = tmp_path / name / "annotations.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | {"annotations": []}))
    done = medrov("eval", dataset, "--predictions", file, *SCORED, "-o", tmp_path / "out", "--json")
    assert done.exit_code == 0, done.stderr
    VALIDATOR.validate(done.json)
    assert done.json["coco"]["presence"]["macro"]["ap50"] is None
    assert done.json["froc"]["mean"] is None
    assert max(done.json["absent"]["false_positives_per_image"]) > 0


def test_crowds_and_boxes_without_area(medrov: Any, dataset: Path, tmp_path: Path) -> None:
    document = perfect(medrov, dataset, tmp_path)
    path = tmp_path / "smear" / "annotations.json"
    own = json.loads(path.read_text())
    val = next(i["id"] for i in own["images"] if i["split"] == "val")
    crowd = {"id": 900, "image_id": val, "category_id": 0, "bbox": [0, 0, 20, 20], "iscrowd": 1}
    flat = {"id": 901, "image_id": val, "category_id": 0, "bbox": [5, 5, 0, 7], "iscrowd": 0}
    path.write_text(json.dumps(own | {"annotations": [*own["annotations"], crowd, flat]}))
    polyp = next(c["id"] for c in document["categories"] if c["name"] == "polyp")
    inside = {"image_id": 1, "category_id": polyp, "bbox": [1, 1, 4, 4], "score": 0.95}
    file = write(tmp_path / "p.json", document | {"annotations": [*document["annotations"], inside]})
    done = medrov("eval", dataset, "--predictions", file, *SCORED, "--verify", "--json")
    assert done.exit_code == 0, done.stderr
    assert done.json["coco"]["presence"]["classes"]["polyp"]["ap50"] == pytest.approx(1)
    assert "1 annotation(s) without an area" in done.stderr


@pytest.mark.slow
def test_a_limit_for_absent_classes(medrov: Any, dataset: Path, tmp_path: Path) -> None:
    eager = write_eager_detector(tmp_path / "eager.safetensors")
    options = ("eval", dataset, *QUICK, "-o", tmp_path / "out", "--weights", eager, "--json")

    def fitted(*limit: Any) -> Any:
        done = medrov(*options, "--fit", tmp_path / "fitted.safetensors", "--resume", *limit)
        assert done.exit_code == 0, done.stderr
        return done

    free = fitted().json["absent"]["at_operating_points"]
    assert free > 0
    same = fitted("--absent-limit", free)
    assert same.json["absent"]["at_operating_points"] == free
    assert "--absent-limit" not in same.stderr
    # Many of its wrong detections are as sure as a score can be.
    assert "--absent-limit 0 is not reached" in fitted("--absent-limit", 0).stderr


@pytest.mark.slow
def test_fit_writes_weights_that_detect_uses(
    medrov: Any, dataset: Path, weights: Path, tmp_path: Path
) -> None:
    fitted = tmp_path / "fitted.safetensors"
    options = ("eval", dataset, *QUICK, "-o", tmp_path / "out", "--weights")
    done = medrov(*options, weights, "--fit", fitted, "--json")
    assert done.exit_code == 0, done.stderr
    journal = tmp_path / "out" / "predictions.jsonl"
    before = journal.stat().st_mtime_ns
    again = medrov(*options, fitted, "--resume", "--json")  # the same tensors: nothing to detect
    assert again.json["calibration"] == done.json["calibration"]
    assert journal.stat().st_mtime_ns == before
    calibration = read_metadata(fitted).calibration
    assert (calibration.method, calibration.dataset, calibration.split) == ("platt", "toy", "val")
    assert done.json["calibration"]["scores"] == "calibrated"
    image = tmp_path / "smear" / "images" / "1.png"
    run = medrov("detect", image, "--weights", fitted, "--conf", 0, "--max-det", 1, "--format", "jsonl")
    assert run.exit_code == 0, run.stderr
    assert run.lines[0]["model"]["scores"] == "calibrated"


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("--imgsz", 100), 2, "--imgsz"),
        (("--device", "tpu"), 2, "--device"),
        (("--hit", "box"), 2, "--hit"),
        (("--split", "dev"), 2, "--split"),
        (("--resume",), 2, "--output"),
        (("--resume", "--overwrite", "-o", "x"), 2, "--overwrite"),
        (("--split", "test", "--fit", "x.safetensors"), 2, "--split val"),
        (("--predictions", "p.json", "--synonyms"), 2, "--synonyms"),
        (("--predictions", "p.json", "--fit", "x"), 2, "--fit"),
        *(
            (("--predictions", "p.json", *given), 2, "needs a detector")
            for given in (
                ("--weights", "nonsense"),
                ("--text-encoder", "minilm"),
                ("--learned", "x.safetensors"),
                ("--iou", 0.5),
                ("--literal",),
                ("--engine", "onnx"),
                ("--device", "cpu"),
                ("--precision", "bf16"),
                ("--imgsz", 64),
                ("--rectangles",),
                ("--batch", 2),
            )
        ),
        (("--absent-limit", 0.1), 2, "--absent-limit needs --fit"),
        (("--calibration", "isotonic"), 2, "--calibration needs --fit"),
        (("--split", "val", "--fit", "x.onnx"), 2, ".safetensors"),
        (("--predictions", "none.json"), 4, "none.json"),
        (("--weights", "no-such"), 5, "no-such"),
        (("--data-root", "nowhere"), 4, "nowhere"),
    ],
)
def test_refusals(medrov: Any, dataset: Path, arguments: tuple[Any, ...], code: int, says: str) -> None:
    done = medrov("eval", dataset, *arguments, "--json")
    assert done.exit_code == code, done.stderr
    assert says in done.stderr + done.stdout


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"image_id": 12345}, "12345"),
        ({"category_id": 77}, "77"),
        ({"bbox": [1, 2, 3]}, "bbox"),
        ({"bbox": [1, 2, -3, 4]}, "bbox"),
        ({"bbox": [1, 2, float("nan"), 4]}, "bbox"),
        ({"score": 7}, "score"),
        ({"score": "high"}, "high"),
    ],
)
def test_predictions_that_are_wrong(
    medrov: Any, dataset: Path, tmp_path: Path, change: dict[str, Any], says: str
) -> None:
    document = perfect(medrov, dataset, tmp_path)
    document["annotations"][0] |= change
    done = medrov("eval", dataset, "--predictions", write(tmp_path / "p.json", document), *SCORED, "--json")
    assert done.exit_code == 4
    assert done.json["error"]["code"] == "predictions_invalid"
    assert says in done.json["error"]["message"]
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("text", "says"),
    [("", "not JSON"), ("3", "neither"), ('{"annotations": []}', "images"), ("[{}]", "image_id")],
)
def test_files_that_hold_no_predictions(
    medrov: Any, dataset: Path, tmp_path: Path, text: str, says: str
) -> None:
    (tmp_path / "p.json").write_text(text)
    done = medrov("eval", dataset, "--predictions", tmp_path / "p.json", *SCORED, "--json")
    assert (done.exit_code, done.json["error"]["code"]) == (4, "predictions_invalid")
    assert says in done.json["error"]["message"]


def test_images_and_classes_that_are_named_wrongly(medrov: Any, dataset: Path, tmp_path: Path) -> None:
    document = perfect(medrov, dataset, tmp_path)

    def message(**changes: Any) -> str:
        file = write(tmp_path / "p.json", document | changes)
        done = medrov("eval", dataset, "--predictions", file, *SCORED, "--json")
        assert done.exit_code == 4
        return str(done.json["error"]["message"])

    images = document["images"]
    assert "no image 'x.png'" in message(images=[*images, {"id": 500, "file_name": "x.png"}])
    assert "twice" in message(images=[*images, {"id": 500, "file_name": images[0]["file_name"]}])
    assert "two images have the id 1" in message(images=[*images, {**images[1], "id": 1}])
    assert "several sources" in message(images=[{"id": 1, "file_name": "9.png"}])
    categories = [{**own, "name": own["name"] + "!"} for own in document["categories"]]
    assert "no class" in message(categories=categories)


def test_an_empty_split(medrov: Any, dataset: Path, tmp_path: Path) -> None:
    for name in ("smear", "slides"):
        path = tmp_path / name / "annotations.json"
        own = json.loads(path.read_text())
        for image in own["images"]:
            image["split"] = "train"
        path.write_text(json.dumps(own))
    done = medrov("eval", dataset, "--split", "val", "--json")
    assert (done.exit_code, done.json["error"]["code"]) == (4, "no_input")


def test_defaults_are_those_of_the_procedure() -> None:
    given = {option.name: option.given_default for option in parameters(EvaluateSettings)}
    config = EvaluateSettings(data=DatasetSettings(dataset=Path()))
    for name in ("bootstrap", "seed", "synonyms", "calibration", "weights", "plain"):
        assert given[name] == getattr(config, name), name
    assert given["split"] == config.data.split
    assert given["hit"] == str(config.hit)
    for name in ("conf", "iou", "max_det"):
        assert given[name] == getattr(config.selection, name), name
    for name in ("device", "batch"):
        assert given[name] == getattr(config.runtime, name), name
