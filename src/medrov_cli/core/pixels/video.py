"""Reader of the frames of video files."""

from __future__ import annotations

import os
from collections.abc import Iterator

import cv2
import numpy as np

from medrov_cli.core.base.constants import InputLimits
from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.pixels.quiet import silence_opencv
from medrov_cli.core.pixels.raster import WINDOW_WARNING, check_size
from medrov_cli.core.records.frame import Frame, UInt8Array, Window
from medrov_cli.core.settings.window import WindowKind, WindowSpec

_TOLERATED_SHARE = 0.1
"""Fraction of frames that may be missing, because the number in a container is an estimate."""


def read_video(path: str, spec: WindowSpec, limits: InputLimits) -> Iterator[Frame]:
    """Yield the frames of a video as stored (not rotated), decoded by FFmpeg inside OpenCV.

    `Frame.frame_count` is null, because containers only estimate it.

    Raises
    ------
    MedrovError
        ``too_large`` by the stated or the actual number of frames; ``decode_failed`` if no
        frame can be decoded; ``truncated``, after the last frame, if far fewer exist than stated.
    """
    silence_opencv()
    # An absolute path cannot be interpreted as a URL or an FFmpeg protocol.
    capture = cv2.VideoCapture(os.path.abspath(path), cv2.CAP_FFMPEG)  # noqa: PTH100 - no symlink is resolved
    try:
        if not capture.isOpened():
            raise MedrovError(
                ErrorCode.DECODE_FAILED,
                "The video cannot be opened: it is damaged, or its codec is not supported.",
                "Convert it to H.264 in an mp4 file.",
            )
        yield from _frames(capture, path, spec, limits)
    finally:
        capture.release()


def _frames(capture: cv2.VideoCapture, path: str, spec: WindowSpec, limits: InputLimits) -> Iterator[Frame]:
    capture.set(cv2.CAP_PROP_ORIENTATION_AUTO, 0)
    announced = int(max(capture.get(cv2.CAP_PROP_FRAME_COUNT), 0))
    _check_count(announced, limits)
    height, width = (int(capture.get(prop)) for prop in (cv2.CAP_PROP_FRAME_HEIGHT, cv2.CAP_PROP_FRAME_WIDTH))
    check_size(height, width, limits)
    warnings = () if spec.kind is WindowKind.AUTO else (WINDOW_WARNING,)
    index = 0
    while (pixels := _next_rgb(capture)) is not None:
        _check_count(index + 1, limits)
        yield Frame(pixels, path, index, None, window=Window("none"), warnings=warnings)
        index += 1
    if index == 0:
        raise MedrovError(
            ErrorCode.DECODE_FAILED,
            "No frame of the video can be decoded.",
            "Convert it to H.264 in an mp4 file.",
        )
    if announced - index > max(1, announced * _TOLERATED_SHARE):
        raise MedrovError(
            ErrorCode.TRUNCATED,
            f"The video ends after {index} of {announced} frames.",
            "Copy the file again; the frames before were read.",
        )


def _check_count(frames: int, limits: InputLimits) -> None:
    if frames > limits.frames:
        raise MedrovError(
            ErrorCode.TOO_LARGE,
            f"The video has more than {limits.frames} frames.",
            "Cut it into parts.",
        )


def _next_rgb(capture: cv2.VideoCapture) -> UInt8Array | None:
    read, bgr = capture.read()
    if not read or bgr is None:
        return None
    return np.ascontiguousarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), dtype=np.uint8)
