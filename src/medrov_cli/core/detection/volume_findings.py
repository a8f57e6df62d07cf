"""Findings of the volumes among the inputs of a run, computed from its records as they come.

Memory contains the detections of one volume: neither pixels nor earlier volumes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from medrov_cli.core.base.errors import MedrovError
from medrov_cli.core.detection.plane_search import (
    NO_VOLUME_WARNING,
    LinkedVolume,
    PlaneSearch,
    refuse_planes,
)
from medrov_cli.core.findings.find import ClassRule, SliceDetections, find_findings
from medrov_cli.core.findings.stack import SliceStack, arrange_slices
from medrov_cli.core.pixels.inputs import Input
from medrov_cli.core.pixels.placed_frames import PlacedFrames, read_placed_frames
from medrov_cli.core.prediction.scoring import Scoring
from medrov_cli.core.records.finding import SliceReference, VolumeFindings, VolumeIdentity, VolumeKind
from medrov_cli.core.records.findings_json import findings_to_record
from medrov_cli.core.records.frame import ModelIdentity
from medrov_cli.core.records.plane_votes import PlanesRefusal
from medrov_cli.core.records.slice_plane import PlacedSlice
from medrov_cli.core.settings.choices import Modality
from medrov_cli.core.settings.io_groups import ReadSettings

_VOLUME_MODALITIES = (Modality.CT, Modality.MRI)

FAILED_WARNING = "{} slice(s) of the volume failed and are missing."


@dataclass(slots=True)
class _Unit:
    """Records of one volume that is not complete yet."""

    path: str
    is_file: bool
    size_hw: tuple[int, int] = (0, 0)
    series: tuple[str, ...] = ()
    images: list[SliceReference] = field(default_factory=list)
    detections: list[SliceDetections] = field(default_factory=list)
    placed: list[PlacedSlice] = field(default_factory=list)
    first: dict[str, Any] = field(default_factory=dict)
    failed: int = 0
    is_volume: bool | None = None


class FindingsCollector:
    """Collector of the records of a run, which returns the record of each volume after its last slice.

    A volume is a series of single-frame DICOM files in one folder, or a file with several frames.

    Parameters
    ----------
    inputs
        Inputs of the run, in order.
    read
        Settings of reading.
    rules
        Rule of each class of the run.
    planes
        Search in other planes; null: none.
    """

    def __init__(
        self,
        inputs: Sequence[Input],
        read: ReadSettings,
        rules: Mapping[str, ClassRule],
        planes: PlaneSearch | None = None,
    ) -> None:
        self._inputs = inputs
        self._read = read
        self._rules = rules
        self._planes = planes
        self._position = -1
        self._series: _Unit | None = None
        self._file: _Unit | None = None

    def add(self, record: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """Add the next record, of schema ``medrov.detect/1``; yield the volumes that end before it."""
        is_next = self._position < 0 or self._inputs[self._position].path != record["path"]
        if is_next:
            yield from self._end_file()
            self._advance(record["path"])
        item = self._inputs[self._position]
        if self._series is not None and self._series.series != item.series:
            yield from self._end_series()
        if "error" in record:
            self._add_failure(item)
        elif record["frame_count"] != 1:
            self._file = self._file or _Unit(record["path"], is_file=True)
            _append(self._file, record, None)
        elif len(item.series) > 1:
            self._series = self._series or _Unit(record["path"], is_file=False, series=item.series)
            _append(self._series, record, item.placed)

    def replay(self, record: Mapping[str, Any]) -> None:
        """Add a record of an earlier run, among whose records are the volumes that end before it."""
        planes, self._planes = self._planes, None
        for _ in self.add(record):
            pass
        self._planes = planes

    def explain(self, record: dict[str, Any]) -> dict[str, Any]:
        """Return the record that was added last, with a warning if it is no slice and planes are wanted."""
        if self._planes is None or "error" in record or self._may_be_slice(record):
            return record
        return {**record, "warnings": [*record["warnings"], NO_VOLUME_WARNING]}

    def _may_be_slice(self, record: Mapping[str, Any]) -> bool:
        if self._file is None:
            item = self._inputs[self._position]
            has_place = item.placed is not None and item.placed.plane is not None
            return len(item.series) > 1 and (has_place or record["modality"] in _VOLUME_MODALITIES)
        if self._file.is_volume is None:
            frames = record["frame_count"]
            self._file.is_volume = frames is None or self._placed_frames(self._file.path, frames) is not None
        return self._file.is_volume

    def _placed_frames(self, path: str, frames: int) -> PlacedFrames | None:
        try:
            return read_placed_frames(path, frames, self._read.axis, self._read.limits)
        except MedrovError:  # the file ended or vanished: its records say so
            return None

    def finish(self) -> Iterator[dict[str, Any]]:
        """Yield the volumes that end with the last record."""
        yield from self._end_file()
        yield from self._end_series()

    def _advance(self, path: str) -> None:
        while self._position < 0 or self._inputs[self._position].path != path:
            self._position += 1

    def _add_failure(self, item: Input) -> None:
        if self._file is not None:
            self._file.failed += 1
        elif self._series is not None:
            self._series.failed += 1
        elif len(item.series) > 1:
            self._series = _Unit(item.path, is_file=False, series=item.series, failed=1)

    def _end_file(self) -> Iterator[dict[str, Any]]:
        unit, self._file = self._file, None
        if unit is None or len(unit.images) < 2:
            return
        frames = self._placed_frames(unit.path, len(unit.images))
        if frames is None:
            return
        if frames.kind in (VolumeKind.VIDEO, VolumeKind.DICOM_CINE):
            yield self._sequence(unit, frames)
        else:
            unit.placed = list(frames.slices)
            yield from self._volumes(unit, frames.kind, is_placed=frames.is_placed)

    def _end_series(self) -> Iterator[dict[str, Any]]:
        unit, self._series = self._series, None
        if unit is None or len(unit.images) < 2:
            return
        positions = {placed.plane for placed in unit.placed if placed.plane is not None}
        if len(positions) > 1 or unit.first["modality"] in _VOLUME_MODALITIES:
            yield from self._volumes(unit, VolumeKind.DICOM_SERIES, is_placed=True)

    def _volumes(self, unit: _Unit, kind: VolumeKind, *, is_placed: bool) -> Iterator[dict[str, Any]]:
        arranged = arrange_slices(unit.placed)
        warnings = arranged.warnings
        if unit.failed:
            warnings = (*warnings, FAILED_WARNING.format(unit.failed))
        if arranged.refusal is not None:
            volume = _identity(unit, kind, range(len(unit.images)))
            found = VolumeFindings(volume, (), _model(unit), arranged.refusal, warnings=warnings)
            yield self._refused(found, PlanesRefusal.NOT_LINKED)
            return
        for number, stack in enumerate(arranged.stacks):
            counts = (number, len(arranged.stacks))
            volume = _identity(unit, kind, stack.order, stack, counts, is_placed=is_placed)
            slices = [unit.detections[index] for index in stack.order]
            findings = find_findings(volume, slices, self._rules, stack)
            found = VolumeFindings(volume, findings, _model(unit), None, stack.step_mm, warnings)
            if self._planes is not None:
                found = self._planes.run(LinkedVolume(found, stack, unit.size_hw, unit.series))
            yield findings_to_record(found)

    def _sequence(self, unit: _Unit, frames: PlacedFrames) -> dict[str, Any]:
        seconds = frames.seconds
        if frames.frame_seconds is not None:
            seconds = tuple(image.frame * frames.frame_seconds for image in unit.images)
        volume = _identity(unit, frames.kind, range(len(unit.images)), seconds=seconds)
        findings = find_findings(volume, unit.detections, self._rules)
        warnings = (FAILED_WARNING.format(unit.failed),) if unit.failed else ()
        found = VolumeFindings(volume, findings, _model(unit), warnings=warnings)
        return self._refused(found, PlanesRefusal.IN_TIME)

    def _refused(self, found: VolumeFindings, reason: PlanesRefusal) -> dict[str, Any]:
        """Return the record of a volume that cannot be searched in other planes."""
        return findings_to_record(found if self._planes is None else refuse_planes(found, reason))


def class_rules(names: Sequence[str], scoring: Scoring) -> dict[str, ClassRule]:
    """Return the rule of each class: threshold in shown scores, and recall where it is calibrated."""
    rules = {}
    for label, name in enumerate(names):
        threshold = float(scoring.thresholds[label])
        if scoring.maps is None:
            rules[name] = ClassRule(label, threshold)
        else:
            own = scoring.maps[label]
            shown = float(own.apply(np.array([threshold]))[0])
            rules[name] = ClassRule(label, shown, own.f1)
    return rules


def _append(unit: _Unit, record: Mapping[str, Any], placed: PlacedSlice | None) -> None:
    rows = record["detections"]
    if not unit.images:
        kept = ("modality", "study_uid", "series_uid", "model")
        unit.first = {key: record[key] for key in kept}
        unit.size_hw = (record["height"], record["width"])
    unit.images.append(SliceReference(record["path"], record["frame"]))
    unit.placed.append(placed or PlacedSlice())
    unit.detections.append(
        SliceDetections(
            np.array([row["box_xyxy"] for row in rows], dtype=np.float64).reshape(-1, 4),
            np.array([row["score"] for row in rows], dtype=np.float64),
            tuple(row["class"] for row in rows),
        )
    )


def _identity(
    unit: _Unit,
    kind: VolumeKind,
    order: Sequence[int],
    stack: SliceStack | None = None,
    number_count: tuple[int, int] = (0, 1),
    *,
    seconds: tuple[float, ...] = (),
    is_placed: bool = True,
) -> VolumeIdentity:
    frames_of_reference = {placed.frame_of_reference_uid for placed in unit.placed}
    modality = unit.first["modality"]
    return VolumeIdentity(
        path=unit.images[order[0]].path,
        kind=kind,
        slices=tuple(unit.images[index] for index in order),
        planes=() if stack is None else stack.planes,
        seconds=seconds,
        number=number_count[0],
        count=number_count[1],
        modality=None if modality is None else Modality(modality),
        study_uid=unit.first["study_uid"],
        series_uid=unit.first["series_uid"],
        frame_of_reference_uid=frames_of_reference.pop() or None if len(frames_of_reference) == 1 else None,
        is_placed=is_placed,
    )


def _model(unit: _Unit) -> ModelIdentity | None:
    return None if unit.first["model"] is None else ModelIdentity(**unit.first["model"])
