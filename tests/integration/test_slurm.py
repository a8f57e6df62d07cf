"""The example script as an array of jobs of a real Slurm, and the merge of its parts."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from conftest import ROOT, Medrov
from detect_fixtures import folder_bytes
from slurm_node import slurm_node, why_not

LIMIT_S = 600

pytestmark = [pytest.mark.slow, pytest.mark.skipif(why_not() is not None, reason=str(why_not()))]


@pytest.fixture
def slurm(tmp_path: Path) -> Iterator[dict[str, str]]:
    folder = tmp_path / "slurm"
    folder.mkdir()
    with slurm_node(folder) as environment:
        if isinstance(environment, str):
            pytest.skip(environment)
        yield environment


def test_an_array_of_jobs_gives_the_bytes_of_one_run(
    slurm: dict[str, str], medrov: Medrov, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = ROOT / "examples"
    program = tmp_path / "bin" / "medrov"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m medrov_cli "$@"\n')
    program.chmod(0o755)
    environment = slurm | {
        "PATH": f"{program.parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT / "src"),
        "OMP_NUM_THREADS": "1",
    }
    script = (ROOT / "examples" / "batch_array_job.sh").read_text(encoding="utf-8")
    (tmp_path / "job.sh").write_text(script)
    done = subprocess.run(
        ["sbatch", "--parsable", "--array=1-3", "--cpus-per-task=1", "job.sh", str(images), "parts"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    job = done.stdout.strip()
    until = time.monotonic() + LIMIT_S
    while _queued(job, environment):
        assert time.monotonic() < until, (tmp_path / "slurm" / "slurmctld.log").read_text()
        time.sleep(0.5)
    monkeypatch.chdir(tmp_path)
    parts = sorted((tmp_path / "parts").glob("part-*"))
    logs = "\n".join(path.read_text() for path in tmp_path.glob("slurm-*.out"))
    assert [path.name for path in parts] == [f"part-{number}-of-3" for number in (1, 2, 3)], logs
    assert medrov("merge", *parts, "--output", "joined").exit_code == 0, logs
    assert medrov("detect", images, "--output", "whole", "--format", "jsonl", "--offline").exit_code == 0
    assert folder_bytes(tmp_path / "joined") == folder_bytes(tmp_path / "whole")


def _queued(job: str, environment: dict[str, str]) -> bool:
    done = subprocess.run(
        ["squeue", "--noheader", "--jobs", job], env=environment, capture_output=True, text=True, check=False
    )
    return bool(done.stdout.strip())
