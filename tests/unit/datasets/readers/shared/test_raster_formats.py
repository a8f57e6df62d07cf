"""Images and masks of less common formats, on their way into a dataset."""

from __future__ import annotations

from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from PIL import Image

from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.datasets.readers.shared.raster_files import raster_files, read_mask, read_raster_image

GREY = np.arange(48, dtype=np.uint8).reshape(6, 8)
DEEP = np.arange(48, dtype=np.uint16).reshape(6, 8) * 1000


def test_files_of_all_formats_are_listed(tmp_path: Path) -> None:
    names = ["a.avif", "b.jp2", "c.J2K", "d.pgm", "e.ppm", "f.tif"]
    for name in [*names, "g.gif", "h.dcm", "i.nrrd", "j.txt"]:
        (tmp_path / name).write_bytes(b"")
    assert raster_files(tmp_path) == names


@pytest.mark.parametrize("kind", ["pgm", "jp2"])
def test_grey_values_stay_as_they_are(tmp_path: Path, kind: str) -> None:
    for values in (GREY, DEEP):
        path = tmp_path / f"a.{kind}"
        if kind == "jp2":
            path.write_bytes(imagecodecs.jpeg2k_encode(values, level=0, reversible=True))
        else:
            largest, order = (255, "u1") if values is GREY else (65535, ">u2")
            path.write_bytes(f"P5 8 6 {largest}\n".encode() + values.astype(order).tobytes())
        pixels = read_raster_image(path).pixels
        assert pixels.dtype == values.dtype
        assert (pixels if pixels.ndim == 2 else pixels[..., 0]).tolist() == values.tolist()
        assert read_mask(path).tolist() == values.tolist()


def test_mask_values_are_not_scaled(tmp_path: Path) -> None:
    path = tmp_path / "a.pgm"
    path.write_bytes(b"P2\n3 1\n3\n0 1 3\n")
    assert read_mask(path).tolist() == [[0, 1, 3]]
    path = tmp_path / "a.jp2"
    path.write_bytes(imagecodecs.jpeg2k_encode(GREY % 4, level=0, reversible=True, bitspersample=2))
    assert read_mask(path).tolist() == (GREY % 4).tolist()


def test_image_of_several_channels_is_refused(tmp_path: Path) -> None:
    import tifffile

    path = tmp_path / "a.tif"
    tifffile.imwrite(
        path, np.stack([GREY] * 2, -1), photometric="minisblack", planarconfig="contig", extrasamples=[0]
    )
    with pytest.raises(MedrovError, match="several images") as caught:
        read_raster_image(path)
    assert caught.value.code is ErrorCode.UNSUPPORTED_FORMAT


def test_avif_is_an_image(tmp_path: Path) -> None:
    path = tmp_path / "a.avif"
    Image.fromarray(np.full((48, 64, 3), 120, np.uint8)).save(path)
    image = read_raster_image(path)
    assert (image.pixels.shape, image.original) == ((48, 64, 3), None)
