"""What a check finds, each kind planted alone into a sound dataset."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.curation.check import DatasetCheck, check_dataset
from medrov_cli.core.curation.duplicates import near_duplicates
from medrov_cli.core.curation.fingerprints import fingerprint, phash_of
from medrov_cli.core.curation.issues import HINTS, SEVERITIES, Code, Severity
from medrov_cli.core.settings.data import CheckSettings
from source_folders import Picture, read_coco, smooth_noise, write_coco, write_source

LUNGS = ("left lung", "right lung")
PAIR = (("left lung", 36, 10, 20, 20), ("right lung", 4, 10, 20, 20))


@pytest.fixture
def chest(tmp_path: Path) -> Path:
    splits = ["train"] * 6 + ["val"] * 2 + ["test"] * 2
    return write_source(tmp_path / "chest", [Picture(s, PAIR, f"p{n}") for n, s in enumerate(splits)], LUNGS)


def check(*inputs: Path) -> DatasetCheck:
    return check_dataset(CheckSettings(inputs))


def codes(*inputs: Path) -> list[Code]:
    return [finding.code for finding in check(*inputs).findings]


def edit(folder: Path, change) -> None:
    document = read_coco(folder)
    change(document)
    write_coco(folder, document)


def test_a_sound_source_has_no_finding(chest: Path) -> None:
    result = check(chest)
    assert result.findings == ()
    assert (result.sources, result.images, result.boxes) == (1, 10, 20)
    assert not result.has_errors


def test_every_code_has_a_severity_and_a_hint() -> None:
    assert SEVERITIES.keys() == HINTS.keys() == set(Code)


@pytest.mark.parametrize(
    ("box", "code"),
    [
        ([50, 10, 0, 5], Code.BOX_WITHOUT_AREA),
        ([100, 10, 5, 5], Code.BOX_WITHOUT_AREA),
        ([40, 10, 30, 20], Code.BOX_OUTSIDE),
        ([36, 10, 20, 20.5], Code.BOX_DUPLICATE),
    ],
)
def test_odd_boxes(chest: Path, box: list[float], code: Code) -> None:
    edit(chest, lambda d: d["annotations"].append({"id": 99, "image_id": 3, "category_id": 1, "bbox": box}))
    (found,) = check(chest).findings
    assert (found.code, found.where) == (code, "chest/003.png")


def test_a_box_may_leave_its_image_by_a_pixel(chest: Path) -> None:
    edit(chest, lambda d: d["annotations"][0].update(bbox=[44, 10, 21, 20]))
    assert codes(chest) == []


def test_a_case_in_two_splits(chest: Path) -> None:
    edit(chest, lambda d: d["images"][0].update(case="p9"))
    (found,) = check(chest).findings
    assert found.code is Code.CASE_IN_TWO_SPLITS
    assert found.severity is Severity.ERROR
    assert "p9" not in found.where + found.message


def test_cases_of_two_sources(tmp_path: Path) -> None:
    def pair(one: str, other: str, modality: str) -> list[Code]:
        root = tmp_path / f"{one}-{other}-{modality}"
        a = write_source(root / "a", [Picture("train", [("x", 1, 1, 5, 5)], one, seed=1)], ["x"])
        b = write_source(root / "b", [Picture("test", [("x", 1, 1, 5, 5)], other, seed=2)], ["x"], modality)
        return codes(a, b)

    hashed = "0123456789abcdef"
    assert pair(hashed, hashed, "MRI") == [Code.CASE_IN_TWO_SPLITS]
    assert pair("7", "7", "CT") == [Code.CASE_IN_TWO_SOURCES]
    assert pair("7", "7", "MRI") == []
    assert pair("7", "8", "CT") == []


def test_an_image_without_split(chest: Path) -> None:
    edit(chest, lambda d: d["images"][0].pop("split"))
    assert codes(chest) == [Code.SPLIT_MISSING]


def test_classes_without_boxes(chest: Path) -> None:
    edit(chest, lambda d: d["categories"].append({"id": 7, "name": "heart"}))
    (found,) = check(chest).findings
    assert (found.code, found.where) == (Code.CLASS_WITHOUT_BOXES, "chest")
    edit(
        chest,
        lambda d: d["annotations"].append({"id": 9, "image_id": 10, "category_id": 7, "bbox": [1, 1, 9, 9]}),
    )
    (found,) = check(chest).findings
    assert (found.code, found.where) == (Code.CLASS_NOT_IN_TRAIN, "heart")


def test_a_side_without_its_other(chest: Path) -> None:
    edit(chest, lambda d: d["categories"][1].update(name="heart"))
    (found,) = check(chest).findings
    assert (found.code, found.severity) == (Code.SIDE_UNPAIRED, Severity.NOTE)


def test_sides_exchanged_in_one_image_and_in_one_source(tmp_path: Path) -> None:
    swapped = (("left lung", 4, 10, 20, 20), ("right lung", 36, 10, 20, 20))
    pictures = [Picture("train", PAIR) for _ in range(20)] + [Picture("train", swapped)]
    one = write_source(tmp_path / "one", pictures, LUNGS)
    found = check(one).findings
    assert [(f.code, f.where) for f in found] == [(Code.SIDE_SUSPECT, "one/021.png")] * 2
    sound = write_source(tmp_path / "sound", [Picture("train", PAIR) for _ in range(5)], LUNGS)
    mirrored = write_source(tmp_path / "mirrored", [Picture("train", swapped) for _ in range(5)], LUNGS)
    assert [(f.code, f.where) for f in check(sound, mirrored).findings] == [
        (Code.SIDE_DIFFERS, "left lung"),
        (Code.SIDE_DIFFERS, "right lung"),
    ]


def test_files_that_are_missing_broken_or_of_another_size(chest: Path) -> None:
    images = chest / "images"
    (images / "001.png").unlink()
    (images / "002.png").write_bytes((images / "002.png").read_bytes()[:-40])
    (images / "003.png").write_text("no image")
    (images / "004.png").write_bytes(b"")
    cv2.imwrite(str(images / "005.png"), np.zeros((20, 20), np.uint8))
    found = {f.where[-7:]: f.code for f in check(chest).findings}
    assert found == {
        "001.png": Code.FILE_MISSING,
        "002.png": Code.FILE_UNREADABLE,
        "003.png": Code.FILE_UNREADABLE,
        "004.png": Code.FILE_UNREADABLE,
        "005.png": Code.SIZE_MISMATCH,
    }


def altered(pixels: np.ndarray) -> np.ndarray:
    """Return an image smaller, darker, with less contrast and as a strong JPEG."""
    small = cv2.resize(pixels, None, fx=0.6, fy=0.6, interpolation=cv2.INTER_AREA)
    return cv2.imdecode(cv2.imencode(".jpg", small * 0.8 - 5, [cv2.IMWRITE_JPEG_QUALITY, 50])[1], 1)


def test_a_copy_in_another_split(tmp_path: Path) -> None:
    size = (120, 160)
    pictures = [Picture("train" if n < 20 else "test", [("x", 1, 1, 9, 9)]) for n in range(24)]
    folder = write_source(tmp_path / "s", pictures, ["x"], size_hw=size)
    assert codes(folder) == []
    copy = altered(smooth_noise(3, size))
    cv2.imwrite(str(folder / "images" / "022.png"), copy)
    edit(folder, lambda d: d["images"][21].update(height=copy.shape[0], width=copy.shape[1]))
    (found,) = check(folder).findings
    assert (found.code, found.where) == (Code.NEAR_DUPLICATE, "s/003.png")
    assert "s/022.png in test" in found.message
    edit(folder, lambda d: d["images"][21].update(split="train"))
    assert codes(folder) == []


def test_what_all_images_share_makes_no_duplicates() -> None:
    """Bright discs with weak detail correlate by more than 0.95; without the disc they do not."""
    rng = np.random.default_rng(0)
    disc = cv2.circle(np.zeros((32, 32), np.float32), (16, 16), 13, 150, -1)
    detail = np.stack([cv2.GaussianBlur(rng.normal(0, 60, (32, 32)), (0, 0), 2) for _ in range(40)])
    thumbnails = np.clip(disc + 40 + detail, 0, 255).astype(np.uint8)
    flat = thumbnails.reshape(40, -1).astype(float)
    assert np.median(np.corrcoef(flat)) > 0.95
    thumbnails[39] = thumbnails[0]
    hashes = np.array([phash_of(thumbnail) for thumbnail in thumbnails], dtype=np.uint64)
    splits = ["train"] * 20 + ["test"] * 20
    pairs = near_duplicates(thumbnails, hashes, splits, ["eye"] * 40, ["fundoscopy"] * 40, max_hamming=64)
    assert [(pair.first, pair.second) for pair in pairs] == [(0, 39)]


def test_two_equal_images_are_found_however_few_there_are() -> None:
    thumbnails = np.stack([cv2.cvtColor(smooth_noise(4, (32, 32)), cv2.COLOR_BGR2GRAY)] * 2)
    hashes = np.array([phash_of(thumbnail) for thumbnail in thumbnails], dtype=np.uint64)
    (pair,) = near_duplicates(thumbnails, hashes, ["train", "val"], ["a", "b"], ["CT", "CT"])
    assert pair.correlation == pytest.approx(1, abs=1e-5)


def test_the_hash_is_that_of_the_lowest_frequencies(tmp_path: Path) -> None:
    """One wave along x: its own frequency is above the median of all 64, and below when it is inverted."""
    x = np.arange(32)
    wave = np.tile(127 + 100 * np.cos(np.pi * (x + 0.5) / 32), (32, 1)).round().astype(np.uint8)
    assert phash_of(wave) >> 63 == 1  # (0, 1) is the first of the order
    assert phash_of(255 - wave) >> 63 == 0
    cv2.imwrite(str(tmp_path / "a.png"), wave)
    assert fingerprint(tmp_path / "a.png", (32, 32)).phash == phash_of(wave)


def test_a_source_that_cannot_be_opened_is_a_finding_beside_others(chest: Path, tmp_path: Path) -> None:
    assert codes(chest, tmp_path / "nowhere") == [Code.SOURCE_UNUSABLE]
    with pytest.raises(MedrovError) as caught:
        check(tmp_path / "nowhere")
    assert caught.value.code is ErrorCode.DATASET_INVALID


def test_what_load_dataset_refuses_is_a_finding(chest: Path) -> None:
    path = chest.parent / "data.yaml"
    path.write_text("sources: [chest]\npresence: p.csv\n")
    (chest.parent / "p.csv").write_text("dataset,left lung,right lung\nchest,1,0\n")
    (found,) = check(path).findings
    assert found.code is Code.DATASET_INVALID
    assert "annotates that class" in found.message
    (chest.parent / "p.csv").write_text("dataset,left lung,right lung\nchest,1,1\n")
    assert codes(path) == []


def test_images_of_a_dataset_file_can_be_in_another_folder(chest: Path) -> None:
    path = chest.parent / "data.yaml"
    (chest / "images").rename(chest.parent / "pictures")
    path.write_text("sources: [chest]\n")
    assert set(codes(path)) == {Code.FILE_MISSING}
    path.write_text("sources: [{path: chest, images: pictures}]\n")
    assert codes(path) == []


@pytest.mark.parametrize(
    "change",
    [
        lambda d: d["images"][0].update(file_name="../../secret.png"),
        lambda d: d["images"][0].update(file_name="/etc/passwd"),
        lambda d: d["images"][1].update(id=1),
        lambda d: d["annotations"][0].update(category_id=77),
        lambda d: d["annotations"][0].update(bbox=[1, 2, float("nan"), 4]),
        lambda d: d["info"].pop("modality"),
        lambda d: d.pop("images"),
        lambda d: d["images"][0].update(width=0),
    ],
)
def test_documents_that_contradict_themselves_are_refused(chest: Path, change) -> None:
    edit(chest, change)
    with pytest.raises(MedrovError) as caught:
        check(chest)
    assert caught.value.code is ErrorCode.DATASET_INVALID


def test_findings_are_in_order_and_the_same_again(chest: Path) -> None:
    edit(chest, lambda d: d["images"][0].pop("split"))
    edit(chest, lambda d: d["annotations"][0].update(bbox=[40, 10, 30, 20]))
    edit(chest, lambda d: d["annotations"][5].update(bbox=[4, 10, 0, 20]))
    result = check(chest)
    assert [f.severity for f in result.findings] == [Severity.ERROR, Severity.ERROR, Severity.WARNING]
    assert check(chest) == result


def test_names_that_are_no_classes_or_written_twice(chest: Path) -> None:
    def name(document) -> None:
        document["categories"] += [{"id": 8, "name": "_background_"}, {"id": 9, "name": "Left Lung"}]

    edit(chest, name)
    found = {finding.code: finding for finding in check(chest).findings}
    assert found[Code.CLASS_NO_OBJECT].where == "_background_"
    assert "'Left Lung'" in found[Code.CLASS_SPELLING].message


def test_boxes_that_are_fractions_or_corners(chest: Path) -> None:
    def corners(document) -> None:
        for own in document["annotations"]:
            left, top, width, height = own["bbox"]
            right, bottom = left + width, top + height
            own["area"] = width * height / 2  # of the segmentation, which alone states the form
            own["segmentation"] = [[left, top, right, top, left, bottom]]
            own["bbox"] = [left, top, right, bottom]

    assert Code.BOX_FORM not in codes(chest)
    edit(chest, corners)
    (found,) = (finding for finding in check(chest).findings if finding.code is Code.BOX_FORM)
    assert "corners" in found.message

    def fractions(document) -> None:
        for own in document["annotations"]:
            own["bbox"] = [0.1, 0.1, 0.5, 0.5]

    edit(chest, fractions)
    (found,) = (finding for finding in check(chest).findings if finding.code is Code.BOX_FORM)
    assert "fractions" in found.message
