"""Slides and very large images: regions, levels, sizes of pixels, faults."""

from __future__ import annotations

import gc
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from pydicom.uid import VLMicroscopicImageStorage, VLWholeSlideMicroscopyImageStorage

from conftest import SHARED_DATA
from drawn_shapes import draw
from image_files import item, write_dicom
from medrov_cli.core.base.constants import InputLimits
from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.pixels.budget import limit_memory, reserved_bytes
from medrov_cli.core.pixels.inputs import find_inputs
from medrov_cli.core.pixels.read import read_frames
from medrov_cli.core.pixels.slides.pyramid import WRONG_MPP_WARNING, PyramidReader
from medrov_cli.core.pixels.slides.tissue_mask import tissue_mask
from medrov_cli.core.records.frame import Frame, UInt8Array
from medrov_cli.core.settings.io_groups import ReadSettings
from slide_files import LABEL_COLOR, write_dicom_slide, write_svs

REGIONS = ReadSettings(by_region=True)


def only_frame(path: Path | str, options: ReadSettings = REGIONS, *, series: tuple[str, ...] = ()) -> Frame:
    (frame,) = read_frames(path, options, series=series)
    return frame


def pattern(height: int, width: int) -> np.ndarray:
    """Return an image in which every place has its own colour."""
    rows, columns = np.mgrid[:height, :width]
    return np.stack((rows % 256, columns % 256, (rows // 256 + columns // 256 * 16) % 256), -1).astype(
        np.uint8
    )


def whole(frame: Frame) -> np.ndarray:
    return frame.read_region((0, 0, frame.width, frame.height), (frame.height, frame.width))


def test_an_svs_is_one_image_without_its_label(tmp_path: Path) -> None:
    image = draw(200, 300, [(20, 30, 60, 90), (200, 100, 290, 190)])
    frame = only_frame(write_svs(tmp_path / "a.svs", image))
    assert (frame.height, frame.width, frame.frame_count) == (200, 300, 1)
    assert frame.pixel_spacing_mm == (0.0005, 0.0005)
    np.testing.assert_array_equal(whole(frame), image)
    np.testing.assert_array_equal(frame.read_region((100, 50, 164, 114), (64, 64)), image[50:114, 100:164])
    assert frame.read_region((0, 0, 300, 200), (50, 75)).shape == (50, 75, 3)
    assert "DOE" not in repr(frame)
    decoded = only_frame(tmp_path / "a.svs", ReadSettings())
    np.testing.assert_array_equal(decoded.pixels_rgb, image)
    assert not (decoded.pixels_rgb == LABEL_COLOR).all(2).any()


@pytest.mark.parametrize("mpp", [0.0, 353.0, 1e9])
def test_a_size_of_pixels_that_no_slide_has_is_unknown(tmp_path: Path, mpp: float) -> None:
    frame = only_frame(write_svs(tmp_path / "a.svs", draw(70, 70, []), mpp=mpp))
    assert frame.pixel_spacing_mm is None
    assert frame.warnings == (WRONG_MPP_WARNING,)


def test_a_slide_beyond_the_limit_of_whole_images_is_read_by_regions_alone(tmp_path: Path) -> None:
    path = write_svs(tmp_path / "a.svs", draw(200, 300, []))
    limits = InputLimits(pixels_per_frame=10_000)
    assert only_frame(path, ReadSettings(by_region=True, limits=limits)).width == 300
    with pytest.raises(MedrovError) as caught:
        only_frame(path, ReadSettings(limits=limits))
    assert caught.value.code is ErrorCode.TOO_LARGE
    with pytest.raises(MedrovError) as caught:
        only_frame(path, ReadSettings(by_region=True, limits=InputLimits(pixels_per_slide=10_000)))
    assert caught.value.code is ErrorCode.TOO_LARGE


@pytest.mark.parametrize("keep", [0.5, 0.9])
def test_a_truncated_slide_is_an_input_error(tmp_path: Path, keep: float) -> None:
    path = write_svs(tmp_path / "a.svs", pattern(200, 300))
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * keep)])
    with pytest.raises(MedrovError) as caught:
        whole(only_frame(path))
    assert caught.value.is_input_error


def test_a_mirax_file_without_its_folder_is_refused_and_not_decoded(tmp_path: Path) -> None:
    path = tmp_path / "a.mrxs"
    path.write_bytes(imagecodecs.jpeg_encode(np.full((40, 60, 3), LABEL_COLOR, np.uint8)))
    for options in (REGIONS, ReadSettings()):
        with pytest.raises(MedrovError) as caught:
            only_frame(path, options)
        assert caught.value.code is ErrorCode.TRUNCATED
        assert "folder" in caught.value.message


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("parts", [1, 3])
def test_a_dicom_slide_is_one_image(tmp_path: Path, sparse: bool, parts: int) -> None:
    image = draw(100, 150, [(3, 5, 30, 40), (100, 60, 149, 99)])
    files = write_dicom_slide(tmp_path, image, sparse=sparse, parts=parts)
    found = find_inputs([str(tmp_path)])
    (slide,) = found.inputs
    assert slide.path in map(str, files)
    frame = only_frame(slide.path, series=slide.series)
    assert (frame.height, frame.width, frame.frame_count) == (100, 150, 1)
    assert frame.pixel_spacing_mm == (0.0005, 0.0005)
    np.testing.assert_array_equal(whole(frame), image)
    coarse = frame.read_region((0, 0, 148, 100), (25, 37))
    np.testing.assert_array_equal(coarse, image[::4, ::4][:, :37])  # from the coarser instance
    alone = only_frame(files[-1])  # a concatenation finds its parts, without the series
    np.testing.assert_array_equal(whole(alone), image)
    skipped = {Path(file.path).name: file.reason for file in found.skipped}
    assert "label" in skipped["label.dcm"]
    assert "level of the slide" in skipped["level1.dcm"]


def test_a_dicom_label_is_never_decoded(tmp_path: Path) -> None:
    write_dicom_slide(tmp_path, draw(40, 40, []))
    with pytest.raises(MedrovError) as caught:
        only_frame(tmp_path / "label.dcm")
    assert caught.value.code is ErrorCode.NO_PIXELS


def test_an_image_that_refers_to_a_slide_is_none(tmp_path: Path) -> None:
    pixels = pattern(40, 50)
    source = item(ReferencedSOPClassUID=VLWholeSlideMicroscopyImageStorage, ReferencedSOPInstanceUID="1.2.3")
    photomicrograph = {"SOPClassUID": VLMicroscopicImageStorage, "SourceImageSequence": [source]}
    path = write_dicom(tmp_path / "a.dcm", pixels, Modality="GM", **photomicrograph)
    np.testing.assert_array_equal(only_frame(path).pixels_rgb, pixels)


def test_a_truncated_dicom_slide_is_an_input_error(tmp_path: Path) -> None:
    (path,) = write_dicom_slide(tmp_path, pattern(100, 150))
    path.write_bytes(path.read_bytes()[:-5000])
    with pytest.raises(MedrovError) as caught:
        only_frame(path)
    assert caught.value.code is ErrorCode.TRUNCATED


def test_a_missing_level_leaves_the_others(tmp_path: Path) -> None:
    image = draw(100, 150, [(3, 5, 30, 40)])
    files = write_dicom_slide(tmp_path, image)
    damaged = tmp_path / "level1.dcm"
    damaged.write_bytes(damaged.read_bytes()[:-500])
    frame = only_frame(files[0], series=(str(files[0]), str(damaged)))
    np.testing.assert_array_equal(whole(frame), image)
    assert frame.read_region((0, 0, 150, 100), (25, 38)).shape == (25, 38, 3)


def large_png(path: Path, image: np.ndarray) -> None:
    path.write_bytes(imagecodecs.png_encode(image, level=1))


def large_strips(path: Path, image: np.ndarray) -> None:
    tifffile.imwrite(path, image, photometric="rgb", compression="zlib", rowsperstrip=100)


def large_tiles(path: Path, image: np.ndarray) -> None:
    tifffile.imwrite(path, image, photometric="rgb", compression="zlib", tile=(64, 64))


def large_ome(path: Path, image: np.ndarray) -> None:
    size = {"PhysicalSizeX": 250, "PhysicalSizeXUnit": "nm", "PhysicalSizeY": 0.25}
    with tifffile.TiffWriter(path, ome=True) as tiff:
        plain = {"photometric": "rgb", "compression": "zlib", "tile": (64, 64)}
        tiff.write(image, subifds=1, metadata={"axes": "YXS", **size}, **plain)
        tiff.write(image[::2, ::2].copy(), subfiletype=1, **plain)


@pytest.mark.parametrize("write", [large_png, large_strips, large_tiles, large_ome])
def test_a_large_file_is_read_by_regions(tmp_path: Path, write: object) -> None:
    image = pattern(130, 8200)
    path = tmp_path / f"a{'.png' if write is large_png else '.tif'}"
    write(path, image)  # type: ignore[operator]
    frame = only_frame(path)
    assert frame.regions is not None
    np.testing.assert_array_equal(
        frame.read_region((5000, 20, 5300, 130), (110, 300)), image[20:130, 5000:5300]
    )
    assert frame.read_region((0, 0, 8200, 130), (4, 256)).shape == (4, 256, 3)
    expected = (0.00025, 0.00025) if write is large_ome else None
    assert frame.pixel_spacing_mm == expected
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 2 // 3])
    with pytest.raises(MedrovError):
        whole(only_frame(path))


WIDE = pattern(40, 8200)
GREY = WIDE[..., 1]
COLORMAP = np.stack([np.arange(256)[::-1], np.arange(256), np.full(256, 7)]).astype(np.uint16) * 257
TURNED = (274, 3, 1, 6, True)  # Orientation 6, as a tag that tifffile writes


@pytest.mark.parametrize(
    ("pixels", "options"),
    [
        (GREY, {"photometric": "palette", "colormap": COLORMAP, "tile": (16, 64)}),
        (GREY, {"photometric": "miniswhite", "compression": "zlib"}),
        (GREY > 40, {"photometric": "minisblack"}),
        (GREY.astype(np.uint16) * 200, {"photometric": "minisblack"}),
        (GREY.astype(np.float32), {"photometric": "minisblack"}),
        (GREY.astype(np.int8), {"photometric": "minisblack"}),
        (GREY // 16, {"photometric": "minisblack", "bitspersample": 4}),
        (np.dstack([WIDE, GREY // 2]), {"photometric": "rgb", "extrasamples": ["unassalpha"]}),
        (np.dstack([WIDE, GREY // 2]), {"photometric": "rgb", "extrasamples": ["unspecified"]}),
        (np.dstack([WIDE, GREY]), {"photometric": "minisblack", "planarconfig": "contig"}),
        (np.moveaxis(WIDE, -1, 0), {"photometric": "rgb", "planarconfig": "separate"}),
        (WIDE, {"photometric": "rgb", "extratags": [TURNED]}),
        (np.stack([WIDE, WIDE[::-1]]), {"photometric": "rgb"}),
        (np.stack([GREY, GREY[::-1]]), {"photometric": "minisblack", "imagej": True}),
        (np.stack([GREY, GREY[::-1]]), {"photometric": "minisblack", "metadata": None}),
    ],
    ids=[
        "palette", "miniswhite", "bilevel", "16 bit", "float", "signed", "4 bit", "alpha", "extra",
        "channels", "planes", "turned", "stack", "imagej", "pages",
    ],
)  # fmt: skip
def test_large_images_by_regions_equal_whole_ones(
    tmp_path: Path, pixels: np.ndarray, options: dict[str, Any]
) -> None:
    tifffile.imwrite(tmp_path / "a.tif", pixels, **{"rowsperstrip": 8} | options)
    by_regions, decoded = (list(read_frames(tmp_path / "a.tif", own)) for own in (REGIONS, ReadSettings()))
    assert [frame.warnings for frame in by_regions] == [frame.warnings for frame in decoded]
    for one, other in zip(by_regions, decoded, strict=True):
        np.testing.assert_array_equal(whole(one), other.pixels_rgb)


@pytest.mark.parametrize(
    "kind", ["plain", "alpha", "grey alpha", "transparent", "turned", "deep", "animated"]
)
def test_large_png_images_by_regions_equal_whole_ones(tmp_path: Path, kind: str) -> None:
    exif = Image.Exif()
    exif[274] = 6
    options = {"transparent": {"transparency": (1, 2, 3)}, "turned": {"exif": exif}}.get(kind, {})
    image = Image.fromarray(WIDE)
    if kind == "deep":
        imagecodecs.imwrite(tmp_path / "a.png", WIDE.astype(np.uint16) * 200)
    elif kind == "animated":
        image.save(tmp_path / "a.png", save_all=True, append_images=[Image.fromarray(WIDE[::-1])])
    else:
        mode = {"alpha": "RGBA", "grey alpha": "LA"}.get(kind, "RGB")
        image.convert(mode).save(tmp_path / "a.png", **options)
    by_regions, decoded = (list(read_frames(tmp_path / "a.png", own)) for own in (REGIONS, ReadSettings()))
    assert [frame.warnings for frame in by_regions] == [frame.warnings for frame in decoded]
    for one, other in zip(by_regions, decoded, strict=True):
        np.testing.assert_array_equal(whole(one), other.pixels_rgb)


@pytest.mark.parametrize("photometric", ["separated", "cielab"])
def test_colour_spaces_that_are_not_read_are_refused_at_every_size(tmp_path: Path, photometric: str) -> None:
    channels = 4 if photometric == "separated" else 3
    tifffile.imwrite(tmp_path / "a.tif", np.dstack([GREY] * channels), photometric=photometric)
    for options in (REGIONS, ReadSettings(by_region=True, limits=InputLimits(pixels_per_frame=10_000))):
        with pytest.raises(MedrovError) as caught:
            only_frame(tmp_path / "a.tif", options)
        assert caught.value.is_input_error


def test_pages_of_other_sizes_are_read_beside_large_ones(tmp_path: Path) -> None:
    with tifffile.TiffWriter(tmp_path / "a.tif") as tiff:
        for page in (WIDE, WIDE[:, :50], WIDE[:20]):
            tiff.write(np.ascontiguousarray(page), photometric="rgb", rowsperstrip=8)
    frames = list(read_frames(tmp_path / "a.tif", REGIONS))
    assert [(frame.width, frame.height) for frame in frames] == [(8200, 40), (50, 40), (8200, 20)]


def test_further_images_of_a_tiled_file_are_named(tmp_path: Path) -> None:
    with tifffile.TiffWriter(tmp_path / "a.tif") as tiff:
        for page in (WIDE, WIDE[:20, :60]):
            tiff.write(np.ascontiguousarray(page), photometric="rgb", tile=(16, 64))
    assert "Further pages of the pyramid or tiled file were not read (1)." in " ".join(
        only_frame(tmp_path / "a.tif").warnings
    )


def test_uncompressed_strips_of_any_size_are_read_by_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("medrov_cli.core.pixels.slides.tiff_regions._SEGMENT_BYTES", 100_000)
    tifffile.imwrite(tmp_path / "a.tif", WIDE, photometric="rgb")
    small = ReadSettings(by_region=True, limits=InputLimits(pixels_per_frame=10_000))
    np.testing.assert_array_equal(whole(only_frame(tmp_path / "a.tif", small)), WIDE)
    tifffile.imwrite(tmp_path / "b.tif", WIDE, photometric="rgb", compression="zlib", rowsperstrip=40)
    np.testing.assert_array_equal(only_frame(tmp_path / "b.tif").pixels_rgb, WIDE)
    with pytest.raises(MedrovError, match="strips of the TIFF image are too large"):
        only_frame(tmp_path / "b.tif", small)


OME = (
    '<?xml version="1.0"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" UUID="urn:uuid:0">'
    '<Image ID="Image:0"><Pixels ID="Pixels:0" DimensionOrder="XYCZT" SizeX="8200" SizeY="40" SizeC="2" '
    'SizeZ="1" SizeT="1" Type="uint8"><Channel ID="C:0" SamplesPerPixel="1"/><Channel ID="C:1" '
    'SamplesPerPixel="1"/><TiffData FirstC="0" IFD="0" PlaneCount="1"><UUID FileName="a.ome.tif">urn:uuid:0'
    '</UUID></TiffData><TiffData FirstC="1" IFD="0" PlaneCount="1"><UUID FileName="b.ome.tif">urn:uuid:1'
    "</UUID></TiffData></Pixels></Image></OME>"
)


@pytest.mark.parametrize("options", [{"rowsperstrip": 8}, {"tile": (16, 64)}])
@pytest.mark.parametrize(
    "change", [("", ""), ("XYCZT", "ABCDE"), ('SizeX="8200"', ""), ('SizeX="8200"', 'SizeX="x"')]
)
def test_files_of_an_ome_set_are_read_alone_whatever_their_metadata(
    tmp_path: Path, options: dict[str, Any], change: tuple[str, str]
) -> None:
    text = OME.replace(*change)
    for name, pixels in (("a.ome.tif", GREY), ("b.ome.tif", GREY[::-1])):
        tifffile.imwrite(
            tmp_path / name, pixels, description=text, metadata=None, photometric="minisblack", **options
        )
    for name, pixels in (("a.ome.tif", GREY), ("b.ome.tif", GREY[::-1])):
        np.testing.assert_array_equal(whole(only_frame(tmp_path / name))[..., 0], pixels)


class _Array:
    """Level in memory."""

    def __init__(self, pixels: np.ndarray) -> None:
        self.pixels = pixels
        self.size_hw = pixels.shape[:2]

    def read(self, left: int, top: int, width: int, height: int) -> UInt8Array:
        assert 0 <= left <= left + width <= self.size_hw[1]
        assert 0 <= top <= top + height <= self.size_hw[0]
        return self.pixels[top : top + height, left : left + width]


@given(data=st.data())
@settings(max_examples=40)
def test_regions_in_parts_equal_regions_at_once(data: st.DataObject) -> None:
    image = pattern(data.draw(st.integers(1, 200)), data.draw(st.integers(1, 200)))
    reader = PyramidReader([_Array(image)])
    height, width = image.shape[:2]
    left, top = data.draw(st.integers(0, width - 1)), data.draw(st.integers(0, height - 1))
    right, bottom = data.draw(st.integers(left + 1, width)), data.draw(st.integers(top + 1, height))
    factor = data.draw(st.sampled_from([1, 2, 4]))
    size_hw = max(1, (bottom - top) // factor), max(1, (right - left) // factor)
    box = (left, top, left + size_hw[1] * factor, top + size_hw[0] * factor)
    if box[2] <= width and box[3] <= height:
        with pytest.MonkeyPatch.context() as patch:
            at_once = reader.read(box, size_hw)
            patch.setattr("medrov_cli.core.pixels.slides.pyramid.READ_PIXELS", 500)
            np.testing.assert_array_equal(reader.read(box, size_hw), at_once)


def test_tissue_is_told_from_glass() -> None:
    image = np.full((200, 400, 3), (245, 243, 246), np.uint8)
    image[50:150, 100:200] = (180, 90, 160)
    mask = tissue_mask(Frame(image, "a"), (0, 0, 400, 200))
    assert mask[50:150, 100:200].all()
    assert not mask[:, 210:].any()
    assert not mask[160:].any()
    assert not tissue_mask(Frame(np.full((50, 50, 3), 240, np.uint8), "a"), (0, 0, 50, 50)).any()


@pytest.mark.skipif(not (SHARED_DATA / "slides").is_dir(), reason="needs the shared slides")
def test_slides_of_scanners() -> None:
    slides = SHARED_DATA / "slides"
    openslide = pytest.importorskip("openslide")
    expected = np.asarray(openslide.OpenSlide(slides / "boxes_0.dcm").read_region((0, 0), 0, (16, 16)))[
        ..., :3
    ]
    np.testing.assert_array_equal(whole(only_frame(slides / "boxes_0.dcm")), expected)
    assert only_frame(slides / "small.svs").pixel_spacing_mm == (0.000499, 0.000499)
    for name in ("unreadable.svs", "unopenable.tiff"):
        with pytest.raises(MedrovError):
            whole(only_frame(slides / name))


class CountedLevel:
    """Level that notes what is reserved while it is read."""

    def __init__(self) -> None:
        self.reserved: list[int] = []

    @property
    def size_hw(self) -> tuple[int, int]:
        return 2000, 3000

    def read(self, left: int, top: int, width: int, height: int) -> UInt8Array:
        self.reserved.append(reserved_bytes())
        return np.zeros((height, width, 3), np.uint8)


def test_a_region_is_reserved_while_it_is_read_and_is_limited() -> None:
    level = CountedLevel()
    reader = PyramidReader([level])
    before = reserved_bytes()
    reader.read((0, 0, 1000, 1000), (500, 500))
    assert level.reserved[0] - before >= 1000 * 1000 * 4 + 500 * 500 * 3
    assert reserved_bytes() == before
    limit_memory(1 << 20)
    try:
        with pytest.raises(MedrovError) as caught:
            reader.read((0, 0, 1000, 1000), (500, 500))
    finally:
        limit_memory(None)
    assert caught.value.code is ErrorCode.TOO_LARGE
    assert reserved_bytes() == before


def test_kept_tiles_are_counted_until_the_slide_is_closed(tmp_path: Path) -> None:
    before = reserved_bytes()
    path, *others = write_dicom_slide(tmp_path, draw(200, 300, [(20, 30, 60, 90)]))
    frame = only_frame(path, series=tuple(str(own) for own in (path, *others)))
    whole(frame)
    assert reserved_bytes() - before >= 200 * 300 * 3
    del frame
    gc.collect()
    assert reserved_bytes() == before
