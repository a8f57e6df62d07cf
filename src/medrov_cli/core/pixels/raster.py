"""Reader of PNG, JPEG, WebP, AVIF, HEIC, BMP and GIF.

Pixels are read as stored, so that boxes refer to the pixel grid of the file: an EXIF orientation is not
applied, with a warning. An alpha channel is removed. Eight-bit images keep their values; 16-bit PNGs are
scaled between percentiles of their values. Of an animation of 16 bits the first frame
is read, with a warning.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import ExitStack
from io import BytesIO

from medrov_cli.core.base.constants import InputLimits
from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.pixels.budget import read_whole, require_plausible, reserve
from medrov_cli.core.pixels.channels import WINDOW_WARNING, count_images, render_all
from medrov_cli.core.pixels.deep_raster import decode_deep, deep_size
from medrov_cli.core.pixels.greyscale import Values
from medrov_cli.core.pixels.image_size import check_size, check_total
from medrov_cli.core.pixels.isolated_stream import open_stream
from medrov_cli.core.pixels.isolation import decode_isolated
from medrov_cli.core.pixels.jpeg import decode_whole
from medrov_cli.core.pixels.pillow_images import decode_frame, exif_warnings, image_warnings, open_image
from medrov_cli.core.pixels.png import is_animated, needed_chunks, read_chunks
from medrov_cli.core.pixels.protocol import ImageReader
from medrov_cli.core.pixels.quiet import silence_python
from medrov_cli.core.pixels.sniff import HEAD_BYTES, Kind, sniff_head
from medrov_cli.core.pixels.webp_header import WebpHeader, read_webp_header
from medrov_cli.core.records.frame import Frame, Window
from medrov_cli.core.settings.io_groups import ReadSettings
from medrov_cli.core.settings.window import WindowKind, WindowSpec

ANIMATION_WARNING = "Only the first frame of the animation was read, because it has 16 bits per channel."

_ONE_BYTE_MODES = frozenset({"1", "L", "P"})
_GREY_MODES = frozenset({"1", "L"})
_CODEC_BYTES = 8
"""Bytes per pixel inside the decoders of WebP, AVIF and HEIC, and in the copy that they return."""

_ISOLATED_KINDS = frozenset({Kind.WEBP, Kind.AVIF, Kind.HEIC})
"""Kinds that are decoded in another process."""

_CODEC_KINDS = _ISOLATED_KINDS | {Kind.GIF}
_KINDS = _ISOLATED_KINDS | {Kind.PNG, Kind.JPEG, Kind.BMP, Kind.GIF}


def read_raster(path: str, options: ReadSettings) -> Iterator[Frame]:
    """Yield the image of a file, or each frame of an animated one.

    Raises
    ------
    MedrovError
        ``too_large`` by the size in the header, before decoding; ``truncated``; ``decode_failed``.
    """
    silence_python()
    data = read_whole(path)
    file_bytes = len(data)
    kind = _kind_of(data)
    if _ends_early(kind, data):
        raise EOFError
    notes: tuple[str, ...] = ()
    if kind is Kind.PNG:
        data, notes = needed_chunks(data)
    deep = deep_size(kind, data, options.limits)
    if deep is not None:
        notes += _png_notes(data) if kind is Kind.PNG else ()
        require_plausible(deep.height * deep.width, file_bytes)
        with reserve(deep.need_bytes):
            values = decode_deep(kind, data)
            yield from _value_frames(path, values, kind is Kind.PNG, options.window, notes)
        return
    if kind in _ISOLATED_KINDS:
        yield from _isolated_frames(path, kind, data, options)
        return
    with open_image(kind, data) as image:
        check_size(image.height, image.width, options.limits)
        require_plausible(image.height * image.width, file_bytes)
        with reserve(_need_bytes((image.height, image.width), image.mode, kind)):
            count = int(getattr(image, "n_frames", 1))
            _check_frames(count, (image.height, image.width), options.limits, file_bytes)
            for index in range(count):
                whole = decode_whole(data) if _is_plain_jpeg(kind, image.mode) else None
                pixels = decode_frame(image, index) if whole is None else whole
                warnings = (*notes, *image_warnings(image), *_window_warnings(options.window))
                is_grey = image.mode in _GREY_MODES
                yield Frame(
                    pixels, path, index, count, window=Window("none"), warnings=warnings, is_grey=is_grey
                )


def _png_notes(data: bytes) -> tuple[str, ...]:
    """Return warnings about what is not applied to a PNG file of 16 bits: its orientation, its animation."""
    chunks = read_chunks(BytesIO(data), (b"eXIf", b"acTL"))
    return (*exif_warnings(chunks.get(b"eXIf", b"")), *((ANIMATION_WARNING,) if is_animated(chunks) else ()))


def _is_plain_jpeg(kind: Kind, mode: str) -> bool:
    return kind is Kind.JPEG and mode in ("L", "RGB")


def _isolated_frames(path: str, kind: Kind, data: bytes, options: ReadSettings) -> Iterator[Frame]:
    """Yield the frames of a file whose header and pixels are read in a decoder process."""
    canvas = read_webp_header(data) if kind is Kind.WEBP else WebpHeader()
    check_size(max(canvas.height, 1), max(canvas.width, 1), options.limits)
    require_plausible(canvas.height * canvas.width, len(data))
    if canvas.height and canvas.width and not canvas.is_animated:
        yield _still_webp(path, data, canvas, options.window)
        return
    opening_bytes = canvas.height * canvas.width * _CODEC_BYTES
    with ExitStack() as held:
        with open_stream("images", data, opening_bytes, kind=kind.value) as stream:
            stated = stream.head
            size_hw = int(stated["height"]), int(stated["width"])
            count = int(stated["count"])
            check_size(*size_hw, options.limits)
            require_plausible(size_hw[0] * size_hw[1], len(data))
            need_bytes = _need_bytes(size_hw, str(stated["mode"]), kind)
            held.enter_context(reserve(need_bytes))
            _check_frames(count, size_hw, options.limits, len(data))
            for index in range(count):
                decoded = stream.next(need_bytes, 3 * size_hw[0] * size_hw[1])
                if decoded is None:
                    raise EOFError
                warnings = (*decoded.extra["warnings"], *_window_warnings(options.window))
                frame = Frame(decoded.values, path, index, count, window=Window("none"), warnings=warnings)
                if index < count - 1:
                    yield frame
        if count:  # the process is free before the last frame: a caller may not ask for the end
            yield frame


def _still_webp(path: str, data: bytes, header: WebpHeader, spec: WindowSpec) -> Frame:
    """Return the image of a file by one request, since its header is read here."""
    size_hw = header.height, header.width
    need_bytes = _need_bytes(size_hw, "RGBA" if header.has_alpha else "RGB", Kind.WEBP)
    with reserve(need_bytes):
        decoded = decode_isolated(
            "image", data, need_bytes, 3 * size_hw[0] * size_hw[1], kind=Kind.WEBP.value
        )
        warnings = (*decoded.extra["warnings"], *_window_warnings(spec))
        return Frame(decoded.values, path, 0, 1, window=Window("none"), warnings=warnings)


def _check_frames(count: int, size_hw: tuple[int, int], limits: InputLimits, file_bytes: int) -> None:
    """Check the number of frames of an animation, and that of all their pixels."""
    if count > limits.frames:
        raise MedrovError(
            ErrorCode.TOO_LARGE,
            f"The file has {count} frames; the limit is {limits.frames}.",
            "Split the animation.",
        )
    pixels = count * size_hw[0] * size_hw[1]
    check_total(3 * pixels, file_bytes, limits)
    require_plausible(pixels, file_bytes)


def _need_bytes(size_hw: tuple[int, int], mode: str, kind: Kind) -> int:
    """Return what decoding of one frame allocates: the image, its conversion, and two copies as bytes."""
    stored = 1 if mode in _ONE_BYTE_MODES else 4
    converted = 0 if mode == "RGB" else 4
    codec = _CODEC_BYTES if kind in _CODEC_KINDS else 0
    return size_hw[0] * size_hw[1] * (stored + converted + codec + 6)


def _window_warnings(spec: WindowSpec) -> tuple[str, ...]:
    return () if spec.kind is WindowKind.AUTO else (WINDOW_WARNING,)


def _kind_of(data: bytes) -> Kind:
    """Return the kind of a file by its content.

    Raises
    ------
    MedrovError
        ``unsupported_format``.
    """
    kind = sniff_head(data[:HEAD_BYTES])
    if kind is None or kind not in _KINDS:
        raise MedrovError(
            ErrorCode.UNSUPPORTED_FORMAT, "The content is no known image format.", "Export the file again."
        )
    return kind


def _ends_early(kind: Kind, data: bytes) -> bool:
    """Return whether the file is below the size that it states."""
    return kind is Kind.WEBP and struct.unpack("<I", data[4:8])[0] + 8 > len(data)


def _value_frames(
    path: str, values: Values, has_alpha: bool, spec: WindowSpec, notes: tuple[str, ...]
) -> Iterator[Frame]:
    channels = values.shape[2] if values.ndim == 3 else 1
    colors = 3 if channels >= 3 else 1
    is_alpha = [has_alpha] * (channels - colors)
    count = count_images(colors, is_alpha)
    for index, (pixels, window, warnings) in enumerate(render_all(values, colors, is_alpha, spec)):
        yield Frame(pixels, path, index, count, window=window, warnings=(*notes, *warnings))


READER: ImageReader = read_raster
