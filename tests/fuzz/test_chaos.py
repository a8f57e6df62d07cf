"""A few kills of cheap commands; ``chaos.py`` by hand makes many, over all commands."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs forks and locks")
def test_killed_commands_give_the_bytes_of_undisturbed_ones(tmp_path: Path) -> None:
    commands = "detect,data convert,data export,data merge,data presence"
    script = [sys.executable, str(Path(__file__).with_name("chaos.py")), "--kills", "12", "--seed", "7"]
    done = subprocess.run(
        [*script, "--commands", commands], capture_output=True, encoding="utf-8", cwd=tmp_path, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert '"faults": []' in done.stdout
