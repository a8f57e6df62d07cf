"""Reading of the frames of any supported file."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from medrov_cli.core.base.constants import InputLimits
from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.base.plugins import Entry, load
from medrov_cli.core.pixels.archive_kinds import is_archive_head
from medrov_cli.core.pixels.archives import open_archive, split_member
from medrov_cli.core.pixels.compression import Compression, compression_of, read_start
from medrov_cli.core.pixels.input_errors import input_errors
from medrov_cli.core.pixels.protocol import ImageReader, StudyReader
from medrov_cli.core.pixels.registry import RASTER, READERS
from medrov_cli.core.pixels.slides.find_slide import frames_by_regions
from medrov_cli.core.pixels.sniff import HEAD_BYTES, Kind, kind_of_name, sniff, sniff_head
from medrov_cli.core.pixels.source import SourceBytes, local_path, open_source
from medrov_cli.core.records.frame import Frame
from medrov_cli.core.settings.io_groups import ReadSettings

_FORMATS_HINT = (
    "Give DICOM, NIfTI, NRRD, MetaImage, Analyze, PNG, JPEG, JPEG 2000, TIFF, PGM, PPM, WebP, AVIF, BMP, "
    "GIF, or a video (mp4, avi, mkv, mov, ...)."
)

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
"""Start of an address (RFC 3986, 3.1); stores that are read are members (`archives.split_member`)."""

_VOXEL_SUFFIXES = (".img", ".raw", ".zraw", ".img.gz", ".raw.gz")


def read_frames(
    path: str | Path, options: ReadSettings | None = None, *, series: Sequence[str] = ()
) -> Iterator[Frame]:
    """Yield the frames, slices or pages of one file, decoding each on request.

    The format is determined by the file's content, not by its name. Memory contains one frame at a
    time, except for compressed NIfTI (one volume file) and deflated DICOM (one file).
    Frames that were yielded before a failure stay valid.

    Parameters
    ----------
    path
        A regular file, or a member of an archive (``study.zip/slice.dcm``); as text, it becomes `Frame.path`.
    options
        Window, slicing axis and limits.
    series
        Paths of all files of a DICOM series: MR, PET and NM slices have one grey range by them.

    Yields
    ------
    Frame
        uint8 RGB of shape (height, width, 3) in the orientation in which the pixels are
        stored (NIfTI: radiological display, see `nifti`).

    Raises
    ------
    MedrovError
        At the first or a later frame, always with an input code: ``not_found``,
        ``unreadable``, ``unsupported_format``, ``no_pixels``, ``truncated``,
        ``decode_failed``, ``bad_metadata`` or ``too_large``. Its text and cause contain nothing of
        the file's content.
    """
    name = str(path)
    with input_errors():
        is_empty = True
        _require_file(name)
        for frame in _frames(name, options or ReadSettings(), series):
            is_empty = False
            yield frame
        if is_empty:
            raise MedrovError(
                ErrorCode.NO_PIXELS, "The file contains no image.", "Give a file with an image."
            )


def _frames(path: str, options: ReadSettings, series: Sequence[str]) -> Iterator[Frame]:
    """Yield the frames of a file, of a member of an archive, or of the content of a compressed file."""
    is_member = split_member(path) is not None
    kind = None if is_member else sniff(path)
    if not is_member and kind is not Kind.DICOM:
        frames = frames_by_regions(path, kind, options)
        if frames is not None:
            yield from frames
            return
    if kind is not None and kind is not Kind.DICOM:
        yield from _frames_of_file(path, kind, options)
        return
    with open_source(path, options.limits) as source:
        kind = _kind_of(path, source, options.limits)
        if kind is Kind.DICOM:
            study_reader: StudyReader = load(_entry_of(kind))
            yield from study_reader(path, source.file, options, series)
            return
        with local_path(source, path, options.limits) as local:
            for frame in _frames_of_file(local, kind, options):
                yield frame if local == path else replace(frame, path=path)


def _frames_of_file(path: str, kind: Kind, options: ReadSettings) -> Iterator[Frame]:
    """Return the frames by the reader of a kind, which is imported on use."""
    reader: ImageReader = load(_entry_of(kind))
    return reader(path, options)


def _entry_of(kind: Kind) -> Entry:
    return next(entry for entry in READERS if entry.name in (kind.value, RASTER))


def _require_file(path: str) -> None:
    """Check that a path is a regular file or a member of an archive."""
    if "\0" in path:
        raise MedrovError(
            ErrorCode.NOT_FOUND,
            "The path contains a null character.",
            "Give --null for a list that find -print0 wrote.",
        )
    if split_member(path) is not None:
        return
    scheme = _SCHEME.match(path)
    if scheme is not None and not os.path.lexists(path):
        raise MedrovError(
            ErrorCode.NOT_FOUND,
            f"Addresses of {scheme[0]} are not read.",
            "Download the file and give its path; addresses of s3://, gs:// and dicomweb: are read.",
        )
    mode = os.stat(path).st_mode  # noqa: PTH116 - the path is used unchanged
    if stat.S_ISDIR(mode):
        raise MedrovError(
            ErrorCode.UNREADABLE,
            "The folder contains no image.",
            "Give image files, or a folder with images (folders are searched recursively).",
        )
    if not stat.S_ISREG(mode):
        raise MedrovError(
            ErrorCode.UNREADABLE,
            "This is a pipe or a device, not a regular file.",
            "Save the image to a file first.",
        )


def _kind_of(path: str, source: SourceBytes, limits: InputLimits) -> Kind:
    head = read_start(source.file, HEAD_BYTES)
    source.file.seek(0)
    if not head:
        raise MedrovError(ErrorCode.TRUNCATED, "The file is empty (0 bytes).", "Copy or export it again.")
    kind = sniff_head(head)
    if kind is None and is_archive_head(head):
        open_archive(path, limits)  # says what is wrong with it
        raise MedrovError(
            ErrorCode.UNSUPPORTED_FORMAT,
            "This is an archive without images, or one whose images are read one by one.",
            "Give an archive with images to a command, or the path of one of them (ARCHIVE/NAME).",
        )
    if kind is None and compression_of(head) is not Compression.NONE:
        raise MedrovError(
            ErrorCode.UNSUPPORTED_FORMAT, "The compressed file contains no image.", "Give an image."
        )
    if kind is None:
        raise _unknown_content(path)
    return kind


def _unknown_content(path: str) -> MedrovError:
    if path.casefold().endswith(_VOXEL_SUFFIXES):
        return MedrovError(
            ErrorCode.UNSUPPORTED_FORMAT,
            "The file contains voxels without their header.",
            "Give the header (.hdr, .nhdr, .mhd), in the folder of this file.",
        )
    promised = kind_of_name(path)
    name = "" if promised is None else f"The file name indicates {promised.value}, but the content"
    message = f"{name or 'The content'} is no known image format."
    return MedrovError(ErrorCode.UNSUPPORTED_FORMAT, message, _FORMATS_HINT)
