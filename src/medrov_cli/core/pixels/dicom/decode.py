"""Decoding of the pixel data of an opened DICOM file, frame by frame, with errors for damaged data."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pydicom import uid
from pydicom.encaps import encapsulate
from pydicom.uid import UID

from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.pixels.budget import require_plausible
from medrov_cli.core.pixels.dicom.codec_plugins import PLUGIN
from medrov_cli.core.pixels.dicom.codestream import (
    StreamHeader,
    holds_pixels,
    may_overshoot,
    read_stream_header,
    without_color_markers,
)
from medrov_cli.core.pixels.dicom.file import DicomFile
from medrov_cli.core.pixels.dicom.file_errors import bad_metadata
from medrov_cli.core.pixels.dicom.fragments import check_size_hw, read_frame
from medrov_cli.core.pixels.dicom.frame_memory import frame_bytes
from medrov_cli.core.pixels.dicom.native import native_frame, plain_words
from medrov_cli.core.pixels.greyscale import Values
from medrov_cli.core.pixels.isolation import IsolatedError, decode_isolated
from medrov_cli.core.pixels.stream_size import too_short

_PLUGINS: dict[UID, tuple[str, ...]] = {
    uid.JPEGBaseline8Bit: ("pillow",),
    uid.JPEGExtended12Bit: ("pillow",),
    uid.JPEGLossless: (PLUGIN, "pylibjpeg"),
    uid.JPEGLosslessSV1: (PLUGIN, "pylibjpeg"),
    uid.JPEGLSLossless: ("pyjpegls",),
    uid.JPEGLSNearLossless: ("pyjpegls",),
    uid.JPEG2000Lossless: ("pylibjpeg", "pillow"),
    uid.JPEG2000: ("pylibjpeg", "pillow"),
    uid.RLELossless: (PLUGIN, "pydicom"),
}
"""pydicom's plug-ins in the order of use; for syntaxes that are not listed, all available ones but GDCM.

The order was chosen by measurement (docs/performance.md). The libjpeg of pylibjpeg fills missing parts of
damaged JPEG and JPEG-LS with noise without an error, so that it is last or absent if another plug-in is
equally exact. pylibjpeg's RLE decoder panics on damaged data, which no handler catches. GDCM is not used even
if it is installed: damaged data ends the process in it, and no file that was tried needs it.
"""

_UNSAFE_PLUGIN = "gdcm"
_OWN_PLUGINS = frozenset({"pillow", "pydicom"})
"""Plug-ins that decode in this process: libjpeg-turbo by Pillow, and RLE in Python."""

_RLE = (uid.RLELossless,)

_TWELVE_BIT_JPEG = ("pylibjpeg",)
"""Only plug-in that decodes JPEG of more than 8 bits per sample."""

_JPEG_START, _JPEG_END = b"\xff\xd8", b"\xff\xd9"
_TAIL_BYTES = 64
"""Maximum distance of a JPEG end marker from the end of its last fragment, before padding with zeros."""

_YBR = ("YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT")

COLORSPACE_WARNING = (
    "The colour space in the header contradicts the compressed image; that of the image was used."
)


@dataclass(frozen=True, slots=True)
class StoredFrame:
    """Stored values of one frame.

    Attributes
    ----------
    values
        (rows, columns) or (rows, columns, 3), sign-corrected and without unused bits; YBR is converted
        to RGB.
    photometric
        Photometric interpretation of ``values``.
    warnings
        Warnings for the user.
    """

    values: Values
    photometric: str
    warnings: tuple[str, ...] = ()


def decoded_frames(file: DicomFile) -> Iterator[StoredFrame]:
    """Yield the stored values of each frame.

    Raises
    ------
    MedrovError
        ``decode_failed``, ``truncated``, ``too_large`` or ``bad_metadata``.
    """
    for index in range(file.frames):
        yield decode_frame(file, index)


def decode_frame(file: DicomFile, index: int) -> StoredFrame:
    """Return the stored values of one frame, 0-based; see `decoded_frames`."""
    try:
        return _compressed(file, index) if file.encoded else StoredFrame(*native_frame(file, index))
    except (MemoryError, EOFError, MedrovError):
        raise
    except Exception as error:  # noqa: BLE001 - plug-ins raise any exception, with texts that quote the file
        raise _decode_failed(file, index, error) from None


def _compressed(file: DicomFile, index: int) -> StoredFrame:
    """Decode a frame as a one-frame image, which allows the choice of the plug-in."""
    data = read_frame(file.stream, file.encoded[index])
    if data.startswith(_JPEG_START) and _JPEG_END not in data.rstrip(b"\0")[-_TAIL_BYTES:]:
        raise EOFError
    header = read_stream_header(data)
    if header is None and file.decoder.UID not in _RLE:
        raise _no_stream(file, index)
    options = {name: value for name, value in file.options.items() if name != "extended_offsets"}
    options["number_of_frames"] = 1
    warnings: tuple[str, ...] = ()
    bits = file.layout.allocated if file.layout is not None else int(options["bits_allocated"])
    if header is None:
        if options["photometric_interpretation"] == "YBR_FULL_422":
            options["photometric_interpretation"] = "YBR_FULL"  # RLE has no subsampling (PS3.5, 8.2.2)
        options |= plain_words(bits, signed=False)
    else:
        _check_stream(file, data, header)
        bits = header.precision
        options |= plain_words(bits, signed=header.signed)
        options["planar_configuration"] = 0
        options["photometric_interpretation"], warnings = _photometric(file, header)
        if header.kind in ("jpeg", "jpeg lossless") and header.components == 3:
            data = without_color_markers(data)
    if header is not None and not _OWN_PLUGINS.issuperset(_plugins(file, header)):
        values, photometric = _decode_elsewhere(file, data, options, header)
    else:
        values, properties = _decode(file, encapsulate([data]), options, header)
        photometric = str(properties["photometric_interpretation"])
    if file.layout is not None:
        lossy = header is not None and _may_overshoot(file, header)
        values = file.layout.extract(values, bits, lossy=lossy)
    return StoredFrame(values, photometric, warnings)


def _may_overshoot(file: DicomFile, header: StreamHeader) -> bool:
    if header.signed and file.options["pixel_representation"] == 0:
        return False
    return may_overshoot(header, file.decoder.UID, file.header.get("LossyImageCompression"))


def _decode_elsewhere(
    file: DicomFile, data: bytes, options: dict[str, Any], header: StreamHeader
) -> tuple[Values, str]:
    """Decode a frame in a decoder process: the libraries of these formats are not used in this one."""
    decoded = decode_isolated(
        "dicom",
        data,
        need_bytes=frame_bytes(file),
        samples=file.rows * file.columns * header.components,
        transfer_syntax_uid=str(file.decoder.UID),
        plugins=_plugins(file, header),
        reading={name: value for name, value in options.items() if name != "transfer_syntax_uid"},
    )
    return decoded.values, str(decoded.extra["photometric"])


def _check_stream(file: DicomFile, data: bytes, header: StreamHeader) -> None:
    """Check a compressed frame against the header, and its length, before a decoder allocates by it."""
    check_size_hw(header.size_hw, file.limits)
    samples = int(file.options["samples_per_pixel"])
    if (*header.size_hw, header.components) != (file.rows, file.columns, samples):
        raise bad_metadata(
            "the compressed image has another size, or other components, than the header states"
        )
    require_plausible(file.rows * file.columns, len(data))
    if not holds_pixels(data, header):
        raise too_short()


def _no_stream(file: DicomFile, index: int) -> MedrovError:
    return MedrovError(
        ErrorCode.DECODE_FAILED,
        f"Frame {index + 1} of {file.frames} is not of the transfer syntax {file.decoder.UID.name}.",
        "The pixel data is corrupt or breaks its transfer syntax: export it again, preferably uncompressed.",
    )


def _photometric(file: DicomFile, header: StreamHeader) -> tuple[str, tuple[str, ...]]:
    """Return the photometric interpretation of the decoded components, and a warning for a contradiction.

    What the stream says counts (ITU-T T.871, T.872, T.800), else the header. A JPEG 2000 decoder undoes the
    transform of the stream; without one, components under YBR_RCT or YBR_ICT are RGB.
    """
    stated = str(file.options["photometric_interpretation"])
    if header.components != 3 or header.kind == "jpeg-ls":
        return stated, ()
    is_j2k = header.kind == "jpeg 2000"
    if header.is_rgb is None:
        return ("RGB" if is_j2k and stated in ("YBR_ICT", "YBR_RCT") else stated), ()
    if header.is_rgb:
        agrees = stated == "RGB" or (is_j2k and stated in ("YBR_ICT", "YBR_RCT"))
        return "RGB", () if agrees else (COLORSPACE_WARNING,)
    return ("YBR_FULL" if stated == "RGB" else stated), () if stated in _YBR else (COLORSPACE_WARNING,)


def _decode(
    file: DicomFile, item: bytes, options: dict[str, Any], header: StreamHeader | None
) -> tuple[Values, dict[str, Any]]:
    """Decode a one-frame image with the first plug-in that accepts it."""
    failure: Exception = NotImplementedError()
    for plugin in _plugins(file, header):
        try:
            return file.decoder.as_array(item, index=0, raw=False, decoding_plugin=plugin, **options)
        except MemoryError:
            raise
        except Exception as error:  # noqa: BLE001 - a plug-in that refuses a frame may raise any exception
            failure = error
    raise failure


def _plugins(file: DicomFile, header: StreamHeader | None) -> tuple[str, ...]:
    syntax = file.decoder.UID
    available = file.decoder.available_plugins
    if syntax == uid.JPEGExtended12Bit and (header is None or header.precision > 8):
        return _TWELVE_BIT_JPEG
    chosen = _PLUGINS.get(syntax, available)
    return tuple(name for name in chosen if name in available and name != _UNSAFE_PLUGIN)


def _decode_failed(file: DicomFile, index: int, error: Exception) -> MedrovError:
    name = error.name if isinstance(error, IsolatedError) else type(error).__name__
    if index == 0 and name in ("AttributeError", "KeyError"):
        return bad_metadata("an element that describes the pixel data is missing")
    return MedrovError(
        ErrorCode.DECODE_FAILED,
        f"Frame {index + 1} of {file.frames} could not be decoded "
        f"(transfer syntax {file.decoder.UID.name}; {name}).",
        "The pixel data is corrupt or breaks its transfer syntax: export it again, preferably uncompressed.",
    )
