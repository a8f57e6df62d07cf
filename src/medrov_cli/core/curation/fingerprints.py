"""Fingerprints of images for the search of copies, and checks of their files, in one pass."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from medrov_cli.core.base.progress import Progress, no_progress
from medrov_cli.core.curation.issues import Code
from medrov_cli.core.pixels.greyscale import apply_range, percentile_range
from medrov_cli.core.pixels.quiet import silence_opencv

THUMBNAIL_PX = 32
"""Side of the compared thumbnails in pixels."""

_ENDS = {b"\xff\xd8\xff": b"\xff\xd9", b"\x89PNG": b"IEND"}
"""First and last bytes of JPEG and PNG files; OpenCV decodes truncated ones without an error."""


def _lowest_frequencies() -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return rows and columns of the 64 lowest frequencies of a cosine transform, without the mean."""
    side = range(THUMBNAIL_PX)
    order = sorted(((u, v) for u in side for v in side if u + v), key=lambda uv: (sum(uv), uv))[:64]
    return np.array([u for u, _ in order]), np.array([v for _, v in order])


_ROWS, _COLUMNS = _lowest_frequencies()


@dataclass(frozen=True, slots=True, eq=False)
class Fingerprint:
    """Fingerprint of an image.

    Attributes
    ----------
    thumbnail
        uint8, (32, 32), grey; null where the file cannot be read.
    phash
        DCT perceptual hash of 64 bits: the lowest frequencies above their median.
    problem
        Code and description of a defect of the file.
    """

    thumbnail: npt.NDArray[np.uint8] | None
    phash: int = 0
    problem: tuple[Code, str] | None = None


def fingerprints(
    files: Sequence[tuple[Path, tuple[int, int]]], threads: int, progress: Progress = no_progress
) -> list[Fingerprint]:
    """Return the fingerprint of each file, in order; each uses a kilobyte of memory.

    Parameters
    ----------
    files
        Path and expected (height, width) of each file.
    progress
        Called with the number of files read so far, their total and the stage.
    """
    silence_opencv()
    found = []
    with ThreadPoolExecutor(threads) as pool:
        for one in pool.map(lambda file: fingerprint(*file), files):
            found.append(one)
            progress(len(found), len(files), "reading")
    return found


def fingerprint(path: Path, size_hw: tuple[int, int]) -> Fingerprint:
    """Return the fingerprint of an image file as training reads it: stored pixels, without EXIF rotation."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return Fingerprint(None, problem=(Code.FILE_MISSING, "the file does not exist"))
    except OSError as error:
        return Fingerprint(None, problem=(Code.FILE_UNREADABLE, f"it cannot be read: {error.strerror}"))
    image = _decoded(data)
    if image is None:
        return Fingerprint(None, problem=(Code.FILE_UNREADABLE, "it cannot be decoded"))
    if not _is_whole(data):
        return Fingerprint(None, problem=(Code.FILE_UNREADABLE, "the file is truncated"))
    problem = _problem_of(image, size_hw)
    grey = _grey(image)
    resized = cv2.resize(grey, (THUMBNAIL_PX, THUMBNAIL_PX), interpolation=cv2.INTER_AREA)
    thumbnail = np.asarray(resized, dtype=np.uint8)
    return Fingerprint(thumbnail, phash_of(thumbnail), problem)


def phash_of(thumbnail: npt.NDArray[np.uint8]) -> int:
    """Return the perceptual hash of a grey thumbnail, (32, 32), as 64 bits."""
    frequencies = cv2.dct(thumbnail.astype(np.float32))[_ROWS, _COLUMNS]
    bits = np.packbits(frequencies > np.median(frequencies))
    return int.from_bytes(bits.tobytes(), "big")


def _decoded(data: bytes) -> npt.NDArray[np.generic] | None:
    try:
        return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED) if data else None
    except cv2.error:  # larger than OpenCV allows
        return None


def _is_whole(data: bytes) -> bool:
    tail = data[-64 * 1024 :]
    return all(end in tail for start, end in _ENDS.items() if data.startswith(start))


def _problem_of(image: npt.NDArray[np.generic], size_hw: tuple[int, int]) -> tuple[Code, str] | None:
    if image.shape[:2] != size_hw:
        height, width = image.shape[:2]
        wanted = f"annotations.json says {size_hw[1]} x {size_hw[0]}"
        return Code.SIZE_MISMATCH, f"it has {width} x {height} pixels; {wanted}"
    return None


def _grey(image: npt.NDArray[np.generic]) -> npt.NDArray[np.uint8]:
    """Return 8-bit grey values; deeper images are scaled as in training."""
    if image.dtype != np.uint8:
        image = apply_range(np.asarray(image), *percentile_range(np.asarray(image)))
    if image.ndim == 2:
        return np.asarray(image, dtype=np.uint8)
    convert = cv2.COLOR_BGRA2GRAY if image.shape[2] == 4 else cv2.COLOR_BGR2GRAY
    return np.asarray(cv2.cvtColor(np.asarray(image), convert), dtype=np.uint8)
