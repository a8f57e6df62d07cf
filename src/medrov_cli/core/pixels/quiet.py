"""Keep the libraries that decode files from writing to the log or to standard error.

Their messages may quote values of a header (patient data), and they interleave with ours.
What a user should know about a file, our readers say themselves, in `Frame.warnings`.
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
    """Mute the loggers of the decoding libraries and ignore the warnings that they emit.

    Safe to call again, and from several threads: it only ever adds the same filters.
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
"""Parts of what GDCM and the libjpeg and OpenJPEG inside it write about damaged data."""


@contextmanager
def native_complaints() -> Iterator[list[bytes]]:
    """Keep what native code writes to standard error from it, and collect it.

    Python threads that write in the meantime are not lost: lines that are no complaint of a
    decoder are passed on at the end.

    Yields
    ------
    list of bytes
        Filled when the block ends: the lines that are complaints.
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
    """Switch off OpenCV's log, and that of the FFmpeg inside it.

    Must run before the first video of the process is opened: FFmpeg's level is read once.
    """
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    import cv2

    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
