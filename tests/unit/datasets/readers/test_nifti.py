"""Volumes and labels become slices and boxes as ``detect`` shows them: by hand, and in every orientation."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from nibabel.orientations import axcodes2ornt, ornt_transform

from image_files import read_all
from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.datasets.cases import hashed_case, local_case
from medrov_cli.core.datasets.readers.find_reader import find_reader
from medrov_cli.core.datasets.readers.protocol import Reading
from medrov_cli.core.phantoms.abdomen import abdomen_volume
from medrov_cli.core.phantoms.image_files import label_bytes, nifti_bytes
from medrov_cli.core.records.annotations import AnnotatedImage
from medrov_cli.core.settings.data_convert import ReaderSettings, parse_case_pattern
from medrov_cli.core.settings.label_map import LabelMap

SHAPE = (6, 5, 4)
AFFINE = np.diag([1.0, 2.0, 3.0, 1.0])
LIVER = LabelMap({1: "liver", 2: "kidney"})
IDENTITY = "256,128"  # grey is the stored value
CODES = ["RAS", "LAS", "LPS", "LPI", "RSA", "ILP", "ASR", "PIR", "SRA", "IAL"]
OBLIQUE = np.array(
    [[0.94, -0.34, 0.0, 12.0], [-0.34, -0.94, 0.0, -40.0], [0.0, 0.0, 3.0, 7.0], [0.0, 0.0, 0.0, 1.0]]
)
"""Turned by 20 degrees about the axis of the body, and with y counting to the back."""


def save(path: Path, data: np.ndarray[Any, Any], affine: Any = AFFINE, codes: str | None = None) -> Path:
    """Write voxels; with ``codes``, in the same place, but stored along these axes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = nib.Nifti1Image(data, affine)
    if codes is not None:
        image = image.as_reoriented(ornt_transform(axcodes2ornt("RAS"), axcodes2ornt(codes)))
    nib.save(image, path)
    return path


def labels(*parts: tuple[tuple[slice, slice, slice], int], dtype: Any = np.uint8) -> np.ndarray[Any, Any]:
    data = np.zeros(SHAPE, dtype)
    for where, value in parts:
        data[where] = value
    return data


BLOCK = (slice(1, 3), slice(0, 2), slice(3, 4))
"""x 1 and 2, y 0 and 1, z 3."""


def read(path: Path, **options: Any) -> Reading:
    return find_reader("nifti")(ReaderSettings(path, **{"labels": LIVER, "window": IDENTITY, **options}))


def slices(reading: Reading, number: int = 0) -> list[AnnotatedImage]:
    return list(reading.units[number].read())


def boxes(images: list[AnnotatedImage]) -> dict[int, list[tuple[Any, ...]]]:
    """Return the boxes of the slices that have any."""
    return {
        at: [(own.class_name, *own.box_xywh) for own in image.annotations]
        for at, image in enumerate(images)
        if image.annotations
    }


def error(reading: Reading, number: int = 0) -> MedrovError:
    with pytest.raises(MedrovError) as caught:
        slices(reading, number)
    return caught.value


def pair(folder: Path, data: np.ndarray[Any, Any], **how: Any) -> Path:
    """Write a volume of a running number a voxel, and its labels beside it."""
    values = np.arange(np.prod(SHAPE)).reshape(SHAPE).astype(np.int16)
    save(folder / "p1.nii.gz", values)
    save(folder / "p1_seg.nii.gz", data, **how)
    return folder


def test_boxes_in_the_three_planes_by_hand(tmp_path: Path) -> None:
    pair(tmp_path, labels((BLOCK, 1)))
    # The patient's right (x = 5) is the first column, the front (y = 4) the first row.
    assert boxes(slices(read(tmp_path))) == {3: [("liver", 3, 3, 2, 2)]}
    # Slices from back to front; the head (z = 3) is the first row.
    assert boxes(slices(read(tmp_path, axis="coronal"))) == {
        0: [("liver", 3, 0, 2, 1)],
        1: [("liver", 3, 0, 2, 1)],
    }
    # Slices from left to right; the front is the first column.
    assert boxes(slices(read(tmp_path, axis="sagittal"))) == {
        1: [("liver", 3, 0, 2, 1)],
        2: [("liver", 3, 0, 2, 1)],
    }
    (first, *_, last) = slices(read(tmp_path))
    assert (first.height, first.width, last.annotations[0].area) == (5, 6, 4)


@pytest.mark.parametrize("axis", ["axial", "coronal", "sagittal"])
@pytest.mark.parametrize("codes", CODES)
def test_pixels_and_boxes_are_those_that_detect_shows(tmp_path: Path, codes: str, axis: Any) -> None:
    """Voxels of the object have a grey of their own, so the shown frame says where its box must be."""
    data = labels((BLOCK, 1), ((slice(4, 5), slice(3, 5), slice(0, 2)), 2))
    save(tmp_path / "a.nii.gz", (data * 100).astype(np.int16), codes=codes)
    save(tmp_path / "a_seg.nii.gz", data, codes="RAS")  # stored otherwise, at the same place
    images = slices(read(tmp_path, axis=axis))
    frames = read_all(tmp_path / "a.nii.gz", IDENTITY, axis=axis)
    assert len(images) == len(frames)
    seen = set()
    for image, frame in zip(images, frames, strict=True):
        assert (image.read() == frame.pixels_rgb).all()
        for own in image.annotations:
            seen.add(own.class_name)
            grey = {"liver": 100, "kidney": 200}[own.class_name]
            rows, columns = np.nonzero(frame.pixels_rgb[..., 0] == grey)
            left, top = columns.min(), rows.min()
            assert own.box_xywh == (left, top, columns.max() + 1 - left, rows.max() + 1 - top)
        assert len(image.annotations) == len(set(frame.pixels_rgb.ravel().tolist()) - {0})
    assert seen == {"liver", "kidney"}


def test_an_oblique_volume_is_cut_along_its_nearest_axes(tmp_path: Path) -> None:
    data = labels((BLOCK, 1))
    save(tmp_path / "a.nii", (data * 100).astype(np.int16), OBLIQUE)
    save(tmp_path / "a_seg.nii", data, OBLIQUE)
    assert nib.aff2axcodes(OBLIQUE) == ("R", "P", "S")
    # y counts to the back: row = y. x counts to the right: column = 5 - x.
    assert boxes(slices(read(tmp_path))) == {3: [("liver", 3, 0, 2, 2)]}
    (image,) = [own for own in slices(read(tmp_path)) if own.annotations]
    assert np.argwhere(image.read()[..., 0] == 100).tolist() == [[0, 3], [0, 4], [1, 3], [1, 4]]


def test_the_window_is_that_of_detect(tmp_path: Path) -> None:
    pair(tmp_path, labels((BLOCK, 1)))
    for window in ("auto", "lung", "60,30"):
        shown = [frame.pixels_rgb for frame in read_all(tmp_path / "p1.nii.gz", window)]
        assert [own.read().tolist() for own in slices(read(tmp_path, window=window))] == [
            pixels.tolist() for pixels in shown
        ]


def test_every_second_slice_keeps_its_number(tmp_path: Path) -> None:
    pair(tmp_path, labels((BLOCK, 1)))
    name = hashed_case("p1")
    assert [own.name for own in slices(read(tmp_path, every=2))] == [f"{name}-0000", f"{name}-0002"]
    assert [own.name for own in slices(read(tmp_path, every=3))] == [f"{name}-0000", f"{name}-0003"]


def test_components_or_one_box_a_class(tmp_path: Path) -> None:
    pair(tmp_path, labels((BLOCK, 1), ((slice(5, 6), slice(4, 5), slice(3, 4)), 1)))
    assert boxes(slices(read(tmp_path)))[3] == [("liver", 0, 0, 1, 1), ("liver", 3, 3, 2, 2)]
    assert boxes(slices(read(tmp_path, components=False)))[3] == [("liver", 0, 0, 5, 5)]
    assert boxes(slices(read(tmp_path, min_area=2)))[3] == [("liver", 3, 3, 2, 2)]


def test_labels_may_be_floats_that_are_whole(tmp_path: Path) -> None:
    pair(tmp_path, labels((BLOCK, 2), dtype=np.float32))
    assert boxes(slices(read(tmp_path))) == {3: [("kidney", 3, 3, 2, 2)]}


def test_labels_that_do_not_say_where_they_lie_lie_on_the_image(tmp_path: Path) -> None:
    flipped = np.diag([-1.0, 2.0, 3.0, 1.0])
    save(tmp_path / "a.nii", np.zeros(SHAPE, np.int16), flipped)
    bare = nib.Nifti1Image(labels((BLOCK, 1)), None)
    assert int(bare.header["qform_code"]) == int(bare.header["sform_code"]) == 0
    nib.save(bare, tmp_path / "a_seg.nii")
    assert boxes(slices(read(tmp_path))) == {3: [("liver", 1, 3, 2, 2)]}  # x counts to the left: column = x


@pytest.mark.parametrize(
    ("data", "affine", "said"),
    [
        (np.zeros((6, 5, 3), np.uint8), AFFINE, "has 6 x 5 x 3 x 1 voxels, the image 6 x 5 x 4 x 1"),
        (np.zeros(SHAPE, np.uint8), np.diag([1.0, 2.0, 3.5, 1.0]), "lies up to 1.5 mm away"),
        (np.full(SHAPE, 0.5, np.float32), AFFINE, "has values that are not whole numbers"),
        (np.full(SHAPE, 3, np.uint8), AFFINE, "values without a name: 3"),
        (np.full(SHAPE, 1, np.complex64), AFFINE, "not real numbers"),
    ],
)
def test_labels_that_do_not_fit_are_refused(
    tmp_path: Path, data: np.ndarray[Any, Any], affine: Any, said: str
) -> None:
    pair(tmp_path, data, affine=affine)
    found = error(read(tmp_path))
    assert found.code is ErrorCode.BAD_METADATA
    assert said in found.message


def test_a_small_shift_is_rounding(tmp_path: Path) -> None:
    moved = AFFINE.copy()
    moved[0, 3] = 0.4
    pair(tmp_path, labels((BLOCK, 1)), affine=moved)
    assert boxes(slices(read(tmp_path))) == {3: [("liver", 3, 3, 2, 2)]}


def test_broken_files_fail_alone(tmp_path: Path) -> None:
    pair(tmp_path, labels((BLOCK, 1)))
    (tmp_path / "b.nii.gz").write_bytes((tmp_path / "p1.nii.gz").read_bytes()[:50])
    save(tmp_path / "b_seg.nii.gz", labels())
    save(tmp_path / "c.nii.gz", labels())
    save(tmp_path / "d_seg.nii.gz", labels())
    reading = read(tmp_path)
    assert [unit.path for unit in reading.units] == ["b.nii.gz", "c.nii.gz", "p1.nii.gz", "d_seg.nii.gz"]
    assert error(reading, 0).code is ErrorCode.TRUNCATED
    assert error(reading, 1).message == "The volume has no labels."
    assert len(slices(reading, 2)) == 4
    assert error(reading, 3).message == "The label volume has no image."


def test_a_phantom_comes_back_with_its_boxes(tmp_path: Path) -> None:
    volume = abdomen_volume(3, slices=6, size=96)
    classes = ("liver", "left kidney", "right kidney", "aorta", "vertebra")
    (tmp_path / "a.nii.gz").write_bytes(nifti_bytes(volume))
    (tmp_path / "a_seg.nii.gz").write_bytes(label_bytes(volume, classes))
    named = LabelMap(dict(enumerate(classes, 1)))
    images = slices(read(tmp_path, labels=named, components=False, window="soft"))
    assert len(images) == 6
    for image, objects in zip(images, volume.slices, strict=True):
        drawn = np.zeros((96, 96), int)
        for own in objects:
            drawn[own.mask] = classes.index(own.class_name) + 1
        expected = []
        for value in sorted(set(drawn.ravel().tolist()) - {0}):
            rows, columns = np.nonzero(drawn == value)
            size = (columns.max() - columns.min() + 1, rows.max() - rows.min() + 1)
            expected.append((classes[value - 1], columns.min(), rows.min(), *size))
        assert boxes([image]).get(0, []) == expected
    assert sum(len(image.annotations) for image in images) > 12


# Layouts


def test_decathlon(tmp_path: Path) -> None:
    for name in ("liver_1", "liver_2"):
        save(tmp_path / "imagesTr" / f"{name}.nii.gz", np.zeros(SHAPE, np.int16))
        save(tmp_path / "labelsTr" / f"{name}.nii.gz", labels((BLOCK, 2)))
    save(tmp_path / "imagesTs" / "liver_3.nii.gz", np.zeros(SHAPE, np.int16))
    (tmp_path / "imagesTr" / "._liver_1.nii.gz").write_bytes(b"a Mac was here")
    described = {"labels": {"0": "background", "2": "cancer", "1": "liver"}}
    (tmp_path / "dataset.json").write_text(json.dumps(described))
    reading = read(tmp_path, labels=LabelMap())
    assert reading.class_names == ("liver", "cancer")
    assert [unit.path for unit in reading.units] == ["liver_1.nii.gz", "liver_2.nii.gz"]
    first, second = slices(reading, 0), slices(reading, 1)
    assert boxes(first) == boxes(second) == {3: [("cancer", 3, 3, 2, 2)]}
    assert {own.case for own in first} == {local_case("", "liver_1")}
    assert {own.case for own in second} == {local_case("", "liver_2")}


def test_nnunet_with_two_contrasts(tmp_path: Path) -> None:
    for number in (0, 1):
        save(tmp_path / "imagesTr" / f"brain_007_000{number}.nii.gz", np.zeros(SHAPE, np.int16))
    save(tmp_path / "labelsTr" / "brain_007.nii.gz", labels((BLOCK, 1)))
    (tmp_path / "dataset.json").write_text(json.dumps({"labels": {"background": 0, "tumor": 1}}))
    reading = read(tmp_path, labels=LabelMap())
    both = [slices(reading, 0), slices(reading, 1)]
    assert [boxes(images) for images in both] == [{3: [("tumor", 3, 3, 2, 2)]}] * 2
    assert {own.case for images in both for own in images} == {local_case("", "brain_007")}
    assert len({own.name for images in both for own in images}) == 8


def test_numbers_of_patients_are_not_contrasts(tmp_path: Path) -> None:
    for number in (1, 2):
        save(tmp_path / "images" / f"p_000{number}.nii", np.zeros(SHAPE, np.int16))
        save(tmp_path / "labels" / f"p_000{number}.nii", labels((BLOCK, number)))
    reading = read(tmp_path)
    assert boxes(slices(reading, 0))[3][0][0] == "liver"
    assert boxes(slices(reading, 1))[3][0][0] == "kidney"
    assert slices(reading, 0)[0].case != slices(reading, 1)[0].case


def test_labels_of_regions_need_the_option(tmp_path: Path) -> None:
    pair(tmp_path, labels())
    (tmp_path / "dataset.json").write_text(json.dumps({"labels": {"whole": [1, 2]}}))
    with pytest.raises(MedrovError, match="no label with a single value"):
        read(tmp_path, labels=LabelMap())
    assert len(slices(read(tmp_path))) == 4


def test_two_folders_and_a_class_a_file(tmp_path: Path) -> None:
    save(tmp_path / "ct" / "x" / "a.nii", np.zeros(SHAPE, np.int16))
    other = (slice(0, 1), slice(4, 5), slice(3, 4))
    for name, part in (("vena_cava", other), ("aorta", BLOCK)):
        save(tmp_path / "masks" / "x" / f"a_seg_{name}.nii", labels((part, 7)))
    reading = read(tmp_path / "masks", images=tmp_path / "ct", labels=LabelMap())
    assert reading.class_names == ("aorta", "vena_cava")
    assert boxes(slices(reading)) == {3: [("aorta", 3, 3, 2, 2), ("vena_cava", 5, 0, 1, 1)]}


def test_a_folder_of_segmentations_beside_each_volume(tmp_path: Path) -> None:
    for name in ("s0001", "s0002"):
        save(tmp_path / name / "ct.nii.gz", np.zeros(SHAPE, np.int16))
        save(tmp_path / name / "segmentations" / "spleen.nii.gz", labels((BLOCK, 1)))
    reading = read(tmp_path, labels=LabelMap(), case=parse_case_pattern("^(s[0-9]+)/"))
    assert [boxes(slices(reading, number)) for number in (0, 1)] == [{3: [("spleen", 3, 3, 2, 2)]}] * 2
    assert [slices(reading, number)[0].case for number in (0, 1)] == [
        hashed_case("s0001"),
        hashed_case("s0002"),
    ]


def test_labels_of_one_volume_hold_for_all_of_a_series(tmp_path: Path) -> None:
    save(tmp_path / "a.nii", np.zeros((*SHAPE, 2), np.int16))
    save(tmp_path / "a_seg.nii", labels((BLOCK, 1)))
    images = slices(read(tmp_path, skip_empty=True))
    assert boxes(images) == {3: [("liver", 3, 3, 2, 2)], 7: [("liver", 3, 3, 2, 2)]}
    assert images[7].name == f"{hashed_case('a')}-0007"  # the frame that detect writes


@pytest.mark.parametrize("form", ["missing", "empty", "unlabelled", "unnamed"])
def test_nothing_to_read(tmp_path: Path, form: str) -> None:
    folder = tmp_path / "in"
    if form != "missing":
        folder.mkdir()
    if form == "unlabelled":
        save(folder / "a.nii", labels())
    if form == "unnamed":
        pair(folder, labels())
    codes = {"missing": ErrorCode.NOT_FOUND, "unnamed": ErrorCode.USAGE}
    with pytest.raises(MedrovError) as caught:
        read(folder, labels=LabelMap())
    assert caught.value.code is codes.get(form, ErrorCode.NO_INPUT)


def write_nrrd(path: Path, data: np.ndarray[Any, Any]) -> None:
    """Write voxels in RAS with the sizes of `AFFINE`, gzipped behind the header."""
    kind = {"uint8": "uint8", "int16": "int16"}[data.dtype.name]
    lines = (
        "NRRD0005",
        f"type: {kind}",
        "dimension: 3",
        f"sizes: {' '.join(map(str, data.shape))}",
        "encoding: gzip",
        "endian: little",
        "space: right-anterior-superior",
        "space directions: (1,0,0) (0,2,0) (0,0,3)",
        "space origin: (0,0,0)",
    )
    path.write_bytes("\n".join(lines).encode() + b"\n\n" + gzip.compress(data.tobytes(order="F")))


def write_metaimage(path: Path, data: np.ndarray[Any, Any]) -> None:
    """Write voxels in RAS with the sizes of `AFFINE`, in a data file."""
    kind = {"uint8": "MET_UCHAR", "int16": "MET_SHORT"}[data.dtype.name]
    fields = {
        "NDims": "3",
        "DimSize": " ".join(map(str, data.shape)),
        "ElementType": kind,
        "ElementSpacing": "1 2 3",
        "TransformMatrix": "-1 0 0 0 -1 0 0 0 1",
        "Offset": "0 0 0",
        "ElementDataFile": f"{path.stem}.raw",
    }
    path.write_text("".join(f"{name} = {value}\n" for name, value in fields.items()))
    path.with_suffix(".raw").write_bytes(data.tobytes(order="F"))


def write_pair(path: Path, data: np.ndarray[Any, Any]) -> None:
    nib.save(nib.Nifti1Pair(data, AFFINE), path)


@pytest.mark.parametrize("image_format", [0, 1, 2, 3])
@pytest.mark.parametrize("label_format", [0, 1, 2, 3])
def test_volumes_of_all_formats(tmp_path: Path, image_format: int, label_format: int) -> None:
    """Image and labels of the same place, in any two formats, give the boxes of two NIfTI files."""
    writers = ((save, ".nii.gz"), (write_nrrd, ".nrrd"), (write_metaimage, ".mhd"), (write_pair, ".hdr"))
    data = np.arange(np.prod(SHAPE), dtype=np.int16).reshape(SHAPE)
    pair(tmp_path / "nifti", labels((BLOCK, 1)))
    save(tmp_path / "nifti" / "p1.nii.gz", data)
    folder = tmp_path / "other"
    folder.mkdir()
    for (write, suffix), name, values in (
        (writers[image_format], "p1", data),
        (writers[label_format], "p1_seg", labels((BLOCK, 1))),
    ):
        write(folder / f"{name}{suffix}", values)
    expected, found = slices(read(tmp_path / "nifti")), slices(read(folder))
    assert boxes(found) == boxes(expected) != {}
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one.read(), other.read())
