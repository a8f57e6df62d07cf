"""What ``--log-to`` writes and where: the run's numbers, in its folder, and nothing of the machine."""

from __future__ import annotations

import dataclasses
import json
import os
import posixpath
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from accelerate.tracking import TensorBoardTracker
from hypothesis import given
from hypothesis import strategies as st

from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.settings.choices import Tracker
from medrov_cli.core.settings.train import TrainSettings, config_record
from medrov_cli.core.training import tracking
from medrov_cli.core.training.epoch_progress import TrainProgress
from medrov_cli.core.training.reporting import reported_settings, tracked
from medrov_cli.core.training.run import run_training
from medrov_cli.core.training.tracking import check_trackers
from training_data import quick_config

QUICK = (
    "--imgsz",
    64,
    "--epochs",
    2,
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
STEPS = 4  # of an epoch: 16 images in batches of 4


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Hide what the user has set for the libraries, and undo what a run sets for good."""
    before = dict(os.environ)
    for name in before:
        if name.startswith(("WANDB_", "MLFLOW_")) or name in ("DO_NOT_TRACK", "NETRC"):
            del os.environ[name]
    os.environ["LOGNAME"] = "somebody-private"
    yield
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture
def config(tmp_path: Path, narrow: None) -> TrainSettings:
    return quick_config(tmp_path)


@pytest.fixture
def all_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every library look installed, to those that only look."""
    monkeypatch.setattr("accelerate.tracking._available_trackers", list(Tracker))
    monkeypatch.setattr(tracking, "require_packages", lambda feature, packages: None)


def _train(run_medrov: Any, config: TrainSettings, *arguments: object) -> list[dict[str, Any]]:
    """Run the command in an empty folder; return the metrics, having seen that all else is in its place."""
    elsewhere = config.output.parent / "elsewhere"
    elsewhere.mkdir(exist_ok=True)
    home = {"HOME": str(elsewhere), "MPLCONFIGDIR": str(config.output.parent), "XDG_CACHE_HOME": ""}
    done = run_medrov(
        "train", config.dataset, "-o", config.output, *QUICK, "--json", *arguments, cwd=elsewhere, env=home
    )
    assert done.exit_code == 0, done.stderr
    assert done.json["schema"] == "medrov.train/1"
    assert [
        path for path in elsewhere.rglob("*") if re.search("mlflow|mlruns|wandb|tfevents", str(path))
    ] == []
    return [json.loads(line) for line in (config.output / "metrics.jsonl").read_text().splitlines()]


def _tensorboard(output: Path) -> dict[str, list[tuple[int, float]]]:
    """Return steps and values by name."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(output / "tensorboard" / "medrov"))
    events.Reload()
    return {name: [(e.step, e.value) for e in events.Scalars(name)] for name in events.Tags()["scalars"]}


def _expected(metrics: list[dict[str, Any]]) -> dict[str, list[tuple[int, float]]]:
    found: dict[str, list[tuple[int, float]]] = {}
    for entry in metrics:
        for name, value in tracked(entry).items():
            found.setdefault(name, []).append((entry["epoch"] * STEPS, value))
    return found


def _assert_same(found: dict[str, list[tuple[int, float]]], metrics: list[dict[str, Any]]) -> None:
    """Compare with the metrics; the losses of the steps make up the mean of their epoch."""
    expected = _expected(metrics)
    assert expected["val/map50"][-1] == (2 * STEPS, metrics[-1]["map50"])
    assert expected["val/sources/chest/map50"][0][1] == metrics[0]["val"]["chest"]["map50"]
    steps = found.pop("train/loss")
    assert [step for step, _ in steps] == list(range(1, 2 * STEPS + 1))
    for entry in metrics:
        epoch = [value for step, value in steps if (step - 1) // STEPS == entry["epoch"] - 1]
        assert sum(epoch) / STEPS == pytest.approx(entry["loss"]["total"], rel=1e-5)
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        assert [step for step, _ in found[name]] == [step for step, _ in values]
        assert [v for _, v in found[name]] == pytest.approx([v for _, v in values], rel=1e-6), name


@pytest.mark.slow
def test_tensorboard_has_the_numbers_of_the_metrics(run_medrov: Any, config: TrainSettings) -> None:
    metrics = _train(run_medrov, config, "--log-to", "tensorboard")
    _assert_same(_tensorboard(config.output), metrics)
    assert {p.name for p in config.output.iterdir() if p.is_dir()} == {"tensorboard"}
    settings = "".join(p.read_text() for p in config.output.rglob("hparams.yml"))
    assert "schedule/learning_rate: 0.001" in settings
    assert str(config.output.parent) not in settings


def test_mlflow_has_the_numbers_of_the_metrics(run_medrov: Any, config: TrainSettings) -> None:
    pytest.importorskip("mlflow")
    pytest.importorskip("sqlalchemy")
    pytest.importorskip("alembic")
    metrics = _train(run_medrov, config, "--log-to", "mlflow", "--offline")
    (run,), found = _mlflow(config.output)
    _assert_same(found, metrics)
    assert (run.info.run_name, run.info.status, run.info.user_id) == ("run", "FINISHED", "unknown")
    assert run.data.params["schedule/learning_rate"] == "0.001"
    assert run.data.tags["mlflow.source.name"] == "medrov train"
    assert not run.data.tags["mlflow.source.git.repoURL"]
    told = json.dumps([run.data.params, run.data.tags])
    assert not [word for word in ("somebody-private", str(config.output.parent), sys.prefix) if word in told]


def _mlflow(output: Path) -> tuple[list[Any], dict[str, list[tuple[int, float]]]]:
    """Return the runs, the newest first, and what the newest was told."""
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{output / 'mlflow' / 'mlflow.db'}")
    runs = client.search_runs([client.get_experiment_by_name("medrov").experiment_id])
    history = {name: client.get_metric_history(runs[0].info.run_id, name) for name in runs[0].data.metrics}
    return list(runs), {name: [(m.step, m.value) for m in values] for name, values in history.items()}


def test_wandb_has_the_numbers_of_the_metrics(run_medrov: Any, config: TrainSettings) -> None:
    pytest.importorskip("wandb")
    metrics = _train(run_medrov, config, "--log-to", "wandb", "--offline")
    (file,) = (config.output / "wandb").glob("offline-run-*/*.wandb")
    records = list(_wandb_records(file))
    found: dict[str, list[tuple[int, float]]] = {}
    for record in records:
        values = {(i.key or "/".join(i.nested_key)): json.loads(i.value_json) for i in record.history.item}
        for name, value in values.items():
            if not name.startswith("_"):
                found.setdefault(name, []).append((values["_step"], value))
    _assert_same(found, metrics)
    (run,) = [record.run for record in records if record.HasField("run")]
    assert (run.display_name, run.project, run.host) == ("run", "medrov", "")
    kinds = {record.WhichOneof("record_type") for record in records}
    assert not kinds & {"stats", "output", "output_raw", "environment", "files"}
    told = file.read_bytes()
    private = ("somebody-private", str(config.output.parent), sys.prefix, *_long(socket.gethostname()))
    assert not [word for word in private if word.encode() in told]


def _long(name: str) -> list[str]:
    return [name] if len(name) > 5 else []  # a shorter one may be there by chance


def _wandb_records(path: Path) -> Iterator[Any]:
    """Read W&B's file: blocks of 32 KiB of records with checksum, size and part, after 7 bytes."""
    from wandb.proto.wandb_internal_pb2 import Record

    data, position, parts = path.read_bytes(), 7, b""
    assert data[:4] == b":W&B"
    while position + 7 <= len(data):
        if 32768 - position % 32768 < 7:
            position += 32768 - position % 32768
        size, part = int.from_bytes(data[position + 4 : position + 6], "little"), data[position + 6]
        parts += data[position + 7 : position + 7 + size]
        position += 7 + size
        if part in (1, 4):  # whole, or its last part
            yield Record.FromString(parts)
            parts = b""


class _Killed(Exception):
    pass


def _kill(progress: TrainProgress) -> None:
    if progress.stage == "train" and (progress.epoch, progress.done) == (2, 3):
        raise _Killed


def test_a_resumed_run_goes_on_in_tensorboard_s_folder(config: TrainSettings) -> None:
    config = dataclasses.replace(config, epochs=2, trackers=(Tracker.TENSORBOARD,))
    with pytest.raises(_Killed):
        run_training(config, _kill)
    killed = _tensorboard(config.output)
    assert [step for step, _ in killed["train/loss"]][-1] == STEPS + 2  # the third was not reported any more
    metrics = run_training(dataclasses.replace(config, resume=True)).history
    _assert_same(_tensorboard(config.output), list(metrics))


def test_trackers_are_closed_when_the_run_fails(
    config: TrainSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    writers: list[Any] = []
    finish = TensorBoardTracker.finish
    monkeypatch.setattr(
        TensorBoardTracker, "finish", lambda tracker: (writers.append(tracker.writer), finish(tracker))
    )
    with pytest.raises(_Killed):
        run_training(dataclasses.replace(config, trackers=(Tracker.TENSORBOARD,)), _kill)
    assert [writer.file_writer for writer in writers] == [None]  # torch's way to say that it is closed


def test_mlflow_knows_a_failed_run(config: TrainSettings) -> None:
    pytest.importorskip("mlflow")
    pytest.importorskip("sqlalchemy")
    config = dataclasses.replace(config, epochs=2, trackers=(Tracker.MLFLOW,), offline=True)
    with pytest.raises(_Killed):
        run_training(config, _kill)
    assert [run.info.status for run in _mlflow(config.output)[0]] == ["FAILED"]
    run_training(dataclasses.replace(config, resume=True))
    assert [run.info.status for run in _mlflow(config.output)[0]] == ["FINISHED", "FAILED"]


def test_a_run_leaves_the_environment_to_the_next(config: TrainSettings) -> None:
    before = dict(os.environ)
    run_training(dataclasses.replace(config, epochs=1, trackers=(Tracker.TENSORBOARD,)))
    assert not [
        name for name in os.environ if name in ("MLFLOW_TRACKING_URI", "MLFLOW_TAGS", "WANDB_CACHE_DIR")
    ]
    assert before.items() <= os.environ.items()
    assert os.environ["MLFLOW_DISABLE_TELEMETRY"] == "true"
    assert os.environ["WANDB_ERROR_REPORTING"] == "false"


def test_a_run_without_trackers_sets_nothing(config: TrainSettings) -> None:
    run_training(dataclasses.replace(config, epochs=1))
    assert not [name for name in os.environ if name.startswith(("MLFLOW_", "WANDB_"))]
    assert [path for path in config.output.iterdir() if path.is_dir()] == []


def test_a_tracker_that_fails_stops_the_run_clearly(
    config: TrainSettings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*_: object, **__: object) -> None:
        sys.stdout.write("a library's chatter\n")
        raise ConnectionError("https://me:secret@server/api does not answer\nmore")

    monkeypatch.setattr(TensorBoardTracker, "log", refuse)
    with pytest.raises(MedrovError) as caught:
        run_training(dataclasses.replace(config, trackers=(Tracker.TENSORBOARD,)))
    assert caught.value.code is ErrorCode.OUTPUT_FAILED
    assert caught.value.message == "--log-to: ConnectionError: https://server/api does not answer"
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "a library's chatter\n")


def test_a_tracker_that_does_not_start_is_said_clearly(
    config: TrainSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.utils.tensorboard.SummaryWriter.__init__", lambda *_, **__: 1 / 0)
    with pytest.raises(MedrovError, match="ZeroDivisionError") as caught:
        run_training(dataclasses.replace(config, trackers=(Tracker.TENSORBOARD,)))
    assert caught.value.code is ErrorCode.OUTPUT_FAILED


@pytest.mark.parametrize("tracker", list(Tracker))
def test_missing_package(config: TrainSettings, tracker: Tracker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("accelerate.tracking._available_trackers", [])
    with pytest.raises(MedrovError, match=f"--log-to {tracker} needs {tracker}") as caught:
        run_training(dataclasses.replace(config, trackers=(tracker,)))
    assert caught.value.code is ErrorCode.DEPENDENCY_MISSING
    assert caught.value.hint.startswith(f'Run: pip install "{tracker}')
    assert not config.output.exists()


def test_mlflow_needs_a_database_only_without_a_server(
    config: TrainSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("accelerate.tracking._available_trackers", list(Tracker))
    monkeypatch.setitem(sys.modules, "sqlalchemy", None)
    config = dataclasses.replace(config, trackers=(Tracker.MLFLOW,))
    with pytest.raises(MedrovError, match="sqlalchemy") as caught:
        check_trackers(config)
    assert caught.value.code is ErrorCode.DEPENDENCY_MISSING
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://server")
    check_trackers(config)


@pytest.mark.usefixtures("all_installed")
@pytest.mark.parametrize(
    ("uri", "allowed"),
    [
        ("", True),
        ("./mlruns", True),
        ("file:///data/mlruns", True),
        ("sqlite:///data/mlflow.db", True),
        ("http://localhost:5000", False),
        ("https://server/mlflow", False),
        ("postgresql://server/mlflow", False),
        ("databricks", False),
        ("databricks://profile", False),
    ],
)
def test_offline_allows_files_of_mlflow_only(
    config: TrainSettings, monkeypatch: pytest.MonkeyPatch, uri: str, allowed: bool
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    online = dataclasses.replace(config, trackers=(Tracker.MLFLOW,))
    check_trackers(online)
    if allowed:
        check_trackers(dataclasses.replace(online, offline=True))
        return
    with pytest.raises(MedrovError, match="MLFLOW_TRACKING_URI") as caught:
        run_training(dataclasses.replace(online, offline=True))
    assert caught.value.code is ErrorCode.NETWORK_FORBIDDEN
    assert not config.output.exists()
    monkeypatch.setenv("MEDROV_OFFLINE", "1")
    with pytest.raises(MedrovError, match="MLFLOW_TRACKING_URI"):
        check_trackers(online)


@pytest.mark.usefixtures("all_installed")
def test_wandb_needs_a_login_unless_offline(config: TrainSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    class Error(Exception):
        pass

    def login(*, verify: bool) -> bool:
        assert not verify
        assert os.environ["WANDB_SILENT"] == "true"
        raise Error("No API key configured.")

    monkeypatch.setitem(sys.modules, "wandb", SimpleNamespace(Error=Error, login=login))
    config = dataclasses.replace(config, trackers=(Tracker.WANDB,))
    with pytest.raises(MedrovError, match="No API key") as caught:
        run_training(config)
    assert caught.value.code is ErrorCode.USAGE
    assert "--offline" in caught.value.hint
    assert not config.output.exists()
    check_trackers(dataclasses.replace(config, offline=True))
    monkeypatch.setenv("MEDROV_OFFLINE", "1")
    check_trackers(config)


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
def test_wandb_never_asks(config: TrainSettings) -> None:
    pytest.importorskip("wandb")
    import pty

    ours, terminal = pty.openpty()
    command = Path(__file__).parents[2] / "offline_medrov.py"
    done = subprocess.run(
        [sys.executable, "-P", command, "train", config.dataset, "-o", config.output, "--log-to", "wandb"]
        + [str(part) for part in QUICK],
        stdin=terminal,
        stdout=subprocess.PIPE,
        stderr=terminal,
        timeout=120,
        check=False,
    )
    said = os.read(ours, 10_000).decode()
    os.close(ours)
    os.close(terminal)
    assert (done.returncode, done.stdout) == (2, b"")
    assert "--log-to wandb: " in said
    assert not config.output.exists()


def test_settings_are_reported_without_folders(config: TrainSettings, tmp_path: Path) -> None:
    config = dataclasses.replace(
        config,
        data_root=tmp_path / "images",
        weights=str(tmp_path / "old.safetensors"),
        text_encoder=f"local-dir:{tmp_path / 'encoder'}",
    )
    found = reported_settings(config_record(config))
    assert not [key for key, value in found.items() if str(tmp_path) in str(value)]
    assert (found["dataset"], found["output"], found["data_root"]) == ("data.yaml", "run", "images")
    assert (found["weights"], found["text_encoder"]) == ("old.safetensors", "local-dir:encoder")
    assert found["schedule/learning_rate"] == config.schedule.learning_rate
    assert (found["freeze"], found["pseudo_labels"], found["text_adapter"]) == ("none", "none", True)
    hub = dataclasses.replace(config, text_encoder="hf-hub:org/name", weights="medrov-n")
    names = reported_settings(config_record(hub))
    assert (names["text_encoder"], names["weights"]) == ("hf-hub:org/name", "medrov-n")


@given(st.text())
def test_names_of_sources_are_ones_that_mlflow_takes(source: str) -> None:
    entry = {
        "val": {source: {"map50": 0.5}},
        "loss": {},
        "added_a_step": {},
        "base": {"map50": 0.25},
        "novel": None,
        "map50": 0.5,
        "map50_95": 0.125,
    }
    found = tracked(entry)
    assert sorted(found.values()) == [0.125, 0.25, 0.5, 0.5]
    for name in found:
        assert re.fullmatch(r"[/\w.\- ]+", name)
        assert posixpath.normpath(name) == name
