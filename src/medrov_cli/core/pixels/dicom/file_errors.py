"""Errors of DICOM files that several modules raise."""

from __future__ import annotations

from medrov_cli.core.base.errors import ErrorCode, MedrovError


def bad_metadata(what: str) -> MedrovError:
    """Return the error for a header that contradicts itself or the standard."""
    return MedrovError(
        ErrorCode.BAD_METADATA, f"The DICOM header is wrong: {what}.", "Export the file again."
    )


def too_large(what: str) -> MedrovError:
    """Return the error for a file beyond the limits."""
    return MedrovError(ErrorCode.TOO_LARGE, f"The file {what}.", "Split it, or export it at a smaller size.")


def truncated_frames(whole: int, frames: int) -> MedrovError:
    """Return the error for compressed pixel data with too few whole fragments."""
    return MedrovError(
        ErrorCode.TRUNCATED,
        f"The compressed pixel data ends early or is damaged ({whole} whole fragments for {frames} frames).",
        "Copy or export the file again.",
    )
