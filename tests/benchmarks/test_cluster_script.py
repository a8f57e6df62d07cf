"""The script that measures the cost of a cluster."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from conftest import ROOT
from detect_fixtures import write_images

pytest.importorskip("ray", reason="Ray is not installed (pip install medrov[cluster])")


def document_of(*arguments: str) -> Any:
    """Run the script; return the document that it prints."""
    done = subprocess.run(
        [sys.executable, str(ROOT / "benchmarks" / "cluster.py"), *arguments],
        env=os.environ | {"PYTHONPATH": str(ROOT / "src"), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_long_lists_need_little_memory() -> None:
    document = document_of("listing", "--inputs", "20000")
    assert document["inputs"] == 20_000
    assert document["listing_growth_mib"] + document["run_growth_mib"] < 40


@pytest.mark.slow
def test_stand_in_workers_give_the_records_of_one_process() -> None:
    document = document_of("overhead", "--inputs", "2000")
    assert (document["inputs"], document["workers"]) == (2000, 2)
    assert document["cluster_ms_per_image"] > 0


@pytest.mark.slow
def test_workers_are_compared_with_one_process(tmp_path: Path) -> None:
    write_images(tmp_path / "in", 8)
    document = document_of("efficiency", str(tmp_path / "in"), "--rounds", "1")
    assert document["images"] == [8, 2]
    assert all(rate > 0 for (rate,) in document["images_per_second"].values())
