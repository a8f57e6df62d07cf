"""``medrov learn --adapt``, and classes that have a network of their own."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from conftest import Medrov
from detect_fixtures import write_eager_detector, write_images
from learned_fixtures import write_random_classes
from medrov_cli.core.learning import adapted_fits, adapter_fit
from medrov_cli.core.learning.run import run_learning
from medrov_cli.core.settings.groups import RuntimeSettings
from medrov_cli.core.settings.learn import LearnSettings
from medrov_cli.core.weights.learned_file import read_learned
from training_data import make_source

NEW = {"fracture", "pin"}


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_eager_detector(tmp_path_factory.mktemp("weights") / "eager.safetensors")


@pytest.fixture
def images(tmp_path: Path) -> Path:
    write_images(tmp_path / "images", 3)
    return tmp_path / "images"


@pytest.fixture
def adapted(weights: Path, tmp_path: Path) -> Path:
    path = tmp_path / "adapted.safetensors"
    write_random_classes(path, weights, sorted(NEW), threshold=0.3, is_adapted=True)
    return path


def records(medrov: Medrov, *arguments: object) -> list[list[dict[str, Any]]]:
    done = medrov("detect", *arguments, "--device", "cpu", "--format", "jsonl", "--max-det", 2000)
    assert done.exit_code == 0, done.stderr
    return [record["detections"] for record in done.lines]


def without(found: list[list[dict[str, Any]]], names: set[str]) -> list[list[dict[str, Any]]]:
    return [[own for own in record if own["class"] not in names] for record in found]


# Use


@pytest.mark.parametrize("engine", ["torch", "onnx", "openvino"])
def test_other_classes_keep_their_detections_to_the_bit(
    engine: str, medrov: Medrov, weights: Path, images: Path, adapted: Path, tmp_path: Path
) -> None:
    write_random_classes(tmp_path / "plain.safetensors", weights, ["cast"], threshold=0.3, seed=4)
    texts = (images, "-w", weights, "--engine", engine, "--classes", "polyp,lung nodule")
    before = records(medrov, *texts, "--learned", tmp_path / "plain.safetensors")
    files = ("--learned", adapted, "--learned", tmp_path / "plain.safetensors")
    after = records(medrov, *texts, *files)
    assert any(before)
    assert without(after, NEW) == before
    new = without(after, {"polyp", "lung nodule", "cast"})
    assert any(new)
    # their own network is guided by the vocabulary, whatever else is searched
    assert records(medrov, images, "-w", weights, "--engine", engine, "--learned", adapted) == new


def test_adapter_changes_what_is_found(
    medrov: Medrov, weights: Path, images: Path, adapted: Path, tmp_path: Path
) -> None:
    write_random_classes(tmp_path / "plain.safetensors", weights, sorted(NEW), threshold=0.3)
    plain = records(medrov, images, "-w", weights, "--learned", tmp_path / "plain.safetensors")
    assert records(medrov, images, "-w", weights, "--learned", adapted) != plain


def test_merged_weights_are_kept_and_repaired(
    medrov: Medrov, weights: Path, images: Path, adapted: Path, empty_cache: Path
) -> None:
    options = (images, "-w", weights, "--learned", adapted)
    first = records(medrov, *options)
    (merged,) = (empty_cache / "adapted").iterdir()
    content = merged.read_bytes()
    merged.write_bytes(content[:-1000] + bytes(1000))
    assert records(medrov, *options) == first
    assert merged.read_bytes() == content


def test_eval_and_pseudolabel_search_with_both_networks(
    medrov: Medrov, weights: Path, tmp_path: Path
) -> None:
    counts = {"train": 2, "val": 3, "test": 1}
    make_source(tmp_path, "squares", "x-ray", ["bright square", "pin"], counts)
    document = json.loads((tmp_path / "squares" / "annotations.json").read_text())
    document["annotations"] = [own for own in document["annotations"] if own["category_id"] == 0]
    document["categories"][1]["source"] = "pseudo"
    (tmp_path / "pool").mkdir()
    shutil.copytree(tmp_path / "squares" / "images", tmp_path / "pool" / "images")
    (tmp_path / "pool" / "annotations.json").write_text(json.dumps(document))
    (tmp_path / "data.yaml").write_text("name: squares\nsources: [squares]\n")
    (tmp_path / "presence.csv").write_text("dataset,bright square,pin\npool,1,0\n")
    (tmp_path / "pool.yaml").write_text("name: pool\nsources: [pool]\npresence: presence.csv\n")
    write_random_classes(tmp_path / "a.safetensors", weights, ["pin"], threshold=0.01, is_adapted=True)
    learned = ("--learned", tmp_path / "a.safetensors")
    common = ("-w", weights, "--device", "cpu", "--json")
    evaluate = ("eval", tmp_path / "data.yaml", "--split", "val", "--bootstrap", 0, *common)
    before, after = medrov(*evaluate), medrov(*evaluate, *learned)
    assert (before.exit_code, after.exit_code) == (0, 0), after.stderr
    square, again = (done.json["coco"]["presence"]["classes"]["bright square"] for done in (before, after))
    assert square == again
    assert after.json["calibration"] != before.json["calibration"]  # of the detections of all classes
    propose = ("pseudolabel", tmp_path / "pool.yaml", "--score", 0.9, "--dry-run", *common)
    before, after = medrov(*propose), medrov(*propose, *learned)
    assert (before.exit_code, after.exit_code) == (0, 0), after.stderr
    assert after.json["boxes"] != before.json["boxes"]


def test_damaged_adapters_are_refused(medrov: Medrov, weights: Path, images: Path, adapted: Path) -> None:
    with safe_open(adapted, framework="numpy") as handle:
        metadata = handle.metadata()
    tensors = load_file(adapted)
    name = next(own for own in tensors if own.startswith("adapter.up."))
    for changed, words in (
        ({own: value for own, value in tensors.items() if own != name}, "missing"),
        (tensors | {name: tensors[name][:, :1].copy()}, "do not fit each other"),
        (tensors | {name: tensors[name][1:].copy()}, "another shape"),
        (tensors | {name: tensors[name] * float("nan")}, "not finite"),
    ):
        save_file(changed, adapted, metadata)
        done = medrov("detect", images, "-w", weights, "--learned", adapted)
        assert (done.exit_code, words in done.stderr) == (5, True), done.stderr


# Fit


def settings_of(folder: Path, weights: Path | str, output: Path, *, folds: int = 2) -> LearnSettings:
    make_source(folder, "squares", "x-ray", ["bright square"], {"train": 8, "val": 1, "test": 1})
    (folder / "data.yaml").write_text("name: squares\nsources: [squares]\n")
    return LearnSettings(
        examples=folder / "data.yaml",
        weights=str(weights),
        output=output,
        folds=folds,
        adapt=True,
        runtime=RuntimeSettings(device="cpu"),
    )


@pytest.mark.slow
def test_adapter_finds_more(tmp_path: Path) -> None:
    settings = settings_of(tmp_path, "medrov-n", tmp_path / "a.safetensors")
    result = run_learning(replace(settings, runtime=replace(settings.runtime, imgsz=64)))
    file = read_learned(tmp_path / "a.safetensors")
    assert file.adapter is not None
    info = file.info.adapter
    assert info is not None
    assert info.ap50 is not None
    assert info.plain_ap50 is not None
    assert info.ap50 > info.plain_ap50 + 0.05
    assert not result.warnings


@pytest.fixture
def few_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (adapter_fit, adapted_fits):
        monkeypatch.setattr(module, "STEPS", 10)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("rate", "folds", "words"), [(0.0, 2, "finds less on held-out examples"), (0.3, 0, "diverged")]
)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_adapter_that_does_not_help_is_left_out(
    rate: float,
    folds: int,
    words: str,
    weights: Path,
    tmp_path: Path,
    few_steps: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(adapter_fit, "RATE", rate)  # 0 changes nothing, 0.3 destroys the network
    result = run_learning(settings_of(tmp_path, weights, tmp_path / "a.safetensors", folds=folds))
    file = read_learned(tmp_path / "a.safetensors")
    assert file.adapter is file.info.adapter is None
    assert (file.info.classes[0].validation is None) == (folds == 0)
    assert any(words in text for text in result.warnings)


@pytest.mark.slow
def test_adapter_without_validation_says_so_and_has_equal_bytes_again(
    weights: Path, tmp_path: Path, few_steps: None
) -> None:
    settings = settings_of(tmp_path, weights, tmp_path / "a.safetensors", folds=0)
    result = run_learning(settings)
    run_learning(replace(settings, output=tmp_path / "b.safetensors"))
    assert (tmp_path / "b.safetensors").read_bytes() == (tmp_path / "a.safetensors").read_bytes()
    file = read_learned(tmp_path / "a.safetensors")
    assert file.adapter is not None
    assert file.info.adapter is not None
    assert (file.info.adapter.ap50, file.info.adapter.rank) == (None, adapter_fit.RANK)
    assert any("not validated" in text for text in result.warnings)


def test_show_has_a_line_about_the_adapter(medrov: Medrov, adapted: Path) -> None:
    shown = medrov("learn", adapted, "--show")
    assert "adapter of rank 2, 1 steps: not validated" in shown.stdout
    document = medrov("learn", adapted, "--show", "--json").json
    assert document["learned"]["adapter"] == {"rank": 2, "steps": 1, "ap50": None, "plain_ap50": None}
