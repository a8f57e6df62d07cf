"""Training as whole processes: several at once, and one that is killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from conftest import ROOT
from training_data import quick_config

pytestmark = pytest.mark.slow

ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
SCRIPT = ROOT / "tests" / "distributed_training.py"
TORCHRUN = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
QUICK = (
    "--imgsz",
    64,
    "--batch",
    4,
    "--workers",
    0,
    "--precision",
    "fp32",
    "--save-steps",
    1,
    "--optimizer",
    "adamw",
)


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *map(str, arguments)]
    return subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, timeout=300, check=False)


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    return quick_config(tmp_path).dataset


def test_two_processes_learn_what_one_does_with_the_double_batch(dataset: Path, tmp_path: Path) -> None:
    one = run(SCRIPT, dataset, tmp_path / "one")
    two = run(*TORCHRUN, SCRIPT, dataset, tmp_path / "two")
    assert (one.returncode, two.returncode) == (0, 0), one.stderr + two.stderr
    losses = [json.loads((tmp_path / name / "losses.json").read_text()) for name in ("one", "two")]
    assert len(losses[0]) == 4
    np.testing.assert_allclose(losses[1], losses[0], atol=1e-4, rtol=0)
    states = [load_file(tmp_path / name / "last.state.safetensors") for name in ("one", "two")]
    for name, value in states[0].items():
        if "running" in name:
            np.testing.assert_allclose(states[1][name], value, rtol=1e-3, atol=1e-4, err_msg=name)
    scores = [
        [json.loads(line)["val"] for line in (tmp_path / name / "metrics.jsonl").read_text().splitlines()]
        for name in ("one", "two")
    ]
    for first, second in zip(*scores, strict=True):
        assert first.keys() == second.keys()
        for source, score in first.items():
            assert second[source]["images"] == score["images"], "each process scores a part, all are counted"


def test_the_command_under_torchrun_speaks_once(dataset: Path, tmp_path: Path) -> None:
    done = run(*TORCHRUN, "-m", "medrov_cli", "train", dataset, "-o", tmp_path / "run", *QUICK,
               "--epochs", 1, "--json")  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["epochs"] == 1
    assert (tmp_path / "run" / "best.safetensors").is_file()
    odd = run(*TORCHRUN, "-m", "medrov_cli", "train", dataset, "-o", tmp_path / "odd", *QUICK, "--batch", 5)
    assert odd.returncode != 0
    assert "2 processes" in odd.stderr
    assert not (tmp_path / "odd").exists()


def test_a_run_killed_in_the_middle_of_an_epoch_goes_on_to_the_same_weights(
    dataset: Path, tmp_path: Path
) -> None:
    def command(output: str, *more: object) -> tuple[object, ...]:
        path = tmp_path / output
        return (
            "-m",
            "medrov_cli",
            "train",
            dataset,
            "-o",
            path,
            *QUICK,
            "--epochs",
            6,
            "--device",
            "cpu",
            *more,
        )

    assert run(*command("whole")).returncode == 0
    arguments = [sys.executable, *map(str, command("killed"))]
    process = subprocess.Popen(
        arguments, env=ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    metrics = tmp_path / "killed" / "metrics.jsonl"
    while process.poll() is None and not metrics.exists():
        time.sleep(0.01)
    time.sleep(0.15)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert process.returncode == -signal.SIGKILL, "it was killed before it ended"
    assert len(metrics.read_text().splitlines()) < 6
    resumed = run(*command("killed", "--resume"))
    assert resumed.returncode == 0, resumed.stderr
    whole, killed = (load_file(tmp_path / n / "last.state.safetensors") for n in ("whole", "killed"))
    for name, value in whole.items():
        np.testing.assert_array_equal(killed[name], value, err_msg=name)
    best = [(tmp_path / name / "best.safetensors").read_bytes() for name in ("whole", "killed")]
    assert best[0] == best[1]
    assert not [path for path in (tmp_path / "killed").iterdir() if path.name.endswith(".partial")]
