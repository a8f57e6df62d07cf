"""``medrov pseudolabel`` with models of ``medrov export``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from export_fixtures import Workshop, make_workshop
from medrov_cli import MedrovError, Predictor
from medrov_cli.core.base.errors import ErrorCode
from medrov_cli.core.exporting.parity import LIMITS, Limits
from medrov_cli.core.prediction.classes import ClassList
from medrov_cli.core.settings.choices import ExportPrecision
from medrov_cli.core.text.prompts import parse_classes
from training_data import make_source
from weights_fixtures import unit_rows

FOLDED = {"classes": parse_classes("lung nodule, red blood cell/erythrocyte")}
OPTIONS = ("--device", "cpu", "--engine", "onnx", "--score", 0.3, "--dry-run", "--json")


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workshop]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MEDROV_CACHE", str(tmp_path_factory.mktemp("cache")))
        # A network of random weights is far more sensitive than a trained one.
        patch.setitem(LIMITS, ExportPrecision.FP32, Limits(None, 0.2, None, 20.0, 1.0, 1.0))
        yield make_workshop(tmp_path_factory)


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    """Return a dataset whose images may show three classes, of which one is annotated."""
    make_source(tmp_path / "data", "smear", "microscopy", ["polyp"])
    make_source(tmp_path / "data", "slides", "histopathology", ["red blood cell", "lung nodule"])
    (tmp_path / "presence.csv").write_text(
        "dataset,polyp,lung nodule,red blood cell\nsmear,1,0,0\nslides,-1,1,1\n"
    )
    path = tmp_path / "data.yaml"
    path.write_text("name: toy\nroot: data\nsources: [smear, slides]\npresence: presence.csv\n")
    return path


def test_an_open_model_labels_as_its_weights_do(medrov: Any, workshop: Workshop, dataset: Path) -> None:
    exported = workshop.export("onnx", is_open=True).output
    by_weights = medrov("pseudolabel", dataset, "-w", workshop.weights, *OPTIONS, "--flip")
    by_export = medrov("pseudolabel", dataset, "-w", exported, *OPTIONS, "--flip")
    assert by_export.exit_code == by_weights.exit_code == 0, by_export.stderr
    assert by_export.json["sources"] == by_weights.json["sources"]
    assert by_export.json["boxes"] > 0
    assert by_export.json["model"]["sha256"] != by_weights.json["model"]["sha256"]


def test_a_model_with_fixed_classes_labels_those_of_them_that_the_dataset_has(
    medrov: Any, workshop: Workshop, dataset: Path
) -> None:
    exported = workshop.export("onnx", **FOLDED).output
    done = medrov("pseudolabel", dataset, "-w", exported, *OPTIONS)
    assert done.exit_code == 0, done.stderr
    assert done.json["sources"]["smear"]["classes"]["red blood cell"]["boxes"] > 0
    # A score of 0 would find an absent class everywhere, if it counted as found.
    polyp = workshop.export("onnx", classes=parse_classes("polyp")).output
    lowest = medrov("pseudolabel", dataset, "-w", polyp, *OPTIONS, "--score", 0)
    assert lowest.json["boxes"] == 0
    refused = medrov("pseudolabel", dataset, "-w", exported, *OPTIONS, "--text-encoder", "hf-hub:a/b")
    assert refused.exit_code == 2
    assert "--text-encoder" in refused.stderr
    with pytest.raises(MedrovError, match="takes no vectors") as caught:
        Predictor.open(exported, ClassList.from_embeddings(["a"], unit_rows(1)))
    assert caught.value.code is ErrorCode.USAGE


def test_a_model_without_a_class_of_the_dataset_is_refused(
    medrov: Any, workshop: Workshop, dataset: Path
) -> None:
    exported = workshop.export("onnx", classes=parse_classes("aneurysm")).output
    done = medrov("pseudolabel", dataset, "-w", exported, *OPTIONS)
    assert done.exit_code == 2
    assert "has no class of toy" in done.stderr
