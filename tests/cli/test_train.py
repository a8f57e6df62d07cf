"""``medrov train`` at the command line: what it prints, and how it ends."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import pytest

from medrov_cli.commands import train as command
from medrov_cli.core.training import TrainConfig
from training_data import IMAGES, make_source

QUICK = ("--imgsz", 64, "--epochs", 1, "--batch", 4, "--workers", 0, "--device", "cpu", "--precision", "fp32")


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    make_source(tmp_path, "smear", "microscopy", ["nuclei"])
    path = tmp_path / "data.yaml"
    path.write_text("sources: [smear]\n")
    return path


def test_json(medrov: Any, dataset: Path, tmp_path: Path) -> None:
    done = medrov("train", dataset, "--output", tmp_path / "run", *QUICK, "--json")
    assert done.exit_code == 0, done.stderr
    document = done.json
    assert document["schema"] == "medrov.train/1"
    assert (document["best_epoch"], document["epochs"]) == (1, 1)
    assert Path(document["weights"]).is_file()
    assert document["best"]["val"]["smear"]["images"] == IMAGES["val"]
    assert "reading images" in done.stderr


def test_table_and_resume(medrov: Any, dataset: Path, tmp_path: Path) -> None:
    arguments = ("train", dataset, "--output", tmp_path / "run", *QUICK)
    done = medrov(*arguments)
    assert done.exit_code == 0, done.stderr
    assert "epoch 1 of 1" in done.stdout
    assert any(line.split()[:2] == ["smear", str(IMAGES["val"])] for line in done.stdout.splitlines())
    again = medrov(*arguments)
    assert again.exit_code == 2
    assert "--resume" in again.stderr
    resumed = medrov(*arguments, "--resume")
    assert resumed.exit_code == 0
    assert resumed.stdout == done.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("--imgsz", 100), 2, "--imgsz"),
        (("--device", "tpu"), 2, "--device"),
        (("--precision", "fp8"), 2, "--precision"),
        (("--text-encoder", "word2vec"), 2, "word2vec"),
        (("--batch", 1000), 4, "--batch"),
        (("--weights", "no-such"), 5, "no-such"),
        (("--weights", "old.pt"), 5, "old.pt"),
    ],
)
def test_refusals(
    medrov: Any, dataset: Path, tmp_path: Path, arguments: tuple[object, ...], code: int, says: str
) -> None:
    done = medrov("train", dataset, "--output", tmp_path / "run", *QUICK, *arguments)
    assert done.exit_code == code, done.stderr
    assert says in done.stderr
    assert "hint:" in done.stderr
    assert done.stdout == ""
    assert not (tmp_path / "run").exists(), "nothing is written for a command that cannot be done"


def test_missing_dataset(medrov: Any, tmp_path: Path) -> None:
    done = medrov("train", tmp_path / "none.yaml", "--output", tmp_path / "run", "--json")
    assert done.exit_code == 4
    assert done.json["schema"] == "medrov.error/1"
    assert done.json["error"]["code"] == "dataset_invalid"
    assert "none.yaml" in done.stderr


def test_defaults_of_the_command_are_those_of_the_procedure() -> None:
    config = TrainConfig(dataset=Path("d.yaml"), output=Path("out"))
    defaults = {name: item.default for name, item in inspect.signature(command.train).parameters.items()}
    own = set(defaults) - {"dataset", "output", "as_json", "lr", "weight_decay", "mosaic"}
    for name in own:
        assert defaults[name] == getattr(config, name), name
    assert (defaults["lr"], defaults["weight_decay"]) == (
        config.schedule.learning_rate,
        config.schedule.weight_decay,
    )
    assert defaults["mosaic"] == config.augmentation.mosaic
