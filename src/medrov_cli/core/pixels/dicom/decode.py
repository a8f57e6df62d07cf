"""Decoding of the pixel data of an opened DICOM file, frame by frame, with errors for damaged data."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydicom import uid
from pydicom.encaps import encapsulate, generate_frames
from pydicom.uid import UID

from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.pixels.dicom.file import DicomFile, bad_metadata
from medrov_cli.core.pixels.greyscale import Values
from medrov_cli.core.pixels.quiet import native_complaints

_LENIENT_PLUGIN = "gdcm"
"""Plug-in that reads some files that others refuse, and reports its assumptions on standard error."""

_PLUGINS: dict[UID, tuple[str, ...]] = {
    uid.JPEGBaseline8Bit: ("pillow", _LENIENT_PLUGIN),
    uid.JPEGExtended12Bit: ("pillow", _LENIENT_PLUGIN),
    uid.JPEGLossless: ("pylibjpeg", _LENIENT_PLUGIN),
    uid.JPEGLosslessSV1: ("pylibjpeg", _LENIENT_PLUGIN),
    uid.JPEGLSLossless: ("pyjpegls", _LENIENT_PLUGIN),
    uid.JPEGLSNearLossless: ("pyjpegls", _LENIENT_PLUGIN),
    uid.JPEG2000Lossless: ("pylibjpeg", "pillow", _LENIENT_PLUGIN),
    uid.JPEG2000: ("pylibjpeg", "pillow", _LENIENT_PLUGIN),
    uid.RLELossless: ("pydicom",),
}
"""pydicom's plug-ins in the order of use; for syntaxes that are not listed, all available ones.

The order was chosen by measurement. The libjpeg of pylibjpeg fills missing parts of damaged JPEG and JPEG-LS
with noise without an error, so that it is last or absent if another plug-in is equally exact: Pillow's
libjpeg-turbo equals GDCM in every bit. pylibjpeg's RLE decoder panics on damaged data, which no handler
catches.
"""

_TWELVE_BIT_JPEG = ("pylibjpeg",)
"""Only plug-in that decodes JPEG of more than 8 bits per sample."""

_JPEG_START, _JPEG_END = b"\xff\xd8", b"\xff\xd9"
_TAIL_BYTES = 64
"""Maximum distance of a JPEG end marker from the end of its last fragment, before padding."""


def decoded_frames(file: DicomFile) -> Iterator[tuple[Values, str]]:
    """Yield the stored values and the photometric interpretation of each frame.

    Values are (rows, columns) or (rows, columns, 3), sign-corrected and without unused bits;
    YBR is converted to RGB.

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
        except Exception as error:  # noqa: BLE001 - plug-ins raise any exception, with texts that quote the file
            raise _decode_failed(file, index, error) from None
        yield values, str(properties["photometric_interpretation"])


def _native(file: DicomFile) -> Iterator[tuple[Values, dict[str, Any]]]:
    for index in range(file.frames):
        yield file.decoder.as_array(file.stream, index=index, raw=False, **file.options)


def _compressed(file: DicomFile) -> Iterator[tuple[Values, dict[str, Any]]]:
    """Decode each frame as a one-frame image, which allows the choice of the plug-in."""
    encoded = generate_frames(
        file.stream, number_of_frames=file.frames, extended_offsets=file.options.get("extended_offsets")
    )
    options = {name: value for name, value in file.options.items() if name != "extended_offsets"}
    options["number_of_frames"] = 1
    for frame in encoded:
        if frame.startswith(_JPEG_START) and _JPEG_END not in frame[-_TAIL_BYTES:]:
            raise EOFError
        yield _decode(file, encapsulate([frame]), options)


def _decode(file: DicomFile, item: bytes, options: dict[str, Any]) -> tuple[Values, dict[str, Any]]:
    """Decode a one-frame image with the first plug-in that accepts it."""
    failure: Exception = NotImplementedError()
    for plugin in _plugins(file):
        try:
            return _decode_with(plugin, file, item, options)
        except MemoryError:
            raise
        except Exception as error:  # noqa: BLE001 - a plug-in that refuses a frame may raise any exception
            failure = error
    raise failure


def _plugins(file: DicomFile) -> tuple[str, ...]:
    syntax = file.decoder.UID
    available = file.decoder.available_plugins
    if syntax == uid.JPEGExtended12Bit and file.options.get("bits_stored") != 8:
        return _TWELVE_BIT_JPEG
    return tuple(name for name in _PLUGINS.get(syntax, available) if name in available)


def _decode_with(
    plugin: str, file: DicomFile, item: bytes, options: dict[str, Any]
) -> tuple[Values, dict[str, Any]]:
    if plugin != _LENIENT_PLUGIN:
        return file.decoder.as_array(item, index=0, raw=False, decoding_plugin=plugin, **options)
    with native_complaints() as complaints:
        decoded = file.decoder.as_array(item, index=0, raw=False, decoding_plugin=plugin, **options)
    if complaints:
        raise ValueError("damaged")
    return decoded


def _frame_missing(index: int, frames: int) -> MedrovError:
    return MedrovError(
        ErrorCode.TRUNCATED, f"The file contains {index} of its {frames} frames.", "Copy or export it again."
    )


def _decode_failed(file: DicomFile, index: int, error: Exception) -> MedrovError:
    if index == 0 and isinstance(error, (AttributeError, KeyError)):
        return bad_metadata("an element that describes the pixel data is missing")
    return MedrovError(
        ErrorCode.DECODE_FAILED,
        f"Frame {index + 1} of {file.frames} could not be decoded "
        f"(transfer syntax {file.decoder.UID.name}; {type(error).__name__}).",
        "The pixel data is corrupt or breaks its transfer syntax: export it again, preferably uncompressed.",
    )
