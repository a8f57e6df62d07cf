"""Suppression of messages of decoding libraries in the log and on standard error.

Their messages may quote values of a header (patient data), and would mix with the program's output. The
readers report facts about a file in `Frame.warnings`.
"""

from __future__ import annotations

import logging
import os
import re
import warnings

_LIBRARIES = ("pydicom", "pylibjpeg", "tifffile", "imagecodecs", "PIL", "nibabel", "highdicom")
_LOGGERS = tuple(map(logging.getLogger, (*_LIBRARIES, "nibabel.global")))
_SILENT = logging.CRITICAL + 1


def _module(name: str) -> str:
    return rf"{name}(\.|$)"


_FILTERS = [("ignore", None, Warning, re.compile(_module(name)), 0) for name in reversed(_LIBRARIES)]
"""What `warnings.filters` begins with when all filters are in place."""


def silence_python() -> None:
    """Silence the loggers and warnings of the decoding libraries.

    It may be called repeatedly and from several threads: it adds the same filters once.
    """
    for logger in _LOGGERS:
        if logger.level != _SILENT:  # each change of a level empties the caches of all loggers
            logger.setLevel(_SILENT)
    if warnings.filters[: len(_FILTERS)] != _FILTERS:
        for name in _LIBRARIES:
            warnings.filterwarnings("ignore", module=_module(name))


def silence_opencv() -> None:
    """Disable the log of OpenCV, and of the FFmpeg inside it.

    Call it before the first video of the process is opened: FFmpeg reads its level once.
    """
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    import cv2

    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
