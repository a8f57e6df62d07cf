"""Schema ``medrov.findings/1``: the JSON record of a volume, to and from `VolumeFindings`.

The frame of reference and the planes of the slices are not written: they are read from the files.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from medrov_cli.core.base.constants import RESEARCH_NOTICE
from medrov_cli.core.records.detect_json import BOX_DIGITS, SCORE_DIGITS
from medrov_cli.core.records.finding import (
    Finding,
    FindingMember,
    LinkRefusal,
    SliceReference,
    VolumeFindings,
    VolumeIdentity,
    VolumeKind,
)
from medrov_cli.core.records.frame import ModelIdentity
from medrov_cli.core.records.plane_votes import PlanesRefusal, PlaneVote, SearchedPlanes
from medrov_cli.core.settings.choices import Modality

FINDINGS_SCHEMA = "medrov.findings/1"
"""Value of ``schema`` in the record of a volume; such records stand among those of images."""

COORDINATES = "LPS"
"""Axes of the coordinates in mm: to the patient's left, back and head, as in DICOM."""

_SECONDS_DIGITS = 3


def findings_to_record(found: VolumeFindings) -> dict[str, Any]:
    """Return the JSON record of a volume."""
    volume = found.volume
    return {
        "schema": FINDINGS_SCHEMA,
        "path": volume.path,
        "kind": volume.kind.value,
        "volume": volume.number,
        "volume_count": volume.count,
        "modality": None if volume.modality is None else volume.modality.value,
        "study_uid": volume.study_uid,
        "series_uid": volume.series_uid,
        "slices": [{"path": image.path, "frame": image.frame} for image in volume.slices],
        "slice_step_mm": _rounded(found.slice_step_mm),
        "coordinates": COORDINATES if volume.planes and volume.is_placed else None,
        "refusal": None if found.refusal is None else found.refusal.value,
        "findings": [_finding_to_row(finding) for finding in found.findings],
        "model": None if found.model is None else found.model.as_dict(),
        "warnings": list(found.warnings),
        "notice": RESEARCH_NOTICE,
        **({} if found.planes is None else {"planes": _planes_to_dict(found.planes)}),
    }


def is_volume_record(record: Mapping[str, Any]) -> bool:
    """Return whether a record is that of a volume, not of an image or a failed input."""
    return record.get("schema") == FINDINGS_SCHEMA


def record_to_findings(record: Mapping[str, Any], classes: Sequence[str]) -> VolumeFindings:
    """Return the findings of a record, with rounded numbers and without the planes of the slices.

    Parameters
    ----------
    record
        Record of schema ``medrov.findings/1``.
    classes
        All classes of the run, in the order of the labels.
    """
    volume = VolumeIdentity(
        path=record["path"],
        kind=VolumeKind(record["kind"]),
        slices=tuple(SliceReference(image["path"], image["frame"]) for image in record["slices"]),
        number=record["volume"],
        count=record["volume_count"],
        modality=None if record["modality"] is None else Modality(record["modality"]),
        study_uid=record["study_uid"],
        series_uid=record["series_uid"],
    )
    label_of = {name: label for label, name in enumerate(classes)}
    return VolumeFindings(
        volume=volume,
        findings=tuple(
            _row_to_finding(row, label_of[row["class"]], volume.slices) for row in record["findings"]
        ),
        model=None if record["model"] is None else ModelIdentity(**record["model"]),
        refusal=None if record["refusal"] is None else LinkRefusal(record["refusal"]),
        slice_step_mm=record["slice_step_mm"],
        warnings=tuple(record["warnings"]),
        planes=_dict_to_planes(record["planes"]) if "planes" in record else None,
    )


def _planes_to_dict(planes: SearchedPlanes) -> dict[str, Any]:
    """Return the object ``planes``."""
    return {
        "searched": list(planes.planes),
        "spacing_mm": _rounded(planes.spacing_mm),
        "step_mm": _rounded(planes.step_mm),
        "refusal": None if planes.refusal is None else planes.refusal.value,
    }


def _dict_to_planes(planes: Mapping[str, Any]) -> SearchedPlanes:
    """Return the planes of an object ``planes``."""
    refusal = None if planes["refusal"] is None else PlanesRefusal(planes["refusal"])
    return SearchedPlanes(tuple(planes["searched"]), planes["spacing_mm"], planes["step_mm"], refusal)


def _finding_to_row(finding: Finding) -> dict[str, Any]:
    """Return the element of ``findings``."""
    return {
        "class": finding.class_name,
        "score": round(finding.score, SCORE_DIGITS),
        "first_slice": finding.first_slice,
        "last_slice": finding.last_slice,
        "key_slice": finding.key_slice,
        "box_voxels": _rounded_all(finding.box_voxels),
        "box_mm": _rounded_all(finding.box_mm),
        "center_mm": _rounded_all(finding.center_mm),
        "extent_mm": _rounded_all(finding.extent_mm),
        "diameter_mm": _rounded(finding.diameter_mm),
        "diameter_slice": finding.diameter_slice,
        "volume_mm3": _rounded(finding.volume_mm3),
        "seconds": _rounded_all(finding.seconds, _SECONDS_DIGITS),
        "members": [{"slice": one.slice_number, "detection": one.detection} for one in finding.members],
        **({"votes": [_vote_to_dict(vote) for vote in finding.votes]} if finding.votes else {}),
    }


def _vote_to_dict(vote: PlaneVote) -> dict[str, Any]:
    """Return the element of ``votes``."""
    box = _rounded_all(vote.box_voxels)
    return {"plane": vote.plane, "score": round(vote.score, SCORE_DIGITS), "box_voxels": box}


def _row_to_finding(row: Mapping[str, Any], label: int, slices: Sequence[SliceReference]) -> Finding:
    """Return the finding of an element of ``findings``."""
    members = []
    for one in row["members"]:
        image = slices[one["slice"]]
        members.append(FindingMember(one["slice"], image.path, image.frame, one["detection"]))
    return Finding(
        class_name=row["class"],
        label=label,
        score=row["score"],
        first_slice=row["first_slice"],
        last_slice=row["last_slice"],
        key_slice=row["key_slice"],
        box_voxels=_tuple(row["box_voxels"]),
        members=tuple(members),
        extent_mm=_tuple(row["extent_mm"]),
        box_mm=_tuple(row["box_mm"]),
        center_mm=_tuple(row["center_mm"]),
        diameter_mm=row["diameter_mm"],
        diameter_slice=row["diameter_slice"],
        volume_mm3=row["volume_mm3"],
        seconds=_tuple(row["seconds"]),
        votes=tuple(
            PlaneVote(vote["plane"], vote["score"], _tuple(vote["box_voxels"]))
            for vote in row.get("votes", ())
        ),
    )


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(float(value), BOX_DIGITS) + 0.0


def _rounded_all(values: Sequence[float] | None, digits: int = BOX_DIGITS) -> list[float] | None:
    return None if values is None else [round(float(value), digits) + 0.0 for value in values]


def _tuple(values: Sequence[float] | None) -> Any:
    return None if values is None else tuple(values)
