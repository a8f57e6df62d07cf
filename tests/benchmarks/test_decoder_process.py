"""``benchmarks/decoder_process.py``: its inputs, and the variant that decodes in one process."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import decoder_process
from image_files import read_all

_READ = """
import sys, json
from medrov_cli.core.pixels.read import read_frames
sums = [int(frame.pixels_rgb.sum()) for path in sys.argv[1:] for frame in read_frames(path)]
print(json.dumps([sums, type(isolation._pool).__name__]))
"""


@pytest.mark.slow
def test_decoding_in_the_process_gives_the_same_pixels(tmp_path: Path) -> None:
    webps = decoder_process.write_webps(tmp_path / "webp", 2, 64)
    paths = [decoder_process.write_dicom(tmp_path / "a.dcm", 64), *sorted(webps.iterdir())]
    paths.append(decoder_process.write_video(tmp_path / "a.mp4", 3, 64))
    program = decoder_process._IN_PROCESS + _READ
    done = subprocess.run(
        [sys.executable, "-c", program, *map(str, paths)], capture_output=True, encoding="utf-8", check=True
    )
    sums, pool = json.loads(done.stdout)
    assert pool == "InProcess"
    assert sums == [int(frame.pixels_rgb.sum()) for path in paths for frame in read_all(path)]
    assert len(sums) == 6
