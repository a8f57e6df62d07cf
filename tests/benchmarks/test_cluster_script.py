"""The script that measures the cost of a cluster."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from conftest import ROOT

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
