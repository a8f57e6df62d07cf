"""The script that measures the cost of a cluster."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import ROOT
from detect_fixtures import write_images

pytest.importorskip("ray", reason="Ray is not installed (pip install medrov[cluster])")


def test_long_lists_need_little_memory() -> None:
    script = ROOT / "benchmarks" / "cluster.py"
    done = subprocess.run(
        [sys.executable, str(script), "listing", "--inputs", "20000"],
        env=os.environ | {"PYTHONPATH": str(ROOT / "src"), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["inputs"] == 20_000
    assert document["listing_growth_mib"] + document["run_growth_mib"] < 40


@pytest.mark.slow
def test_stand_in_workers_give_the_records_of_one_process() -> None:
    script = ROOT / "benchmarks" / "cluster.py"
    done = subprocess.run(
        [sys.executable, str(script), "overhead", "--inputs", "2000"],
        env=os.environ | {"PYTHONPATH": str(ROOT / "src"), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert (document["inputs"], document["workers"]) == (2000, 2)
    assert document["cluster_ms_per_image"] > 0


@pytest.mark.slow
def test_workers_are_compared_with_one_process(tmp_path: Path) -> None:
    write_images(tmp_path / "in", 8)
    script = ROOT / "benchmarks" / "cluster.py"
    done = subprocess.run(
        [sys.executable, str(script), "efficiency", str(tmp_path / "in"), "--rounds", "1"],
        env=os.environ | {"PYTHONPATH": str(ROOT / "src"), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["images"] == [8, 2]
    assert all(rate > 0 for (rate,) in document["images_per_second"].values())
