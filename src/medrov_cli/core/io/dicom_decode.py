"""Decode the pixel data of an opened DICOM file, frame by frame, with the strictest decoder first."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydicom.encaps import encapsulate, generate_frames

from medrov_cli.core.errors import ErrorCode, MedrovError
from medrov_cli.core.io.dicom_file import DicomFile, bad_metadata
from medrov_cli.core.io.greyscale import Values
from medrov_cli.core.io.quiet import native_complaints

_STRICT_PLUGINS = ("pydicom", "pillow", "pyjpegls", "pylibjpeg")
"""pydicom's plug-ins that refuse damaged data and are silent, in the order of trial.

Pillow comes first for JPEG: its libjpeg-turbo agrees with GDCM's libjpeg to the last bit, which the
reference code behind pylibjpeg does not. For every other syntax all plug-ins agree.
"""

_LENIENT_PLUGIN = "gdcm"
"""Reads some files that the others refuse, but also fills in what is missing of damaged ones."""


def decoded_frames(file: DicomFile) -> Iterator[tuple[Values, str]]:
    """Yield the stored values and the photometric interpretation of each frame.

    Values are (rows, columns) or (rows, columns, 3), sign-corrected and without unused bits;
    YBR is already RGB.

    Raises
    ------
    MedrovError
        ``decode_failed``, ``truncated`` or ``bad_metadata``.
    """
    frames = _compressed(file) if file.decoder.is_encapsulated else _native(file)
    for index in range(file.frames):
        try:
            values, properties = next(frames)
        except StopIteration:
            raise _frame_missing(index, file.frames) from None
        except (MemoryError, EOFError):
            raise
        except Exception as error:  # noqa: BLE001 - plug-ins raise anything, and their texts quote the file
            raise _decode_failed(file, index, error) from None
        yield values, str(properties["photometric_interpretation"])


def _native(file: DicomFile) -> Iterator[tuple[Values, dict[str, Any]]]:
    for index in range(file.frames):
        yield file.decoder.as_array(file.stream, index=index, raw=False, **file.options)


def _compressed(file: DicomFile) -> Iterator[tuple[Values, dict[str, Any]]]:
    """Decode each frame as a one-frame image, which leaves the choice of the plug-in to us."""
    encoded = generate_frames(
        file.stream, number_of_frames=file.frames, extended_offsets=file.options.get("extended_offsets")
    )
    options = {name: value for name, value in file.options.items() if name != "extended_offsets"}
    options["number_of_frames"] = 1
    for frame in encoded:
        yield _decode(file, encapsulate([frame]), options)


def _decode(file: DicomFile, item: bytes, options: dict[str, Any]) -> tuple[Values, dict[str, Any]]:
    available = file.decoder.available_plugins
    for plugin in (name for name in _STRICT_PLUGINS if name in available):
        try:
            return file.decoder.as_array(item, index=0, raw=False, decoding_plugin=plugin, **options)
        except MemoryError:
            raise
        except Exception:  # noqa: BLE001, S112 - a plug-in that refuses a frame may raise anything; the next one tries
            continue
    if _LENIENT_PLUGIN not in available:
        raise ValueError("refused")
    with native_complaints() as complaints:
        decoded = file.decoder.as_array(item, index=0, raw=False, decoding_plugin=_LENIENT_PLUGIN, **options)
    if complaints:
        raise ValueError("damaged")
    return decoded


def _frame_missing(index: int, frames: int) -> MedrovError:
    return MedrovError(
        ErrorCode.TRUNCATED, f"The file holds {index} of its {frames} frames.", "Copy or export it again."
    )


def _decode_failed(file: DicomFile, index: int, error: Exception) -> MedrovError:
    if index == 0 and isinstance(error, (AttributeError, KeyError)):
        return bad_metadata("an element that describes the pixel data is missing")
    return MedrovError(
        ErrorCode.DECODE_FAILED,
        f"Frame {index + 1} of {file.frames} could not be decoded "
        f"(transfer syntax {file.decoder.UID.name}; {type(error).__name__}).",
        "The pixel data is corrupt or breaks its transfer syntax: export it again, best uncompressed.",
    )
