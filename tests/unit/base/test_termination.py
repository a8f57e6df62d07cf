"""Interruptions in destructors, in code that catches all, and in a clean-up: the program ends."""

from __future__ import annotations

import subprocess
import sys

import pytest

from conftest import ROOT
from medrov_cli import cli

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs signals")

HEAD = """
import os, signal, sys, threading, time
sys.path.insert(0, "src")
from medrov_cli.core.base import termination
from medrov_cli.core.base.termination import Termination
termination.LIMIT_S = LIMIT
own = Termination()
own.install()
def interrupt():
    os.kill(os.getpid(), signal.NUMBER)
    time.sleep(0.05)
try:
    BODY
except KeyboardInterrupt:
    print("arrived", flush=True)
own.uninstall()
sys.exit(own.exit_code(0))
"""

DESTRUCTOR = """class Held:
        def __del__(self):
            interrupt()
    Held()
    while True:
        time.sleep(0.01)"""

CATCH_ALL = """try:
        interrupt()
    except:
        pass
    threading.Event().wait()"""

CLEAN_UP = """try:
        interrupt()
    finally:
        time.sleep(1.5)
        print("cleaned", flush=True)"""

ENDLESS = """try:
        interrupt()
    finally:
        threading.Event().wait()"""


@pytest.mark.parametrize(("number", "code"), [("SIGINT", 130), ("SIGTERM", 143)])
@pytest.mark.parametrize(
    ("body", "printed"),
    [(DESTRUCTOR, "arrived"), (CATCH_ALL, "arrived"), (CLEAN_UP, "cleaned\narrived"), (ENDLESS, "")],
    ids=["destructor", "catch-all", "clean-up", "endless clean-up"],
)
def test_an_interruption_ends_the_program(body: str, printed: str, number: str, code: int) -> None:
    """One in a clean-up is not raised again, and a clean-up without an end is ended."""
    limit = "1.0" if body is ENDLESS else "60.0"
    program = (
        HEAD.replace("LIMIT_S = LIMIT", f"LIMIT_S = {limit}").replace("NUMBER", number).replace("BODY", body)
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        capture_output=True,
        encoding="utf-8",
        timeout=240,
        check=False,
    )
    assert (done.returncode, done.stdout.strip()) == (code, printed), done.stderr


def test_a_failure_that_an_interruption_causes_is_an_interruption(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(first: str) -> None:
        try:
            raise KeyboardInterrupt
        except KeyboardInterrupt as error:
            raise ValueError(first) from error

    monkeypatch.setattr("medrov_cli.cli.make_app", fail)
    assert cli.run(["doctor"]) == 130
    assert "interrupted" in capsys.readouterr().err
