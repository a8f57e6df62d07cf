"""What all tests share: no network, no traces in the user's folders, one width of the terminal."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hypothesis
import pytest

from offline_medrov import connect_to_this_machine_only, no_lookup

ROOT = Path(__file__).parents[1]
SHARED_DATA = ROOT.parent / "shared" / "data"

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A background job starts with Ctrl-C ignored, and hands that on: its children could not be tested.
    signal.signal(signal.SIGINT, signal.default_int_handler)

# One thread a process: small products are no faster on several, which wait for one another on a busy machine.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# Read by typer when it is imported, therefore here and not in a fixture.
for _name in ("FORCE_COLOR", "PY_COLORS", "GITHUB_ACTIONS", "TERMINAL_WIDTH"):
    os.environ.pop(_name, None)


hypothesis.settings.register_profile("default", max_examples=25, deadline=None)
hypothesis.settings.register_profile("slow", max_examples=300, deadline=None)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options of this suite."""
    group = parser.getgroup("medrov")
    group.addoption("--slow", action="store_true", help="300 examples a property in place of 25")
    group.addoption(
        "--most-seconds",
        type=float,
        metavar="S",
        help="fail if a test without the marker 'slow' takes longer (its own part, without fixtures)",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Choose the number of examples a property."""
    hypothesis.settings.load_profile("slow" if config.getoption("--slow") else "default")


def _cpu_seconds() -> float:
    """Return the processor time of this process and of its children that have ended."""
    return sum(os.times()[:4])


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """Fail a test that takes too long for its marker; the smaller of wall and processor time counts."""
    most = item.config.getoption("--most-seconds")
    wall, cpu = time.perf_counter(), _cpu_seconds()
    yield
    seconds = min(time.perf_counter() - wall, _cpu_seconds() - cpu)
    if most and seconds > most and item.get_closest_marker("slow") is None:
        pytest.fail(f"takes {seconds:.1f} s: shrink it, or mark it with pytest.mark.slow", pytrace=False)


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
    """Give the test a home of the session, the session's cache, a plain wide terminal and no network."""
    home, cache = (tmp_path_factory.getbasetemp() / name for name in ("home", "cache"))
    home.mkdir(exist_ok=True)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("MEDROV_CACHE", str(cache))
    monkeypatch.setenv("MPLCONFIGDIR", str(home / "matplotlib"))
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "100")
    for name in ("MEDROV_OFFLINE", "MEDROV_DEBUG", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(socket.socket, "connect", connect_to_this_machine_only)
    monkeypatch.setattr(socket, "getaddrinfo", no_lookup)


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Train narrow networks in this test; weights of full width cannot be loaded in it."""
    from training_data import narrow_networks

    narrow_networks(monkeypatch)


@pytest.fixture
def empty_cache(isolated: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the test an empty cache of its own: for tests of what is kept there."""
    folder = tmp_path / "cache of this test"
    monkeypatch.setenv("MEDROV_CACHE", str(folder))
    return folder


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
def script(capsys: pytest.CaptureFixture[str]) -> Callable[..., Finished]:
    """Return a function that runs a script of ``benchmarks/`` in this process, given its module."""

    def run(module: Any, *arguments: object) -> Finished:
        capsys.readouterr()
        try:
            code = module.main([str(argument) for argument in arguments])
        except SystemExit as error:  # argparse refuses the arguments
            code = error.code
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
