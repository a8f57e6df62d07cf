"""What all tests share: no network, no traces in the user's folders, one width of the terminal."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from offline_medrov import connect_to_this_machine_only, no_lookup

ROOT = Path(__file__).parents[1]
SHARED_DATA = ROOT.parent / "shared" / "data"

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A background job starts with Ctrl-C ignored, and hands that on: its children could not be tested.
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Read by typer when it is imported, therefore here and not in a fixture.
for _name in ("FORCE_COLOR", "PY_COLORS", "GITHUB_ACTIONS", "TERMINAL_WIDTH"):
    os.environ.pop(_name, None)


@dataclass(frozen=True)
class Finished:
    """What a run of the command line left behind."""

    exit_code: int
    stdout: str
    stderr: str

    @property
    def json(self) -> Any:
        """The document on stdout."""
        return json.loads(self.stdout)

    @property
    def lines(self) -> list[Any]:
        """The JSON lines on stdout."""
        return [json.loads(line) for line in self.stdout.splitlines()]


Medrov = Callable[..., Finished]


@pytest.fixture(autouse=True)
def isolated(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give the test an empty cache and home, a plain wide terminal and no network."""
    home = tmp_path_factory.getbasetemp() / "home"
    home.mkdir(exist_ok=True)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("MEDROV_CACHE", str(tmp_path_factory.mktemp("cache")))
    monkeypatch.setenv("MPLCONFIGDIR", str(home / "matplotlib"))
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "100")
    for name in ("MEDROV_OFFLINE", "MEDROV_DEBUG", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(socket.socket, "connect", connect_to_this_machine_only)
    monkeypatch.setattr(socket, "getaddrinfo", no_lookup)


@pytest.fixture
def medrov(capsys: pytest.CaptureFixture[str]) -> Medrov:
    """Return a function that runs the command line in this process: fast."""
    from medrov_cli import cli

    def run(*arguments: object) -> Finished:
        capsys.readouterr()
        code = cli.run([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return Finished(int(code), captured.out, captured.err)

    return run


@pytest.fixture
def run_medrov() -> Medrov:
    """Return a function that runs the command line in a process of its own, without network."""

    def run(
        *arguments: object,
        stdin: str | None = None,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        timeout: float = 300,
    ) -> Finished:
        command = [sys.executable, "-P", str(ROOT / "tests" / "offline_medrov.py"), *map(str, arguments)]
        done = subprocess.run(
            command,
            input=stdin or "",
            capture_output=True,
            encoding="utf-8",
            cwd=cwd,
            env={**os.environ, **(env or {})},
            timeout=timeout,
            check=False,
        )
        return Finished(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Return the folder of real images; skip the test where there is none."""
    if not SHARED_DATA.is_dir():
        pytest.skip("the real images are not here")
    return SHARED_DATA


@pytest.fixture
def golden() -> Callable[..., None]:
    """Return a function that compares text with ``tests/golden/<name>``."""
    from golden_files import compare

    return compare
