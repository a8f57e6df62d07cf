"""``benchmarks/device_path.py``: both paths give equal detections before they are timed."""

from __future__ import annotations

from pathlib import Path

import pytest

import device_path


def test_both_paths_are_timed(images: Path, capsys: pytest.CaptureFixture[str]) -> None:
    device_path.main([str(images), "--imgsz", "64", "--images", "2", "--batch", "2", "--rounds", "1"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("64 px, batch 2, 2 images, ")
    assert lines[1].endswith("times its speed")


def test_paths_that_differ_are_not_timed(images: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    counts = iter([3, 2])
    monkeypatch.setattr(device_path, "detections", lambda *_: next(counts))
    with pytest.raises(SystemExit, match="the paths differ: 3 and 2 detections"):
        device_path.main([str(images), "--imgsz", "64", "--rounds", "1"])
