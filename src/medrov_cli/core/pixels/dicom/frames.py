"""Reader of DICOM images as frames of 8-bit RGB."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import BinaryIO

import pydicom

from medrov_cli.core.base.constants import InputLimits
from medrov_cli.core.pixels.budget import reserve
from medrov_cli.core.pixels.dicom.color import color_to_rgb
from medrov_cli.core.pixels.dicom.decode import StoredFrame, decoded_frames
from medrov_cli.core.pixels.dicom.elements import repair_warnings
from medrov_cli.core.pixels.dicom.file import DicomFile, open_dicom
from medrov_cli.core.pixels.dicom.frame_memory import frame_bytes
from medrov_cli.core.pixels.dicom.grey import ValueStatistics
from medrov_cli.core.pixels.dicom.header import identifiers_of, modality_of
from medrov_cli.core.pixels.dicom.scale import grey_scale
from medrov_cli.core.pixels.dicom.series_values import series_statistics
from medrov_cli.core.pixels.dicom.slide_class import is_slide
from medrov_cli.core.pixels.dicom.spacing import frame_spacing
from medrov_cli.core.pixels.greyscale import to_rgb
from medrov_cli.core.pixels.protocol import StudyReader
from medrov_cli.core.pixels.quiet import silence_python
from medrov_cli.core.pixels.slides.dicom_slide import read_slide
from medrov_cli.core.records.frame import Frame, UInt8Array, Window
from medrov_cli.core.settings.choices import ModalitySource
from medrov_cli.core.settings.io_groups import ReadSettings
from medrov_cli.core.settings.window import WindowKind, WindowSpec

COLOR_WINDOW_WARNING = "A window does not apply to a colour image and was ignored."
SUPPLEMENTAL_WARNING = "The colour overlay of the image (supplemental palette) was left out."

_MONOCHROME = ("MONOCHROME1", "MONOCHROME2")


def read_dicom(
    path: str,
    file: BinaryIO,
    spec: WindowSpec,
    limits: InputLimits,
    *,
    patient: bool = False,
    series: Sequence[str] = (),
) -> Iterator[Frame]:
    """Yield the frames of a DICOM image.

    The order is that of the standard: stored value, modality LUT or rescale, VOI LUT or
    window, MONOCHROME1 inversion last, 8 bit (PS3.4, N.2.1). Overlays and presentation
    states are not applied. In enhanced multi-frame objects rescale, window and spacing come from
    the functional groups of each frame.

    Parameters
    ----------
    path
        Becomes `Frame.path`.
    file
        The opened file.
    spec, limits
        Window and limits.
    patient
        Whether identifiers contain the patient's.
    series
        Paths of all files of the series, whose values give one grey range.

    Raises
    ------
    MedrovError
        Any input code; see `file.open_dicom` for checks before decoding.
    """
    silence_python()
    opened = open_dicom(file, limits)
    notes = repair_warnings(_number_datasets(opened))
    with reserve(frame_bytes(opened)):
        volume = _volume(path, opened, spec, series, limits)
        for index, stored in enumerate(decoded_frames(opened)):
            frame = _frame(path, opened, index, stored, spec, volume)
            identifiers = identifiers_of(opened.header, patient=patient)
            warnings = tuple(dict.fromkeys((*frame.warnings, *notes)))
            yield replace(frame, identifiers=identifiers, warnings=warnings)


def _number_datasets(file: DicomFile) -> Iterator[pydicom.Dataset]:
    """Yield the header and the items of its functional groups."""
    yield file.header
    for keyword in ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"):
        for group in file.header.get(keyword) or ():
            for name in ("PixelValueTransformationSequence", "FrameVOILUTSequence", "PixelMeasuresSequence"):
                yield from group.get(name) or ()


def _volume(
    path: str, file: DicomFile, spec: WindowSpec, series: Sequence[str], limits: InputLimits
) -> ValueStatistics | None:
    """Return the statistics of the series if the window depends on them and it has several frames."""
    photometric = file.options.get("photometric_interpretation")
    is_fixed = spec.kind is WindowKind.CUSTOM or photometric not in _MONOCHROME
    if is_fixed or (len(series) < 2 and file.frames < 2) or not grey_scale(file, 0).uses_statistics:
        return None
    return series_statistics(tuple(series) or (path,), limits)


def _frame(
    path: str,
    file: DicomFile,
    index: int,
    stored: StoredFrame,
    spec: WindowSpec,
    volume: ValueStatistics | None,
) -> Frame:
    header = file.header
    modality = modality_of(header)
    spacing = frame_spacing(header, index)
    pixels, window, warnings = _render(file, index, stored, spec, volume)
    if header.get("PixelPresentation") in ("COLOR", "MIXED") and stored.photometric in _MONOCHROME:
        warnings += (SUPPLEMENTAL_WARNING,)
    return Frame(
        pixels_rgb=pixels,
        path=path,
        index=index,
        frame_count=file.frames,
        modality=modality,
        modality_source=None if modality is None else ModalitySource.DICOM,
        window=window,
        pixel_spacing_mm=spacing.spacing_mm,
        spacing_regions=spacing.regions,
        warnings=(*file.warnings, *stored.warnings, *warnings, *spacing.warnings),
        is_grey=_is_grey(stored),
    )


def _is_grey(stored: StoredFrame) -> bool:
    return stored.photometric in _MONOCHROME and stored.values.ndim == 2


def _render(
    file: DicomFile, index: int, stored: StoredFrame, spec: WindowSpec, volume: ValueStatistics | None
) -> tuple[UInt8Array, Window, tuple[str, ...]]:
    if _is_grey(stored):
        scale = grey_scale(file, index)
        grey, window, warnings = scale.render(stored.values, spec, volume)
        if stored.photometric == "MONOCHROME1":
            grey = 255 - grey
        return to_rgb(grey), window, (*scale.warnings, *warnings)
    pixels, warnings = color_to_rgb(file, stored.values, stored.photometric)
    if spec.kind is not WindowKind.AUTO:
        warnings = (*warnings, COLOR_WINDOW_WARNING)
    return pixels, Window("none"), warnings


def _read_frames(path: str, file: BinaryIO, options: ReadSettings, series: Sequence[str]) -> Iterator[Frame]:
    if is_slide(file, options.limits):
        return read_slide(path, file, options, series)
    return read_dicom(path, file, options.window, options.limits, patient=options.patient, series=series)


READER: StudyReader = _read_frames
