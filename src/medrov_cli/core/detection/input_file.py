"""Inputs of ``detect`` as sources of a predictor."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from medrov_cli.core.pixels.inputs import Input
from medrov_cli.core.pixels.read import read_frames
from medrov_cli.core.records.detect_json import item_to_record
from medrov_cli.core.records.detections import Detections, Failure
from medrov_cli.core.records.frame import Frame, UInt8Array
from medrov_cli.core.settings.choices import Phi
from medrov_cli.core.settings.detect import DetectSettings
from medrov_cli.core.settings.io_groups import ReadSettings

THUMBNAIL_PX = 2048
"""Longer side of the overlay of an image that is read by regions."""


@dataclass(frozen=True, slots=True)
class InputFile:
    """Input file, from one of its frames on; a :class:`medrov_cli.core.records.frame.ImageSource`.

    Attributes
    ----------
    path
        Path as it was given.
    options
        Options of reading: window, slicing axis and limits.
    phi
        Identifiers that may leave the program.
    first_frame
        Number of the first frame that is yielded.
    series
        Paths of all files of its DICOM series.
    warnings
        Warnings about the file among the others.
    """

    path: str
    options: ReadSettings
    phi: Phi
    first_frame: int = 0
    series: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    def frames(self) -> Iterator[Frame]:
        """Yield the frames."""
        for frame in read_frames(self.path, self.options, series=self.series):
            if frame.index >= self.first_frame:
                identifiers = None if frame.identifiers is None else frame.identifiers.limit_to(self.phi)
                warnings = (*self.warnings, *frame.warnings)
                yield replace(frame, path=self.path, identifiers=identifiers, warnings=warnings)


def picture_of(frame: Frame) -> UInt8Array:
    """Return the pixels of a frame; of one that is read by regions, a thumbnail."""
    if frame.regions is None:
        return frame.pixels_rgb
    scale = min(1.0, THUMBNAIL_PX / max(frame.height, frame.width))
    size_hw = max(1, round(frame.height * scale)), max(1, round(frame.width * scale))
    return frame.read_region((0, 0, frame.width, frame.height), size_hw)


def to_sources(config: DetectSettings, inputs: Iterable[Input], first_frame: int = 0) -> Iterator[InputFile]:
    """Yield the sources of inputs, the first from one of its frames on."""
    options = replace(config.read, patient=config.phi is Phi.KEEP, by_region=True)
    for number, item in enumerate(inputs):
        start = 0 if number else first_frame
        yield InputFile(item.path, options, config.phi, start, item.series, item.warnings)


def to_record(item: Detections | Failure, *, timings: bool) -> dict[str, Any]:
    """Return the record of an item, without its time unless that is wanted."""
    if isinstance(item, Detections) and not timings:
        item = replace(item, elapsed_ms=None)
    return item_to_record(item)
