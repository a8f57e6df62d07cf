"""A run of a few steps: what it writes, and that a killed run ends as an undisturbed one."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from safetensors.numpy import load_file

from medrov_cli.core.data.augmentation import AugmentationConfig
from medrov_cli.core.errors import ErrorCode, MedrovError
from medrov_cli.core.training import TrainConfig, TrainProgress, run_training
from medrov_cli.core.weights import load_embeddings, read_metadata
from training_data import IMAGES, make_source


@pytest.fixture
def config(tmp_path: Path) -> TrainConfig:
    make_source(tmp_path, "chest", "x-ray", ["left lung", "right lung"])
    make_source(tmp_path, "smear", "microscopy", ["nuclei"])
    (tmp_path / "data.yaml").write_text("sources: [chest, smear]\n")
    return TrainConfig(
        dataset=tmp_path / "data.yaml",
        output=tmp_path / "run",
        imgsz=64,
        epochs=3,
        batch=4,
        workers=0,
        device="cpu",
        precision="fp32",
        close_mosaic=1,
    )


class _Killed(Exception):
    pass


def _weights(path: Path) -> dict[str, np.ndarray]:
    return load_file(path / "last.state.safetensors")


def test_killed_run_ends_as_an_undisturbed_one(config: TrainConfig, tmp_path: Path) -> None:
    undisturbed = run_training(config)

    def kill_in_the_second_epoch(progress: TrainProgress) -> None:
        if progress.stage == "train" and progress.epoch == 2 and progress.done == 2:
            raise _Killed

    other = dataclasses.replace(config, output=tmp_path / "other")
    with pytest.raises(_Killed):
        run_training(other, kill_in_the_second_epoch)
    resumed = run_training(dataclasses.replace(other, resume=True))

    first, second = _weights(config.output), _weights(other.output)
    assert first.keys() == second.keys()
    for name, value in first.items():
        np.testing.assert_array_equal(value, second[name], err_msg=name)
    assert undisturbed.best_epoch == resumed.best_epoch
    plain = [{k: v for k, v in entry.items() if k != "seconds"} for entry in undisturbed.history]
    assert plain == [{k: v for k, v in entry.items() if k != "seconds"} for entry in resumed.history]


def test_files_of_a_run(config: TrainConfig) -> None:
    stages: list[str] = []
    result = run_training(dataclasses.replace(config, epochs=1), lambda p: stages.append(p.stage))
    assert set(stages) == {"read", "train", "val"}
    settings = json.loads((config.output / "config.json").read_text())
    assert settings["imgsz"] == 64
    (line,) = (config.output / "metrics.jsonl").read_text().splitlines()
    entry = json.loads(line)
    assert entry["val"].keys() == {"chest", "smear"}
    assert entry["val"]["chest"]["images"] == IMAGES["val"]
    assert all(np.isfinite(v) for v in entry["loss"].values())
    assert cv2.imread(str(config.output / "curves.png")) is not None
    metadata = read_metadata(result.weights)
    assert [c.name for c in metadata.vocabulary] == ["left lung", "right lung", "nuclei"]
    assert metadata.training.datasets[0].licence == "CC0"
    assert metadata.results["val"]["epoch"] == 1
    np.testing.assert_allclose(np.linalg.norm(load_embeddings(result.weights), axis=1), 1, atol=1e-3)
    leftovers = [p.name for p in config.output.iterdir() if p.name.endswith(".tmp")]
    assert leftovers == []


def test_learns_to_find_bright_squares(config: TrainConfig) -> None:
    schedule = dataclasses.replace(config.schedule, warmup_steps=5, learning_rate=2e-3)
    calm = AugmentationConfig(mosaic=0, scale=0.2, flip=0, blur=0, noise=0)
    history = run_training(
        dataclasses.replace(config, epochs=40, schedule=schedule, augmentation=calm)
    ).history
    assert history[0]["map50"] < 0.1
    assert max(entry["map50"] for entry in history) > 0.5


@pytest.mark.parametrize("resume", [False, True])
def test_a_folder_holds_one_run(config: TrainConfig, resume: bool) -> None:
    run_training(dataclasses.replace(config, epochs=1))
    with pytest.raises(MedrovError, match="epochs|already holds") as caught:
        run_training(dataclasses.replace(config, epochs=2, resume=resume))
    assert caught.value.code is ErrorCode.USAGE


def test_fine_tuning_starts_from_weights(config: TrainConfig, tmp_path: Path) -> None:
    first = run_training(dataclasses.replace(config, epochs=1))
    still = dataclasses.replace(config.schedule, learning_rate=0.0)
    tuned = dataclasses.replace(
        config, epochs=1, output=tmp_path / "tuned", weights=str(first.weights), schedule=still
    )
    before, after = load_file(first.weights), load_file(run_training(tuned).weights)
    np.testing.assert_array_equal(before["model.0.conv.weight"], after["model.0.conv.weight"])
    with pytest.raises(MedrovError, match="scale n") as caught:
        run_training(dataclasses.replace(tuned, output=tmp_path / "s", model="s"))
    assert caught.value.code is ErrorCode.USAGE


def test_a_loss_that_is_not_finite_stops_the_run(config: TrainConfig) -> None:
    absurd = dataclasses.replace(config.schedule, learning_rate=1e30, warmup_steps=1)
    with pytest.raises(MedrovError, match="not finite") as caught:
        run_training(dataclasses.replace(config, schedule=absurd))
    assert caught.value.code is ErrorCode.NON_FINITE_LOSS


def test_too_few_images(config: TrainConfig) -> None:
    with pytest.raises(MedrovError, match="16 training images") as caught:
        run_training(dataclasses.replace(config, batch=17))
    assert caught.value.code is ErrorCode.DATASET_INVALID
