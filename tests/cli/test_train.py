"""``medrov train`` at the command line: what it prints, and how it ends."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.settings.choices import Balance, OptimizerName, Part, Teacher
from medrov_cli.core.settings.presets import preset_names
from medrov_cli.core.settings.train import TrainSettings
from medrov_cli.core.settings.train_groups import NegativeSettings
from training_data import IMAGES, make_source

QUICK = (
    "--imgsz",
    64,
    "--epochs",
    1,
    "--batch",
    4,
    "--workers",
    0,
    "--device",
    "cpu",
    "--precision",
    "fp32",
    "--optimizer",
    "adamw",
)


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    make_source(tmp_path, "smear", "microscopy", ["nuclei"])
    path = tmp_path / "data.yaml"
    path.write_text("sources: [smear]\n")
    return path


def test_json(medrov: Any, dataset: Path, narrow: None, tmp_path: Path) -> None:
    done = medrov("train", dataset, "--output", tmp_path / "run", *QUICK, "--json")
    assert done.exit_code == 0, done.stderr
    document = done.json
    assert document["schema"] == "medrov.train/1"
    assert (document["best_epoch"], document["epochs"]) == (1, 1)
    assert Path(document["weights"]).is_file()
    assert document["best"]["val"]["smear"]["images"] == IMAGES["val"]
    assert "reading images" in done.stderr
    assert f"epoch 1/1: loss {document['best']['loss']['total']:.3f}, mAP50" in done.stderr


def test_novel_classes_are_shown(medrov: Any, dataset: Path, narrow: None, tmp_path: Path) -> None:
    make_source(tmp_path, "chest", "x-ray", ["left lung", "right lung"])
    dataset.write_text("sources: [smear, chest]\nnovel: [nuclei]\n")
    done = medrov("train", dataset, "--output", tmp_path / "run", *QUICK)
    assert done.exit_code == 0, done.stderr
    assert "base 0." in done.stderr
    rows = [line.split()[:3] for line in done.stdout.splitlines()]
    assert ["mean", "of", "base"] in rows
    assert ["mean", "of", "novel"] in rows


def test_table_and_resume(medrov: Any, dataset: Path, narrow: None, tmp_path: Path) -> None:
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
        (("--weights", "medrov-n", "--model", "l"), 2, "scale n"),
        (("--distill", "no-such"), 5, "no-such"),
        (("--negatives", "soft"), 2, "--negatives"),
        (("--freeze", "tail"), 2, "--freeze"),
        (("--log-to", "paper"), 2, "--log-to"),
        (("--unknown-objects",), 2, "--pseudo-labels"),
        (("--teacher", "current"), 2, "--teacher needs --pseudo-labels"),
        (("--pseudo-score", 0.5), 2, "--pseudo-score needs --pseudo-labels"),
        (("--pseudo-after", 2), 2, "--pseudo-after needs --pseudo-labels"),
        (("--distill-gain", 2), 2, "--distill-gain needs --distill"),
        (("--balance", "off", "--balance-power", 0.5), 2, "--balance-power needs --balance"),
        (("--balance", "off", "--balance-threshold", 0.5), 2, "--balance-threshold needs --balance"),
        (("--no-text-adapter", "--text-start", "whitened"), 2, "--text-start needs --text-adapter"),
        (("--no-text-adapter", "--freeze", "text"), 2, "--freeze text needs --text-adapter"),
        (("--pseudo-labels", "--unknown-objects"), 2, "image tower"),
        (("--batch", 5, "--accumulate", 2), 2, "--accumulate 2"),
        (("--precision", "fp16"), 2, "--precision fp16"),
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


def test_defaults_of_the_command_are_those_of_the_procedure(
    medrov: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MEDROV_OFFLINE", raising=False)
    told = settings_told(medrov, monkeypatch)
    assert told == TrainSettings(dataset=Path("d.yaml"), output=Path("out"))


def settings_told(medrov: Any, monkeypatch: pytest.MonkeyPatch, *arguments: object) -> TrainSettings:
    """Return the settings that the command line makes of arguments, without training."""
    told: list[TrainSettings] = []

    def remember(config: TrainSettings, _: object) -> None:
        told.append(config)
        raise MedrovError(ErrorCode.USAGE, "seen", "")

    monkeypatch.setattr("medrov_cli.core.training.run.run_training", remember)
    done = medrov("train", "d.yaml", "-o", "out", *arguments)
    assert done.exit_code == 2, done.stderr
    assert told, done.stderr
    return told[0]


def test_the_recipe_of_the_paper(medrov: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    config = settings_told(medrov, monkeypatch, "--preset", "paper", "--weights", "l.safetensors")
    assert (config.model, config.imgsz, config.epochs, config.batch) == ("l", 640, 20, 128)
    assert (config.schedule.learning_rate, config.schedule.weight_decay) == (2e-4, 0.05)
    assert config.schedule.optimizer is OptimizerName.ADAMW
    assert config.max_prompts == 80
    assert config.text_encoder == "hf-hub:microsoft/BiomedCLIP-PubMedBERT_256-vit_base_patch16_224"
    rules = config.pseudo_labels
    assert rules is not None
    assert (rules.teacher, rules.min_score, rules.unknown_objects) == (Teacher.AVERAGE, 0.9, True)
    assert rules.first_epoch == 0
    assert (rules.nms_iou, rules.candidate_score, rules.max_truth_iou) == (0.3, 0.001, 0.3)
    assert (rules.max_unknown, rules.min_side * 640, rules.max_side * 640) == (5, 50, 320)
    assert (rules.expansion, rules.min_crop * 640) == (0.3, 30)
    assert config.negatives == NegativeSettings(federated=False)
    assert config.balance.by is Balance.OFF
    assert config.weights == "l.safetensors"


def test_what_is_given_counts_more_than_a_preset(
    medrov: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    config = settings_told(
        medrov, monkeypatch, "--batch", 32, "--preset", "paper", "--no-pseudo-labels", "--no-unknown-objects"
    )
    assert (config.batch, config.pseudo_labels, config.model) == (32, None, "l")
    own = tmp_path / "own.toml"
    own.write_text('weight-decay = 0.1\nfreeze = ["backbone", "text"]\nnegatives = "none"\ncompile = true\n')
    config = settings_told(medrov, monkeypatch, "--preset", own)
    assert config.schedule.weight_decay == 0.1
    assert config.freeze == (Part.BACKBONE, Part.TEXT)
    assert config.negatives == NegativeSettings(random=False, federated=False)
    assert config.compiled
    own.write_text("pseudo-score = 0.5\ntext-start = 'whitened'\n")
    settings_told(medrov, monkeypatch, "--preset", own, "--no-text-adapter").check()
    tuned = settings_told(medrov, monkeypatch, "--preset", "finetune")
    assert tuned.freeze == (Part.BACKBONE,)


def test_every_shipped_preset_is_known_and_tested() -> None:
    assert preset_names() == ("finetune", "paper")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("batch = ", "not TOML"),
        ("batches = 3\n", "no option --batches"),
        ("[batch]\nsize = 3\n", "batch is a table"),
        ("batch = 'many'\n", "--batch"),
        ("model = 'huge'\n", "--model"),
    ],
)
def test_bad_presets(medrov: Any, tmp_path: Path, text: str, says: str) -> None:
    preset = tmp_path / "own.toml"
    preset.write_text(text)
    done = medrov("train", "d.yaml", "-o", tmp_path / "run", "--preset", preset)
    assert done.exit_code == 2
    assert says in done.stderr
    assert "hint:" in done.stderr
    none = medrov("train", "d.yaml", "-o", tmp_path / "run", "--preset", "nature")
    assert none.exit_code == 2
    assert "finetune, paper" in none.stderr


@pytest.mark.parametrize("kind", ["no images", "no boxes"])
def test_without_usable_validation_the_last_epoch_is_kept(
    medrov: Any, dataset: Path, narrow: None, tmp_path: Path, kind: str
) -> None:
    path = tmp_path / "smear" / "annotations.json"
    document = json.loads(path.read_text())
    val = {image["id"] for image in document["images"] if image["split"] == "val"}
    document["annotations"] = [own for own in document["annotations"] if own["image_id"] not in val]
    if kind == "no images":
        document["images"] = [image for image in document["images"] if image["id"] not in val]
    path.write_text(json.dumps(document))
    done = medrov("train", dataset, "--output", tmp_path / "run", *QUICK, "--epochs", 2, "--json")
    assert done.exit_code == 0, done.stderr
    assert done.json["best_epoch"] == 2
    assert ["validation" in warning for warning in done.json["warnings"]] == [True]
    assert "the weights of the last epoch are kept" in done.stderr


def test_unreadable_images_are_skipped_and_named(
    medrov: Any, dataset: Path, narrow: None, tmp_path: Path
) -> None:
    images = tmp_path / "smear" / "images"
    for name in ("3.png", "9.png"):  # of the training and of the validation split
        (images / name).write_bytes((images / name).read_bytes()[:100])
    done = medrov("train", dataset, "--output", tmp_path / "run", *QUICK, "--json")
    assert done.exit_code == 0, done.stderr
    assert done.json["best"]["val"]["smear"]["images"] == IMAGES["val"] - 1
    assert sum("skipped: 1" in warning for warning in done.json["warnings"]) == 2
    assert all(any(name in warning for warning in done.json["warnings"]) for name in ("3.png", "9.png"))
    (images / "4.png").unlink()
    done = medrov("train", dataset, "--output", tmp_path / "other", *QUICK)
    assert (done.exit_code, "3.png" in done.stderr) == (4, True)


def test_unreadable_image_of_the_only_batch_is_named(
    medrov: Any, dataset: Path, narrow: None, tmp_path: Path
) -> None:
    image = tmp_path / "smear" / "images" / "3.png"
    image.write_bytes(image.read_bytes()[:100])
    done = medrov("train", dataset, "--output", tmp_path / "run", *QUICK, "--batch", IMAGES["train"])
    assert (done.exit_code, "3.png" in done.stderr) == (4, True)
