"""Raster files on their way into a dataset: which there are, their pixels, and masks as integers."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import numpy.typing as npt

from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.pixels.inputs import visible_files
from medrov_cli.core.pixels.png import SIGNATURE, needed_chunks
from medrov_cli.core.pixels.read import read_frames
from medrov_cli.core.pixels.sniff import SUFFIXES, Kind, sniff
from medrov_cli.core.records.annotations import Pixels
from medrov_cli.core.records.frame import Frame

_RASTER = frozenset(
    {
        *(Kind.PNG, Kind.JPEG, Kind.TIFF, Kind.BMP, Kind.WEBP, Kind.GIF),
        *(Kind.NETPBM, Kind.JPEG2000, Kind.AVIF),
    }
)
IMAGE_SUFFIXES = frozenset(suffix for suffix, kind in SUFFIXES.items() if kind in _RASTER - {Kind.GIF})

_GREY_TYPES = frozenset({0, 4})  # PNG's colour types without colour: grey, and grey with transparency
_MINISWHITE, _MINISBLACK = 0, 1
_SIGNED_ZERO = 1 << 15
_STEM_LENGTH = 80
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)


@dataclass(frozen=True, slots=True, eq=False)
class RasterImage:
    """A decoded file.

    Attributes
    ----------
    pixels
        uint8 RGB, or uint16 grey where the file has grey values of more than 8 bits.
    original
        The file, where it is a PNG or JPEG of 8 bits; null otherwise.
    """

    pixels: Pixels
    original: Path | None


def raster_files(folder: Path) -> list[str]:
    """Return the image files below a folder by their names, relative to it, in natural order.

    Hidden files and folders are left out.
    """
    return visible_files(folder, lambda path: path.suffix.lower() in IMAGE_SUFFIXES)


def file_stems(paths: Sequence[str]) -> dict[str, str]:
    """Return, for each of some relative paths, the stem of the file that its image becomes.

    That is its own stem, with characters outside ``[A-Za-z0-9._-]`` replaced. Where two paths would
    share it (letter case aside), or it is too long or not usable, both get part of a hash of their path.
    """
    plain = {path: re.sub(r"[^A-Za-z0-9._-]", "_", PurePosixPath(path).stem) for path in paths}
    uses = Counter(stem.casefold() for stem in plain.values())
    stems = {}
    for path, stem in plain.items():
        is_usable = (
            stem[:1] not in (".", "-", "") and not _RESERVED.fullmatch(stem) and len(stem) <= _STEM_LENGTH
        )
        if uses[stem.casefold()] == 1 and is_usable:
            stems[path] = stem
        else:
            digest = hashlib.sha256(path.encode("utf-8", errors="surrogateescape")).hexdigest()[:12]
            stems[path] = f"{stem.lstrip('.-')[: _STEM_LENGTH - 13] or 'image'}-{digest}"
    return stems


def read_raster_image(path: Path) -> RasterImage:
    """Decode a raster file; its pixels are taken as they are stored, whatever its EXIF orientation.

    Grey values of more than 8 bits stay as they are (signed ones are moved up by 32768). Colours of more
    than 8 bits, and floats, are spread between percentiles, as ``detect`` does.

    Raises
    ------
    MedrovError
        An input code: see :func:`medrov_cli.core.pixels.read.read_frames`; ``unsupported_format`` for
        formats that are not raster images, and for files of several pictures.
    """
    frame, kind = _only_frame(path, "file")
    deep = _deep_grey(path, kind)
    if deep is not None:
        return RasterImage(deep, None)
    is_kept = kind is Kind.JPEG or (kind is Kind.PNG and _png_header(path)[0] <= 8)
    return RasterImage(frame.pixels_rgb, path if is_kept else None)


def _only_frame(path: Path, what: str) -> tuple[Frame, Kind]:
    """Return the only image of a file, and the format; ``what`` names the file in messages."""
    frames = list(islice(read_frames(str(path)), 2))
    kind = sniff(str(path))
    if kind is None or kind not in _RASTER or len(frames) != 1:
        fault = "contains several images" if kind in _RASTER else "is not a raster image"
        raise MedrovError(
            ErrorCode.UNSUPPORTED_FORMAT,
            f"The {what} {fault}.",
            "Save each image as PNG, or use the --from of volumes or DICOM.",
        )
    return frames[0], kind


def read_mask(path: Path) -> npt.NDArray[Any]:
    """Return the values of a mask, integers, (h, w): those of the file, a palette's indices, not its colours.

    A JPEG is no exact mask: its values become 0 and 1, with 1 above the middle of the range.

    Raises
    ------
    MedrovError
        An input code; ``unsupported_format`` if the mask has colours, is not of integers, or has several
        pages.
    """
    _, kind = _only_frame(path, "mask")  # whole, within the limits, and decodable; or it says why not
    if kind is Kind.TIFF:
        values = _tiff_values(path)
    elif kind in (Kind.NETPBM, Kind.JPEG2000):
        values = _other_values(path, kind)
    else:
        values = _pillow_values(path)
    if values.ndim == 3:
        values = _one_channel(values)
    if values.dtype == np.bool_:
        return values.astype(np.uint8)
    if not np.issubdtype(values.dtype, np.integer):
        raise _not_a_mask("has values that are not integers")
    if kind is Kind.JPEG:
        return (values > 127).astype(np.uint8)
    return values


def _deep_grey(path: Path, kind: Kind | None) -> npt.NDArray[np.uint16] | None:
    """Return grey values of more than 8 bits as they are stored; null if the file has none."""
    if kind in (Kind.NETPBM, Kind.JPEG2000):
        values = _other_values(path, kind)
        return (
            values.astype(np.uint16)
            if values.ndim == 2 and values.dtype.newbyteorder("=") == np.uint16
            else None
        )
    if kind is Kind.PNG:
        import imagecodecs

        depth, color_type = _png_header(path)
        if depth != 16 or color_type not in _GREY_TYPES:
            return None
        values = np.asarray(imagecodecs.png_decode(path.read_bytes()))
        return values[..., 0] if values.ndim == 3 else values
    if kind is not Kind.TIFF:
        return None
    import tifffile

    with tifffile.TiffFile(path) as tiff:
        page = tiff.pages[0].aspage()
        is_grey = int(page.photometric) in (_MINISWHITE, _MINISBLACK) and page.samplesperpixel == 1
        if not is_grey or page.dtype not in (np.uint16, np.int16):
            return None
        values = page.asarray().reshape(page.imagelength, page.imagewidth)
        is_inverted = int(page.photometric) == _MINISWHITE
    if values.dtype == np.int16:
        values = (values.astype(np.int32) + _SIGNED_ZERO).astype(np.uint16)
    return 65535 - values if is_inverted else values


def _png_header(path: Path) -> tuple[int, int]:
    """Return bits per channel and the colour type of a PNG: bytes of its first chunk."""
    with path.open("rb") as file:
        head = file.read(26)
    return head[24], head[25]


def _tiff_values(path: Path) -> npt.NDArray[Any]:
    import tifffile

    with tifffile.TiffFile(path) as tiff:
        return np.asarray(tiff.pages[0].aspage().asarray())


def _other_values(path: Path, kind: Kind | None) -> npt.NDArray[Any]:
    from medrov_cli.core.pixels import jpeg2000, netpbm

    return netpbm.read_values(str(path)) if kind is Kind.NETPBM else jpeg2000.read_values(str(path))


def _pillow_values(path: Path) -> npt.NDArray[Any]:
    from PIL import Image

    data = path.read_bytes()
    if data.startswith(SIGNATURE):
        data, _ = needed_chunks(data)
    with Image.open(BytesIO(data)) as image:
        values = np.asarray(image)
        is_png = image.format == "PNG"
    if is_png:
        depth, color_type = _png_header(path)
        if color_type == 0 and depth in (2, 4):  # Pillow spreads them over 8 bits
            return values // np.uint8(255 // (2**depth - 1))
    return values


def _one_channel(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return the one grey channel of an image whose colours are all grey; transparency is left out."""
    if values.shape[-1] in (2, 4):
        values = values[..., :-1]
    if not (values == values[..., :1]).all():
        raise _not_a_mask("has colours")
    return values[..., 0]


def _not_a_mask(what: str) -> MedrovError:
    return MedrovError(
        ErrorCode.UNSUPPORTED_FORMAT,
        f"The mask {what}.",
        "Save it as PNG or TIFF with one grey value or palette index per class.",
    )
