"""``medrov data convert``: its output for people and for programs, and every exit code."""

from __future__ import annotations

import dataclasses
import io
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from medrov_cli.commands.signature import parameters
from medrov_cli.core.datasets.readers.registry import READERS
from medrov_cli.core.settings.data_convert import UNSTATED, ConvertSettings, ReaderSettings

ABOUT = ("--modality", "ct", "--licence", "CC0")


@pytest.fixture
def voc(tmp_path: Path) -> Path:
    """Two images with a box each; that of the second reaches out of it."""
    folder = tmp_path / "voc"
    folder.mkdir()
    for name, x2 in (("p1_a", 4), ("p2_b", 9)):
        cv2.imwrite(str(folder / f"{name}.png"), np.zeros((6, 8, 3), np.uint8))
        box = f"<xmin>2</xmin><ymin>3</ymin><xmax>{x2}</xmax><ymax>6</ymax>"
        item = f"<object><name>cell</name><bndbox>{box}</bndbox></object>"
        (folder / f"{name}.xml").write_text(f"<annotation>{item}</annotation>")
    return folder


def test_defaults_are_those_of_the_core() -> None:
    given = {option.name: option.given_default for option in parameters(ConvertSettings)}
    reader = {own.name: own.default for own in dataclasses.fields(ReaderSettings)}
    for name in ("components", "min_area", "axis", "every", "window", "skip_empty", "readers"):
        assert given[name] == reader[name]
    assert given["source"] == UNSTATED


def test_for_people(medrov: Any, voc: Path, tmp_path: Path) -> None:
    done = medrov("data", "convert", voc, "--from", "voc", "-o", tmp_path / "out", *ABOUT)
    assert done.exit_code == 0, done.stderr
    assert done.stdout == f"class  boxes\ncell       2\n\n2 image(s) in {tmp_path / 'out'} (train 2)\n"
    assert "warning: 1 box(es) extend beyond their image and were cut" in done.stderr


def test_for_programs(medrov: Any, voc: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    options = ("--split", "test", "--case", "^(p[0-9]+)_", "--source", "us", "--json")
    done = medrov("data", "convert", voc, "--from", "voc", "-o", output, *ABOUT, *options)
    assert done.exit_code == 0, done.stderr
    assert done.json == {
        "schema": "medrov.data.convert/1",
        "output": str(output),
        "images": 2,
        "boxes": 2,
        "classes": {"cell": 2},
        "splits": {"train": 0, "val": 0, "test": 2},
        "skipped_empty": 0,
        "clipped_boxes": 1,
        "dropped_boxes": 0,
        "repeated_boxes": 0,
        "warnings": [],
        "failures": [],
    }
    document = json.loads((output / "annotations.json").read_text())
    assert document["info"] == {"modality": "CT", "licence": "CC0", "source": "us"}
    assert [own["bbox"] for own in document["annotations"]] == [[1, 2, 3, 4], [1, 2, 7, 4]]
    cases = {image["case"] for image in document["images"]}
    assert len(cases) == 2
    assert "p1" not in cases


def test_masks_with_all_their_options(medrov: Any, tmp_path: Path) -> None:
    for part in ("pictures", "masks"):
        (tmp_path / part).mkdir()
    for name in ("a.png", "b.png"):
        cv2.imwrite(str(tmp_path / "pictures" / name), np.zeros((6, 8, 3), np.uint8))
        values = np.zeros((6, 8), np.uint8)
        if name == "a.png":
            values[0, 0] = values[2:4, 2:4] = 3
            values[5, 7] = 9
        cv2.imwrite(str(tmp_path / "masks" / name), values)
    masks = (
        "data",
        "convert",
        tmp_path / "masks",
        "--from",
        "masks",
        "--images",
        tmp_path / "pictures",
        *ABOUT,
    )
    labels = ("--labels", "3=polyp,9=")
    done = medrov(*masks, "-o", tmp_path / "1", *labels, "--min-area", 2, "--skip-empty", "--json")
    assert (done.json["boxes"], done.json["images"], done.json["skipped_empty"]) == (1, 1, 1)
    done = medrov(*masks, "-o", tmp_path / "2", *labels, "--no-components", "--json")
    assert (done.json["boxes"], done.json["images"]) == (1, 2)
    document = json.loads((tmp_path / "2" / "annotations.json").read_text())
    assert [(own["bbox"], own["area"]) for own in document["annotations"]] == [([0, 0, 4, 4], 5)]


def test_an_input_that_fails_is_partial(medrov: Any, voc: Path, tmp_path: Path) -> None:
    (voc / "p1_a.png").unlink()
    arguments = ("data", "convert", voc, "--from", "voc", "-o", tmp_path / "out", *ABOUT, "--json")
    done = medrov(*arguments)
    assert done.exit_code == 3
    (failure,) = done.json["failures"]
    assert (failure["path"], failure["error"]["code"]) == ("p1_a.xml", "not_found")
    assert "p1_a.xml" in done.stderr
    assert done.json["images"] == 1
    cv2.imwrite(str(voc / "p1_a.png"), np.zeros((6, 8, 3), np.uint8))
    assert medrov(*arguments).exit_code == 2
    done = medrov(*arguments, "--resume", "--workers", 1)
    assert (done.exit_code, done.json["images"]) == (0, 2)


@pytest.mark.parametrize(("options", "boxes"), [((), 4), (("--drop-repeats",), 3)])
def test_a_box_that_stands_there_twice(
    medrov: Any, voc: Path, tmp_path: Path, options: tuple[str, ...], boxes: int
) -> None:
    text = (voc / "p1_a.xml").read_text()
    item = text.removeprefix("<annotation>").removesuffix("</annotation>")
    other = item.replace("cell", "nucleus")  # of another class: no repeat
    (voc / "p1_a.xml").write_text(f"<annotation>{item}{other}{item}</annotation>")
    done = medrov("data", "convert", voc, "--from", "voc", "-o", tmp_path / "out", *ABOUT, *options, "--json")
    assert done.exit_code == 0, done.stderr
    assert (done.json["boxes"], done.json["repeated_boxes"]) == (boxes, 4 - boxes)
    coco = json.loads((tmp_path / "out" / "annotations.json").read_text())
    assert [a["category_id"] for a in coco["annotations"]] == ([1, 2, 1, 1] if boxes == 4 else [1, 2, 1])


def test_no_usable_input(medrov: Any, voc: Path, tmp_path: Path) -> None:
    for path in voc.glob("*.png"):
        path.unlink()
    done = medrov("data", "convert", voc, "--from", "voc", "-o", tmp_path / "out", *ABOUT, "--json")
    assert (done.exit_code, len(done.json["failures"])) == (4, 2)
    done = medrov(
        "data", "convert", tmp_path / "none", "--from", "coco", "-o", tmp_path / "out2", *ABOUT, "--json"
    )
    assert (done.exit_code, done.json["error"]["code"]) == (4, "not_found")
    assert not (tmp_path / "out2").exists()


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (("--from", "excel", *ABOUT), "--from"),
        (("--from", "voc", "--modality", "x-rays", "--licence", "CC0"), "--modality"),
        (("--from", "voc", "--modality", "ct"), "--licence"),
        (("--from", "voc", "--labels", "0=a", *ABOUT), "--labels"),
        (("--from", "voc", "--case", "(", *ABOUT), "--case"),
    ],
)
def test_usage(medrov: Any, voc: Path, tmp_path: Path, options: tuple[str, ...], named: str) -> None:
    done = medrov("data", "convert", voc, "-o", tmp_path / "out", *options)
    assert done.exit_code == 2
    assert named in done.stderr
    assert not (tmp_path / "out").exists()


def test_every_format_can_be_asked_for() -> None:
    (form,) = (option for option in parameters(ConvertSettings) if option.field_name == "format")
    assert sorted(form.spec.choices) == sorted(entry.name for entry in READERS)


NAME = b"DOE^JANE"


@pytest.fixture
def photographs(tmp_path: Path) -> Path:
    """COCO images of several formats whose headers name a patient; the orientation of the JPEG is 6."""
    folder = tmp_path / "photographs"
    folder.mkdir()
    picture = Image.fromarray(np.random.default_rng(3).integers(0, 256, (6, 8, 3), dtype=np.uint8))
    tags = Image.Exif()
    tags[0x0112], tags[0x010E] = 6, NAME.decode()
    texts = PngInfo()
    texts.add_text("PatientName", NAME.decode())
    picture.save(folder / "a.png", pnginfo=texts, exif=tags)
    picture.save(folder / "b.jpg", exif=tags, comment=NAME)
    picture.save(folder / "c.tif", description=NAME.decode())
    picture.save(folder / "d.webp", exif=tags, xmp=NAME, lossless=True)
    picture.save(folder / "e.jp2", comment=NAME, irreversible=False)
    (folder / "f.bmp").write_bytes(encoded_bmp(picture) + NAME)
    names = sorted(path.name for path in folder.iterdir())
    images = [{"id": i, "file_name": name, "width": 8, "height": 6} for i, name in enumerate(names)]
    boxes = [{"id": i, "image_id": i, "category_id": 1, "bbox": [1, 2, 3, 4]} for i in range(len(names))]
    document = {"images": images, "annotations": boxes, "categories": [{"id": 1, "name": "cell"}]}
    (folder / "annotations.json").write_text(json.dumps(document))
    return folder


def encoded_bmp(picture: Image.Image) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, "BMP")
    return stream.getvalue()


def converted_files(medrov: Any, folder: Path, output: Path, *options: str) -> dict[str, bytes]:
    arguments = ("data", "convert", folder, "--from", "coco", "-o", output, *ABOUT, *options)
    done = medrov(*arguments)
    assert done.exit_code == 0, done.stderr
    return {str(path.relative_to(output)): path.read_bytes() for path in output.rglob("*") if path.is_file()}


def test_convert_leaves_out_metadata_and_keeps_the_pixels(
    medrov: Any, photographs: Path, tmp_path: Path
) -> None:
    files = converted_files(medrov, photographs, tmp_path / "out")
    assert [name for name, content in files.items() if NAME in content] == []
    images = sorted(name for name in files if name.startswith("images/"))
    assert images == ["images/a.png", "images/b.jpg", *(f"images/{name}.png" for name in "cdef")]
    for name, original in zip(images, sorted(photographs.glob("[a-f].*")), strict=True):
        with Image.open(io.BytesIO(files[name])) as written, Image.open(original) as given:
            assert np.array_equal(np.asarray(written.convert("RGB")), np.asarray(given.convert("RGB")))
            assert 0x0112 not in written.getexif()
    boxes = json.loads(files["annotations.json"])["annotations"]
    assert [box["bbox"] for box in boxes] == [[1, 2, 3, 4]] * 6  # COCO boxes are of the stored pixels


def test_convert_with_keep_metadata_copies_png_and_jpeg(
    medrov: Any, photographs: Path, tmp_path: Path
) -> None:
    files = converted_files(medrov, photographs, tmp_path / "out", "--keep-metadata")
    assert files["images/a.png"] == (photographs / "a.png").read_bytes()
    assert files["images/b.jpg"] == (photographs / "b.jpg").read_bytes()
    done = medrov(
        "data", "convert", photographs, "--from", "coco", "-o", tmp_path / "out", *ABOUT, "--resume"
    )
    assert done.exit_code == 2
    assert "settings.keep_metadata: true, now false" in done.stderr


def test_convert_below_a_file_names_the_place(medrov: Any, voc: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = medrov("data", "convert", voc, "--from", "voc", "-o", tmp_path / "file" / "out", *ABOUT)
    assert done.exit_code == 1
    assert f"cannot write {tmp_path / 'file' / 'out'}" in done.stderr


def test_convert_with_a_link_in_the_output_is_refused(medrov: Any, voc: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    arguments = ("data", "convert", voc, "--from", "voc", "-o", tmp_path / "out", *ABOUT)
    assert medrov(*arguments).exit_code == 0
    (tmp_path / "out" / "annotations.json").unlink()
    (tmp_path / "out" / "images").rename(tmp_path / "images")
    (tmp_path / "out" / "images").symlink_to(tmp_path / "elsewhere")
    done = medrov(*arguments, "--resume")
    assert done.exit_code == 2
    assert str(tmp_path / "out" / "images") in done.stderr
    assert list((tmp_path / "elsewhere").iterdir()) == []
