"""Suppression of messages of decoding libraries in the log and on standard error.

Their messages may quote values of a header (patient data), and would mix with the program's output. The
readers report facts about a file in `Frame.warnings`.
"""

from __future__ import annotations

import logging
import os
import sys
import tempfile
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

_LIBRARIES = ("pydicom", "pylibjpeg", "tifffile", "imagecodecs", "PIL", "nibabel")
_LOGGERS = ("pydicom", "pylibjpeg", "tifffile", "imagecodecs", "PIL", "nibabel", "nibabel.global")


def silence_python() -> None:
    """Silence the loggers and warnings of the decoding libraries.

    It may be called repeatedly and from several threads: it adds the same filters once.
    """
    for name in _LOGGERS:
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    for name in _LIBRARIES:
        warnings.filterwarnings("ignore", module=rf"{name}(\.|$)")


_STDERR_FD = 2
_stderr_lock = threading.Lock()

_COMPLAINTS = (
    *(b"corrupt", b"premature", b"bogus", b"fail", b"error", b"inconsisten", b"not compliant"),
    *(b"invalid", b"unsupported", b"unexpected", b"extraneous", b"warning", b"segment"),
)
"""Parts of the messages of GDCM, and of the libjpeg and OpenJPEG inside it, on damaged data."""


@contextmanager
def native_complaints() -> Iterator[list[bytes]]:
    """Collect the output of native code on standard error instead of showing it.

    Output of other Python threads is kept: lines that are not messages of a decoder are written at the
    end.

    Yields
    ------
    list of bytes
        Messages of decoders; filled at the end of the block.
    """
    complaints: list[bytes] = []
    with _stderr_lock, tempfile.TemporaryFile() as caught:
        sys.stderr.flush()
        kept = os.dup(_STDERR_FD)
        os.dup2(caught.fileno(), _STDERR_FD)
        try:
            yield complaints
        finally:
            sys.stderr.flush()
            os.dup2(kept, _STDERR_FD)
            os.close(kept)
            caught.seek(0)
            for line in caught:
                if any(part in line.lower() for part in _COMPLAINTS):
                    complaints.append(line)
                else:
                    os.write(_STDERR_FD, line)


def silence_opencv() -> None:
    """Disable the log of OpenCV, and of the FFmpeg inside it.

    Call it before the first video of the process is opened: FFmpeg reads its level once.
    """
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    import cv2

    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
