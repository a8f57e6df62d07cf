"""Annotated regions of slides as samples: a source of a dataset whose images are slides.

The source's entry in the dataset yaml has the key ``slides``, ``geojson`` or ``ann``: the format of the
annotations. Its folder has the annotations and, unless ``images`` names another one, the slides.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.base.text_files import escaped
from medrov_cli.core.datasets.cases import local_case
from medrov_cli.core.datasets.class_rules import is_object_name
from medrov_cli.core.datasets.pixel_sizes import mpp_of_entry
from medrov_cli.core.datasets.slides.objects import Rings, SlideObjects, are_inside, box_ring
from medrov_cli.core.datasets.slides.pairs import PAIRS, AnnotatedSlide
from medrov_cli.core.datasets.sources import Sample, Source, invalid
from medrov_cli.core.datasets.split_names import split_named
from medrov_cli.core.pixels.read import read_frames
from medrov_cli.core.records.boxes import box_areas
from medrov_cli.core.records.detections import Detections
from medrov_cli.core.records.frame import Frame, UInt8Array
from medrov_cli.core.settings.choices import SPLITS, Modality, Split
from medrov_cli.core.settings.io_groups import ReadSettings
from medrov_cli.core.settings.tile_groups import TileJob, TileSettings

REGION_NAME = "Region*"
"""Class of QuPath for regions of interest."""

LARGEST_PICTURE_PX = 64_000_000
"""Largest region that is decoded whole, for pictures of the report."""

Box = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True, eq=False)
class RegionSample(Sample):
    """Annotated region of a slide; boxes, height and width are those of its outer box.

    Objects count by their centres: others that reach into the outer box are crowds, which score nothing.

    Attributes
    ----------
    slide
        File of the slide.
    place_xyxy
        Outer box in pixels of the slide.
    outline
        The region in pixels of the slide.
    """

    slide: Path = Path()
    place_xyxy: Box = (0, 0, 0, 0)
    outline: Rings = ()

    def frames(self) -> Iterator[Frame]:
        """Yield the slide with its region."""
        frame = replace(_open(self.slide), path=self.path, search_xyxy=self.place_xyxy)
        if frame.pixel_spacing_mm is None and self.mpp is not None:
            frame = replace(frame, pixel_spacing_mm=(self.mpp / 1000, self.mpp / 1000))
        yield frame

    def read_pixels(self) -> UInt8Array:
        """Return the outer box of the region, uint8, (height, width, 3).

        Raises
        ------
        MedrovError
            ``TOO_LARGE``, or an input code.
        """
        if self.height * self.width > LARGEST_PICTURE_PX:
            raise MedrovError(
                ErrorCode.TOO_LARGE, "The region is too large for a picture.", "Draw smaller regions."
            )
        return _open(self.slide).read_region(self.place_xyxy, (self.height, self.width))

    def localize(self, detections: Detections) -> Detections:
        """Return the detections whose centre is inside the region, in pixels of its outer box."""
        boxes = detections.boxes_xyxy
        inside = np.flatnonzero(are_inside((boxes[:, :2] + boxes[:, 2:]) / 2, self.outline))
        own = detections.subset(inside)
        return replace(own, boxes_xyxy=own.boxes_xyxy - np.tile(self.place_xyxy[:2], 2))


def has_regions(samples: Sequence[Sample]) -> bool:
    """Return whether there are regions of slides among samples."""
    return any(isinstance(sample, RegionSample) for sample in samples)


def tiles_of(samples: Sequence[Sample]) -> TileJob | None:
    """Return the settings of tiles for samples with regions of slides; null: all are searched whole."""
    return TileJob(settings=TileSettings()) if has_regions(samples) else None


def read_slide_source(
    base: Path, settings: dict[str, Any], source_id: int, classes: list[str]
) -> tuple[Source, dict[Split, list[Sample]]]:
    """Return a source of slides and its regions by split; append its new classes to ``classes``.

    Raises
    ------
    MedrovError
        ``DATASET_INVALID``.
    """
    folder = base / str(settings.get("path", ""))
    images = base / str(settings["images"]) if "images" in settings else folder
    name = str(settings.get("name") or escaped(folder.name))
    reader = PAIRS.get(str(settings["slides"]))
    if reader is None:
        raise invalid(
            f"source {name!r}: 'slides' is not geojson or ann", "Name the format of its annotations."
        )
    split, mpp = settings.get("split", "test"), mpp_of_entry(name, settings.get("mpp"))
    if split not in SPLITS:
        raise invalid(f"source {name!r}: unknown split {split!r}", "Write train, val or test.")
    try:
        modality = Modality.parse(str(settings.get("modality")))
    except ValueError as error:
        raise invalid(f"source {name!r}: {error}", "Add 'modality: histopathology' to it.") from error
    region_names = {str(settings.get("regions", REGION_NAME)).casefold()}
    rows: dict[str, int] = {}
    samples: dict[Split, list[Sample]] = {one: [] for one in SPLITS}
    number = 0
    for annotated in _list(folder, images, reader):
        objects, frame = _read(annotated, region_names)
        for own in objects.names:
            if own not in classes:
                classes.append(own)
            rows[own] = classes.index(own)
        labels = np.array([rows[own] for own in objects.names], dtype=np.int64)
        slide = annotated.slide or Path()
        case = annotated.case or local_case(name, PurePosixPath(annotated.file).stem)
        whole = (box_ring((0, 0, frame.width, frame.height)),)
        for outline in objects.regions or (whole,):
            number += 1
            sample = _sample(objects, labels, outline, frame)
            place = sample.place_xyxy
            text = ",".join(map(str, (place[0], place[1], place[2] - place[0], place[3] - place[1])))
            sample = replace(
                sample,
                source_id=source_id,
                image_id=number,
                image_path=slide.with_name(f"{slide.name}#{text}"),
                case=case,
                slide=slide,
                mpp=mpp,
            )
            samples[split_named(PurePosixPath(annotated.file).parent.name) or split].append(sample)
    licence = str(settings.get("licence", "unstated"))
    source = Source(name, folder, images, modality, tuple(sorted(rows.values())), licence, rows)
    return source, samples


def _list(folder: Path, images: Path, reader: Any) -> tuple[AnnotatedSlide, ...]:
    try:
        found: tuple[AnnotatedSlide, ...] = reader(folder, images).slides
    except MedrovError as error:
        raise invalid(error.message, error.hint) from error
    return found


def _read(annotated: AnnotatedSlide, region_names: set[str]) -> tuple[SlideObjects, Frame]:
    """Return the objects of a slide without those of other regions, and the slide."""
    try:
        objects = annotated.read(region_names)
        frame = _open(annotated.slide or Path())
        objects.require_inside(frame.width, frame.height)
    except MedrovError as error:
        raise invalid(f"{annotated.file}: {error.message}", error.hint) from error
    rows = [row for row, name in enumerate(objects.names) if is_object_name(name)]
    kept = tuple(objects.names[row] for row in rows)
    return replace(objects, boxes_xyxy=objects.boxes_xyxy[rows], names=kept), frame


def _open(slide: Path) -> Frame:
    return next(iter(read_frames(str(slide), ReadSettings(by_region=True))))


def _sample(objects: SlideObjects, labels: np.ndarray, outline: Rings, frame: Frame) -> RegionSample:
    """Return a region with its objects."""
    corners = np.concatenate(outline)
    size = (frame.width, frame.height)
    low = np.clip(np.floor(corners.min(0)), 0, np.subtract(size, 1)).astype(int)
    high = np.minimum(np.maximum(np.ceil(corners.max(0)), low + 1), size).astype(int)
    boxes = objects.boxes_xyxy
    inside = are_inside((boxes[:, :2] + boxes[:, 2:]) / 2, outline)
    reaches = ((boxes[:, :2] < high) & (boxes[:, 2:] > low)).all(1) & ~inside
    local = (boxes - np.tile(low, 2)).astype(np.float64)
    return RegionSample(
        source_id=0,
        image_id=0,
        image_path=Path(),
        height=int(high[1] - low[1]),
        width=int(high[0] - low[0]),
        boxes_xyxy=local[inside],
        labels=labels[inside],
        case=None,
        areas=box_areas(local[inside]).astype(np.float64),
        crowd_xyxy=local[reaches],
        crowd_labels=labels[reaches],
        place_xyxy=(int(low[0]), int(low[1]), int(high[0]), int(high[1])),
        outline=outline,
    )
