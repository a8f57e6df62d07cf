"""Records of findings: the JSON form, its schema, and the plane of a slice."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from pathlib import Path

import jsonschema
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medrov_cli.core.records.finding import (
    Finding,
    FindingMember,
    LinkRefusal,
    SliceReference,
    VolumeFindings,
    VolumeIdentity,
    VolumeKind,
    sort_findings,
)
from medrov_cli.core.records.findings_json import findings_to_record, record_to_findings
from medrov_cli.core.records.frame import ModelIdentity
from medrov_cli.core.records.slice_plane import SlicePlane
from medrov_cli.core.settings.choices import Modality

ROOT = Path(__file__).parents[3]
SCHEMA = json.loads((ROOT / "docs/schemas/medrov.findings-1.schema.json").read_text(encoding="utf-8"))
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)

SLICES = tuple(SliceReference(f"series/{number}.dcm") for number in range(3))
PLANE = SlicePlane((-100.0, -120.0, 40.0), (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.8, 0.7))
VOLUME = VolumeIdentity(
    path="series/0.dcm",
    kind=VolumeKind.DICOM_SERIES,
    slices=SLICES,
    planes=(PLANE,) * 3,
    modality=Modality.CT,
    study_uid="1.2.3",
    series_uid="1.2.3.4",
    frame_of_reference_uid="1.2.3.5",
)
FINDING = Finding(
    class_name="liver",
    label=1,
    score=0.75,
    first_slice=0,
    last_slice=2,
    key_slice=2,
    box_voxels=(10.0, 20.0, 0.0, 30.0, 50.0, 3.0),
    members=(FindingMember(0, "series/0.dcm", 0, 4), FindingMember(2, "series/2.dcm", 0, 1)),
    extent_mm=(14.0, 24.0, 7.5),
    box_mm=(-93.35, -104.4, 38.75, -79.35, -80.4, 46.25),
    center_mm=(-86.35, -92.4, 42.5),
    diameter_mm=24.0,
    diameter_slice=2,
    volume_mm3=2520.0,
)
MODEL = ModelIdentity("n", "0" * 64, "1" * 64, "minilm", "onnx", 640, "calibrated")
FOUND = VolumeFindings(VOLUME, (FINDING,), MODEL, slice_step_mm=2.5, warnings=("A slice is missing.",))


def test_a_record_has_the_schema_and_keeps_all_but_planes_and_frame_of_reference() -> None:
    record = findings_to_record(FOUND)
    VALIDATOR.validate(record)
    VALIDATOR.validate({"schema": "medrov.findings/1", "volumes": [record]})
    back = record_to_findings(json.loads(json.dumps(record)), ["spleen", "liver"])
    bare = replace(VOLUME, planes=(), frame_of_reference_uid=None)
    assert back == replace(FOUND, volume=bare)
    assert "1.2.3.5" not in json.dumps(record)


def test_a_refused_volume_and_a_video_have_the_schema() -> None:
    refused = VolumeFindings(VOLUME, refusal=LinkRefusal.MIXED_SIZES)
    VALIDATOR.validate(findings_to_record(refused))
    assert SCHEMA["$defs"]["volume"]["properties"]["refusal"]["enum"] == [*LinkRefusal, None]
    assert SCHEMA["$defs"]["volume"]["properties"]["kind"]["enum"] == list(VolumeKind)
    bare = replace(
        FINDING,
        **dict.fromkeys(
            ("extent_mm", "box_mm", "center_mm", "diameter_mm", "diameter_slice", "volume_mm3"), None
        ),
        seconds=(0.04, 1.2),
    )
    video = VolumeIdentity("a.mp4", VolumeKind.VIDEO, SLICES, seconds=(0.0, 0.04, 0.08))
    record = findings_to_record(VolumeFindings(video, (bare,)))
    VALIDATOR.validate(record)
    assert record["coordinates"] is None
    assert record_to_findings(record, ["x", "liver"]).findings == (bare,)


@pytest.mark.parametrize(
    ("key", "value"),
    [("box_voxels", [1, 2, 3, 4]), ("score", 1.5), ("members", []), ("first_slice", -1), ("seconds", [1])],
)
def test_the_schema_refuses(key: str, value: object) -> None:
    record = copy.deepcopy(findings_to_record(FOUND))
    record["findings"][0][key] = value
    assert not VALIDATOR.is_valid(record)


def test_planes_of_another_number_are_refused() -> None:
    with pytest.raises(ValueError, match="2 planes for 3 slices"):
        replace(VOLUME, planes=(PLANE,) * 2)


def test_order_of_findings_does_not_depend_on_the_given_one() -> None:
    several = [replace(FINDING, score=score, class_name=name) for score in (0.5, 0.9) for name in "ab"]
    expected = [(0.9, "a"), (0.9, "b"), (0.5, "a"), (0.5, "b")]
    for given_order in (several, several[::-1]):
        assert [(one.score, one.class_name) for one in sort_findings(given_order)] == expected


def test_corner_of_the_first_pixel_is_half_a_pixel_before_its_position() -> None:
    assert PLANE.to_patient(np.array([[0.0, 0.0], [0.5, 0.5], [1.5, 0.5]])).tolist() == [
        [-100.35, -120.4, 40.0],
        [-100.0, -120.0, 40.0],
        [-99.3, -120.0, 40.0],
    ]


NUMBERS = st.floats(-500, 500)


@given(st.tuples(NUMBERS, NUMBERS, NUMBERS), st.integers(0, 2**32 - 1), NUMBERS, NUMBERS)
def test_pixels_of_oblique_planes_come_back(
    origin: tuple[float, float, float], seed: int, x: float, y: float
) -> None:
    rng = np.random.default_rng(seed)
    axes = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    spacing = tuple(rng.uniform(0.1, 5, 2).tolist())
    plane = SlicePlane(origin, tuple(axes[0].tolist()), tuple(axes[1].tolist()), spacing)
    points = np.array([[x, y]])
    assert plane.to_pixels(plane.to_patient(points)) == pytest.approx(points, abs=1e-6)
    moved = plane.to_patient(points) + 7.0 * np.array(plane.normal)
    assert plane.to_pixels(moved) == pytest.approx(points, abs=1e-6)
