"""A run of a few steps: what it writes, and that a killed run ends as an undisturbed one."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from medrov_cli.core.base.environment import workers_for
from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.datasets.dataset import load_dataset
from medrov_cli.core.model.checkpoint import load_detector
from medrov_cli.core.settings.choices import OptimizerName, TextStart
from medrov_cli.core.settings.teacher_groups import DistillationSettings
from medrov_cli.core.settings.train import TrainSettings
from medrov_cli.core.settings.train_groups import AppearanceSettings, AugmentationSettings
from medrov_cli.core.training.data.batch import Batch
from medrov_cli.core.training.epoch_progress import TrainProgress
from medrov_cli.core.training.run import run_training
from medrov_cli.core.training.run_inputs import UNKNOWN_INPUTS, identify_inputs, require_same_inputs
from medrov_cli.core.training.trainer import Trainer
from medrov_cli.core.training.training_files import TrainingFiles
from medrov_cli.core.weights.container import load_embeddings, read_metadata
from training_data import IMAGES, quick_config


@pytest.fixture
def config(tmp_path: Path, narrow: None) -> TrainSettings:
    return quick_config(tmp_path)


@pytest.fixture
def whole_config(tmp_path: Path) -> TrainSettings:
    """Return settings for a network of full width."""
    return quick_config(tmp_path)


class _Killed(Exception):
    pass


def _weights(path: Path) -> dict[str, np.ndarray]:
    return load_file(path / "last.state.safetensors")


@pytest.mark.parametrize(
    ("save_steps", "epoch", "step", "optimizer"),
    [
        pytest.param(0, 2, 2, OptimizerName.ADAMW, id="an epoch", marks=pytest.mark.slow),
        pytest.param(0, 1, 3, OptimizerName.ADAMW, id="in the first"),
        pytest.param(1, 2, 3, OptimizerName.ADAMW, id="a step", marks=pytest.mark.slow),
        pytest.param(1, 2, 3, OptimizerName.MUON, id="a step of muon", marks=pytest.mark.slow),
        pytest.param(2, 2, 4, OptimizerName.ADAMW, id="the last step", marks=pytest.mark.slow),
        pytest.param(3, 1, 2, OptimizerName.ADAMW, id="before a saved one", marks=pytest.mark.slow),
    ],
)
def test_killed_run_ends_as_an_undisturbed_one(
    config: TrainSettings, tmp_path: Path, save_steps: int, epoch: int, step: int, optimizer: OptimizerName
) -> None:
    config = dataclasses.replace(config, schedule=dataclasses.replace(config.schedule, optimizer=optimizer))
    undisturbed = run_training(dataclasses.replace(config, save_steps=save_steps))

    def kill(progress: TrainProgress) -> None:
        if progress.stage == "train" and (progress.epoch, progress.done) == (epoch, step):
            raise _Killed

    other = dataclasses.replace(config, output=tmp_path / "other", save_steps=save_steps)
    with pytest.raises(_Killed):
        run_training(other, kill)
    steps: list[tuple[int, int]] = []

    def note(progress: TrainProgress) -> None:
        if progress.stage == "train":
            steps.append((progress.epoch, progress.done))

    resumed = run_training(dataclasses.replace(other, resume=True), note)
    saved = (step - 1) // save_steps * save_steps if save_steps else 0
    assert steps[0] == (epoch, saved + 1), "it goes on after the last saved step"

    first, second = _weights(config.output), _weights(other.output)
    assert first.keys() == second.keys()
    for name, value in first.items():
        np.testing.assert_array_equal(value, second[name], err_msg=name)
    assert undisturbed.best_epoch == resumed.best_epoch
    plain = [{k: v for k, v in entry.items() if k != "seconds"} for entry in undisturbed.history]
    assert plain == [{k: v for k, v in entry.items() if k != "seconds"} for entry in resumed.history]


def test_files_of_a_run(config: TrainSettings) -> None:
    stages: list[str] = []
    result = run_training(dataclasses.replace(config, epochs=1), lambda p: stages.append(p.stage))
    assert set(stages) == {"precision", "read", "train", "val", "epoch"} | (
        {"notice"} if result.notices else set()
    )
    settings = json.loads((config.output / "config.json").read_text())
    assert (settings["precision"], settings["precision_reason"]) == ("fp32", "as asked for")
    assert settings["imgsz"] == 64
    (line,) = (config.output / "metrics.jsonl").read_text().splitlines()
    entry = json.loads(line)
    assert entry["val"].keys() == {"chest", "smear"}
    assert entry["val"]["chest"]["images"] == IMAGES["val"]
    assert all(np.isfinite(v) for v in entry["loss"].values())
    assert cv2.imread(str(config.output / "curves.png")) is not None
    metadata = read_metadata(result.weights)
    assert [c.name for c in metadata.vocabulary] == ["left lung", "right lung", "nuclei"]
    assert all(c.object_px is not None and c.mpp is None for c in metadata.vocabulary)
    assert metadata.training.datasets[0].licence == "CC0"
    assert metadata.results["val"]["epoch"] == 1
    np.testing.assert_allclose(np.linalg.norm(load_embeddings(result.weights), axis=1), 1, atol=1e-3)
    leftovers = [p.name for p in config.output.iterdir() if p.name.endswith(".tmp")]
    assert leftovers == []


@pytest.mark.slow
def test_learns_to_find_bright_squares(whole_config: TrainSettings) -> None:
    schedule = dataclasses.replace(whole_config.schedule, warmup_steps=5, learning_rate=2e-3)
    still = AppearanceSettings(blur=0, noise=0)
    calm = AugmentationSettings(mosaic=0, scale=0.2, flip=0, appearance=still)
    history = run_training(
        dataclasses.replace(whole_config, epochs=40, schedule=schedule, augmentation=calm)
    ).history
    assert history[0]["map50"] < 0.1
    assert max(entry["map50"] for entry in history) > 0.5


@pytest.mark.parametrize("resume", [False, True])
def test_a_folder_holds_one_run(config: TrainSettings, resume: bool) -> None:
    run_training(dataclasses.replace(config, epochs=1))
    with pytest.raises(MedrovError, match="epochs|already contains") as caught:
        run_training(dataclasses.replace(config, epochs=2, resume=resume))
    assert caught.value.code is ErrorCode.USAGE


def test_a_run_is_resumed_with_its_own_dataset_only(config: TrainSettings) -> None:
    run_training(dataclasses.replace(config, epochs=1))
    annotations = config.dataset.parent / "chest" / "annotations.json"
    annotations.write_text(annotations.read_text().replace('"train"', '"test"', 4))
    with pytest.raises(MedrovError, match="the dataset changed") as caught:
        run_training(dataclasses.replace(config, epochs=1, resume=True))
    assert (caught.value.code, bool(caught.value.hint)) == (ErrorCode.USAGE, True)


def test_inputs_are_identified_by_content(config: TrainSettings, tmp_path: Path) -> None:
    teacher = tmp_path / "teacher"
    teacher.with_suffix(".safetensors").write_bytes(b"a")
    config = dataclasses.replace(config, distiller=DistillationSettings(f"{teacher}.safetensors"))

    def identify() -> dict[str, str | None]:
        return identify_inputs(config, load_dataset(config.dataset))

    before = identify()
    assert require_same_inputs(before, identify(), tmp_path) == ()
    assert require_same_inputs(None, before, tmp_path) == (UNKNOWN_INPUTS,)
    for path, old, new, name in (
        (config.dataset.parent / "chest" / "annotations.json", "left lung", "heart", "dataset"),
        (config.dataset.parent / "chest" / "annotations.json", '"bbox": [', '"bbox": [1', "dataset"),
        (config.dataset, "smear]", "smear]\nnovel: [nuclei]", "dataset"),
        (config.dataset, "smear]", "smear]\nclasses: {nuclei: nucleus}", "dataset"),
        (teacher.with_suffix(".safetensors"), "a", "other", "--distill"),
    ):
        original = path.read_text()
        path.write_text(original.replace(old, new, 1))
        with pytest.raises(MedrovError, match=f"{name} changed"):
            require_same_inputs(before, identify(), tmp_path)
        path.write_text(original)


@pytest.mark.parametrize(
    ("name", "content"), [("metrics.jsonl", None), ("metrics.jsonl", "{}\n"), ("best.safetensors", None)]
)
def test_a_run_without_its_results_is_not_resumed(tmp_path: Path, name: str, content: str | None) -> None:
    (tmp_path / "metrics.jsonl").write_text("{}\n" * 3)
    (tmp_path / "best.safetensors").touch()
    files = TrainingFiles(tmp_path)
    assert files.read_results(2) == [{}, {}]
    (tmp_path / name).unlink()
    if content is not None:
        (tmp_path / name).write_text(content)
    assert files.read_results(0) == []
    with pytest.raises(MedrovError, match=f"{name} is missing or damaged"):
        files.read_results(2)


def test_classes_that_differ_by_case_are_reported(config: TrainSettings) -> None:
    annotations = config.dataset.parent / "chest" / "annotations.json"
    annotations.write_text(annotations.read_text().replace("right lung", "Left Lung"))
    (notice,) = [n for n in run_training(dataclasses.replace(config, epochs=1)).notices if "Left Lung" in n]
    assert "'left lung', 'Left Lung'" in notice


def test_fine_tuning_starts_from_weights(config: TrainSettings, tmp_path: Path) -> None:
    first = run_training(dataclasses.replace(config, epochs=1))
    still = dataclasses.replace(config.schedule, learning_rate=0.0)
    tuned = dataclasses.replace(
        config, epochs=1, output=tmp_path / "tuned", weights=str(first.weights), schedule=still
    )
    before, after = load_file(first.weights), load_file(run_training(tuned).weights)
    np.testing.assert_array_equal(before["model.0.conv.weight"], after["model.0.conv.weight"])
    with pytest.raises(MedrovError, match="scale n") as caught:
        run_training(dataclasses.replace(tuned, output=tmp_path / "m", model="m"))
    assert caught.value.code is ErrorCode.USAGE
    assert caught.value.hint == "Use --model n or s."


@pytest.mark.slow
def test_a_wider_network_starts_with_what_a_narrower_one_knows(
    whole_config: TrainSettings, tmp_path: Path
) -> None:
    first = run_training(whole_config)
    still = dataclasses.replace(whole_config.schedule, learning_rate=0.0)
    grown = run_training(
        dataclasses.replace(
            whole_config,
            epochs=1,
            output=tmp_path / "s",
            model="s",
            weights=str(first.weights),
            schedule=still,
        )
    )
    assert read_metadata(grown.weights).architecture.scale == "s"
    images, text = torch.rand(2, 3, 64, 64), torch.randn(2, 3, 512)
    with torch.inference_mode():
        small, large = (load_detector(path)(images, text) for path in (first.weights, grown.weights))
    torch.testing.assert_close(large.logits, small.logits, rtol=0.02, atol=0.1)  # both went through float16
    assert grown.weights.stat().st_size > 2 * first.weights.stat().st_size


@pytest.mark.parametrize("start", list(TextStart))
def test_weights_without_a_text_adapter_get_one_that_starts_as_asked(
    config: TrainSettings, tmp_path: Path, start: TextStart
) -> None:
    bare = run_training(dataclasses.replace(config, epochs=1, text_adapter=False, weights=None))
    still = dataclasses.replace(config.schedule, learning_rate=0.0)
    tuned = dataclasses.replace(
        config,
        epochs=1,
        output=tmp_path / "tuned",
        weights=str(bare.weights),
        schedule=still,
        text_start=start,
    )
    before, tensors = load_file(bare.weights), load_file(run_training(tuned).weights)
    np.testing.assert_array_equal(tensors["model.0.conv.weight"], before["model.0.conv.weight"])
    is_identity = np.array_equal(tensors["text_adapter.weight"], np.eye(512))
    assert is_identity is (start is TextStart.CENTRED)
    assert np.abs(tensors["text_adapter.bias"]).max() > 0, "what all texts share is taken off"


def test_a_loss_that_is_not_finite_stops_the_run(config: TrainSettings) -> None:
    absurd = dataclasses.replace(config.schedule, learning_rate=1e30, warmup_steps=1)
    with pytest.raises(MedrovError, match="not finite") as caught:
        run_training(dataclasses.replace(config, schedule=absurd))
    assert caught.value.code is ErrorCode.NON_FINITE_LOSS
    state = _weights(config.output)
    assert all(np.isfinite(value).all() for value in state.values()), "what is kept is whole"
    with pytest.raises(MedrovError, match="not finite"):
        run_training(dataclasses.replace(config, schedule=absurd, resume=True))


@pytest.mark.slow
def test_no_memory_is_said_clearly_and_can_be_resumed(
    config: TrainSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    undisturbed = run_training(dataclasses.replace(config, epochs=2))
    other = dataclasses.replace(config, epochs=2, output=tmp_path / "other")
    step = Trainer.train_step

    def exhausted(trainer: Trainer, parts: Sequence[Batch]) -> torch.Tensor:
        if trainer.step == 5:
            torch.empty(1 << 55, dtype=torch.uint8)
        return step(trainer, parts)

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "train_step", exhausted)
        with pytest.raises(MedrovError, match="no memory") as caught:
            run_training(other)
    assert caught.value.code is ErrorCode.OUT_OF_MEMORY
    assert "--accumulate" in caught.value.hint
    resumed = run_training(dataclasses.replace(other, resume=True))
    assert resumed.history[-1]["loss"] == undisturbed.history[-1]["loss"]


@pytest.mark.parametrize(
    ("cores", "device", "processes", "workers"),
    [
        (2, "cpu", 1, 0),
        (4, "cpu", 1, 1),
        (64, "cpu", 1, 2),
        (64, "cuda", 1, 8),
        (4, "cuda", 1, 4),
        (64, "cuda", 16, 4),
    ],
)
def test_how_many_processes_make_batches(
    monkeypatch: pytest.MonkeyPatch, cores: int, device: str, processes: int, workers: int
) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: cores)
    assert workers_for(device, processes) == workers


def test_too_few_images(config: TrainSettings) -> None:
    with pytest.raises(MedrovError, match="16 training images") as caught:
        run_training(dataclasses.replace(config, batch=17))
    assert caught.value.code is ErrorCode.DATASET_INVALID
