"""``medrov pseudolabel`` with models of ``medrov export``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from export_fixtures import Workshop, make_workshop
from medrov_cli import MedrovError, Predictor
from medrov_cli.core.base.errors import ErrorCode
from medrov_cli.core.exporting.differences import LIMITS, ParityLimits
from medrov_cli.core.prediction.classes import ClassList
from medrov_cli.core.settings.choices import ExportPrecision
from medrov_cli.core.settings.values import parse_classes
from training_data import make_source
from weights_fixtures import unit_rows

FIXED = {"classes": parse_classes("polyp, red blood cell/erythrocyte")}
OPTIONS = ("--device", "cpu", "--engine", "onnx", "--score", 0.3, "--dry-run", "--json")


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workshop]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MEDROV_CACHE", str(tmp_path_factory.mktemp("cache")))
        # A network of random weights is far more sensitive than a trained one.
        patch.setitem(LIMITS, ExportPrecision.FP32, ParityLimits(None, 0.2, None, 20.0, 1.0, 1.0))
        yield make_workshop(tmp_path_factory)


@pytest.fixture(scope="module")
def open_model(workshop: Workshop) -> Path:
    return workshop.export("onnx", is_open=True).output


@pytest.fixture(scope="module")
def fixed_model(workshop: Workshop) -> Path:
    return workshop.export("onnx", **FIXED).output


def write_dataset(folder: Path, presence: str, **classes: list[str]) -> Path:
    """Write sources with the classes that they annotate, and a presence table."""
    for name, own in classes.items():
        make_source(folder / "data", name, "microscopy", own)
    (folder / "presence.csv").write_text(presence)
    path = folder / "data.yaml"
    path.write_text(f"name: toy\nroot: data\nsources: [{', '.join(classes)}]\npresence: presence.csv\n")
    return path


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    """Return a dataset with images that may show three classes, of which one is annotated."""
    presence = "dataset,polyp,lung nodule,red blood cell\nsmear,1,0,0\nslides,-1,1,1\n"
    return write_dataset(tmp_path, presence, smear=["polyp"], slides=["red blood cell", "lung nodule"])


def test_an_open_model_labels_as_its_weights_do(
    medrov: Any, workshop: Workshop, open_model: Path, dataset: Path
) -> None:
    by_weights = medrov("pseudolabel", dataset, "-w", workshop.weights, *OPTIONS, "--flip")
    by_export = medrov("pseudolabel", dataset, "-w", open_model, *OPTIONS, "--flip")
    assert by_export.exit_code == by_weights.exit_code == 0, by_export.stderr
    assert by_export.json["sources"] == by_weights.json["sources"]
    assert by_export.json["boxes"] > 0
    assert by_export.json["model"]["sha256"] != by_weights.json["model"]["sha256"]


def test_a_class_that_a_model_does_not_have_is_not_labelled(
    medrov: Any, fixed_model: Path, dataset: Path
) -> None:
    """With a score of 0 it would be found everywhere, if it counted as found."""
    done = medrov("pseudolabel", dataset, "-w", fixed_model, *OPTIONS, "--score", 0)
    assert done.exit_code == 0, done.stderr
    counts = done.json["sources"]["smear"]["classes"]
    assert counts["red blood cell"]["boxes"] > 0
    assert counts["lung nodule"]["boxes"] == 0


def test_what_does_not_go_with_fixed_classes_is_refused(
    medrov: Any, fixed_model: Path, dataset: Path, tmp_path: Path
) -> None:
    encoder = medrov("pseudolabel", dataset, "-w", fixed_model, *OPTIONS, "--text-encoder", "hf-hub:a/b")
    assert encoder.exit_code == 2
    assert "--text-encoder" in encoder.stderr
    presence = "dataset,lung nodule,heart\nchest,1,0\nother,-1,1\n"
    other = write_dataset(tmp_path / "other", presence, chest=["lung nodule"], other=["heart"])
    done = medrov("pseudolabel", other, "-w", fixed_model, *OPTIONS)
    assert done.exit_code == 2
    assert "has no class of toy" in done.stderr
    with pytest.raises(MedrovError, match="takes no vectors") as caught:
        Predictor.open(fixed_model, ClassList.from_embeddings(["a"], unit_rows(1)))
    assert caught.value.code is ErrorCode.USAGE
