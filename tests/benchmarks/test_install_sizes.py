"""``benchmarks/install_sizes.py``: sizes of installed packages."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

import install_sizes
from conftest import Finished


def _install(site: Path, name: str, size: int, *requires: str) -> None:
    info = site / f"{name}-1.0.dist-info"
    info.mkdir(parents=True)
    lines = [
        "Metadata-Version: 2.1",
        f"Name: {name}",
        "Version: 1.0",
        *(f"Requires-Dist: {r}" for r in requires),
    ]
    (info / "METADATA").write_text("\n".join(lines) + "\n")
    (site / f"{name}.py").write_bytes(b"#" * size)
    (site / f"{name}.pyc").write_bytes(b"#" * size)
    (info / "RECORD").write_text(f"{name}.py,,\n{name}.pyc,,\n")


def test_sizes_of_a_package_and_of_a_lock(
    script: Callable[..., Finished], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    extra = "third; extra == 'more'"
    _install(tmp_path, "first", 2_000_000, "second>=1", extra, "absent")
    _install(tmp_path, "second", 3_000_000, "first")
    _install(tmp_path, "third", 4_000_000)
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "some.lock").write_text("third==1.0 \\\n    --hash=sha256:0\nsecond==1.0\n")
    done = script(install_sizes, "first", tmp_path / "some.lock")
    assert done.exit_code == 0
    package, lock = (json.loads(line) for line in done.stdout.splitlines())
    assert (package["packages"], package["mb"], package["missing"]) == (2, 5, ["absent"])
    assert (lock["packages"], lock["mb"]) == (2, 7)
    assert lock["largest_mb"] == {"third": 4, "second": 3}
