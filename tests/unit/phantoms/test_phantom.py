"""The phantoms: exact boxes, the same pixels from the same seed, and files that say what they are."""

from __future__ import annotations

import gzip
import io
from collections import Counter
from collections.abc import Callable

import cv2
import nibabel as nib
import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medrov_cli.core.phantoms.abdomen import abdomen_ct, abdomen_volume
from medrov_cli.core.phantoms.chest import chest_ct
from medrov_cli.core.phantoms.colon import endoscopy_polyp
from medrov_cli.core.phantoms.image_files import dicom_bytes, nifti_bytes, phantom_uid, png_bytes
from medrov_cli.core.phantoms.shapes import Blob, Phantom, PhantomObject, burn_mark
from medrov_cli.core.phantoms.smear import blood_smear

DRAWERS: dict[str, Callable[[int], Phantom]] = {
    "chest": lambda seed: chest_ct(seed, size=192),
    "abdomen": lambda seed: abdomen_ct(seed, size=192),
    "smear": lambda seed: blood_smear(seed, size_hw=(120, 160)),
    "polyp": lambda seed: endoscopy_polyp(seed, size=128),
}
CLASSES = {
    "chest": {"lung nodule", "left lung", "right lung", "heart", "trachea", "aorta", "vertebra"},
    "abdomen": {"liver", "left kidney", "right kidney", "aorta", "vertebra"},
    "smear": {"red blood cell", "white blood cell", "platelets"},
    "polyp": {"colon polyp"},
}
SEEDS = st.integers(0, 2**32)
some_seeds = settings(max_examples=12, deadline=None, derandomize=True)
each_phantom = pytest.mark.parametrize("kind", DRAWERS)


def _counts(phantom: Phantom) -> Counter[str]:
    return Counter(drawn.class_name for drawn in phantom.objects)


def _only(phantom: Phantom, class_name: str) -> PhantomObject:
    (found,) = (drawn for drawn in phantom.objects if drawn.class_name == class_name)
    return found


def test_a_box_ends_one_past_the_last_pixel() -> None:
    mask = np.zeros((6, 8), dtype=np.bool_)
    mask[2, 3] = mask[4, 5] = True
    assert PhantomObject("spot", mask).box_xyxy == (3, 2, 6, 5)


def test_an_outline_covers_the_pixels_whose_centres_it_holds() -> None:
    # A disc of radius 2 around the corner between pixels: centres at distance 0.71, 1.58 and 2.12.
    mask = Blob((4.0, 4.0), (2.0, 2.0)).mask((8, 8))
    expected = np.zeros((8, 8), dtype=np.bool_)
    expected[2:6, 3:5] = expected[3:5, 2:6] = True
    assert np.array_equal(mask, expected)


@pytest.mark.parametrize("center", [(-50.0, 4.0), (4.0, 90.0), (400.0, -400.0)])
def test_an_outline_outside_the_image_covers_nothing(center: tuple[float, float]) -> None:
    assert not Blob(center, (3.0, 2.0)).mask((8, 8)).any()


@each_phantom
@some_seeds
@given(seed=SEEDS)
def test_boxes_are_the_bounding_boxes_of_masks_inside_the_image(kind: str, seed: int) -> None:
    phantom = DRAWERS[kind](seed)
    assert phantom.objects
    assert {drawn.class_name for drawn in phantom.objects} <= CLASSES[kind]
    height, width = phantom.pixels.shape[:2]
    for drawn in phantom.objects:
        x, y, box_width, box_height = cv2.boundingRect(drawn.mask.astype(np.uint8))
        assert drawn.mask.shape == (height, width)
        assert drawn.box_xyxy == (x, y, x + box_width, y + box_height)
        assert min(x, y, width - x - box_width, height - y - box_height) >= 0


@each_phantom
def test_the_seed_decides_everything(kind: str) -> None:
    first, again, other = (DRAWERS[kind](seed) for seed in (3, 3, 4))
    assert np.array_equal(first.pixels, again.pixels)
    assert [(d.class_name, d.box_xyxy) for d in first.objects] == [
        (d.class_name, d.box_xyxy) for d in again.objects
    ]
    assert not np.array_equal(first.pixels, other.pixels)


@each_phantom
def test_every_phantom_carries_the_mark(kind: str) -> None:
    phantom = DRAWERS[kind](2)
    canvas = np.zeros(phantom.pixels.shape[:2], dtype=np.uint8)
    burn_mark(canvas, 1)
    assert np.count_nonzero(canvas) > 100
    assert np.unique(phantom.pixels[canvas == 1]).size == 1


@some_seeds
@given(seed=SEEDS)
def test_a_chest_has_what_its_level_shows(seed: int) -> None:
    phantom = DRAWERS["chest"](seed)
    counts = _counts(phantom)
    assert 1 <= counts["lung nodule"] <= 3
    assert counts["left lung"] == counts["right lung"] == counts["vertebra"] == 1
    assert counts["heart"] + counts["trachea"] == 1
    assert counts["aorta"] == (1 if counts["heart"] else 2)
    # Radiological convention: the patient's left is on the image's right.
    assert _only(phantom, "left lung").box_xyxy[0] > _only(phantom, "right lung").box_xyxy[0]
    lungs = _only(phantom, "left lung").mask | _only(phantom, "right lung").mask
    assert np.median(phantom.pixels[lungs]) < -600
    for drawn in phantom.objects:
        if drawn.class_name == "lung nodule":
            assert not (drawn.mask & ~lungs).any()


@some_seeds
@given(seed=SEEDS)
def test_structures_of_a_chest_do_not_share_pixels(seed: int) -> None:
    phantom = DRAWERS["chest"](seed)
    owners = sum(d.mask.astype(int) for d in phantom.objects if d.class_name != "lung nodule")
    assert owners.max() == 1


def test_the_box_of_an_airway_is_where_the_air_is() -> None:
    phantom = next(p for p in map(chest_ct, range(20)) if _counts(p)["trachea"])
    trachea = _only(phantom, "trachea")
    x1, y1, x2, y2 = trachea.box_xyxy
    tissue = np.abs(phantom.pixels[y1 - 2 : y2 + 2, x1 - 2 : x2 + 2].astype(np.float64))
    air = (tissue > 480).astype(np.uint8)  # half-way between air and the wall
    _, labels = cv2.connectedComponents(air, connectivity=4)
    found = cv2.boundingRect((labels == labels[len(air) // 2, air.shape[1] // 2]).astype(np.uint8))
    assert np.abs(np.subtract(found, (2, 2, x2 - x1, y2 - y1))).max() <= 1


def test_nodules_have_the_sizes_that_were_asked_for() -> None:
    for seed in range(5):
        phantom = chest_ct(seed, size=256, nodule_mm=(14.0, 16.0))
        spacing = (phantom.pixel_spacing_mm or (0.0, 0.0))[0]
        for drawn in phantom.objects:
            if drawn.class_name == "lung nodule":
                x1, y1, x2, y2 = drawn.box_xyxy
                assert 9 < max(x2 - x1, y2 - y1) * spacing < 23  # irregular outlines; the pleura may cut


@some_seeds
@given(seed=SEEDS)
def test_a_smear_has_red_cells_darker_than_the_light(seed: int) -> None:
    phantom = DRAWERS["smear"](seed)
    counts = _counts(phantom)
    assert counts["red blood cell"] >= 3
    assert counts["white blood cell"] <= 2
    assert counts["platelets"] <= 5
    covered = np.any([drawn.mask for drawn in phantom.objects], axis=0)
    green = phantom.pixels[..., 1].astype(np.float64)
    assert green[~covered].mean() - green[covered].mean() > 20


@some_seeds
@given(seed=SEEDS)
def test_a_colon_has_one_or_two_polyps(seed: int) -> None:
    phantom = DRAWERS["polyp"](seed)
    assert 1 <= _counts(phantom)["colon polyp"] <= 2
    assert phantom.pixels[-4:, -4:].max() < 40  # the corners are outside the view


def test_a_dicom_phantom_reads_back_and_says_that_it_is_synthetic() -> None:
    phantom = chest_ct(0, size=128)
    content = dicom_bytes(phantom.pixels, (0.75, 0.5), "test")
    assert content == dicom_bytes(phantom.pixels, (0.75, 0.5), "test")
    dataset = pydicom.dcmread(io.BytesIO(content))
    hu = pydicom.pixels.apply_rescale(dataset.pixel_array, dataset)
    assert np.array_equal(hu, phantom.pixels)
    assert dataset.PatientName == "SYNTHETIC^PHANTOM"
    assert list(dataset.ImageType[:2]) == ["DERIVED", "SECONDARY"]
    assert dataset.BurnedInAnnotation == "YES"
    assert "synthetic phantom" in dataset.SeriesDescription.lower()
    assert list(dataset.PixelSpacing) == [0.75, 0.5]
    assert list(dataset.WindowCenter) == [-600, 40]
    assert not dataset.StudyDate
    assert not dataset.PatientBirthDate


def test_uids_are_valid_and_follow_from_the_name() -> None:
    assert phantom_uid("a") == phantom_uid("a") != phantom_uid("b")
    assert phantom_uid("a").is_valid
    assert 0 < int(phantom_uid("a").removeprefix("2.25.")) < 2**128


def test_a_png_phantom_reads_back() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (13, 9, 3), dtype=np.uint8)
    pixels[4:9] = 77  # rows for which other filters are best
    content = png_bytes(pixels)
    decoded = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    assert np.array_equal(decoded[..., ::-1], pixels)
    assert b"Synthetic phantom" in content


def test_a_volume_lies_in_the_scanner_as_a_patient_does() -> None:
    volume = abdomen_volume(1, slices=6, size=64)
    content = nifti_bytes(volume)
    assert content == nifti_bytes(volume)
    image = nib.Nifti1Image.from_bytes(gzip.decompress(content))
    assert nib.aff2axcodes(image.affine) == ("R", "A", "S")
    assert image.get_data_dtype() == np.int16
    assert image.header.get_zooms() == pytest.approx(volume.spacing_mm[::-1])
    voxels = np.asarray(image.dataobj)
    assert voxels.shape == (64, 64, 6)
    # Slice 3, row 20 (front is 0), column 5 (the patient's right is 0) of the phantom.
    assert voxels[64 - 1 - 5, 64 - 1 - 20, 3] == volume.voxels_hu[3, 20, 5]


def test_the_organs_of_a_volume_are_where_anatomy_has_them() -> None:
    volume = abdomen_volume(1, slices=12, size=96)
    places: dict[str, list[float]] = {}
    for level, objects in enumerate(volume.slices):
        for drawn in objects:
            rows, columns = np.nonzero(drawn.mask)
            places.setdefault(drawn.class_name, []).append(columns.mean())
            places.setdefault(f"{drawn.class_name} row", []).append(rows.mean())
            places.setdefault(f"{drawn.class_name} level", []).append(level)
    mean = {name: float(np.mean(values)) for name, values in places.items()}
    assert mean["right kidney"] < mean["vertebra"] < mean["left kidney"]
    assert mean["liver"] < mean["vertebra"]
    assert mean["liver row"] < mean["left kidney row"] < mean["vertebra row"]
    assert mean["right kidney level"] < mean["liver level"]


def test_a_volume_keeps_its_skeleton_in_place() -> None:
    volume = abdomen_volume(2, slices=8, size=96)
    boxes = {
        drawn.box_xyxy for objects in volume.slices for drawn in objects if drawn.class_name == "vertebra"
    }
    assert len(volume.slices) == 8
    assert len(boxes) == 1
