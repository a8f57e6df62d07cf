"""Keep the libraries that decode files from writing to the log or to standard error.

Their messages may quote values of a header (patient data), and they interleave with ours.
What a user should know about a file, our readers say themselves, in `Frame.warnings`.
"""

from __future__ import annotations

import logging
import os
import warnings

_LIBRARIES = ("pydicom", "pylibjpeg", "tifffile", "imagecodecs", "PIL", "nibabel")
_LOGGERS = ("pydicom", "pylibjpeg", "tifffile", "imagecodecs", "PIL", "nibabel", "nibabel.global")


def silence_python() -> None:
    """Mute the loggers of the decoding libraries and ignore the warnings that they emit.

    Safe to call again, and from several threads: it only ever adds the same filters.
    """
    for name in _LOGGERS:
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    for name in _LIBRARIES:
        warnings.filterwarnings("ignore", module=rf"{name}(\.|$)")


def silence_gdcm() -> None:
    """Switch GDCM's own trace off, where GDCM is installed."""
    try:
        import gdcm
    except ImportError:
        return
    for switch in (gdcm.Trace.WarningOff, gdcm.Trace.DebugOff, gdcm.Trace.ErrorOff):
        switch()


def silence_opencv() -> None:
    """Switch off OpenCV's log, and that of the FFmpeg inside it.

    Must run before the first video of the process is opened: FFmpeg's level is read once.
    """
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    import cv2

    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
