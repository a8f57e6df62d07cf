"""``medrov detect`` on slides: records, formats, resumption within a slide, shards of tiles, faults."""

from __future__ import annotations

import csv
import json
import os
import uuid
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pydicom
import pytest

from conftest import Finished, Medrov
from detect_fixtures import folder_bytes
from drawn_shapes import CLASSES, draw, exact_engine
from medrov_cli.core.detection import tile_journal
from medrov_cli.core.prediction.classes import ClassList
from medrov_cli.core.prediction.open_predictor import PredictorParts
from medrov_cli.core.prediction.predictor import Predictor
from medrov_cli.core.prediction.scoring import Scoring
from medrov_cli.core.records.frame import ModelIdentity
from medrov_cli.core.settings.detect import DetectSettings
from medrov_cli.core.settings.groups import SelectionSettings
from slide_files import LABEL_COLOR, write_dicom_slide, write_svs

BOXES = [
    (20 + 60 * column, 20 + 50 * row, 30 + 60 * column, 32 + 50 * row)
    for row in range(4)
    for column in range(6)
]
NAMES = ("class 0", "class 1", "class 2")
MODEL = ModelIdentity("exact", "0" * 64, "0" * 64, "minilm", "fake-cpu", 64)


@pytest.fixture(autouse=True)
def exact(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Run the command on an engine that finds drawn shapes, in a folder of its own.

    With the parameter true, the engine takes larger inputs.
    """

    def open_predictor(config: DetectSettings, _prompts: Any) -> Predictor:
        parts = PredictorParts(
            exact_engine(64),
            ClassList.from_embeddings(NAMES),
            Scoring(np.full(CLASSES, 0.25)),
            SelectionSettings(),
            batch=4,
            identity=MODEL,
            tiles=config.tile_job,
            open_wide=exact_engine if getattr(request, "param", False) else None,
        )
        return Predictor(parts)

    monkeypatch.setattr("medrov_cli.core.detection.run.open_detector", open_predictor)
    monkeypatch.setattr("medrov_cli.core.prediction.tile_search.BLOCK_TILES", 8)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def slide(tmp_path: Path) -> Path:
    """Return a slide of 400 x 600 pixels of 0.5 um, with objects at the left and glass at the right."""
    image = draw(400, 600, BOXES)
    image[:, 400:] = 250
    image[:, :400][(image[:, :400] == 255).all(2)] = (240, 170, 210)  # stained
    return write_svs(tmp_path / "slide.svs", image)


def records_of(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "detections.jsonl").read_text().splitlines()]


def boxes_of(*records: dict[str, Any]) -> list[list[float]]:
    return sorted(found["box_xyxy"] for record in records for found in record["detections"])


def test_a_slide_is_one_record_with_every_object(medrov: Medrov, slide: Path) -> None:
    assert medrov("detect", slide, "--tile", "64", "-o", "out").exit_code == 0
    (record,) = records_of(Path("out"))
    assert (record["width"], record["height"], record["frame_count"]) == (600, 400, 1)
    assert boxes_of(record) == sorted([*map(float, box)] for box in BOXES)
    assert record["pixel_spacing_mm"] == [0.0005, 0.0005]
    first = next(found for found in record["detections"] if found["box_xyxy"] == [20, 20, 30, 32])
    assert first["box_um"] == [10, 10, 15, 16]
    tiling = record["tiling"]
    assert tiling["mpp"] == 0.5
    assert tiling["skipped_tiles"] > 20
    assert 0.65 < tiling["coverage"] < 0.8  # two thirds are tissue


def test_auto_uses_the_scale_of_slides(medrov: Medrov, slide: Path) -> None:
    found = medrov("detect", slide, "--search-glass")
    tiling = json.loads(found.stdout)["tiling"]
    assert tiling["rule"].startswith("auto: slide, 0.36 um")
    assert tiling["levels"][0]["tile_px"] == 46  # 64 pixels of 0.36 um, of 0.5 um
    assert (tiling["skipped_tiles"], tiling["coverage"]) == (0, 1)


def test_the_formats_of_slides(medrov: Medrov, slide: Path) -> None:
    formats = "geojson,counts,csv,coco,yolo,png"
    assert medrov("detect", slide, "--tile", "64", "-o", "out", "--format", formats).exit_code == 0
    (record,) = records_of(Path("out"))
    (file,) = Path("out/geojson").rglob("*.geojson")
    document = json.loads(file.read_text())
    assert document["type"] == "FeatureCollection"
    assert len({feature["id"] for feature in document["features"]}) == len(BOXES)
    for feature, found in zip(document["features"], record["detections"], strict=True):
        (ring,) = feature["geometry"]["coordinates"]
        x1, y1, x2, y2 = found["box_xyxy"]
        assert ring == [[x1, y1], [x2, y1], [x2, y2], [x1, y2], [x1, y1]]
        properties = feature["properties"]
        assert properties["objectType"] == "detection"
        assert properties["classification"]["name"] == found["class"]
        assert len(properties["classification"]["color"]) == 3
        assert properties["measurements"]["Width um"] == 5
    with Path("out/counts.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [(row["class"], int(row["count"])) for row in rows] == [(name, len(BOXES) // 3) for name in NAMES]
    area_mm2 = 0.4 * 0.6 * 0.25 * record["tiling"]["coverage"]  # 400 x 600 pixels of 0.5 um
    assert float(rows[0]["per_mm2"]) == pytest.approx(8 / area_mm2, rel=1e-3)
    (overlay,) = Path("out/overlays").rglob("*.png")
    picture = cv2.imread(str(overlay))[..., ::-1]
    assert picture.shape == (400, 600, 3)
    assert not (picture == LABEL_COLOR).all(2).any()
    assert picture[80, 20].tolist() == picture[80, 30].tolist() != picture[80, 35].tolist()  # a box
    assert (picture[5, 590] > 240).all()  # the key is at the top left, and no box has a label
    assert b"DOE" not in b"".join(folder_bytes(Path("out")).values())


def test_geojson_has_identifiers_for_names_of_any_bytes(medrov: Medrov) -> None:
    paths = Path("a.png"), Path(os.fsdecode(b"\xff.png"))
    for one in paths:
        one.write_bytes(cv2.imencode(".png", draw(400, 600, BOXES)[..., ::-1])[1].tobytes())
    formats = "jsonl,csv,coco,counts,geojson,yolo,png,html"
    assert medrov("detect", *paths, "--tile", 64, "-o", "out", "--format", formats).exit_code == 0
    first, second = (json.loads(file.read_text()) for file in sorted(Path("out/geojson").iterdir()))
    space = uuid.uuid5(uuid.NAMESPACE_URL, "a.png#0")
    expected = [str(uuid.uuid5(space, str(number))) for number in range(len(BOXES))]
    assert [found["id"] for found in first["features"]] == expected
    assert not {found["id"] for found in second["features"]} & set(expected)


def test_geojson_is_read_back_as_it_was_written(medrov: Medrov, slide: Path) -> None:
    assert medrov("detect", slide, "--tile", "64", "-o", "out", "--format", "geojson").exit_code == 0
    (file,) = Path("out/geojson").rglob("*.geojson")
    Path("slides").mkdir()
    slide.rename("slides/slide.svs")
    Path("notes").mkdir()
    file.rename("notes/slide.geojson")
    arguments = ("data", "convert", "notes", "--images", "slides", "--from", "geojson", "--tile", "640")
    found = medrov(*arguments, "--modality", "histopathology", "--licence", "CC0", "-o", "back", "--json")
    assert found.exit_code == 0, found.stdout
    document = json.loads(Path("back/annotations.json").read_text())
    names = {own["id"]: own["name"] for own in document["categories"]}
    (record,) = records_of(Path("out"))
    expected = {
        (own["class"], x1, y1, x2 - x1, y2 - y1)
        for own in record["detections"]
        for x1, y1, x2, y2 in [own["box_xyxy"]]
    }
    assert {(names[own["category_id"]], *own["bbox"]) for own in document["annotations"]} == expected
    assert len(document["annotations"]) == len(BOXES)


@pytest.mark.parametrize(("exact", "tile", "block"), [(False, "64", 8), (True, "32", 4)], indirect=["exact"])
@pytest.mark.parametrize("blocks", [1, 3])
def test_an_interrupted_slide_is_continued_with_the_same_bytes(
    medrov: Medrov, slide: Path, blocks: int, monkeypatch: pytest.MonkeyPatch, tile: str, block: int
) -> None:
    arguments = ("detect", slide, slide.parent / "missing.svs", "--tile", tile)
    medrov(*arguments, "-o", "whole")
    assert not list(Path("whole").glob(".tiles*"))
    searched: list[int] = []
    append = tile_journal.DetectTiles.append

    def stop_after(self: Any, path: str, frame: int, block: dict[str, Any]) -> None:
        append(self, path, frame, block)
        searched.append(1)
        if len(searched) == blocks:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(tile_journal.DetectTiles, "append", stop_after)
        assert medrov(*arguments, "-o", "out").exit_code == 130

    def count(self: Any, path: str, frame: int, block: dict[str, Any]) -> None:
        append(self, path, frame, block)
        searched.append(1)

    monkeypatch.setattr(tile_journal.DetectTiles, "append", count)
    partial = Path("out/.tiles.jsonl.partial")
    partial.write_bytes(partial.read_bytes() + b'{"path": "torn')
    assert medrov(*arguments, "-o", "out", "--resume").exit_code == 3
    assert folder_bytes(Path("out")) == folder_bytes(Path("whole"))
    (record, _) = records_of(Path("out"))
    tiles = sum(level["tiles"] for level in record["tiling"]["levels"])
    assert len(searched) == -(-tiles // block)  # no block was searched twice
    assert ("model input of" in record["tiling"]["rule"]) == (block == 4)


@pytest.mark.parametrize(("exact", "tile"), [(False, "64"), (True, "32")], indirect=["exact"])
def test_jobs_by_tiles_join_to_the_whole(medrov: Medrov, slide: Path, tile: str) -> None:
    medrov("detect", slide, "--tile", tile, "-o", "whole")
    parts = []
    for number in (1, 2, 3):
        shard = ("--shard", f"{number}/3", "--shard-by", "tiles")
        assert medrov("detect", slide, "--tile", tile, *shard, "-o", f"part{number}").exit_code == 0
        parts += records_of(Path(f"part{number}"))
    assert [part["tiling"]["shard"] for part in parts] == ["1/3", "2/3", "3/3"]
    assert boxes_of(*parts) == boxes_of(*records_of(Path("whole")))


def without_counts(record: dict[str, Any]) -> dict[str, Any]:
    """Return a record without the numbers of tiles, which jobs count on both sides of a border."""
    rows = sorted(record.get("detections", ()), key=lambda row: (-row["score"], row["box_xyxy"]))
    counts = ("levels", "skipped_tiles", "coverage")
    tiling = {key: value for key, value in record.get("tiling", {}).items() if key not in counts}
    return {**record, "detections": rows, "tiling": tiling}


def test_merge_joins_jobs_by_tiles(medrov: Medrov, slide: Path) -> None:
    cv2.imwrite("small.png", draw(40, 60, []))
    Path("broken.png").write_bytes(b"no image")
    options = ("--tile", "64", "--format", "csv,png,json")
    inputs = (slide, "small.png", "broken.png")
    assert medrov("detect", *inputs, *options, "-o", "whole").exit_code == 3
    for number in (1, 2, 3):
        shard = ("--shard", f"{number}/3", "--shard-by", "tiles")
        assert medrov("detect", *inputs, *options, *shard, "-o", f"part{number}").exit_code == 3
    done = medrov("merge", "part2", "part3", "part1", "--output", "joined", "--json")
    assert done.exit_code == 3, done.stderr
    joined, whole = records_of(Path("joined")), records_of(Path("whole"))
    assert [without_counts(record) for record in joined] == [without_counts(record) for record in whole]
    assert joined[0]["tiling"]["coverage"] == pytest.approx(whole[0]["tiling"]["coverage"], abs=1e-3)
    files, wanted = folder_bytes(Path("joined")), folder_bytes(Path("whole"))
    assert files.keys() == wanted.keys()
    same_files = [name for name in wanted if name.endswith((".png", ".csv", "run.json"))]
    assert {name: files[name] for name in same_files} == {name: wanted[name] for name in same_files}
    part = medrov("merge", "part1", "part2", "--output", "some")
    assert (part.exit_code, "--shard 3/3" in " ".join(part.stderr.split())) == (2, True)
    journal = Path("part2/detections.jsonl")
    journal.write_bytes(b"".join(journal.read_bytes().splitlines(keepends=True)[:-1]))
    torn = medrov("merge", "part1", "part2", "part3", "--output", "torn")
    assert (torn.exit_code, "part2" in torn.stderr) == (4, True), torn.stderr


def test_a_folder_of_a_dicom_slide_is_one_record(medrov: Medrov, tmp_path: Path) -> None:
    write_dicom_slide(tmp_path / "in", draw(100, 150, [(20, 20, 30, 30)]), sparse=True)
    found = medrov("detect", "in", "--tile", "64", "--json")
    document = json.loads(found.stdout)
    (record,) = document["records"]
    assert boxes_of(record) == [[20, 20, 30, 30]]
    assert record["modality"] == "histopathology"
    assert len(document["summary"]["skipped"]) == 2
    assert "DOE" not in found.stdout + found.stderr


def test_ordinary_images_have_no_tiling(medrov: Medrov, tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), draw(300, 500, []))
    assert "tiling" not in json.loads(medrov("detect", "a.png").stdout)


def test_a_bad_slide_is_a_record_and_the_rest_goes_on(medrov: Medrov, slide: Path) -> None:
    Path("bad.svs").write_bytes(slide.read_bytes()[:2000])
    Path("bad.mrxs").write_bytes(b"\xff\xd8\xff\xe0")
    found = medrov("detect", "bad.svs", slide, "bad.mrxs", "--tile", "64")
    assert found.exit_code == 3
    records = [json.loads(line) for line in found.stdout.splitlines()]
    assert ["error" in record for record in records] == [True, False, True]
    assert records[2]["error"]["code"] == "truncated"


def test_a_slide_whose_data_end_early_is_a_record_and_none_of_the_rest_is_lost(
    medrov: Medrov, slide: Path
) -> None:
    content = slide.read_bytes()
    Path("half.svs").write_bytes(content[: len(content) // 2])
    (parts,) = write_dicom_slide(Path("dicom"), draw(100, 150, [(20, 20, 30, 30)]))
    Path("short.dcm").write_bytes(parts.read_bytes()[:-5000])
    found = medrov("detect", "half.svs", "short.dcm", slide, "--tile", "64", "-o", "out")
    assert found.exit_code == 3
    first, second, third = records_of(Path("out"))
    assert {first["error"]["code"], second["error"]["code"]} <= {"decode_failed", "truncated"}
    assert boxes_of(third) == sorted([*map(float, box)] for box in BOXES)


def test_a_slide_in_several_files_without_some_of_them_is_a_record(medrov: Medrov, slide: Path) -> None:
    Path("a.mrxs").write_bytes(b"\xff\xd8\xff\xe0")
    Path("a").mkdir()
    Path("a/Slidedat.ini").write_text(
        "[GENERAL]\nSLIDE_ID = 1\n[DATAFILE]\nFILE_COUNT = 1\nFILE_0 = Data0.dat\n"
    )
    Path("b.vms").write_text("[Virtual Microscope Specimen]\nNoLayers=1\nImageFile=b.jpg\n")
    found = medrov("detect", "a.mrxs", "b.vms", slide, "--tile", "64", "-o", "out")
    assert found.exit_code == 3
    records = records_of(Path("out"))
    assert ["error" in record for record in records] == [True, True, False]
    assert not list(Path("out").rglob("*.png"))


def test_a_slide_without_its_coarser_level_is_searched(medrov: Medrov) -> None:
    write_dicom_slide(Path("in"), draw(100, 150, [(20, 20, 30, 30)]))
    Path("in/level1.dcm").unlink()
    found = medrov("detect", "in", "--tile", "64", "--json")
    (record,) = json.loads(found.stdout)["records"]
    assert boxes_of(record) == [[20, 20, 30, 30]]


def test_a_size_of_pixels_without_sense_is_a_warning(medrov: Medrov) -> None:
    write_svs(Path("a.svs"), draw(400, 600, BOXES), mpp=353)
    record = json.loads(medrov("detect", "a.svs", "--tile", "64", "--search-glass").stdout)
    assert record["pixel_spacing_mm"] is None
    assert any("size of the pixels" in text for text in record["warnings"])
    assert len(record["detections"]) == len(BOXES)
    assert "box_um" not in record["detections"][0]
    refused = medrov("detect", "a.svs", "--mpp", "0.5")
    assert refused.exit_code == 4
    assert json.loads(refused.stdout)["error"]["code"] == "bad_metadata"


@pytest.mark.slow
def test_annotations_of_a_slide_name_its_series(medrov: Medrov) -> None:
    (path,) = write_dicom_slide(Path("in"), draw(100, 150, [(20, 20, 30, 30)]))
    assert medrov("detect", "in", "--tile", "64", "-o", "out", "--format", "ann,sr").exit_code == 0
    (file,) = Path("out/ann").iterdir()
    found = pydicom.dcmread(file)
    assert found.ReferencedSeriesSequence[0].SeriesInstanceUID == pydicom.dcmread(path).SeriesInstanceUID
    assert found.AnnotationGroupSequence[0].NumberOfAnnotations == 1
    assert not list(Path("out/sr").iterdir())
    assert medrov("detect", "in", "--tile", "64", "-o", "again", "--format", "ann,sr").exit_code == 0
    assert folder_bytes(Path("again/ann")) == folder_bytes(Path("out/ann"))


def test_a_region_outside_of_the_slide_is_a_record(medrov: Medrov, slide: Path) -> None:
    found = medrov("detect", slide, "--tile", "64", "--region", "600,0,10,10")
    assert found.exit_code == 4
    assert json.loads(found.stdout)["error"]["code"] == "bad_metadata"


@pytest.mark.parametrize(
    "arguments",
    [
        ("--tile", "31"),
        ("--tile", "big"),
        ("--tile", "64", "--mpp", "0.5"),
        ("--tile", "off", "--mpp", "0.5"),
        ("--tile", "off", "--region", "0,0,5,5"),
        ("--mpp", "0"),
        ("--mpp", "nan"),
        ("--overlap", "0.6"),
        ("--region", "0,0,0,5"),
        ("--region", "1,2,3"),
        ("--shard-by", "tiles"),
        ("--shard-by", "tiles", "--shard", "1/2", "--tile", "off"),
    ],
)
def test_options_that_make_no_sense_are_refused(
    medrov: Medrov, slide: Path, arguments: tuple[str, ...]
) -> None:
    found: Finished = medrov("detect", slide, *arguments)
    assert found.exit_code == 2
    assert any(argument in found.stderr for argument in arguments if argument.startswith("--"))
