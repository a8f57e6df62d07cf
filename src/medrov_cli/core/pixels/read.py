"""Reading of the frames of any supported file."""

from __future__ import annotations

import gzip
import os
import stat
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.pixels.sniff import HEAD_BYTES, Kind, kind_of_name, sniff_head
from medrov_cli.core.records.frame import Frame
from medrov_cli.core.settings.io_groups import ReadSettings

_FORMATS_HINT = (
    "Give DICOM, NIfTI (.nii, .nii.gz), PNG, JPEG, TIFF, WebP, BMP, GIF, "
    "or a video (mp4, avi, mkv, mov, ...)."
)


def read_frames(path: str | Path, options: ReadSettings | None = None) -> Iterator[Frame]:
    """Yield the frames, slices or pages of one file, decoding each on request.

    The format is determined by the file's content, not by its name. Memory contains one frame at a
    time, except for compressed NIfTI (one volume file) and deflated DICOM (one file).
    Frames that were yielded before a failure stay valid.

    Parameters
    ----------
    path
        A regular file; as text, it becomes `Frame.path`.
    options
        Window, slicing axis and limits.

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
        for frame in _frames(name, _kind_of(name), options or ReadSettings()):
            is_empty = False
            yield frame
        if is_empty:
            raise MedrovError(
                ErrorCode.NO_PIXELS, "The file contains no image.", "Give a file with an image."
            )


def _frames(path: str, kind: Kind, options: ReadSettings) -> Iterator[Frame]:
    """Return the frames by the reader of a kind, which is imported on use."""
    if kind is Kind.DICOM:
        from medrov_cli.core.pixels.dicom.frames import read_dicom

        return read_dicom(path, options.window, options.limits, patient=options.patient)
    if kind is Kind.NIFTI:
        from medrov_cli.core.pixels.nifti.slices import read_nifti

        return read_nifti(path, options.window, options.axis, options.limits)
    if kind is Kind.TIFF:
        from medrov_cli.core.pixels.tiff import read_tiff

        return read_tiff(path, options.window, options.limits)
    if kind is Kind.VIDEO:
        from medrov_cli.core.pixels.video import read_video

        return read_video(path, options.window, options.limits)
    from medrov_cli.core.pixels.raster import read_raster

    return read_raster(path, kind, options.window, options.limits)


def _kind_of(path: str) -> Kind:
    mode = os.stat(path).st_mode if "\0" not in path else 0  # noqa: PTH116 - the path is used unchanged
    if not mode:
        raise MedrovError(
            ErrorCode.NOT_FOUND, "The path contains a null character.", "Check the list of paths."
        )
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
    with open(path, "rb") as file:  # noqa: PTH123 - the path is used unchanged
        head = file.read(HEAD_BYTES)
    if not head:
        raise MedrovError(ErrorCode.TRUNCATED, "The file is empty (0 bytes).", "Copy or export it again.")
    kind = sniff_head(head)
    if kind is None:
        raise MedrovError(ErrorCode.UNSUPPORTED_FORMAT, _unknown_content(path), _FORMATS_HINT)
    return kind


def _unknown_content(path: str) -> str:
    promised = kind_of_name(path)
    if promised is None:
        return "The content is no known image format."
    return f"The file name indicates {promised.value}, but the content is no known image format."


@contextmanager
def input_errors() -> Iterator[None]:
    """Convert exceptions of decoders to input errors without content of the file."""
    try:
        yield
    except MedrovError:
        raise
    except (FileNotFoundError, NotADirectoryError):
        raise MedrovError(
            ErrorCode.NOT_FOUND,
            "The file does not exist.",
            "Check the spelling, and that the folder is mounted.",
        ) from None
    except PermissionError:
        raise MedrovError(
            ErrorCode.UNREADABLE, "The file cannot be read (permission denied).", "Check its permissions."
        ) from None
    except MemoryError:
        raise MedrovError(
            ErrorCode.TOO_LARGE,
            "The image exceeds the available memory.",
            "Split or downsample it, or use a larger machine.",
        ) from None
    except EOFError:
        raise MedrovError(ErrorCode.TRUNCATED, "The file is truncated.", "Copy or export it again.") from None
    except Exception as error:  # noqa: BLE001 - decoders raise any exception
        raise _translated(error) from None


def _translated(error: Exception) -> MedrovError:
    if isinstance(error, OSError) and error.errno is not None:
        return MedrovError(
            ErrorCode.UNREADABLE,
            f"The operating system could not read the file ({os.strerror(error.errno)}).",
            "Check the disk or the network share, then try again.",
        )
    if isinstance(error, (zlib.error, gzip.BadGzipFile)):
        return MedrovError(
            ErrorCode.DECODE_FAILED, "The compressed data is damaged.", "Copy or export the file again."
        )
    return MedrovError(
        ErrorCode.DECODE_FAILED,
        f"The file is corrupt or breaks its format's rules ({type(error).__name__}).",
        "Open it in another viewer; if that works, report it with a file without patient data.",
    )
