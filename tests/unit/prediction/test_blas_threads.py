"""Threads of BLAS libraries while a predictor computes."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from conftest import ROOT


def run(code: str, **variables: str) -> list[str]:
    """Run code in a process of its own, because the number of threads is one of the process."""
    kept = {name: value for name, value in os.environ.items() if not name.endswith("_NUM_THREADS")}
    environment = kept | {"OMP_NUM_THREADS": "2", "PYTHONPATH": str(ROOT / "src")} | variables
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment
    )
    return done.stdout.splitlines()


BODIES = """
import threading, numpy
from threadpoolctl import threadpool_info
from medrov_cli.core.prediction.blas_threads import one_blas_thread
count = lambda: max(own["num_threads"] for own in threadpool_info() if own["user_api"] == "blas")
entered, leave = threading.Event(), threading.Event()
def body():
    with one_blas_thread():
        print(count())
        entered.set()
        leave.wait(10)
thread = threading.Thread(target=body)
thread.start()
entered.wait(10)
with one_blas_thread():
    print(count())
leave.set()
thread.join()
print(count())
with one_blas_thread():
    print(count())
print(count())
"""


def test_bodies_that_overlap_restore_the_number() -> None:
    many = str(min(2, len(os.sched_getaffinity(0))))  # no more than cores
    assert run(BODIES) == ["1", "1", many, "1", many]


def test_variable_of_one_thread_is_left_alone() -> None:
    assert run(BODIES, OPENBLAS_NUM_THREADS="1") == ["1"] * 5


@pytest.mark.parametrize(("first", "expected"), [("", "1"), ("import numpy; ", "None")])
def test_command_line_sets_the_variable_before_numpy_alone(first: str, expected: str) -> None:
    code = (
        f"{first}import os, sys; sys.argv = ['medrov', '--version']\n"
        "from medrov_cli.__main__ import main\n"
        "try: main()\nexcept SystemExit: print(os.environ.get('OPENBLAS_NUM_THREADS'))"
    )
    assert run(code)[-1] == expected
