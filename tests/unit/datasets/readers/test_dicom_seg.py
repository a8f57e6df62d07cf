"""DICOM segmentations: frames find their images, and masks become the boxes that were computed by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dicom_objects import (
    SIZE,
    Grid,
    SegmentFrame,
    reference,
    segment,
    uid_of,
    write_segmentation,
    write_series,
)
from image_files import PATIENT_ID, item, write_dicom
from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.datasets.cases import hashed_case
from medrov_cli.core.datasets.readers.find_reader import find_reader
from medrov_cli.core.datasets.readers.protocol import Reading
from medrov_cli.core.records.annotations import AnnotatedImage
from medrov_cli.core.settings.data_convert import ReaderSettings, parse_case_pattern

GRID = Grid()
TILTED = Grid(axes=(0.8, 0.6, 0.0, 0.0, 0.0, -1.0), spacing=(0.7, 1.3))
"""Near coronal, turned by 37 degrees."""


def mask(rows: slice, columns: slice, value: int = 1, size: tuple[int, int] = SIZE) -> np.ndarray[Any, Any]:
    pixels = np.zeros(size, np.uint8)
    pixels[rows, columns] = value
    return pixels


BLOCK = mask(slice(2, 5), slice(1, 3))
"""Left 1, top 2, 2 wide, 3 high."""
CORNER = mask(slice(6, 7), slice(8, 9))
"""The last pixel."""
LIVER, KIDNEY, KIDNEY_1 = segment(1, "liver"), segment(2, "kidney"), segment(1, "kidney")


def on(number: int, segment_number: int, pixels: np.ndarray[Any, Any], grid: Grid = GRID) -> SegmentFrame:
    """Return a frame that lies on a slice, and names it."""
    own = (reference(uid_of("1.2.3", number)),)
    return SegmentFrame(segment_number, pixels, grid.position(number), own)


def read(path: Path, **options: Any) -> Reading:
    return find_reader("dicom-seg")(ReaderSettings(path, **options))


def images(reading: Reading, number: int = 0) -> list[AnnotatedImage]:
    return list(reading.units[number].read())


def boxes(found: list[AnnotatedImage]) -> list[list[tuple[Any, ...]]]:
    return [[(own.class_name, *own.box_xywh) for own in image.annotations] for image in found]


def collected(reading: Reading, number: int = 0) -> tuple[list[AnnotatedImage], MedrovError]:
    """Return the images that come before a failure, and the failure."""
    found = []
    try:
        for image in reading.units[number].read():
            found.append(image)  # noqa: PERF402 - what came before the error is wanted
    except MedrovError as error:
        return found, error
    raise AssertionError("nothing failed")


def test_binary_segments_on_a_series(tmp_path: Path) -> None:
    write_series(tmp_path)
    frames = [on(2, 2, CORNER), on(0, 1, BLOCK), on(2, 1, BLOCK)]
    write_segmentation(tmp_path / "seg.dcm", frames, [LIVER, KIDNEY])
    reading = read(tmp_path)
    assert [unit.path for unit in reading.units] == ["seg.dcm"]
    found = images(reading)
    assert boxes(found) == [
        [("liver", 1, 2, 2, 3)],
        [],
        [("kidney", 8, 6, 1, 1), ("liver", 1, 2, 2, 3)],
    ]
    assert [int(image.read()[0, 0, 0]) for image in found] == [0, 10, 20]  # along the body
    assert {(image.height, image.width) for image in found} == {SIZE}
    assert found[0].annotations[0].area == 6
    assert [image.name for image in found] == [hashed_case(uid_of("1.2.3", number)) for number in range(3)]
    assert {image.case for image in found} == {hashed_case(PATIENT_ID)}


def test_a_pixel_of_a_fractional_segment_counts_from_half(tmp_path: Path) -> None:
    write_series(tmp_path)
    pixels = mask(slice(0, 1), slice(0, 4), 49)
    pixels[0, 1:3] = (50, 100)
    most = {"kind": "FRACTIONAL", "MaximumFractionalValue": 100}
    write_segmentation(tmp_path / "seg.dcm", [on(1, 1, pixels)], [LIVER], **most)
    assert boxes(images(read(tmp_path))) == [[], [("liver", 1, 0, 2, 1)], []]


def test_a_label_map_has_all_segments_in_a_frame(tmp_path: Path) -> None:
    write_series(tmp_path)
    pixels = 2 * BLOCK + CORNER
    frame = SegmentFrame(None, pixels, GRID.position(1))
    write_segmentation(tmp_path / "seg.dcm", [frame], [LIVER, KIDNEY], kind="LABELMAP")
    assert boxes(images(read(tmp_path))) == [[], [("liver", 8, 6, 1, 1), ("kidney", 1, 2, 2, 3)], []]


@pytest.mark.parametrize("grid", [GRID, TILTED])
@pytest.mark.parametrize("sources", ["none", "all", "elsewhere"])
def test_the_place_decides_where_a_frame_names_no_single_image(
    tmp_path: Path, grid: Grid, sources: str
) -> None:
    write_series(tmp_path, grid=grid)
    named = {
        "none": (),
        "all": tuple(reference(uid_of("1.2.3", number)) for number in range(3)),
        "elsewhere": (reference("9.9"),),
    }
    frame = SegmentFrame(1, BLOCK, grid.position(1), named[sources])
    write_segmentation(tmp_path / "seg.dcm", [frame], [LIVER], grid)
    assert boxes(images(read(tmp_path))) == [[], [("liver", 1, 2, 2, 3)], []]


def test_a_mask_that_is_turned_or_cropped_is_put_in_its_place(tmp_path: Path) -> None:
    write_series(tmp_path)
    # Turned by 180 degrees: its first pixel is the last one of the image.
    turned = Grid(origin=tuple(GRID.point(8, 6, 0)), axes=(-1, 0, 0, 0, -1, 0))
    frame = SegmentFrame(1, BLOCK[::-1, ::-1], tuple(GRID.point(8, 6, 1)))
    write_segmentation(tmp_path / "a.dcm", [frame], [LIVER], turned)
    # Cropped to rows 2 to 6 and columns 1 to 4.
    cropped = SegmentFrame(1, BLOCK[2:, 1:5], tuple(GRID.point(1, 2, 2)))
    write_segmentation(tmp_path / "b.dcm", [cropped], [KIDNEY_1], GRID)
    assert boxes(images(read(tmp_path))) == [[], [("liver", 1, 2, 2, 3)], [("kidney", 1, 2, 2, 3)]]


def test_a_class_is_the_label_or_the_meaning_of_its_code(tmp_path: Path) -> None:
    write_series(tmp_path)
    segments = [segment(1, " left lung ", "Lung"), segment(2, "", "Heart"), segment(3)]
    write_segmentation(tmp_path / "seg.dcm", [on(0, number, CORNER) for number in (1, 2, 3)], segments)
    assert [box[0] for box in boxes(images(read(tmp_path)))[0]] == ["left lung", "Heart", "segment 3"]


def test_images_without_a_place_are_found_by_name(tmp_path: Path) -> None:
    write_series(tmp_path, ImagePositionPatient=None, Modality="DX")
    frame = SegmentFrame(1, BLOCK, None, (reference(uid_of("1.2.3", 1)),))
    write_segmentation(tmp_path / "seg.dcm", [frame], [LIVER])
    assert sorted(boxes(images(read(tmp_path)))) == [[], [], [("liver", 1, 2, 2, 3)]]
    small = SegmentFrame(1, BLOCK[:5], None, frame.sources)
    write_segmentation(tmp_path / "seg.dcm", [small], [LIVER])
    _, error = collected(read(tmp_path))
    assert error.code is ErrorCode.BAD_METADATA
    assert "9 x 5 pixels refers to an image of 9 x 7" in error.message


@pytest.mark.parametrize("placed", [True, False])
def test_frames_of_a_multi_frame_image(tmp_path: Path, placed: bool) -> None:
    groups = [
        item(PlanePositionSequence=[item(ImagePositionPatient=GRID.position(number))]) for number in range(3)
    ]
    shared = item(
        PlaneOrientationSequence=[item(ImageOrientationPatient=list(GRID.axes))],
        PixelMeasuresSequence=[item(PixelSpacing=list(GRID.spacing))],
    )
    pixels = np.stack([np.full(SIZE, 10 * number, np.uint8) for number in range(3)])
    enhanced = {"PerFrameFunctionalGroupsSequence": groups, "SharedFunctionalGroupsSequence": [shared]}
    own = {"SOPInstanceUID": "1.7", "SeriesInstanceUID": "1.2.3", "WindowCenter": 128, "WindowWidth": 256}
    write_dicom(tmp_path / "mr.dcm", pixels, Modality="MR", **own, **(enhanced if placed else {}))
    frame = SegmentFrame(1, BLOCK, GRID.position(1), () if placed else (reference("1.7", frame=2),))
    write_segmentation(tmp_path / "seg.dcm", [frame], [LIVER])
    for skip_empty in (False, True):
        found = images(read(tmp_path, skip_empty=skip_empty))
        assert boxes(found) == [[], [("liver", 1, 2, 2, 3)], []]
        assert [int(image.read()[0, 0, 0]) for image in found] == [0, 10, 20]
        assert [image.name[-5:] for image in found] == ["-0000", "-0001", "-0002"]


def test_segments_stay_apart_and_are_one_without_components(tmp_path: Path) -> None:
    write_series(tmp_path, 1)
    touching = mask(slice(2, 5), slice(3, 4))
    frames = [on(0, 1, BLOCK), on(0, 2, touching)]
    write_segmentation(tmp_path / "seg.dcm", frames, [segment(1, "vertebra"), segment(2, "vertebra")])
    assert boxes(images(read(tmp_path))) == [[("vertebra", 1, 2, 2, 3), ("vertebra", 3, 2, 1, 3)]]
    (image,) = images(read(tmp_path, components=False))
    assert boxes([image]) == [[("vertebra", 1, 2, 3, 3)]]
    assert image.annotations[0].area == 9
    assert boxes(images(read(tmp_path, min_area=4))) == [[("vertebra", 1, 2, 2, 3)]]
    assert boxes(images(read(tmp_path, min_area=10, components=False))) == [[]]


def test_an_image_comes_once_with_the_boxes_of_all_segmentations(tmp_path: Path) -> None:
    write_series(tmp_path / "a", 1)
    write_series(tmp_path / "b", 1, series="1.2.4", PatientID="")
    write_series(tmp_path / "c", 1, series="1.2.5")  # nobody marked anything
    write_segmentation(tmp_path / "a" / "s1.dcm", [on(0, 1, BLOCK)], [LIVER])
    write_segmentation(tmp_path / "a" / "s2.dcm", [on(0, 1, CORNER)], [KIDNEY_1])
    place = SegmentFrame(1, CORNER, GRID.position(0))
    write_segmentation(tmp_path / "b" / "s.dcm", [place], [LIVER], series=("1.2.4",))
    reading = read(tmp_path)
    assert [unit.path for unit in reading.units] == ["a/s1.dcm", "b/s.dcm"]
    assert boxes(images(reading, 0)) == [[("liver", 1, 2, 2, 3), ("kidney", 8, 6, 1, 1)]]
    assert boxes(images(reading, 1)) == [[("liver", 8, 6, 1, 1)]]
    assert images(reading, 1)[0].case == hashed_case("1.2")  # no patient: the study
    by_path = read(tmp_path, case=parse_case_pattern("^(.)/"))
    assert [images(by_path, number)[0].case for number in (0, 1)] == [hashed_case("a"), hashed_case("b")]


def test_a_segmentation_file_and_a_folder_of_images(tmp_path: Path) -> None:
    write_series(tmp_path / "ct", 4)
    write_segmentation(tmp_path / "seg.dcm", [on(2, 1, BLOCK)], [LIVER])
    reading = read(tmp_path / "seg.dcm", images=tmp_path / "ct", every=2, window="10,5")
    found = images(reading)
    assert boxes(found) == [[], [("liver", 1, 2, 2, 3)]]
    assert [int(image.read()[0, 0, 0]) for image in found] == [0, 255]


def test_a_segmentation_that_names_no_series_belongs_to_the_one_in_its_frame_of_reference(
    tmp_path: Path,
) -> None:
    write_series(tmp_path, 1)
    write_series(tmp_path, 1, series="1.2.4", FrameOfReferenceUID="1.8")
    write_segmentation(tmp_path / "seg.dcm", [on(0, 1, BLOCK)], [LIVER], series=())
    assert boxes(images(read(tmp_path))) == [[("liver", 1, 2, 2, 3)]]
    (told,) = read(tmp_path).warnings
    assert told.startswith("1 series without a segmentation were left out")
    write_series(tmp_path, 1, series="1.2.4")
    assert collected(read(tmp_path))[1].code is ErrorCode.NOT_FOUND  # it may be either


def test_two_phases_at_one_place(tmp_path: Path) -> None:
    """The image that a frame names decides; one that names none is true of both."""
    for number in range(2):
        write_series(tmp_path / str(number), 1, SOPInstanceUID=uid_of("1.2.3", number), InstanceNumber=number)
    named = SegmentFrame(1, BLOCK, GRID.position(0), (reference(uid_of("1.2.3", 1)),))
    write_segmentation(tmp_path / "seg.dcm", [named], [LIVER])
    assert boxes(images(read(tmp_path))) == [[], [("liver", 1, 2, 2, 3)]]
    write_segmentation(tmp_path / "seg.dcm", [SegmentFrame(1, BLOCK, GRID.position(0))], [LIVER])
    assert boxes(images(read(tmp_path))) == [[("liver", 1, 2, 2, 3)]] * 2


# What fails


def test_missing_images(tmp_path: Path) -> None:
    write_series(tmp_path, 2)
    write_segmentation(tmp_path / "a.dcm", [on(0, 1, BLOCK), on(7, 1, BLOCK)], [LIVER])
    write_segmentation(tmp_path / "b.dcm", [on(0, 1, BLOCK)], [LIVER], series=("9.9",))
    reading = read(tmp_path)
    assert [unit.path for unit in reading.units] == ["a.dcm", "b.dcm"]
    found, error = collected(reading, 0)
    assert boxes(found) == [[("liver", 1, 2, 2, 3)], []]
    assert error.code is ErrorCode.NOT_FOUND
    assert error.message == "1 outline(s) or frame(s) of the segmentation belong to no available image."
    found, error = collected(reading, 1)
    assert (found, error.code) == ([], ErrorCode.NOT_FOUND)


def test_a_broken_image_does_not_stop_its_series(tmp_path: Path) -> None:
    write_series(tmp_path)
    write_segmentation(tmp_path / "seg.dcm", [on(2, 1, BLOCK)], [LIVER])
    broken = tmp_path / "1.2.3-2.dcm"
    broken.write_bytes(broken.read_bytes()[:-30])
    found, error = collected(read(tmp_path))
    assert boxes(found) == [[], [("liver", 1, 2, 2, 3)]]
    assert error.code is ErrorCode.TRUNCATED
    assert error.message.startswith("1 image file(s) of the series could not be read")


def test_a_broken_segmentation_makes_no_negative_images(tmp_path: Path) -> None:
    write_series(tmp_path)
    write_segmentation(tmp_path / "a.dcm", [on(0, 1, BLOCK)], [LIVER])
    write_segmentation(tmp_path / "b.dcm", [on(2, 1, BLOCK)], [LIVER])
    broken = tmp_path / "b.dcm"
    broken.write_bytes(broken.read_bytes()[:-6])
    found, error = collected(read(tmp_path))
    assert found == []
    assert error.code is ErrorCode.TRUNCATED
    assert error.message.startswith("b.dcm: ")


def test_a_segmentation_whose_references_cannot_be_read_fails_alone(tmp_path: Path) -> None:
    write_series(tmp_path)
    for name in ("a.dcm", "b.dcm"):
        write_segmentation(tmp_path / name, [on(0, 1, BLOCK)], [LIVER])
    content = (tmp_path / "b.dcm").read_bytes()
    series = b"\x20\x00\x0e\x00UI"  # Series Instance UID, also in Referenced Series Sequence
    first = content.index(series, content.index(b"\x08\x00\x15\x11"))
    (tmp_path / "b.dcm").write_bytes(content[: first + 4] + b"QI" + content[first + 6 :])
    reading = read(tmp_path)
    assert [unit.path for unit in reading.units] == ["a.dcm", "b.dcm"]
    assert boxes(images(reading))[0] == [("liver", 1, 2, 2, 3)]
    with pytest.raises(MedrovError, match="its references to images cannot be read"):
        list(reading.units[1].read())


@pytest.mark.parametrize(
    ("frame", "segments", "kind", "code"),
    [
        (on(0, 3, BLOCK), [LIVER], "BINARY", ErrorCode.BAD_METADATA),
        (on(0, 1, BLOCK), [], "BINARY", ErrorCode.BAD_METADATA),
        (SegmentFrame(None, BLOCK, GRID.position(0)), [LIVER], "BINARY", ErrorCode.BAD_METADATA),
        (on(0, 1, BLOCK), [LIVER], "SURFACE", ErrorCode.UNSUPPORTED_FORMAT),
    ],
)
def test_segmentations_against_the_standard(
    tmp_path: Path, frame: SegmentFrame, segments: list[Any], kind: str, code: ErrorCode
) -> None:
    write_series(tmp_path)
    write_segmentation(tmp_path / "seg.dcm", [frame], segments, kind=kind)
    found, error = collected(read(tmp_path))
    assert (found, error.code) == ([], code)


def test_nothing_to_read(tmp_path: Path) -> None:
    for name, code in (("none", ErrorCode.NOT_FOUND), ("empty", ErrorCode.NO_INPUT)):
        if name == "empty":
            (tmp_path / name).mkdir()
        with pytest.raises(MedrovError) as caught:
            read(tmp_path / name)
        assert caught.value.code is code
    write_series(tmp_path / "ct")
    with pytest.raises(MedrovError, match="no segmentation"):
        read(tmp_path / "ct")
    write_segmentation(tmp_path / "seg.dcm", [on(0, 1, BLOCK)], [LIVER])
    with pytest.raises(MedrovError, match="no DICOM image"):
        read(tmp_path / "seg.dcm", images=tmp_path / "empty")
    with pytest.raises(MedrovError) as caught:
        read(tmp_path, window="bright")
    assert caught.value.code is ErrorCode.USAGE
