"""The other forms of a run's records: CSV, COCO, YOLO, one JSON document, and the names of files."""

from __future__ import annotations

import contextlib
import csv
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pycocotools.coco import COCO

from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.base.name_collisions import collision_key
from medrov_cli.core.writers.coco_files import write_coco_dataset, write_coco_results
from medrov_cli.core.writers.csv_table import COLUMNS, write_csv
from medrov_cli.core.writers.json_document import write_document
from medrov_cli.core.writers.naming import distinct_names, output_path, without_suffix
from medrov_cli.core.writers.yolo_labels import write_yolo

CLASSES = ("lung nodule", "polyp")


def image(path: str = "a.png", *found: dict[str, Any], **fields: Any) -> dict[str, Any]:
    record = {"path": path, "frame": 0, "frame_count": 1, "width": 200, "height": 100, "modality": None}
    return record | {"detections": list(found)} | fields


def detection(name: str, score: float, *box: float, size_mm: list[float] | None = None) -> dict[str, Any]:
    return {"class": name, "score": score, "box_xyxy": list(box), "size_mm": size_mm}


def failure(path: str = "broken.png") -> dict[str, Any]:
    return {"path": path, "error": {"code": "truncated", "message": "It ends early.", "hint": "Copy it."}}


RECORDS = [
    image("a.png", detection("polyp", 0.9, 10, 20, 50, 40, size_mm=[4.0, 2.5]), modality="CT"),
    failure(),
    image("b.png"),
    image("c.dcm", detection("lung nodule", 0.5, 0, 0, 200, 100), frame=3, frame_count=8),
]


def test_csv_has_one_row_for_a_detection_an_empty_image_and_a_failed_input(tmp_path: Path) -> None:
    write_csv(tmp_path / "d.csv", RECORDS)
    with (tmp_path / "d.csv").open(newline="", encoding="utf-8") as stream:
        rows = list(csv.reader(stream))
    assert rows[0] == list(COLUMNS)
    assert rows[1:] == [
        ["a.png", "0", "200", "100", "CT", "polyp", "0.9", "10", "20", "50", "40", "4.0", "2.5", ""],
        ["broken.png", *[""] * 12, "truncated"],
        ["b.png", "0", "200", "100", *[""] * 10],
        ["c.dcm", "3", "200", "100", "", "lung nodule", "0.5", "0", "0", "200", "100", "", "", ""],
    ]


def test_csv_has_no_formulas_in_paths_and_class_names(tmp_path: Path) -> None:
    formulas = ["=1+1.png", "+1.png", "-1.png", "@SUM(1).png", "\t=1.png", "\r=1.png", "'quoted.png"]
    records = [image(name, detection("=cmd", 0.5, -1.5, 0, 4, 4)) for name in (*formulas, "a=1.png")]
    write_csv(tmp_path / "d.csv", [*records, failure("=broken.png")])
    with (tmp_path / "d.csv").open(newline="", encoding="utf-8") as stream:
        rows = list(csv.reader(stream))[1:]
    assert [row[0] for row in rows] == [*(f"'{name}" for name in formulas), "a=1.png", "'=broken.png"]
    assert {row[COLUMNS.index("class")] for row in rows[:-1]} == {"'=cmd"}
    assert rows[0][COLUMNS.index("x1")] == "-1.5"  # a number is no text


def test_csv_takes_names_that_need_quotes_or_are_not_utf8(tmp_path: Path) -> None:
    write_csv(tmp_path / "d.csv", [image('a "b", c.png'), image("caf\udce9.png")])
    with (tmp_path / "d.csv").open(newline="", encoding="utf-8") as stream:
        names = [row[0] for row in csv.reader(stream)]
    assert names[1:] == ['a "b", c.png', "caf\\udce9.png"]


def test_coco_results_are_read_by_pycocotools(tmp_path: Path) -> None:
    write_coco_dataset(tmp_path / "d.json", lambda: RECORDS, CLASSES)
    write_coco_results(tmp_path / "r.json", lambda: RECORDS, CLASSES)
    with contextlib.redirect_stdout(io.StringIO()):
        dataset = COCO(str(tmp_path / "d.json"))
        results = dataset.loadRes(str(tmp_path / "r.json"))
    assert [dataset.imgs[i]["file_name"] for i in sorted(dataset.imgs)] == ["a.png", "b.png", "c.dcm"]
    assert dataset.imgs[3]["frame"] == 3
    assert {c["id"]: c["name"] for c in dataset.cats.values()} == {1: "lung nodule", 2: "polyp"}
    (first,) = results.loadAnns(results.getAnnIds(imgIds=1))
    assert (first["category_id"], first["bbox"], first["score"]) == (2, [10, 20, 40, 20], 0.9)
    assert first["area"] == 800
    (truth,) = dataset.loadAnns(dataset.getAnnIds(imgIds=3))
    assert (truth["category_id"], truth["bbox"], truth["area"]) == (1, [0, 0, 200, 100], 20_000)
    assert not results.getAnnIds(imgIds=2)


def test_coco_of_nothing_is_valid(tmp_path: Path) -> None:
    write_coco_dataset(tmp_path / "d.json", lambda: [failure()], CLASSES)
    write_coco_results(tmp_path / "r.json", lambda: [failure()], CLASSES)
    assert json.loads((tmp_path / "d.json").read_bytes())["images"] == []
    assert json.loads((tmp_path / "r.json").read_bytes()) == []


def test_yolo_lines_are_relative_centres_and_sizes(tmp_path: Path) -> None:
    write_yolo(tmp_path, lambda: RECORDS, CLASSES)
    assert (tmp_path / "classes.txt").read_text() == "lung nodule\npolyp\n"
    line = (tmp_path / "labels" / "a.txt").read_text()
    # x: (10 + 50) / 2 / 200, y: (20 + 40) / 2 / 100, width 40 / 200, height 20 / 100
    assert line == "1 0.150000 0.300000 0.200000 0.200000 0.900000\n"
    assert (tmp_path / "labels" / "b.txt").read_text() == ""
    assert (tmp_path / "labels" / "c" / "frame-00003.txt").exists()
    assert len(list((tmp_path / "labels").rglob("*.txt"))) == 3


@given(
    box=st.tuples(*[st.floats(0, 1)] * 4).map(np.array),
    size=st.tuples(st.integers(1, 10_000), st.integers(1, 10_000)),
)
def test_yolo_boxes_come_back(
    tmp_path_factory: pytest.TempPathFactory, box: Any, size: tuple[int, int]
) -> None:
    width, height = size
    scale = np.array([width, height, width, height])
    x1, x2 = sorted(box[[0, 2]])
    y1, y2 = sorted(box[[1, 3]])
    corners = np.array([x1, y1, x2, y2]) * scale
    folder = tmp_path_factory.mktemp("yolo")
    record = image("a.png", detection("polyp", 0.5, *corners), width=width, height=height)
    write_yolo(folder, lambda: [record], CLASSES)
    center_x, center_y, w, h = np.array((folder / "labels" / "a.txt").read_text().split()[1:5], float)
    back = np.array([center_x - w / 2, center_y - h / 2, center_x + w / 2, center_y + h / 2]) * scale
    np.testing.assert_allclose(back, corners, atol=1e-6 * scale.max())


@pytest.mark.parametrize(
    ("paths", "names"),
    [
        (["x/a.png", "x/b.png"], ["x/a.txt", "x/b.txt"]),
        (["a.png", "a.jpg"], ["a.jpg.txt", "a.png.txt"]),
        (["a", "a.png"], ["a.png.txt", "a.txt"]),
        (["a.b", "a.c", "a.b.png"], ["a.b.png.txt", "a.b.txt", "a.c.txt"]),
    ],
)
def test_yolo_labels_are_named_like_their_images_and_never_alike(
    tmp_path: Path, paths: list[str], names: list[str]
) -> None:
    write_yolo(tmp_path, lambda: [image(path) for path in paths], CLASSES)
    labels = tmp_path / "labels"
    assert sorted(str(path.relative_to(labels)) for path in labels.rglob("*.txt")) == names


def test_document_has_summary_and_records(tmp_path: Path) -> None:
    write_document(tmp_path / "d.json", RECORDS, {"inputs": 4})
    found = json.loads((tmp_path / "d.json").read_bytes())
    assert found == {"schema": "medrov.detect/1", "summary": {"inputs": 4}, "records": RECORDS}


def test_a_full_disk_is_an_error_and_leaves_no_half_file(tmp_path: Path) -> None:
    def records() -> Any:
        yield RECORDS[0]
        raise OSError(28, "No space left on device")

    with pytest.raises(MedrovError) as caught:
        write_csv(tmp_path / "d.csv", records())
    assert caught.value.code is ErrorCode.OUTPUT_FAILED
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("path", "frames", "expected"),
    [
        ("scans/a.dcm", 1, "scans/a.dcm.png"),
        ("./a.dcm", 1, "a.dcm.png"),
        ("scans/a.dcm", 8, "scans/a.dcm/frame-00007.png"),
        ("film.mp4", None, "film.mp4/frame-00007.png"),
        ("/data/a.dcm", 1, "_root/data/a.dcm.png"),
        ("../a.dcm", 1, "_up/a.dcm.png"),
        ("_up/a.dcm", 1, "__up/a.dcm.png"),
    ],
)
def test_output_names_keep_the_path_of_the_input(path: str, frames: int | None, expected: str) -> None:
    assert output_path(Path("out"), path, 7, frames, ".png") == Path("out") / expected


@pytest.mark.parametrize(
    ("paths", "names"),
    [
        (["v.avi", "v/frame-00000.png"], ["v.avi/frame-00000.txt", "v/frame-00000.txt"]),
        (["A.png", "a.png"], ["A-28e6ae4e.png.txt", "a-7f071235.png.txt"]),
    ],
)
def test_yolo_labels_of_videos_and_twins_have_their_own_files(
    tmp_path: Path, paths: list[str], names: list[str]
) -> None:
    records = [image(path) | {"frame_count": None if path.endswith("avi") else 1} for path in paths]
    write_yolo(tmp_path, lambda: records, CLASSES)
    labels = tmp_path / "labels"
    assert sorted(str(path.relative_to(labels)) for path in labels.rglob("*.txt")) == names


NAME = st.sampled_from(["a", "A", "a.txt", "a.png", "a.PNG", "a.txt.avi", "\u00e9.png", "e\u0301.png", "b"])


@given(
    st.lists(st.tuples(NAME, NAME).map("/".join) | NAME, max_size=8),
    st.sampled_from([".txt", ".png"]),
    st.booleans(),
)
def test_distinct_names_never_collide(paths: list[str], suffix: str, is_short: bool) -> None:
    """Whether an input has one frame or more is not known to the names."""
    names = distinct_names(paths, suffix, is_short=is_short)
    files: dict[str, str] = {}
    own_folders: dict[str, str] = {}
    folders = set()
    for path in set(paths):
        name = names.get(path) or (without_suffix(path) if is_short else path)
        single = output_path(Path(), name, 0, 1, suffix)
        several = output_path(Path(), name, 0, 2, suffix)
        for key in {collision_key(str(single)), collision_key(str(several))}:
            assert files.setdefault(key, path) == path
        assert own_folders.setdefault(collision_key(str(several.parent)), path) == path
        folders |= {collision_key(str(folder)) for folder in single.parents[:-1]}
    assert not files.keys() & (own_folders.keys() | folders)
    assert not own_folders.keys() & folders


def test_distinct_names_keep_the_names_of_inputs_that_do_not_collide() -> None:
    assert distinct_names(["a/x.png", "b/x.png", "a/y.dcm"], ".png") == {}
    assert distinct_names(["a/x.png", "a/x.jpg"], ".txt", is_short=True) == {
        "a/x.png": "a/x.png",
        "a/x.jpg": "a/x.jpg",
    }


STEP = st.sampled_from(["..", "_up", "__up", "_root", "a", "a.png", "b" * 250, "b" * 251])


@given(
    first=st.lists(STEP, min_size=1), second=st.lists(STEP, min_size=1), roots=st.tuples(*[st.booleans()] * 2)
)
def test_output_names_stay_in_the_folder_and_are_never_the_same(
    first: list[str], second: list[str], roots: tuple[bool, bool]
) -> None:
    paths = ["/" * root + "/".join(steps) for root, steps in zip(roots, (first, second), strict=True)]
    names = [output_path(Path("out"), path, 0, 1, ".png") for path in paths]
    assert all(name.parts[0] == "out" and ".." not in name.parts for name in names)
    assert all(len(part) < 255 for name in names for part in name.parts)
    assert (names[0] == names[1]) == (paths[0] == paths[1])
