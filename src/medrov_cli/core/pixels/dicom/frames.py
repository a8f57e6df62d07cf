"""Reader of DICOM images as frames of 8-bit RGB."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from medrov_cli.core.base.constants import InputLimits
from medrov_cli.core.base.errors import ErrorCode, MedrovError, contradiction
from medrov_cli.core.pixels.dicom.color import palette_to_rgb, rgb_to_uint8
from medrov_cli.core.pixels.dicom.decode import decoded_frames
from medrov_cli.core.pixels.dicom.file import DicomFile, bad_metadata, open_dicom
from medrov_cli.core.pixels.dicom.header import identifiers_of, modality_of, pixel_spacing_of
from medrov_cli.core.pixels.dicom.scale import grey_scale
from medrov_cli.core.pixels.greyscale import Values, to_rgb
from medrov_cli.core.pixels.quiet import silence_python
from medrov_cli.core.records.frame import Frame, UInt8Array, Window
from medrov_cli.core.settings.window import WindowKind, WindowSpec

COLOR_WINDOW_WARNING = "A window does not apply to a colour image and was ignored."
COLORSPACE_WARNING = (
    "The colour space in the header contradicts the compressed image; that of the image was used."
)
SUPPLEMENTAL_WARNING = "The colour overlay of the image (supplemental palette) was left out."

_MONOCHROME = ("MONOCHROME1", "MONOCHROME2")
_J2K_COLORS = ("YBR_ICT", "YBR_RCT")
_FULL_COLORS = ("YBR_FULL", "YBR_FULL_422")


def read_dicom(path: str, spec: WindowSpec, limits: InputLimits, *, patient: bool = False) -> Iterator[Frame]:
    """Yield the frames of a DICOM image.

    The order is that of the standard: stored value, modality LUT or rescale, VOI LUT or
    window, MONOCHROME1 inversion last, 8 bit (PS3.4, N.2.1). Overlays and presentation
    states are not applied. In enhanced multi-frame objects rescale, window and spacing come from
    the functional groups of each frame.

    Raises
    ------
    MedrovError
        Any input code; see `file.open_dicom` for checks before decoding.
    """
    silence_python()
    with open(path, "rb") as raw:  # noqa: PTH123 - the path is used unchanged
        file = open_dicom(raw, limits)
        for index, (stored, photometric) in enumerate(decoded_frames(file)):
            frame = _frame(path, file, index, stored, photometric, spec)
            yield replace(frame, identifiers=identifiers_of(file.header, patient=patient))


def _frame(
    path: str, file: DicomFile, index: int, stored: Values, photometric: str, spec: WindowSpec
) -> Frame:
    header = file.header
    spacing_mm, spacing_warning = pixel_spacing_of(header, index)
    pixels, window, warnings = _render(file, index, stored, photometric, spec)
    if header.get("PixelPresentation") in ("COLOR", "MIXED") and photometric in _MONOCHROME:
        warnings += (SUPPLEMENTAL_WARNING,)
    return Frame(
        pixels_rgb=pixels,
        path=path,
        index=index,
        frame_count=file.frames,
        modality=modality_of(header),
        window=window,
        pixel_spacing_mm=spacing_mm,
        warnings=(*file.warnings, *warnings, *([spacing_warning] if spacing_warning else [])),
    )


def _render(
    file: DicomFile, index: int, stored: Values, photometric: str, spec: WindowSpec
) -> tuple[UInt8Array, Window, tuple[str, ...]]:
    if photometric in _MONOCHROME and stored.ndim == 2:
        scale = grey_scale(file, index)
        grey, window, warnings = scale.render(stored, spec)
        if photometric == "MONOCHROME1":
            grey = 255 - grey
        return to_rgb(grey), window, (*scale.warnings, *warnings)
    pixels = _color(file, stored, photometric)
    warnings = _colorspace_warnings(file, photometric)
    if spec.kind is not WindowKind.AUTO:
        warnings = (*warnings, COLOR_WINDOW_WARNING)
    return pixels, Window("none"), warnings


def _color(file: DicomFile, stored: Values, photometric: str) -> UInt8Array:
    options: Any = file.options
    if photometric == "PALETTE COLOR" and stored.ndim == 2:
        return palette_to_rgb(stored, file.header, bool(file.header.original_encoding[1]))
    if photometric == "RGB" and stored.ndim == 3:
        return rgb_to_uint8(stored, int(options["bits_stored"]))
    if photometric in (*_MONOCHROME, "PALETTE COLOR", "RGB"):
        raise bad_metadata(contradiction("Photometric Interpretation", "Samples per Pixel"))
    raise MedrovError(
        ErrorCode.UNSUPPORTED_FORMAT,
        "The photometric interpretation of the image is a retired or unknown one.",
        "Export the image as RGB or MONOCHROME2.",
    )


def _colorspace_warnings(file: DicomFile, photometric: str) -> tuple[str, ...]:
    declared = str(file.options.get("photometric_interpretation"))
    converted = photometric == "RGB" and declared in (*_FULL_COLORS, *_J2K_COLORS)
    return () if converted or declared == photometric else (COLORSPACE_WARNING,)
