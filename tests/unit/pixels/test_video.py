"""Video files, written by OpenCV."""

from __future__ import annotations

import os
import re
from pathlib import Path

import cv2
import numpy as np
import pytest

from image_files import error_of, read_all
from medrov_cli.core.base.errors import ErrorCode
from medrov_cli.core.pixels.read import read_frames
from medrov_cli.core.records.frame import Window

LEVELS = [20, 60, 100, 140, 180, 220]


def write(path: Path, codec: str, levels: list[int] = LEVELS) -> Path:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*codec), 10, (64, 48))
    assert writer.isOpened()
    for level in levels:
        frame = np.full((48, 64, 3), level, np.uint8)
        frame[:, :, 0] = 0  # no blue
        writer.write(frame)
    writer.release()
    return path


@pytest.mark.parametrize(("name", "codec"), [("a.avi", "MJPG"), ("a.mp4", "mp4v"), ("a.mkv", "mp4v")])
def test_frames_come_in_order_and_in_rgb(tmp_path: Path, name: str, codec: str) -> None:
    frames = read_all(write(tmp_path / name, codec))
    assert [frame.index for frame in frames] == list(range(6))
    assert {frame.frame_count for frame in frames} == {None}
    assert [frame.pixels_rgb.shape for frame in frames] == [(48, 64, 3)] * 6
    red, _, blue = np.moveaxis(np.array([frame.pixels_rgb[24, 32] for frame in frames]).astype(int), -1, 0)
    assert np.abs(red - LEVELS).max() < 12
    assert blue.max() < 12
    assert frames[0].window == Window("none")


def test_names_of_any_bytes_are_read(tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"\xff.avi")
    path.write_bytes(write(tmp_path / "a.avi", "MJPG").read_bytes())
    assert len(read_all(path)) == len(LEVELS)


def test_frames_are_decoded_when_they_are_asked_for(tmp_path: Path) -> None:
    frames = read_frames(str(write(tmp_path / "a.avi", "MJPG")))
    assert next(frames).index == 0
    frames.close()  # type: ignore[attr-defined]


def test_a_window_is_left_out_with_a_sentence(tmp_path: Path) -> None:
    assert any("window" in text for text in read_all(write(tmp_path / "a.avi", "MJPG"), "lung")[0].warnings)


def test_limits(tmp_path: Path) -> None:
    path = write(tmp_path / "a.avi", "MJPG")
    assert error_of(path, frames=5).code is ErrorCode.TOO_LARGE
    assert error_of(path, pixels_per_frame=48 * 64 - 1).code is ErrorCode.TOO_LARGE


def test_a_container_without_a_video(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"\0\0\0\x18ftypisom" + bytes(500))
    assert error_of(tmp_path / "a.mp4").code is ErrorCode.DECODE_FAILED


def test_a_video_cut_short(tmp_path: Path) -> None:
    path = write(tmp_path / "a.avi", "MJPG", LEVELS * 20)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    error = error_of(path)
    assert error.code is ErrorCode.TRUNCATED
    assert re.search(r"ends after \d+ of 120 frames", error.message)
    assert next(read_frames(str(path))).index == 0  # what came before stays valid
