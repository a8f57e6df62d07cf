"""Volumes among the inputs of a run: series, files with several frames, sequences in time."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import nibabel as nib
import numpy as np
import pytest

from conftest import SHARED_DATA
from dicom_objects import Grid
from image_files import dicom_dataset, item, write_dicom
from medrov_cli.core.base.errors import MedrovError
from medrov_cli.core.detection.volume_findings import FindingsCollector
from medrov_cli.core.findings.find import ClassRule
from medrov_cli.core.pixels.inputs import find_inputs
from medrov_cli.core.pixels.read import read_frames
from medrov_cli.core.records.detect_json import item_to_record
from medrov_cli.core.records.detections import Detections, Failure
from medrov_cli.core.records.frame import ModelIdentity
from medrov_cli.core.settings.io_groups import ReadSettings

GRID = Grid(origin=(-20.0, -30.0, 100.0), spacing=(0.8, 0.5), step_mm=2.0, size=(60, 80))
BOX = (10.0, 20.0, 40.0, 44.0)
MODEL = ModelIdentity("n", "0" * 64, "1" * 64, "minilm", "torch", 64)


def records_of(paths: Sequence[str], read: ReadSettings) -> list[dict[str, Any]]:
    """Return the records of a detector that finds one box in each image."""
    records = []
    for item_found in find_inputs(paths).inputs:
        try:
            for frame in read_frames(item_found.path, read):
                boxes = np.array([BOX])
                records.append(
                    item_to_record(Detections(boxes, np.array([0.8]), np.array([0]), ("a",), frame, MODEL))
                )
        except MedrovError as error:
            records.append(item_to_record(Failure(item_found.path, error)))
    return records


def volumes_of(*paths: Path, read: ReadSettings | None = None) -> list[dict[str, Any]]:
    own = read or ReadSettings()
    names = [str(path) for path in paths]
    collector = FindingsCollector(find_inputs(names).inputs, own, {"a": ClassRule(0)})
    found = [volume for record in records_of(names, own) for volume in collector.add(record)]
    return [*found, *collector.finish()]


def pixels() -> np.ndarray:
    return np.tile(np.arange(80, dtype=np.uint8), (60, 1))


def write_ct(folder: Path, count: int = 4, series: str = "1.2.3", **changes: Any) -> None:
    """Write a series whose file names run against the order in the body."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        attributes: dict[str, Any] = {
            "Modality": "CT",
            "SOPInstanceUID": f"{series}.{number + 1}",
            "SeriesInstanceUID": series,
            "ImagePositionPatient": GRID.position(number),
            "ImageOrientationPatient": list(GRID.axes),
            "PixelSpacing": list(GRID.spacing),
        }
        attributes |= {key: value(number) if callable(value) else value for key, value in changes.items()}
        kept = {key: value for key, value in attributes.items() if value is not None}
        write_dicom(folder / f"{series}-{count - number}.dcm", pixels(), **kept)


def test_series_of_one_folder_stay_apart_and_localizers_are_left_out(tmp_path: Path) -> None:
    write_ct(tmp_path / "in", 3)
    write_ct(
        tmp_path / "in",
        3,
        "1.2.4",
        ImageType=lambda n: ["ORIGINAL", "PRIMARY", "LOCALIZER"] if not n else None,
    )
    first, second = volumes_of(tmp_path / "in")
    assert [first["series_uid"], second["series_uid"]] == ["1.2.3", "1.2.4"]
    assert [len(one["slices"]) for one in (first, second)] == [3, 2]
    assert second["warnings"] == ["1 localizer image(s) of the series are not part of the volume."]


def test_a_slice_that_fails_is_missing(tmp_path: Path) -> None:
    write_ct(tmp_path / "in", 5)
    broken = tmp_path / "in" / "1.2.3-3.dcm"
    broken.write_bytes(broken.read_bytes()[:-1000])
    (volume,) = volumes_of(tmp_path / "in")
    assert len(volume["slices"]) == 4
    assert "1 slice(s) of the volume failed and are missing." in volume["warnings"]
    assert len(volume["findings"][0]["members"]) == 4  # the gap is bridged


def write_enhanced(path: Path) -> None:
    """Write an enhanced CT whose frames run from head to feet."""
    frames = np.stack([pixels()] * 3)
    groups = [
        item(PlanePositionSequence=[item(ImagePositionPatient=GRID.position(2 - number))])
        for number in range(3)
    ]
    shared = item(
        PlaneOrientationSequence=[item(ImageOrientationPatient=list(GRID.axes))],
        PixelMeasuresSequence=[item(PixelSpacing=list(GRID.spacing))],
    )
    write_dicom(
        path,
        frames,
        Modality="CT",
        PerFrameFunctionalGroupsSequence=groups,
        SharedFunctionalGroupsSequence=[shared],
    )


def write_cine(path: Path) -> None:
    write_dicom(path, np.stack([pixels()] * 3), Modality="ES", FrameTime=40)


def write_nifti(path: Path) -> None:
    """Write a volume of two points in time, voxels of 0.5 x 0.8 x 2 mm, x to the right of the patient."""
    slices = np.stack([pixels().T[::-1, ::-1]] * 3, axis=2)
    affine = np.diag([0.5, 0.8, 2.0, 1.0])
    affine[:3, 3] = (-20, -30, 100)
    image = nib.Nifti1Image(np.stack([slices] * 2, axis=3), affine)
    image.header.set_xyzt_units("mm")
    nib.save(image, path)


def write_video(path: Path) -> None:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"FFV1"), 25, (80, 60))
    for _ in range(3):
        writer.write(np.repeat(pixels()[..., None], 3, axis=2))
    writer.release()


@pytest.mark.parametrize(
    ("name", "write", "kind"),
    [
        ("a.dcm", write_enhanced, "dicom_frames"),
        ("a.dcm", write_cine, "dicom_cine"),
        ("a.nii.gz", write_nifti, "volume_file"),
        ("a.avi", write_video, "video"),
    ],
)
def test_a_file_of_several_frames(
    tmp_path: Path, name: str, write: Callable[[Path], None], kind: str
) -> None:
    write(tmp_path / name)
    volumes = volumes_of(tmp_path / name)
    first = volumes[0]
    assert first["kind"] == kind
    assert [image["frame"] for image in first["slices"]] == [0, 1, 2]
    found = first["findings"][0]
    x1, y1, x2, y2 = BOX
    assert found["box_voxels"] == [x1, y1, 0, x2, y2, 3]
    if kind in ("dicom_cine", "video"):
        assert found["seconds"] == [0.0, 0.08]
        assert found["box_mm"] is None
    elif kind == "dicom_frames":
        assert found["box_mm"][2::3] == pytest.approx([99, 105])
        assert found["box_mm"][0] == pytest.approx(-20.25 + x1 / 2, abs=0.01)
    else:
        # RAS: the first column shown is the patient's right, the voxel x = 79 at 19.5 mm; LPS turns the sign.
        assert [(one["volume"], one["volume_count"]) for one in volumes] == [(0, 2), (1, 2)]
        assert volumes[1]["slices"][0] == {"path": str(tmp_path / name), "frame": 3}
        assert found["box_mm"][0] == pytest.approx(-19.5 - 0.25 + x1 / 2, abs=0.01)
        assert found["box_mm"][1] == pytest.approx(-(-30 + 0.8 * 59) - 0.4 + 0.8 * y1, abs=0.01)
        assert found["box_mm"][2::3] == pytest.approx([99, 105])


def test_pages_of_a_file_are_no_volume(tmp_path: Path) -> None:
    cv2.imwritemulti(str(tmp_path / "a.tiff"), [pixels()] * 3)
    assert volumes_of(tmp_path / "a.tiff") == []


@pytest.mark.skipif(not SHARED_DATA.exists(), reason="needs ../shared/data")
def test_enhanced_and_multi_frame_files_of_the_field() -> None:
    folder = SHARED_DATA / "formats" / "dicom"
    volumes = volumes_of(folder / "examples_ybr_color.dcm", folder / "emri_small.dcm")
    assert [(one["kind"], len(one["slices"])) for one in volumes] == [("dicom_cine", 30)]


def test_dataset_without_geometry_is_no_volume(tmp_path: Path) -> None:
    dicom_dataset(np.stack([pixels()] * 2), Modality="US").save_as(
        tmp_path / "a.dcm", enforce_file_format=True
    )
    assert volumes_of(tmp_path / "a.dcm") == []


def test_a_series_without_all_positions_is_refused_by_name(tmp_path: Path) -> None:
    write_ct(tmp_path, ImagePositionPatient=lambda n: GRID.position(n) if n else None)
    (volume,) = volumes_of(tmp_path)
    assert (volume["refusal"], volume["findings"]) == ("no_positions", [])


def test_a_coronal_cut_keeps_its_order_and_place(tmp_path: Path) -> None:
    write_nifti(tmp_path / "a.nii.gz")
    volume = volumes_of(tmp_path / "a.nii.gz", read=ReadSettings(axis="coronal"))[0]
    assert [image["frame"] for image in volume["slices"]] == list(range(60))
    # Slices run from back to front: RAS y from -30 up, LPS y from 30 down, in steps of 0.8 mm.
    assert volume["findings"][0]["box_mm"][1::3] == pytest.approx([-17.6, 30.4], abs=0.01)


def test_many_slices_take_little_memory(tmp_path: Path) -> None:
    """Records are not kept: 2,000 slices with 20 boxes each take far less than their records."""
    import tracemalloc

    write_ct(tmp_path, 2)
    first = find_inputs([str(tmp_path)]).inputs[0]
    record = records_of([str(tmp_path)], ReadSettings())[0]
    plane = first.placed.plane
    series = tuple(f"{number}.dcm" for number in range(2000))
    inputs = [
        replace(
            first,
            path=path,
            series=series,
            placed=replace(first.placed, plane=replace(plane, origin_mm=(0.0, 0.0, float(number)))),
        )
        for number, path in enumerate(series)
    ]
    collector = FindingsCollector(inputs, ReadSettings(), {"a": ClassRule(0)})
    text = json.dumps({**record, "detections": record["detections"] * 20})
    tracemalloc.start()
    for path in series:
        assert not list(collector.add({**json.loads(text), "path": path}))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 * 2**20
