"""Frames of a video by FFmpeg inside OpenCV, in a decoder process."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Any

import cv2
import numpy as np

from medrov_cli.core.pixels.quiet import silence_opencv
from medrov_cli.core.records.frame import UInt8Array


def decode_video(path: str) -> Iterator[tuple[UInt8Array, Mapping[str, Any]]]:
    """Yield an empty array with what the header states, then each frame, uint8, (height, width, 3)."""
    silence_opencv()
    descriptor = None if _is_utf8(path) else os.open(path, os.O_RDONLY)
    capture = cv2.VideoCapture(path if descriptor is None else f"/dev/fd/{descriptor}", cv2.CAP_FFMPEG)
    try:
        capture.set(cv2.CAP_PROP_ORIENTATION_AUTO, 0)
        stated = {
            "is_open": capture.isOpened(),
            "frames": int(max(capture.get(cv2.CAP_PROP_FRAME_COUNT), 0)),
            "height": int(capture.get(cv2.CAP_PROP_FRAME_HEIGHT)),
            "rate": float(capture.get(cv2.CAP_PROP_FPS)),
            "width": int(capture.get(cv2.CAP_PROP_FRAME_WIDTH)),
        }
        yield np.empty(0, np.uint8), stated
        while True:
            read, bgr = capture.read()
            if not read or bgr is None:
                return
            yield np.ascontiguousarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), dtype=np.uint8), {}
    finally:
        capture.release()
        if descriptor is not None:
            os.close(descriptor)


def _is_utf8(path: str) -> bool:
    """Return whether a path is UTF-8: OpenCV ends the process for other names, which only POSIX has."""
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True
