"""The parts of the method, switched on and off in real runs: each does what it says, and no more."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file
from torch._dynamo.utils import counters

from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.model.checkpoint import load_detector
from medrov_cli.core.settings.choices import Balance, Part, Teacher
from medrov_cli.core.settings.teacher_groups import DistillationSettings, ProposalSettings
from medrov_cli.core.settings.train import TrainSettings
from medrov_cli.core.settings.train_groups import BalanceSettings, NegativeSettings
from medrov_cli.core.training import assembly
from medrov_cli.core.training.pseudolabels.proposals import PseudoLabeller
from medrov_cli.core.training.run import run_training
from medrov_cli.core.weights.container import load_tensors, read_metadata, save
from medrov_cli.core.weights.resolution import resolve
from open_clip_models import write_clip
from training_data import quick_config

PRESENCE = "dataset,left lung,right lung,nuclei\nchest,1,1,0\nsmear,0,-1,1\n"


@pytest.fixture
def config(tmp_path: Path, narrow: None) -> TrainSettings:
    """Return a run of a narrow network on sources that may show what they do not annotate."""
    return make_config(tmp_path)


@pytest.fixture
def whole_config(tmp_path: Path) -> TrainSettings:
    """Return the same of a network of full width."""
    return make_config(tmp_path)


def make_config(tmp_path: Path) -> TrainSettings:
    config = dataclasses.replace(quick_config(tmp_path), epochs=2)
    (tmp_path / "presence.csv").write_text(PRESENCE)
    config.dataset.write_text("sources: [chest, smear]\npresence: presence.csv\n")
    return config


def state_of(config: TrainSettings) -> dict[str, np.ndarray]:
    return load_file(config.output / "last.state.safetensors")


def run_and_state(
    config: TrainSettings, **changes: Any
) -> tuple[dict[str, np.ndarray], list[dict[str, Any]]]:
    changed = dataclasses.replace(config, **changes)
    history = run_training(changed).history
    return state_of(changed), list(history)


@pytest.mark.parametrize("teacher", list(Teacher))
@pytest.mark.parametrize("unknown_objects", [False, True])
@pytest.mark.slow
def test_with_a_threshold_above_one_training_is_the_same_to_the_bit(
    config: TrainSettings, tmp_path: Path, teacher: Teacher, unknown_objects: bool
) -> None:
    encoder = f"local-dir:{tiny_clip(tmp_path)}" if unknown_objects else "minilm"
    config = dataclasses.replace(config, text_encoder=encoder)
    plain, before = run_and_state(config)
    rules = ProposalSettings(teacher=teacher, first_epoch=0, min_score=1.01, unknown_objects=unknown_objects)
    taught, after = run_and_state(
        config, output=tmp_path / "taught", uses_pseudo_labels=True, pseudo_rules=rules
    )
    assert plain.keys() == taught.keys()
    for name, value in plain.items():
        np.testing.assert_array_equal(value, taught[name], err_msg=name)
    assert [entry["loss"] for entry in before] == [entry["loss"] for entry in after]


def tiny_clip(tmp_path: Path) -> Path:
    folder = tmp_path / "clip"
    folder.mkdir()
    return write_clip(folder)


@pytest.mark.slow
def test_pseudo_labels_are_learned_from_and_counted(config: TrainSettings, tmp_path: Path) -> None:
    plain, before = run_and_state(config)
    rules = ProposalSettings(first_epoch=1, min_score=0.0, candidate_score=0.0)
    taught, after = run_and_state(
        config, output=tmp_path / "taught", uses_pseudo_labels=True, pseudo_rules=rules
    )
    assert before[0]["added_a_step"] == {"pseudo": 0, "unknown": 0}
    assert after[0] | {"seconds": None} == before[0] | {"seconds": None}, "the first epoch is without"
    assert after[1]["added_a_step"]["pseudo"] > 1
    assert after[1]["added_a_step"]["unknown"] == 0
    assert any((plain[name] != taught[name]).any() for name in plain)


def test_unknown_objects_end_to_end(
    config: TrainSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config.dataset.write_text("sources: [chest, smear]\n")  # nothing is possible without being annotated
    seen: list[tuple[Any, ...]] = []
    call = PseudoLabeller.__call__

    def spy(self: PseudoLabeller, given: Any, batch: Any, candidates: Any) -> Any:
        taught, counts = call(self, given, batch, candidates)
        seen.append((given, taught, counts))
        return taught, counts

    monkeypatch.setattr(PseudoLabeller, "__call__", spy)
    rules = ProposalSettings(
        first_epoch=0,
        min_score=0.0,
        candidate_score=0.0,
        unknown_objects=True,
        max_truth_iou=0.9,
        max_side=9.0,
    )
    _, history = run_and_state(
        config,
        text_encoder=f"local-dir:{tiny_clip(tmp_path)}",
        uses_pseudo_labels=True,
        pseudo_rules=rules,
        text_adapter=False,
        augmentation=dataclasses.replace(config.augmentation, mosaic=0.0),
    )
    assert history[0]["added_a_step"]["unknown"] > 0.5
    assert all(np.isfinite(value) for value in history[-1]["loss"].values())
    for given, taught, counts in seen:
        prompts = given.text.shape[1]
        assert taught.text.shape[1] - prompts <= rules.max_unknown
        torch.testing.assert_close(taught.text.norm(dim=-1), torch.ones(taught.text.shape[:2]))
        new = taught.targets.labels >= prompts
        assert int(new.sum()) == counts.unknown_classes
        assert (
            len(taught.targets.labels) - len(given.targets.labels)
            == counts.known_classes + counts.unknown_classes
        )


def test_unknown_objects_want_an_image_tower(config: TrainSettings) -> None:
    with pytest.raises(MedrovError, match="image tower") as caught:
        run_training(
            dataclasses.replace(
                config, uses_pseudo_labels=True, pseudo_rules=ProposalSettings(unknown_objects=True)
            )
        )
    assert caught.value.code is ErrorCode.USAGE
    assert not config.output.exists()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({}, {"random": False}),
        ({}, {"federated": False}),
        ({}, {"background": True}),
        ({"random": False}, {"random": False, "hard": True}),
    ],
    ids=["random", "federated", "background", "hard"],
)
@pytest.mark.slow
def test_each_kind_of_negative_makes_a_difference(
    config: TrainSettings, tmp_path: Path, one: dict[str, bool], other: dict[str, bool]
) -> None:
    losses = []
    for name, kinds in (("one", one), ("other", other)):
        negatives = NegativeSettings(**kinds)
        _, history = run_and_state(config, epochs=1, output=tmp_path / name, negatives=negatives)
        losses.append(history[0]["loss"]["text"])
    assert losses[0] != losses[1]


@pytest.mark.parametrize("by", [Balance.OFF, Balance.MODALITY, Balance.CLASS])
def test_balance_is_a_setting(config: TrainSettings, tmp_path: Path, by: Balance) -> None:
    _, history = run_and_state(config, epochs=1, balance=BalanceSettings(by))
    assert np.isfinite(history[0]["loss"]["total"])
    assert json.loads((config.output / "config.json").read_text())["balance"]["by"] == by


def test_the_background_stays_with_the_weights(config: TrainSettings, tmp_path: Path) -> None:
    result = run_training(dataclasses.replace(config, epochs=1, negatives=NegativeSettings(background=True)))
    assert read_metadata(result.weights).architecture.background
    detector = load_detector(result.weights)
    text = torch.nn.functional.normalize(torch.randn(3, 512), dim=-1)
    images = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        raw = detector(images, text)
        _, scores = detector.detect(images, text)
    assert raw.logits.shape[2] == 4
    assert scores.shape == (2, 84, 3)
    torch.testing.assert_close(scores, raw.logits[..., :3].sigmoid())
    assert torch.linalg.norm(detector.background).item() == pytest.approx(1, abs=1e-3)
    tuned = dataclasses.replace(config, epochs=1, output=tmp_path / "tuned", weights=str(result.weights))
    assert not read_metadata(run_training(tuned).weights).architecture.background


@pytest.mark.parametrize("name", ["box", "text", "distribution"])
@pytest.mark.slow
def test_a_gain_weighs_its_term_alone(config: TrainSettings, tmp_path: Path, name: str) -> None:
    losses = []
    for gain in (getattr(config.gains, name), 0.0):
        changed = dataclasses.replace(config.gains, **{name: gain})
        run = dataclasses.replace(config, output=tmp_path / str(gain), epochs=1, gains=changed)
        losses.append(run_training(run).history[0]["loss"])
    assert losses[1][name] == 0 < losses[0][name]
    others = {"box", "text", "distribution"} - {name}
    assert all(losses[1][other] > 0 for other in others)


def test_without_a_moving_average_the_weights_are_kept_as_they_are(
    config: TrainSettings, tmp_path: Path
) -> None:
    for decay, name in ((0.0, "as they are"), (0.999, "average")):
        run = dataclasses.replace(
            config,
            output=tmp_path / name,
            epochs=1,
            schedule=dataclasses.replace(config.schedule, average_decay=decay),
        )
        run_training(run)
        state, kept = state_of(run), load_file(run.output / "best.safetensors")
        present = state["model/model.0.conv.weight"].astype(np.float16)
        assert np.array_equal(present, kept["model.0.conv.weight"]) is (decay == 0)


@pytest.mark.slow
def test_a_student_comes_nearer_to_its_teacher(whole_config: TrainSettings, tmp_path: Path) -> None:
    distances = []
    for gain in (1e-3, 5.0):
        student = dataclasses.replace(
            whole_config,
            output=tmp_path / f"student-{gain}",
            epochs=6,
            distiller=DistillationSettings("medrov-n", gain),
        )
        losses = [entry["loss"] for entry in run_training(student).history]
        parts = sum(value for name, value in losses[-1].items() if name != "total")
        assert losses[-1]["total"] == pytest.approx(parts)
        distances.append(losses[-1]["distillation"] / gain)
    assert 0 < distances[1] < 0.8 * distances[0]


def test_a_teacher_of_another_text_encoder_is_refused(whole_config: TrainSettings, tmp_path: Path) -> None:
    weights = tmp_path / "other.safetensors"
    metadata = read_metadata(resolve("medrov-n"))
    encoder = dataclasses.replace(metadata.text_encoder, identity="another encoder")
    save(weights, load_tensors(resolve("medrov-n")), dataclasses.replace(metadata, text_encoder=encoder))
    with pytest.raises(MedrovError, match="another encoder") as caught:
        run_training(dataclasses.replace(whole_config, distiller=DistillationSettings(str(weights))))
    assert caught.value.code is ErrorCode.USAGE
    assert not whole_config.output.exists()


@pytest.mark.slow
def test_novel_classes_are_held_out_and_reported(config: TrainSettings) -> None:
    plain = run_training(config).history[-1]
    assert plain["novel"] is None
    assert plain["base"] == {"map50": plain["map50"], "map50_95": plain["map50_95"]}
    config.dataset.write_text("sources: [chest, smear]\nnovel: [nuclei]\n")
    held_out = dataclasses.replace(config, output=config.output.with_name("held-out"))
    entry = run_training(held_out).history[-1]
    assert entry["novel"].keys() == {"map50", "map50_95"}
    assert entry["base"]["map50"] == entry["val"]["chest"]["map50"]
    assert entry["novel"]["map50"] == entry["val"]["smear"]["map50"]
    config.dataset.write_text("sources: [smear]\nnovel: [nuclei]\n")
    with pytest.raises(MedrovError, match="all classes are novel"):
        run_training(dataclasses.replace(held_out, output=config.output.with_name("none")))


@pytest.mark.parametrize("part", list(Part))
def test_frozen_parts_stay_as_they_are(config: TrainSettings, tmp_path: Path, part: Part) -> None:
    first = run_training(dataclasses.replace(config, epochs=1))
    tuned = dataclasses.replace(config, weights=str(first.weights), freeze=(part,), output=tmp_path / "tuned")
    run_training(tuned)
    before, after = load_file(first.weights), state_of(tuned)
    places = {
        Part.BACKBONE: [f"model.{number}." for number in range(10)],
        Part.NECK: [f"model.{number}." for number in (12, 15, 16, 18, 19, 21)],
        Part.HEAD: ["model.22."],
        Part.TEXT: ["text_adapter."],
    }
    changed = {place: 0 for places_of in places.values() for place in places_of}
    for name, value in before.items():
        if name != "vocabulary.embeddings" and "dfl" not in name:
            place = next(place for place in changed if name.startswith(place))
            changed[place] += int((after[f"model/{name}"].astype(np.float16) != value).any())
    for owner, places_of in places.items():
        for place in places_of:
            assert (changed[place] == 0) == (owner is part), place


def test_all_parts_frozen_is_refused(config: TrainSettings) -> None:
    with pytest.raises(MedrovError, match="no trainable parameters") as caught:
        run_training(dataclasses.replace(config, freeze=tuple(Part)))
    assert caught.value.code is ErrorCode.USAGE


def test_parts_of_a_step_are_one_step(config: TrainSettings, tmp_path: Path) -> None:
    """Frozen, all batch norms but none of the weights' gradients depend on who shares a part."""
    first = run_training(dataclasses.replace(config, epochs=1))
    still = dataclasses.replace(
        config, weights=str(first.weights), epochs=1, batch=8, freeze=(Part.BACKBONE, Part.NECK, Part.HEAD)
    )
    whole, _ = run_and_state(still, output=tmp_path / "whole")
    parts, history = run_and_state(still, output=tmp_path / "parts", accumulate=2)
    assert len(history) == 1
    name = "model/text_adapter.weight"
    moved = np.abs(whole[name] - np.eye(512)).max()
    assert np.abs(whole[name] - parts[name]).max() < moved
    with pytest.raises(MedrovError, match="--accumulate 3") as caught:
        run_training(dataclasses.replace(config, accumulate=3))
    assert caught.value.code is ErrorCode.USAGE


@pytest.mark.parametrize(
    "change", [{"deterministic": True}, {"max_gradient_norm": 0.0}, {"precision": "bf16"}]
)
def test_settings_of_the_engine(config: TrainSettings, change: dict[str, Any]) -> None:
    _, history = run_and_state(config, epochs=1, **change)
    assert np.isfinite(history[0]["loss"]["total"])
    assert torch.are_deterministic_algorithms_enabled() == change.get("deterministic", False)
    torch.use_deterministic_algorithms(False)


@pytest.mark.slow
def test_a_compiled_network_learns_the_same(
    config: TrainSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the capture of graphs alone: differentiating them and generating code takes minutes."""
    plain, before = run_and_state(config, epochs=1)
    plugin = assembly.TorchDynamoPlugin
    counters.clear()
    monkeypatch.setattr(assembly, "TorchDynamoPlugin", lambda **_: plugin(backend="eager", dynamic=True))
    compiled, after = run_and_state(config, epochs=1, output=tmp_path / "compiled", compiled=True)
    assert plain.keys() == compiled.keys(), "the compiler's names are not saved"
    assert after[0]["loss"]["total"] == pytest.approx(before[0]["loss"]["total"], rel=0.05)
    assert counters["stats"]["unique_graphs"] > 0, "it was compiled"


def test_clipped_gradients_teach_otherwise(config: TrainSettings, tmp_path: Path) -> None:
    strict, _ = run_and_state(config, epochs=1, max_gradient_norm=1e-6)
    free, _ = run_and_state(config, epochs=1, output=tmp_path / "free", max_gradient_norm=0.0)
    moments = [name for name in free if name.endswith("exp_avg")]
    assert max(np.abs(strict[name]).max() for name in moments) < 1e-6
    assert max(np.abs(free[name]).max() for name in moments) > 1e-4


def test_half_precision_wants_a_gpu(config: TrainSettings) -> None:
    with pytest.raises(MedrovError, match="--precision fp16") as caught:
        run_training(dataclasses.replace(config, precision="fp16"))
    assert caught.value.code is ErrorCode.USAGE
    assert not config.output.exists()
