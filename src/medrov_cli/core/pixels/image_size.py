"""Checks of the sizes in headers of images, before decoding."""

from __future__ import annotations

from medrov_cli.core.base.constants import InputLimits
from medrov_cli.core.base.errors import ErrorCode, MedrovError


def check_size(height: int, width: int, limits: InputLimits) -> None:
    """Check that the size in a header is not empty and within the limits.

    Raises
    ------
    MedrovError
        ``too_large`` or ``bad_metadata``.
    """
    if height < 1 or width < 1:
        raise MedrovError(ErrorCode.BAD_METADATA, "The image has no pixels.", "Export it again.")
    if height * width > limits.pixels_per_frame:
        raise MedrovError(
            ErrorCode.TOO_LARGE,
            f"The image has {height} x {width} pixels; the limit is {limits.pixels_per_frame} pixels.",
            "Crop it into tiles or downsample it.",
        )


def check_total(size: int, file_bytes: int, limits: InputLimits) -> None:
    """Check the bytes of all frames of a file; an uncompressed file may have as many as it is long.

    Raises
    ------
    MedrovError
        ``too_large``.
    """
    if size > max(limits.inflated_bytes, 4 * file_bytes):
        raise MedrovError(
            ErrorCode.TOO_LARGE,
            f"The frames of the file have more than {limits.inflated_bytes} bytes together.",
            "Divide the file.",
        )
