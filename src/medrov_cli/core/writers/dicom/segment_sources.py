"""Source images of segmentations, with their geometry where highdicom takes it from.

highdicom decides by the SOP class of an image which elements it has, and raises where a header differs: XA,
NM, fundus or enhanced images with one frame, orientations that differ in the last digit. Here an image with
one frame is given to it as a Secondary Capture image, and one with several frames as an Enhanced CT image,
each with the geometry that its header states in either form. The references get the real classes afterwards
(:mod:`.unlisted_classes`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from pydicom.dataset import Dataset
from pydicom.uid import EnhancedCTImageStorage, SecondaryCaptureImageStorage
from pydicom.valuerep import DSfloat

from medrov_cli.core.pixels.dicom.elements import numbers
from medrov_cli.core.pixels.dicom.header import functional_group
from medrov_cli.core.pixels.dicom.slice_geometry import placed_slice
from medrov_cli.core.records.slice_plane import SlicePlane
from medrov_cli.core.writers.dicom.plain_items import plain_item
from medrov_cli.core.writers.dicom.source_studies import SourceInstance, SourceStudy

MULTI_FRAME = (
    "a segmentation cannot refer to a multi-frame image without a frame of reference, or without functional "
    "groups of its planes"
)
MIXED_PLANES = (
    "a segmentation cannot refer to a multi-frame image whose frames differ in orientation or spacing"
)
SAME_PLANES = "a segmentation cannot refer to a multi-frame image with several frames at one position"
NO_THICKNESS = "its header has no slice thickness, and it is the only slice of its series"

_SAME_DIRECTION = 2e-3
"""Difference of direction cosines that are equal, rounded to three decimals: 0.4 mm at 200 mm."""
_SAME_SPACING = 1e-3
"""Relative difference of spacings that are equal, rounded or measured: half a pixel in 500."""
_SAME_PLACE_DECIMALS = 6
"""Decimals of equal positions along the normal, in mm: highdicom drops all planes but one at a position."""

_GROUPS = {
    "ImagePositionPatient": "PlanePositionSequence",
    "ImageOrientationPatient": "PlaneOrientationSequence",
    "PixelSpacing": "PixelMeasuresSequence",
    "SliceThickness": "PixelMeasuresSequence",
    "SpacingBetweenSlices": "PixelMeasuresSequence",
}
"""Functional groups of the geometry of a frame."""

_GEOMETRY = frozenset(
    {*_GROUPS, "FrameOfReferenceUID", "NumberOfFrames", "ImageOrientationSlide"}
    | {"ImageCenterPointCoordinatesSequence", "SharedFunctionalGroupsSequence"}
    | {"PerFrameFunctionalGroupsSequence"}
)
"""Elements of which highdicom takes the geometry, in all forms."""


@dataclass(slots=True, eq=False)
class SegmentPlace:
    """What the images of one segmentation share: series, size, frame of reference, orientation and spacing.

    An image with several frames, and one without a place in the patient, has a place of its own.

    Attributes
    ----------
    first
        First of the images. The segmentation has its orientation and spacing.
    planes
        Plane of each of its frames; empty: no place in the patient.
    positions_mm
        Position of each image with one frame along the normal, by SOP Instance UID; without a place, none.
    step_mm
        Median step of the positions; null for one position.
    """

    first: SourceInstance
    planes: tuple[SlicePlane, ...] = ()
    positions_mm: dict[str, float] = field(default_factory=dict)
    step_mm: float | None = None

    def has(self, instance: SourceInstance, plane: SlicePlane) -> bool:
        """Return whether an image with one frame has this place."""
        keywords = ("SeriesInstanceUID", "Rows", "Columns", "FrameOfReferenceUID")
        headers = (self.first.header, instance.header)
        is_equal = all(headers[0].get(name) == headers[1].get(name) for name in keywords)
        return is_equal and _is_parallel(self.planes[0], plane)

    def add(self, instance: SourceInstance, plane: SlicePlane) -> None:
        """Add an image with one frame."""
        self.positions_mm[instance.uid] = _position_mm(self.planes[0], plane)

    def thickness_mm(self, instance: SourceInstance) -> float | None:
        """Return the slice thickness: that of the image, else the median step; null if unknown."""
        return _length(instance, "SliceThickness") or self.step_mm

    def source_image(self, instance: SourceInstance, header: Dataset) -> Dataset:
        """Return an image of this place as highdicom takes it.

        Parameters
        ----------
        instance
            The image.
        header
            Its header, for the first image of a segmentation with the modules of patient and study.
        """
        found = Dataset()
        found.update({element.tag: element for element in header if element.keyword not in _GEOMETRY})
        found.SOPClassUID = SecondaryCaptureImageStorage
        if not self.planes:
            return found
        measures, axes = self._measures(instance), _decimals(_group(self.first, 0, "ImageOrientationPatient"))
        positions = [
            _decimals(_group(instance, frame, "ImagePositionPatient")) for frame in range(len(self.planes))
        ]
        found.FrameOfReferenceUID = self.first.header.FrameOfReferenceUID
        if not instance.has_frames:
            found.ImageOrientationPatient, found.ImagePositionPatient = axes, positions[0]
            found.update(measures)
            return found
        found.SOPClassUID = EnhancedCTImageStorage
        found.NumberOfFrames = len(positions)
        orientation = plain_item(ImageOrientationPatient=axes)
        found.SharedFunctionalGroupsSequence = [
            plain_item(PixelMeasuresSequence=[measures], PlaneOrientationSequence=[orientation])
        ]
        found.PerFrameFunctionalGroupsSequence = [
            plain_item(PlanePositionSequence=[plain_item(ImagePositionPatient=own)]) for own in positions
        ]
        return found

    @property
    def spacing_between_mm(self) -> float | None:
        """Return the spacing between slices that the header states; null if none."""
        return _length(self.first, "SpacingBetweenSlices")

    def _measures(self, instance: SourceInstance) -> Dataset:
        """Return the item of a Pixel Measures Sequence."""
        found = plain_item(PixelSpacing=_decimals(_group(self.first, 0, "PixelSpacing")))
        for keyword, value in (
            ("SliceThickness", self.thickness_mm(instance)),
            ("SpacingBetweenSlices", self.spacing_between_mm),
        ):
            if value is not None:
                found.update(plain_item(**{keyword: _decimals([value])[0]}))
        return found


def segment_places(study: SourceStudy) -> tuple[dict[str, SegmentPlace], dict[str, str]]:
    """Return the place of each image by SOP Instance UID.

    Also return the images that no segmentation can refer to, by path, with the reasons.
    """
    places: dict[str, SegmentPlace] = {}
    shared: list[SegmentPlace] = []
    left_out: dict[str, str] = {}
    for instance in study.instances:
        planes = _planes(instance)
        if instance.has_frames:
            reason = _frames_obstacle(planes)
            if reason:
                left_out[instance.path] = reason
                continue
        if instance.has_frames or not planes:
            places[instance.uid] = SegmentPlace(instance, planes)
            continue
        place = next((one for one in shared if one.has(instance, planes[0])), None)
        if place is None:
            place = SegmentPlace(instance, planes)
            shared.append(place)
        place.add(instance, planes[0])
        places[instance.uid] = place
    for place in shared:
        steps = np.diff(sorted(set(place.positions_mm.values())))
        place.step_mm = float(np.median(steps)) if len(steps) else None
    for instance in study.instances:
        place = places.get(instance.uid)
        if place is not None and place.positions_mm and place.thickness_mm(instance) is None:
            left_out[instance.path] = NO_THICKNESS
            del places[instance.uid]
    return places, left_out


def _planes(instance: SourceInstance) -> tuple[SlicePlane, ...]:
    """Return the plane of each frame; none if the image has no place in the patient."""
    header, found = instance.header, list[SlicePlane]()
    if instance.has_frames and "PerFrameFunctionalGroupsSequence" not in header:
        return ()
    for frame in range(int(header.NumberOfFrames) if instance.has_frames else 1):
        placed = placed_slice(header, frame)
        if placed.plane is None or not placed.frame_of_reference_uid:
            return ()
        found.append(placed.plane)
    return tuple(found)


def _frames_obstacle(planes: tuple[SlicePlane, ...]) -> str:
    """Return why no segmentation can refer to an image with several frames; empty if one can."""
    if not planes:
        return MULTI_FRAME
    if not all(_is_parallel(planes[0], plane) for plane in planes):
        return MIXED_PLANES
    positions = {_position_mm(planes[0], plane) for plane in planes}
    return "" if len(positions) == len(planes) else SAME_PLANES


def _is_parallel(one: SlicePlane, other: SlicePlane) -> bool:
    """Return whether two planes have one orientation and one spacing, within rounding."""
    axes, others = (np.array((*plane.right, *plane.down)) for plane in (one, other))
    is_parallel = float(np.abs(axes - others).max()) <= _SAME_DIRECTION
    return is_parallel and np.allclose(one.spacing_mm, other.spacing_mm, rtol=_SAME_SPACING, atol=0)


def _position_mm(first: SlicePlane, plane: SlicePlane) -> float:
    """Return the position of a plane along the normal of another one."""
    return round(float(np.dot(first.normal, plane.origin_mm)), _SAME_PLACE_DECIMALS)


def _group(instance: SourceInstance, frame: int, keyword: str) -> list[float]:
    """Return the numbers of an element of a frame's functional groups or of the header; empty: none."""
    return numbers(functional_group(instance.header, _GROUPS[keyword], frame), keyword)


def _length(instance: SourceInstance, keyword: str) -> float | None:
    """Return a length in mm of the functional groups or of the header; null if it is not positive."""
    found = set(_group(instance, 0, keyword))
    return found.pop() if len(found) == 1 and min(found) > 0 else None


def _decimals(values: Iterable[float]) -> list[DSfloat]:
    """Return numbers as decimal strings of at most 16 characters."""
    return [DSfloat(value, auto_format=True) for value in values]
