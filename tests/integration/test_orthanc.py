"""A real Orthanc: images by DICOMweb in, reports and presentation states back, a kill in between."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pydicom
import pytest
from dicomweb_client.web import DICOMwebClient

from conftest import ROOT, Medrov
from detect_fixtures import write_eager_detector
from dicom_objects import Grid, write_series
from dicom_results import detection, record_of, write_results
from orthanc_server import OrthancServer, find_orthanc

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(find_orthanc() is None, reason="Orthanc and its DICOMweb plug-in are not installed"),
]
SIZE = Grid(size=(48, 64), spacing=(1.0, 0.5))


@pytest.fixture
def orthanc(tmp_path: Path) -> Iterator[OrthancServer]:
    server = OrthancServer(tmp_path / "orthanc")
    server.start()
    yield server
    server.kill()


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_eager_detector(tmp_path_factory.mktemp("weights") / "eager.safetensors")


def box_of(points: list[float]) -> list[float]:
    corners = np.array(points).reshape(-1, 2)
    return [*corners.min(0).tolist(), *corners.max(0).tolist()]


def report_boxes(dataset: pydicom.Dataset) -> list[list[float]]:
    """Return the boxes of all polylines of a report, in order."""
    found = []
    if dataset.get("ValueType") == "SCOORD":
        found.append(box_of(dataset.GraphicData))
    for item in dataset.get("ContentSequence") or ():
        found += report_boxes(item)
    return found


def state_boxes(dataset: pydicom.Dataset) -> list[list[float]]:
    annotations = dataset.GraphicAnnotationSequence
    return [box_of(item.GraphicData) for one in annotations for item in one.GraphicObjectSequence]


def test_a_series_goes_through_detect_and_back_to_its_study(
    orthanc: OrthancServer, weights: Path, medrov: Medrov, tmp_path: Path
) -> None:
    write_series(tmp_path / "in", 4, SIZE)
    orthanc.store(sorted((tmp_path / "in").iterdir()))
    address = f"dicomweb:{orthanc.url}/dicom-web/studies/1.2"
    out = tmp_path / "out"
    done = medrov(
        "detect", address, "--weights", weights, "--conf", "0.3", "--max-det", 3, "--format", "sr,gsps",
        "--output", out, "--json",
    )  # fmt: skip
    assert done.exit_code == 0, done.stderr
    records = done.json["records"]
    assert [one["path"] for one in records] == [
        f"{address}/series/1.2.3/instances/1.2.3.{number}" for number in range(1, 5)
    ]
    rows = [row for one in records for row in one["detections"]]
    assert rows
    service = f"{orthanc.url}/dicom-web"
    assert medrov("send", out, "--to", service, "--json").json["stored"] == 2
    client = DICOMwebClient(service)
    found = client.search_for_series("1.2")
    assert sorted(one["00080060"]["Value"][0] for one in found) == ["CT", "PR", "SR"]
    by_modality = {one["00080060"]["Value"][0]: one["0020000E"]["Value"][0] for one in found}
    (report,) = client.retrieve_series("1.2", by_modality["SR"])
    (state,) = client.retrieve_series("1.2", by_modality["PR"])
    boxes = sorted(row["box_xyxy"] for row in rows)
    assert np.allclose(sorted(report_boxes(report)), boxes, atol=0.01)
    assert np.allclose(sorted(state_boxes(state)), boxes, atol=0.01)
    again = medrov("detect", address, "--weights", weights, "--conf", "0.3", "--max-det", 3)
    assert [one["detections"] for one in again.lines if "detections" in one] == [
        one["detections"] for one in records
    ]


def test_a_kill_of_the_service_loses_nothing_and_repeats_nothing(
    orthanc: OrthancServer, medrov: Medrov, tmp_path: Path
) -> None:
    count = 24
    for number in range(count):
        write_series(tmp_path / "in", 1, series=f"1.2.{number + 10}", StudyInstanceUID=f"1.2.9.{number}")
    out = tmp_path / "out"
    images = sorted((tmp_path / "in").iterdir())
    write_results(out, [record_of(path, detection("lung nodule", 0.9, 1, 1, 5, 5)) for path in images], "sr")
    (out / "detections.jsonl").write_text("")
    ledger = out / "sent.jsonl"

    def kill_in_between() -> None:
        while not ledger.exists() or ledger.read_text().count("stored") < 5:
            time.sleep(0.005)
        orthanc.kill()

    killer = threading.Thread(target=kill_in_between)
    killer.start()
    failed = medrov("send", out, "--to", f"{orthanc.url}/dicom-web", "--retries", 0)
    killer.join()
    assert failed.exit_code == 1, failed.stderr
    orthanc.start()
    before = orthanc.get("/statistics")["CountInstances"]
    assert 5 <= before < count
    again = medrov("send", out, "--to", f"{orthanc.url}/dicom-web", "--json")
    assert again.exit_code == 0, again.stderr
    assert again.json["stored"] == count - before
    assert orthanc.get("/statistics")["CountInstances"] == count
    assert orthanc.new_instances() == count


def test_c_store_reaches_orthanc(orthanc: OrthancServer, medrov: Medrov, tmp_path: Path) -> None:
    write_series(tmp_path / "in", 1)
    (image,) = (tmp_path / "in").iterdir()
    for name in ("sr", "gsps"):
        record = record_of(image, detection("lung nodule", 0.9, 1, 1, 5, 5))
        write_results(tmp_path / "out", [record], name)
    (tmp_path / "out" / "detections.jsonl").write_text("")
    done = medrov("send", tmp_path / "out", "--to", f"ORTHANC@127.0.0.1:{orthanc.dicom_port}")
    assert done.exit_code == 0, done.stderr
    assert orthanc.get("/statistics")["CountInstances"] == 2


def test_the_example_processes_each_stored_study_once(
    orthanc: OrthancServer, weights: Path, tmp_path: Path
) -> None:
    write_series(tmp_path / "in", 2, SIZE)
    orthanc.store(sorted((tmp_path / "in").iterdir()))
    command = [
        sys.executable, ROOT / "examples" / "orthanc_detect.py", orthanc.url, tmp_path / "work", "--once",
        "--weights", weights, "--conf", "0.3", "--max-det", "2",
    ]  # fmt: skip
    counts = []
    for _ in range(2):
        for _ in range(100):
            if orthanc.get("/changes?last")["Changes"][0]["ChangeType"].startswith("Stable"):
                break
            time.sleep(0.1)
        subprocess.run(command, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True)
        counts.append(orthanc.get("/statistics")["CountInstances"])
    assert counts == [4, 4]
