"""Reader of the frames of video files."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator

from medrov_cli.core.base.constants import InputLimits
from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.pixels.budget import require_plausible, reserve
from medrov_cli.core.pixels.channels import WINDOW_WARNING
from medrov_cli.core.pixels.image_size import check_size
from medrov_cli.core.pixels.isolated_stream import IsolatedStream, open_stream
from medrov_cli.core.pixels.protocol import ImageReader
from medrov_cli.core.records.frame import Frame, Window
from medrov_cli.core.settings.io_groups import ReadSettings
from medrov_cli.core.settings.window import WindowKind, WindowSpec

_TOLERATED_SHARE = 0.1
"""Fraction of frames that may be missing, because the number in a container is an estimate."""


_DECODER_BYTES = 48
"""Bytes per pixel of FFmpeg's reference frames and their copies in BGR and RGB."""

_OPENING_BYTES = 256 << 20
"""Memory of FFmpeg beside the frames: its threads, and the index of the file."""

_PIXELS_PER_BYTE = 65_536
"""Pixels that each byte of a video may have: a frame without changes takes some 50 bytes."""


def read_video(path: str, options: ReadSettings) -> Iterator[Frame]:
    """Yield the frames of a video as stored (not rotated), decoded by FFmpeg inside OpenCV.

    `Frame.frame_count` is null, because containers only estimate it.

    Raises
    ------
    MedrovError
        ``too_large`` by the stated or the actual number of frames; ``decode_failed`` if no
        frame can be decoded; ``truncated``, after the last frame, if far fewer exist than stated.
    """
    # An absolute path cannot be interpreted as a URL or an FFmpeg protocol.
    absolute = os.path.abspath(path)  # noqa: PTH100 - no symlink is resolved
    with open_stream("video", b"", _OPENING_BYTES, path=absolute) as stream:
        if not stream.head["is_open"]:
            raise MedrovError(
                ErrorCode.DECODE_FAILED,
                "The video cannot be opened: it is damaged, or its codec is not supported.",
                "Convert it to H.264 in an mp4 file.",
            )
        yield from _frames(stream, path, options.window, options.limits)


def _frames(stream: IsolatedStream, path: str, spec: WindowSpec, limits: InputLimits) -> Iterator[Frame]:
    announced = int(stream.head["frames"])
    _check_count(announced, limits)
    height, width = int(stream.head["height"]), int(stream.head["width"])
    check_size(height, width, limits)
    file_bytes = os.stat(path).st_size  # noqa: PTH116 - the path is used unchanged
    require_plausible(max(announced, 1) * height * width, file_bytes, _PIXELS_PER_BYTE)
    with reserve(height * width * _DECODER_BYTES):
        yield from _decoded(stream, path, spec, limits, file_bytes)


def _decoded(
    stream: IsolatedStream, path: str, spec: WindowSpec, limits: InputLimits, file_bytes: int
) -> Iterator[Frame]:
    warnings = () if spec.kind is WindowKind.AUTO else (WINDOW_WARNING,)
    announced, size = int(stream.head["frames"]), int(stream.head["height"]) * int(stream.head["width"])
    index = 0
    pixels_so_far = 0
    while (decoded := stream.next(_OPENING_BYTES + size * _DECODER_BYTES, 3 * size)) is not None:
        pixels = decoded.values
        _check_count(index + 1, limits)
        pixels_so_far += pixels.shape[0] * pixels.shape[1]
        require_plausible(pixels_so_far, file_bytes, _PIXELS_PER_BYTE)
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


def video_frame_seconds(path: str) -> float | None:
    """Return the time between the frames of a video by the rate that its container states."""
    absolute = os.path.abspath(path)  # noqa: PTH100 - no symlink is resolved
    with open_stream("video", b"", _OPENING_BYTES, path=absolute) as stream:
        rate = float(stream.head["rate"])
    return 1 / rate if math.isfinite(rate) and rate > 0 else None


def _check_count(frames: int, limits: InputLimits) -> None:
    if frames > limits.frames:
        raise MedrovError(
            ErrorCode.TOO_LARGE,
            f"The video has more than {limits.frames} frames.",
            "Cut it into parts.",
        )


READER: ImageReader = read_video
