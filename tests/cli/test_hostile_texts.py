"""Hostile texts in each annotation format: an error or a record that names the file."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import annotation_seeds as seeds
from annotation_seeds import Folder

MAKERS: Mapping[str, tuple[str, Callable[[Path], Folder]]] = {
    "coco": ("annotations.json", seeds.coco),
    "label-studio": ("tasks.json", seeds.label_studio),
    "labelme": ("a.json", seeds.labelme),
    "yolo": ("data.yaml", seeds.yolo),
    "cvat": ("annotations.xml", seeds.cvat),
    "voc": ("Annotations/a.xml", seeds.voc),
    "dicom-csv": ("boxes.csv", seeds.dicom_csv),
}
JSON_FORMATS = ("coco", "label-studio", "labelme")
TEXT_FORMATS = tuple(MAKERS)
ONE_FILE_PER_IMAGE = ("labelme", "voc")
LONG = "x" * 5000
CONVERT = ("--modality", "CT", "--licence", "x", "--output", "out")
ALIASES = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 30)
)


def convert(medrov: Any, tmp_path: Path, form: str, change: Callable[[bytes], bytes], file: str = "") -> Any:
    """Convert a dataset in which one file is changed."""
    main, make = MAKERS[form]
    (tmp_path / "seed").mkdir()
    files = dict(make(tmp_path / "seed").files)
    files[file or main] = change(files[file or main])
    for name, data in files.items():
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    options = ["--csv", tmp_path / "in" / "boxes.csv"] if form == "dicom-csv" else []
    return medrov(
        *("data", "convert", tmp_path / "in", "--from", form, "--output", tmp_path / "out", "--workers", 1),
        *("--modality", "CT", "--licence", "x", "--json", *options),
    )


def changed(**values: Any) -> Callable[[bytes], bytes]:
    """Return a change of a JSON document: keys are ``images__0__file_name``."""

    def change(data: bytes) -> bytes:
        document = json.loads(data)
        for place, value in values.items():
            *path, last = [int(part) if part.isdecimal() else part for part in place.split("__")]
            item = document
            for part in path:
                item = item[part]
            item[last] = value
        return json.dumps(document).encode()

    return change


def assert_refused(done: Any, file: str, what: str = "") -> None:
    """Check that the command or an image failed, and that the file is named."""
    if "error" in done.json:
        error, where = done.json["error"], done.json["error"]["message"]
        assert (done.exit_code, error["code"]) == (4, "dataset_invalid")
    else:
        (failure,) = (own for own in done.json["failures"] if what in own["error"]["message"])
        error, where = failure["error"], failure["path"]
        assert (done.exit_code in (3, 4), error["code"]) == (True, "bad_metadata")
    assert Path(file).name in where
    assert what in error["message"]


@pytest.mark.parametrize("form", TEXT_FORMATS)
@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda data: data + "naïve".encode("latin-1"), "0xef in line"),
        (lambda data: data.replace(b"liver", b"li\0er", 1) + b"\0", ""),
    ],
    ids=["latin-1", "null"],
)
def test_what_is_no_text(
    form: str, change: Callable[[bytes], bytes], what: str, medrov: Any, tmp_path: Path
) -> None:
    file = MAKERS[form][0]
    assert_refused(convert(medrov, tmp_path, form, change), file, "" if file.endswith(".xml") else what)


@pytest.mark.parametrize("form", TEXT_FORMATS)
@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_byte_order_mark(form: str, encoding: str, medrov: Any, tmp_path: Path) -> None:
    done = convert(medrov, tmp_path, form, lambda data: data.decode().encode(encoding))
    assert done.exit_code in (0, 3)
    assert done.json["images"] > 0
    assert not any("UTF" in own["error"]["message"] for own in done.json["failures"])


@pytest.mark.parametrize("form", [*JSON_FORMATS, "yolo", "cvat", "voc"])
@pytest.mark.parametrize("levels", [70, 900, 100_000])
def test_deep_nesting(form: str, levels: int, medrov: Any, tmp_path: Path) -> None:
    file = MAKERS[form][0]
    unit = {"json": (b"[", b"]"), "yaml": (b"[", b"]"), "xml": (b"<a>", b"</a>")}[file.rpartition(".")[2]]
    done = convert(medrov, tmp_path, form, lambda _: unit[0] * levels + unit[1] * levels)
    assert_refused(done, file, "nest")


@pytest.mark.parametrize("form", JSON_FORMATS)
def test_a_key_that_stands_twice_in_json(form: str, medrov: Any, tmp_path: Path) -> None:
    def twice(data: bytes) -> bytes:
        return (
            data.replace(b'"annotations":', b'"data": 1, "annotations":')
            .replace(b'"version"', b'"shapes": [], "version"')
            .replace(b'"name": "liver"', b'"name": "liver", "name": "kidney"')
        )

    assert_refused(convert(medrov, tmp_path, form, twice), MAKERS[form][0], "twice")


def test_a_key_that_stands_twice_in_other_formats(medrov: Any, tmp_path: Path) -> None:
    for number, (form, old, new) in enumerate(
        (
            ("yolo", b"1: kidney", b"0: kidney"),
            ("yolo", b"val: images/val", b"train: images/val"),
            ("dicom-csv", b"width,height", b"x,height"),
        )
    ):
        folder = tmp_path / str(number)
        folder.mkdir()
        done = convert(medrov, folder, form, lambda data, old=old, new=new: data.replace(old, new))
        assert_refused(done, MAKERS[form][0], "twice")


@pytest.mark.parametrize(
    ("form", "place"),
    [
        ("coco", "images__0__id"),
        ("coco", "annotations__0__bbox"),
        ("coco", "annotations__0__area"),
        ("label-studio", "0__annotations__0__result__0__value__x"),
        ("label-studio", "0__annotations__0__result__0__original_width"),
        ("labelme", "imageHeight"),
        ("labelme", "shapes__0__points"),
    ],
)
@pytest.mark.parametrize("digits", [400, 5000])
def test_a_number_of_many_digits_in_json(
    form: str, place: str, digits: int, medrov: Any, tmp_path: Path
) -> None:
    def huge(data: bytes) -> bytes:
        return changed(**{place: "huge"})(data).replace(b'"huge"', b"9" * digits)

    assert_refused(convert(medrov, tmp_path, form, huge), MAKERS[form][0], "digits")


@pytest.mark.parametrize("value", [[], {}, [[1]]])
def test_an_id_of_a_region_that_is_no_text(value: Any, medrov: Any, tmp_path: Path) -> None:
    done = convert(medrov, tmp_path, "label-studio", changed(**{"0__annotations__0__result__0__id": value}))
    assert_refused(done, "a.png", "id is no text")


@pytest.mark.parametrize("index", ["9" * 400, "9" * 5000, "1" + "0" * 400 + ".0"])
def test_a_class_index_of_many_digits(index: str, medrov: Any, tmp_path: Path) -> None:
    done = convert(
        medrov,
        tmp_path,
        "yolo",
        lambda data: data.replace(b"0 0.5", index.encode() + b" 0.5"),
        "labels/train/a.txt",
    )
    assert (done.exit_code, [own["error"]["code"] for own in done.json["failures"]]) == (3, ["bad_metadata"])


@pytest.mark.parametrize("key", ["9" * 400, "'" + "9" * 5000 + "'"])
def test_a_class_number_of_many_digits_in_yaml(key: str, medrov: Any, tmp_path: Path) -> None:
    done = convert(
        medrov, tmp_path, "yolo", lambda data: data.replace(b"1: kidney", f"{key}: kidney".encode())
    )
    assert_refused(done, "data.yaml")


@pytest.mark.parametrize("number", ["NaN", "Infinity", "1e999"])
@pytest.mark.parametrize("form", JSON_FORMATS)
def test_numbers_that_are_none_cost_one_image(form: str, number: str, medrov: Any, tmp_path: Path) -> None:
    old = {"coco": b"[2, 3, 10, 12]", "label-studio": b'"x": 10', "labelme": b"[2, 3]"}[form]
    new = old.replace(b"10" if form == "label-studio" else b"2", number.encode(), 1)
    done = convert(medrov, tmp_path, form, lambda data: data.replace(old, new))
    assert done.exit_code in (3, 4)
    assert {own["error"]["code"] for own in done.json["failures"]} <= {"bad_metadata"}


@pytest.mark.parametrize(
    "text",
    [
        "a: &a [x, x, x, x, x, x, x, x, x]\n"
        + "".join(
            f"k{n}: &k{n} [{', '.join(['*' + ('a' if n == 0 else f'k{n - 1}')] * 9)}]\n" for n in range(30)
        )
        + "train: *k29\nnames: [liver]",
        "train: &t [*t]\nnames: [liver]",
        "train: images/train\nnames: !!python/object/apply:os.system [true]",
        "train: images/train\nnames: !!binary aGk=",
        "train: images/train\nnames: {? [1] : liver}",
        "train: [\n",
        "- train",
    ],
)
def test_yaml_that_is_more_than_a_document(text: str, medrov: Any, tmp_path: Path) -> None:
    assert_refused(convert(medrov, tmp_path, "yolo", lambda _: text.encode()), "data.yaml")


def test_a_date_in_yaml_is_a_class_name(medrov: Any, tmp_path: Path) -> None:
    done = convert(medrov, tmp_path, "yolo", lambda data: data.replace(b"kidney", b"2020-99-99"))
    assert (done.exit_code, set(done.json["classes"])) == (0, {"liver", "2020-99-99"})


@pytest.mark.parametrize(
    ("form", "change"),
    [
        ("yolo", lambda data: data.replace(b"images/val", LONG.encode())),
        ("yolo", lambda data: data.replace(b"train.txt", b"x/" * 3000 + b"x")),
        ("yolo", lambda data: data.replace(b"0: liver\n  1: kidney", f"{LONG}.txt".encode())),
        ("yolo", lambda data: data.replace(b"path: .", f"path: {LONG}".encode())),
        ("coco", changed(images__0__file_name=LONG)),
        ("coco", changed(images__0__file_name="x/" * 3000 + "x")),
        ("coco", changed(images__0__file_name="a\0b.png")),
        ("label-studio", changed(**{"0__data__image": f"/data/upload/{LONG}.png"})),
        ("label-studio", changed(**{"0__data__image": "http://x/?d=" + "x/" * 3000})),
        ("labelme", changed(imagePath=LONG)),
        ("voc", lambda data: data.replace(b"a.png", LONG.encode())),
        ("cvat", lambda data: data.replace(b"a.png", LONG.encode())),
        ("dicom-csv", lambda data: data + LONG.encode() + b",1,1,4,4,1\n"),
    ],
)
def test_an_address_that_is_too_long(
    form: str, change: Callable[[bytes], bytes], medrov: Any, tmp_path: Path
) -> None:
    done = convert(medrov, tmp_path, form, change)
    assert done.exit_code in (0, 3, 4)
    if "error" in done.json:
        assert str(tmp_path / "in") in done.json["error"]["message"]
        assert done.json["error"]["code"] in ("dataset_invalid", "no_input")


@pytest.mark.parametrize("form", ["coco", "cvat", "label-studio", "voc"])
def test_a_name_of_many_digits(form: str, medrov: Any, tmp_path: Path) -> None:
    done = convert(medrov, tmp_path, form, lambda data: data.replace(b"a.png", b"9" * 5000 + b".png"))
    assert done.exit_code in (0, 3, 4)
    assert {own["error"]["code"] for own in done.json["failures"]} <= {"not_found", "bad_metadata"}


def test_a_line_of_a_list_that_is_too_long(medrov: Any, tmp_path: Path) -> None:
    done = convert(medrov, tmp_path, "yolo", lambda data: data + LONG.encode() + b".png\n", "train.txt")
    assert (done.exit_code, done.json["failures"][0]["error"]["code"]) == (3, "not_found")


@pytest.mark.parametrize(
    "arguments",
    [
        ["detect", f"{LONG}.png"],
        ["detect", "IMAGE", "--classes-file", LONG],
        ["detect", "IMAGE", "--weights", LONG],
        ["data", "check", f"{LONG}.yaml"],
        ["data", "stats", LONG],
        ["data", "convert", LONG, "--from", "coco", *CONVERT],
        ["data", "convert", LONG, "--from", "voc", *CONVERT],
        [
            "data",
            "convert",
            LONG,
            "--from",
            "dicom-seg",
            "--modality",
            "CT",
            "--licence",
            "x",
            "--output",
            "o",
        ],
        ["weights", "import", f"{LONG}.pt"],
        ["weights", "show", LONG],
        ["train", LONG, "--output", "out"],
        ["train", "IMAGE", "--preset", LONG, "--output", "out"],
        ["eval", f"{LONG}.yaml"],
        ["export", "--to", "onnx", "--weights", LONG, "--output", "m.onnx"],
    ],
    ids=lambda own: " ".join(own)[:30],
)
def test_an_argument_that_is_too_long(
    arguments: list[str], medrov: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.png").write_bytes(seeds.png(np.zeros((8, 8), np.uint8), tmp_path))
    done = medrov(*("a.png" if own == "IMAGE" else own for own in arguments))
    assert done.exit_code in (2, 4, 5)
    assert LONG[:20] in done.stderr


@pytest.mark.parametrize(
    ("content", "what"),
    [
        ('{"labels": {"liver": 1, "liver": 2}}', "twice"),
        ("[" * 100_000, "nested"),
        ('{"labels": {"liver": ' + "9" * 400 + "}}", "digits"),
        ("\ufeff{", "line 1"),
    ],
)
def test_the_dataset_json_of_nnunet(content: str, what: str, medrov: Any, tmp_path: Path) -> None:
    files = seeds.nifti(tmp_path).files | {"dataset.json": content.encode()}
    for name, data in files.items():
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "in" / name).write_bytes(data)
    done = medrov(
        *("data", "convert", tmp_path / "in", "--from", "nifti", "--output", tmp_path / "out"),
        *("--modality", "CT", "--licence", "x", "--json"),
    )
    assert_refused(done, "dataset.json", what)


@pytest.mark.parametrize(
    ("file", "content", "what"),
    [
        ("data.yaml", "sources: [s]\nsources: [t]", "twice"),
        ("data.yaml", "[" * 100_000, "nest"),
        ("data.yaml", f"root: {LONG}\nsources: [s]", "long"),
        ("data.yaml", f"sources: [{LONG}]", "long"),
        ("data.yaml", f"sources: [s]\npresence: {LONG}", "long"),
        ("data.yaml", f"sources: [s]\nkinds: {LONG}", "long"),
        ("presence.csv", "dataset,liver,liver\nS,1,1\n", "twice"),
        ("presence.csv", "dataset,liver\nS,1\nS,0\n", "second row"),
        ("presence.csv", "dataset,liver\nS,\0\n", "null character"),
        ("kinds.csv", "source,kind,kind\nS,a,b\n", "twice"),
        ("kinds.csv", "source,kind\nS,\xe9\n", "0xe9 in line 2"),
        ("s/annotations.json", '{"images": [], "images": []}', "twice"),
    ],
)
def test_the_files_of_a_dataset(file: str, content: str, what: str, medrov: Any, tmp_path: Path) -> None:
    files = seeds.dataset(tmp_path).files | {file: content.encode("latin-1")}
    for name, data in files.items():
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "in" / name).write_bytes(data)
    done = medrov("eval", tmp_path / "in" / "data.yaml", "--split", "train", "--json")
    assert (done.exit_code, done.json["error"]["code"]) == (4, "dataset_invalid")
    assert str(tmp_path / "in") in done.json["error"]["message"]
    assert what in done.json["error"]["message"]


@pytest.mark.parametrize(
    ("content", "what"),
    [
        ("batch = 1\nbatch = 2", "TOML"),
        ("a." * 30_000 + "a = 1", "parts"),
        ("batch = " + "[" * 5000, "nested"),
        ("batch = 2020-99-99", "TOML"),
        ("batch = \xe9", "0xe9"),
    ],
)
def test_a_preset(content: str, what: str, medrov: Any, tmp_path: Path) -> None:
    preset = tmp_path / "own.toml"
    preset.write_bytes(content.encode("latin-1"))
    done = medrov("train", "x.yaml", "--preset", preset, "--output", tmp_path / "out", "--json")
    assert (done.exit_code, done.json["error"]["code"]) == (2, "usage")
    assert str(preset) in done.json["error"]["message"]
    assert what in done.json["error"]["message"]


@pytest.mark.parametrize("content", [b"liver\0\n", b"caf\xe9\n"])
def test_a_list_of_classes(content: bytes, medrov: Any, tmp_path: Path) -> None:
    (tmp_path / "classes.txt").write_bytes(content)
    done = medrov("detect", "a.png", "--classes-file", tmp_path / "classes.txt", "--json")
    assert (done.exit_code, done.json["error"]["code"]) == (2, "usage")
    assert "classes.txt" in done.json["error"]["message"]
