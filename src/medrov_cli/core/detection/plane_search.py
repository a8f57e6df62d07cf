"""Search of a volume in other planes than that of its slices, and the vote of all planes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace

import numpy as np

from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.base.progress import Progress
from medrov_cli.core.findings.find import ClassRule, SliceDetections, find_findings
from medrov_cli.core.findings.merge_planes import PlaneFindings, merge_planes
from medrov_cli.core.findings.regular_grid import regular_grid
from medrov_cli.core.findings.stack import SliceStack, arrange_slices
from medrov_cli.core.pixels.cut_frames import CutVolume
from medrov_cli.core.prediction.predictor import Predictor
from medrov_cli.core.records.detections import Failure
from medrov_cli.core.records.finding import Finding, SliceReference, VolumeFindings, VolumeIdentity
from medrov_cli.core.records.plane_cut import PlaneCut, cut_in_plane, nearest_plane
from medrov_cli.core.records.plane_votes import PlanesRefusal, SearchedPlanes
from medrov_cli.core.records.slice_plane import PlacedSlice
from medrov_cli.core.settings.choices import Axis
from medrov_cli.core.settings.io_groups import ReadSettings

_REFUSALS = {
    ErrorCode.TOO_LARGE: PlanesRefusal.TOO_LARGE,
    ErrorCode.UNSUPPORTED_FORMAT: PlanesRefusal.COLOR,
}
REFUSAL_WARNINGS = {
    PlanesRefusal.NOT_LINKED: "--planes: the slices were not linked; other planes were not searched.",
    PlanesRefusal.IN_TIME: "--planes: the frames are a sequence in time; other planes were not searched.",
    PlanesRefusal.MISSING_SLICES: "--planes: slices are missing; other planes were not searched.",
    PlanesRefusal.UNEVEN_STEPS: "--planes: the steps between slices differ; other planes were not searched.",
    PlanesRefusal.TILTED_GANTRY: (
        "--planes: the slices are shifted or turned against each other; other planes were not searched."
    ),
    PlanesRefusal.COLOR: "--planes: the volume is in colour; other planes were not searched.",
    PlanesRefusal.TOO_LARGE: "--planes: the volume exceeds --max-memory; other planes were not searched.",
    PlanesRefusal.UNREADABLE: "--planes: a slice could not be read again; other planes were not searched.",
}
NO_VOLUME_WARNING = "--planes: the image is no slice of a volume."


@dataclass(frozen=True, slots=True)
class LinkedVolume:
    """Volume whose slices were searched and linked.

    Attributes
    ----------
    of_slices
        Findings of its slices.
    stack
        Geometry of the slices.
    size_hw
        Rows and columns of each slice.
    series
        Paths of all files of its DICOM series.
    """

    of_slices: VolumeFindings
    stack: SliceStack
    size_hw: tuple[int, int]
    series: tuple[str, ...]


class PlaneSearch:
    """Search of volumes in several planes, by the open predictor of a run.

    Parameters
    ----------
    predictor
        The predictor.
    planes
        Wanted planes; that of the slices always votes.
    read
        Settings of reading.
    rules
        Rule of each class of the run.
    on_progress
        Called with the number of searched slices of a volume, of all its slices in other planes, and the
        stage.
    """

    def __init__(
        self,
        predictor: Predictor,
        planes: Sequence[Axis],
        read: ReadSettings,
        rules: Mapping[str, ClassRule],
        on_progress: Progress | None,
    ) -> None:
        self._predictor = predictor
        self._wanted = planes
        self._read = read
        self._rules = rules
        self._on_progress = on_progress

    def run(self, linked: LinkedVolume) -> VolumeFindings:
        """Return the findings of all planes; those of the slices alone if the others are refused."""
        found, own_plane = linked.of_slices, nearest_plane(linked.stack.frame)
        grid = regular_grid(linked.stack, linked.size_hw)
        if isinstance(grid, PlanesRefusal):
            return refuse_planes(found, grid, own_plane)
        wanted = [cut_in_plane(grid, plane) for plane in self._wanted if plane != own_plane]
        cuts = [cut for cut in wanted if cut.count > 1]
        source = CutVolume(found.volume.path, found.volume.slices, cuts, self._read, linked.series)
        try:
            slices = self._search(source) if cuts else []
        except MedrovError as error:
            if not error.is_input_error:
                raise
            return refuse_planes(found, _REFUSALS.get(error.code, PlanesRefusal.UNREADABLE), own_plane)
        others = []
        for cut in cuts:
            others.append(PlaneFindings(cut, self._link(cut, slices[: cut.count], found.volume)))
            slices = slices[cut.count :]
        findings = merge_planes(found.findings, others, grid)
        planes = (own_plane, *(cut.plane for cut in cuts))
        spacing_mm, step_mm = (min(grid.spacing_mm), max(grid.spacing_mm)) if cuts else (None, None)
        return replace(found, findings=findings, planes=SearchedPlanes(planes, spacing_mm, step_mm))

    def _search(self, source: CutVolume) -> list[SliceDetections]:
        """Return the detections of each slice of the other planes."""
        total = sum(cut.count for cut in source.cuts)
        slices: list[SliceDetections] = []
        with closing(self._predictor.stream([source], threads=1)) as stream:
            for item in stream:
                if isinstance(item, Failure):
                    raise item.error
                sides = item.boxes_xyxy[:, 2:] - item.boxes_xyxy[:, :2]
                own = item.subset(np.flatnonzero((sides > 0).all(1)))
                slices.append(SliceDetections(own.boxes_xyxy, own.scores, own.class_names))
                if self._on_progress is not None:
                    self._on_progress(len(slices), total, "planes")
        return slices

    def _link(
        self, cut: PlaneCut, slices: Sequence[SliceDetections], volume: VolumeIdentity
    ) -> Sequence[Finding]:
        (stack,) = arrange_slices([PlacedSlice(plane, cut.size_hw) for plane in cut.planes()]).stacks
        images = tuple(SliceReference(volume.path, number) for number in range(cut.count))
        own = replace(volume, slices=images, planes=stack.planes)
        return find_findings(own, [slices[number] for number in stack.order], self._rules, stack)


def refuse_planes(
    found: VolumeFindings, refusal: PlanesRefusal, own_plane: Axis | None = None
) -> VolumeFindings:
    """Return the findings of the slices alone, with the reason for which other planes were not searched."""
    planes = () if own_plane is None else (own_plane,)
    warnings = (*found.warnings, REFUSAL_WARNINGS[refusal])
    return replace(found, warnings=warnings, planes=SearchedPlanes(planes, refusal=refusal))
