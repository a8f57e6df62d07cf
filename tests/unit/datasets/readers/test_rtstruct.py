"""Structure sets: contours in millimetres become the boxes that were computed by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from dicom_objects import Grid, contour, uid_of, write_series, write_structures
from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.datasets.readers.find_reader import find_reader
from medrov_cli.core.datasets.readers.protocol import Reading
from medrov_cli.core.records.annotations import AnnotatedImage
from medrov_cli.core.settings.data_convert import ReaderSettings

GRID = Grid()
TILTED = Grid(axes=(0.8, 0.6, 0.0, 0.0, 0.0, -1.0), spacing=(0.7, 1.3))
OBLIQUE = Grid(axes=(0.6, 0.64, 0.48, -0.8, 0.48, 0.36), spacing=(0.9, 0.4))
"""Turned about all three axes."""


def around(left: float, top: float, width: float, height: float, at: int, grid: Grid = GRID) -> Any:
    """Return the outline of pixels, along their outer edges, in millimetres."""
    x1, y1, x2, y2 = left - 0.5, top - 0.5, left + width - 0.5, top + height - 0.5
    return [grid.point(x, y, at) for x, y in ((x1, y1), (x2, y1), (x2, y2), (x1, y2))]


def read(path: Path, **options: Any) -> Reading:
    return find_reader("rtstruct")(ReaderSettings(path, **options))


def images(path: Path, **options: Any) -> list[AnnotatedImage]:
    (unit,) = read(path, **options).units
    return list(unit.read())


def boxes(path: Path, **options: Any) -> list[list[tuple[Any, ...]]]:
    return [
        [(own.class_name, *own.box_xywh) for own in image.annotations] for image in images(path, **options)
    ]


def error(path: Path) -> MedrovError:
    with pytest.raises(MedrovError) as caught:
        images(path)
    return caught.value


def test_millimetres_by_hand(tmp_path: Path) -> None:
    """Origin (-10, 20, 100), rows 2 mm and columns 0.5 mm apart, slices 3 mm apart."""
    write_series(tmp_path)
    # x from -9.3 to -7.9 holds the centres -9, -8.5 and -8: columns 2 to 4.
    # y from 21.9 to 26.1 holds the centres 22, 24 and 26: rows 1 to 3. z = 103 is the second slice.
    points = [(-9.3, 21.9, 103), (-7.9, 21.9, 103), (-7.9, 26.1, 103), (-9.3, 26.1, 103)]
    write_structures(tmp_path / "rs.dcm", [("GTV 1", [contour(points)])])
    assert boxes(tmp_path) == [[], [("GTV 1", 2, 1, 3, 3)], []]
    second = images(tmp_path)[1]
    assert second.annotations[0].area == 9
    assert int(second.read()[0, 0, 0]) == 10


@pytest.mark.parametrize("grid", [GRID, TILTED, OBLIQUE], ids=["straight", "tilted", "oblique"])
@pytest.mark.parametrize("names_its_image", [True, False])
def test_whatever_the_orientation(tmp_path: Path, grid: Grid, names_its_image: bool) -> None:
    write_series(tmp_path, grid=grid)
    uid = uid_of("1.2.3", 2) if names_its_image else None
    regions = [
        ("heart", [contour(around(3, 2, 4, 1, 2, grid), uid)]),
        ("lung", [contour(around(0, 0, 9, 7, 0, grid)), contour(around(8, 6, 1, 1, 2, grid), uid)]),
    ]
    write_structures(tmp_path / "rs.dcm", regions)
    assert boxes(tmp_path) == [
        [("lung", 0, 0, 9, 7)],
        [],
        [("heart", 3, 2, 4, 1), ("lung", 8, 6, 1, 1)],
    ]


def test_a_hole_and_a_second_part(tmp_path: Path) -> None:
    write_series(tmp_path, 1)
    ring = [contour(around(0, 0, 5, 5, 0)), contour(around(1, 1, 3, 3, 0), kind="CLOSEDPLANAR_XOR")]
    write_structures(tmp_path / "rs.dcm", [("wall", [*ring, contour(around(7, 5, 2, 2, 0))])])
    (image,) = images(tmp_path)
    assert [(own.box_xywh, own.area) for own in image.annotations] == [((0, 0, 5, 5), 16), ((7, 5, 2, 2), 4)]
    assert boxes(tmp_path, components=False) == [[("wall", 0, 0, 9, 7)]]


def test_contours_through_pixel_centres_give_the_mask_back(tmp_path: Path) -> None:
    """As RT-Utils and others write them: traced around a mask, pixel by pixel."""
    write_series(tmp_path, 1, grid=OBLIQUE)
    mask = np.zeros(OBLIQUE.size, np.uint8)
    mask[1:6, 2:8] = 1
    mask[3, 4] = mask[2, 7] = 0
    traced, _ = cv2.findContours(mask, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    contours = [contour([OBLIQUE.point(*point, 0) for point in own[:, 0]]) for own in traced]
    write_structures(tmp_path / "rs.dcm", [("organ", contours)])
    (image,) = images(tmp_path)
    (own,) = image.annotations
    assert (own.box_xywh, own.area) == ((2, 1, 6, 5), int(mask.sum()))


def test_what_is_smaller_than_a_pixel_is_the_pixel_that_it_is_in(tmp_path: Path) -> None:
    write_series(tmp_path, 1)
    points = [GRID.point(x, y, 0) for x, y in ((3.1, 4.1), (3.4, 4.1), (3.4, 4.4))]
    write_structures(tmp_path / "rs.dcm", [("seed", [contour(points)])])
    assert boxes(tmp_path) == [[("seed", 3, 4, 1, 1)]]


def test_points_and_open_lines_are_left_out(tmp_path: Path) -> None:
    write_series(tmp_path, 1)
    marks = [
        contour([GRID.point(1, 1, 0)], kind="POINT"),
        contour(around(1, 1, 3, 3, 0), kind="OPEN_PLANAR"),
    ]
    write_structures(tmp_path / "rs.dcm", [("isocentre", marks), ("liver", [contour(around(1, 1, 3, 3, 0))])])
    assert boxes(tmp_path) == [[("liver", 1, 1, 3, 3)]]


def test_a_contour_a_little_off_its_slice_and_one_between_two(tmp_path: Path) -> None:
    write_series(tmp_path)
    near = around(1, 1, 3, 3, 1) + np.array([0, 0, 1.2])
    write_structures(tmp_path / "rs.dcm", [("liver", [contour(near)])])
    assert boxes(tmp_path) == [[], [("liver", 1, 1, 3, 3)], []]
    between = around(1, 1, 3, 3, 1) + np.array([0, 0, 1.5])
    write_structures(tmp_path / "rs.dcm", [("liver", [contour(between)])])
    assert error(tmp_path).code is ErrorCode.NOT_FOUND


def test_a_contour_across_the_slices_is_on_none(tmp_path: Path) -> None:
    write_series(tmp_path)
    sagittal = [GRID.point(2, 1, 0), GRID.point(2, 4, 0), GRID.point(2, 4, 2), GRID.point(2, 1, 2)]
    write_structures(tmp_path / "rs.dcm", [("liver", [contour(sagittal)])])
    assert error(tmp_path).code is ErrorCode.NOT_FOUND


def test_a_wrong_name_of_an_image_is_corrected_by_the_place(tmp_path: Path) -> None:
    write_series(tmp_path)
    write_structures(tmp_path / "rs.dcm", [("liver", [contour(around(1, 1, 3, 3, 0), uid_of("1.2.3", 2))])])
    assert boxes(tmp_path) == [[("liver", 1, 1, 3, 3)], [], []]


def test_two_phases_at_one_place(tmp_path: Path) -> None:
    """The name decides; without one a contour is true of both."""
    for number in range(2):
        write_series(tmp_path / str(number), 1, SOPInstanceUID=uid_of("1.2.3", number), InstanceNumber=number)
    own = around(1, 1, 3, 3, 0)
    write_structures(tmp_path / "rs.dcm", [("liver", [contour(own, uid_of("1.2.3", 1))])])
    assert boxes(tmp_path) == [[], [("liver", 1, 1, 3, 3)]]
    write_structures(tmp_path / "rs.dcm", [("liver", [contour(own)])])
    assert boxes(tmp_path) == [[("liver", 1, 1, 3, 3)]] * 2


def test_a_series_that_is_named_by_its_frame_of_reference(tmp_path: Path) -> None:
    write_series(tmp_path, 1)
    write_structures(tmp_path / "rs.dcm", [("liver", [contour(around(1, 1, 3, 3, 0))])], series=None)
    assert boxes(tmp_path) == [[("liver", 1, 1, 3, 3)]]


def test_a_lone_slice_holds_what_is_within_its_thickness(tmp_path: Path) -> None:
    write_series(tmp_path, 1, SliceThickness=4)
    for away, found in ((1.9, True), (2.1, False)):
        own = around(1, 1, 3, 3, 0) + np.array([0, 0, away])
        write_structures(tmp_path / "rs.dcm", [("liver", [contour(own)])])
        assert (boxes(tmp_path) == [[("liver", 1, 1, 3, 3)]]) if found else error(tmp_path)


def test_what_contradicts_itself(tmp_path: Path) -> None:
    write_series(tmp_path, 1)
    bad = contour(around(1, 1, 3, 3, 0))
    bad.ContourData = bad.ContourData[:-1]
    write_structures(tmp_path / "rs.dcm", [("liver", [bad])])
    assert error(tmp_path).code is ErrorCode.BAD_METADATA
    write_series(tmp_path, 1, ImageOrientationPatient=[1, 0, 0, 1, 0, 0])
    write_structures(tmp_path / "rs.dcm", [("liver", [contour(around(1, 1, 3, 3, 0))])])
    assert "contours cannot be assigned" in error(tmp_path).message
