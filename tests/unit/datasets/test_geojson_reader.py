"""Slides with GeoJSON of QuPath: tiles and their boxes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import pytest

from conftest import SHARED_DATA, Medrov
from drawn_shapes import draw
from medrov_cli.core.base.errors import MedrovError
from medrov_cli.core.datasets.readers.geojson import READER
from medrov_cli.core.settings.data_convert import ReaderSettings
from slide_files import write_svs

BOXES = [(10, 10, 30, 40), (60, 20, 80, 30), (110, 70, 150, 95)]
"""On tiles of 64 pixels: in one, over two (4 and 16 of 20 columns), and over several."""


def feature(
    box: tuple[int, int, int, int], name: str | None = "nuclei", kind: str = "Polygon"
) -> dict[str, Any]:
    x1, y1, x2, y2 = box
    ring = [[x1, y1], [x2, y1], [x2, y2], [x1, y2], [x1, y1]]
    coordinates: Any = {"Polygon": [ring], "MultiPolygon": [[ring]], "Point": [x1, y1]}[kind]
    properties = {} if name is None else {"classification": {"name": name, "color": [1, 2, 3]}}
    return {
        "type": "Feature",
        "geometry": {"type": kind, "coordinates": coordinates},
        "properties": {"objectType": "annotation", **properties},
    }


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    image = draw(128, 192, BOXES)
    image[(image == 255).all(2)] = (240, 170, 210)
    (tmp_path / "slides").mkdir()
    write_svs(tmp_path / "slides" / "a.svs", image)
    features = [feature(BOXES[0]), feature(BOXES[1], kind="MultiPolygon"), feature(BOXES[2], "gland")]
    features += [feature((0, 0, 5, 5), None), feature((0, 0, 5, 5), kind="Point")]
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "a.geojson").write_text(
        json.dumps({"type": "FeatureCollection", "features": features})
    )
    return tmp_path


def convert(medrov: Medrov, folder: Path, *more: str) -> Any:
    arguments = ("data", "convert", folder / "notes", "--images", folder / "slides", "--from", "geojson")
    found = medrov(
        *arguments, "--tile", "64", "--modality", "histopathology", "--licence", "x",
        "-o", folder / "out", "--json", *more,
    )  # fmt: skip
    return found, json.loads(found.stdout)


def test_tiles_have_the_boxes_that_lie_in_them(medrov: Medrov, folder: Path) -> None:
    found, report = convert(medrov, folder)
    assert found.exit_code == 0
    document = json.loads((folder / "out" / "annotations.json").read_text())
    assert len(document["images"]) == 6
    names = {image["id"]: image["file_name"] for image in document["images"]}
    boxes = {(names[own["image_id"]], *own["bbox"]) for own in document["annotations"]}
    assert boxes == {
        ("a-0-0.png", 10, 10, 20, 30),
        ("a-64-0.png", 0, 20, 16, 10),  # 4 of 20 columns on the left tile are less than a quarter
        ("a-64-64.png", 46, 6, 18, 25),
        ("a-128-64.png", 0, 6, 22, 25),
    }
    assert len({image["case"] for image in document["images"]}) == 1
    assert {image["mpp"] for image in document["images"]} == {0.5}
    assert any("classification" in text for text in report["warnings"])
    assert any("points" in text for text in report["warnings"])
    pixels = cv2.imread(str(folder / "out" / "images" / "a-64-0.png"))
    assert pixels.shape == (64, 64, 3)


def test_large_objects_and_regions(medrov: Medrov, folder: Path) -> None:
    """On tiles of 32 pixels a side: one object over all 24, and one of a sixth on each of its tiles."""
    boxes = [(0, 0, 192, 128), (0, 60, 192, 61)]
    features = [feature(boxes[0], "tumor"), feature(boxes[1], "vessel"), feature(boxes[0], "Region*")]
    features.append(feature((0, 0, 20, 20), "Ignore*"))
    (folder / "notes" / "a.geojson").write_text(json.dumps(features))
    found, report = convert(medrov, folder, "--tile", "32")
    assert found.exit_code == 0
    document = json.loads((folder / "out" / "annotations.json").read_text())
    assert [own["name"] for own in document["categories"]] == ["tumor"]
    assert [own["bbox"] for own in document["annotations"]] == [[0, 0, 32, 32]] * 24
    assert any(text.startswith("1 object(s) count on no tile") for text in report["warnings"])
    assert sum("'Region*'" in text or "'Ignore*'" in text for text in report["warnings"]) == 2


def test_tiles_without_objects_can_be_left_out(medrov: Medrov, folder: Path) -> None:
    convert(medrov, folder, "--skip-empty")
    assert len(json.loads((folder / "out" / "annotations.json").read_text())["images"]) == 4


def test_objects_of_another_slide_are_refused(medrov: Medrov, folder: Path) -> None:
    (folder / "notes" / "a.geojson").write_text(json.dumps([feature((500, 500, 600, 600))]))
    found, report = convert(medrov, folder)
    assert found.exit_code == 4
    assert report["failures"][0]["error"]["code"] == "bad_metadata"


@pytest.mark.parametrize("text", ["{}", "[1]", "no json", '{"features": [{"properties": {}}]}'])
def test_other_files_are_failures(medrov: Medrov, folder: Path, text: str) -> None:
    (folder / "notes" / "a.geojson").write_text(text)
    found, report = convert(medrov, folder)
    assert found.exit_code == 4
    assert report["failures"][0]["error"]["code"] == "bad_metadata"


def test_a_file_without_a_slide_is_a_failure(medrov: Medrov, folder: Path) -> None:
    (folder / "notes" / "b.geojson").write_text("[]")
    found, report = convert(medrov, folder)
    assert found.exit_code == 3
    assert report["failures"][0]["error"]["code"] == "not_found"


@pytest.mark.skipif(not (SHARED_DATA / "slides").is_dir(), reason="needs the shared slides")
def test_files_that_qupath_wrote_are_read(tmp_path: Path) -> None:
    for path in (SHARED_DATA / "slides" / "geojson").glob("*.json"):
        slide = tmp_path / f"{path.stem}.png"
        cv2.imwrite(str(slide), draw(8, 8, []))
        (unit,) = READER(ReaderSettings(path=path, images=tmp_path)).units
        if "classified" in path.stem:  # its cells lie far outside of the small image
            with pytest.raises(MedrovError, match="outside"):
                list(unit.read())
        else:
            (image,) = unit.read()
            assert any("classification" in text for text in image.warnings)
        slide.unlink()
