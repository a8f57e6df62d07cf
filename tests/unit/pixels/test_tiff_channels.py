"""TIFF: channels that are colours, transparency or images, and stacks with one directory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from image_files import error_of, grey, read_all
from medrov_cli.core.base.errors import ErrorCode

RNG = np.random.default_rng(0)


def values(channels: int, kind: Any = np.uint8) -> np.ndarray[Any, Any]:
    return RNG.integers(0, 256, (6, 8, channels)).astype(kind)


@pytest.mark.parametrize("planar", ["contig", "separate"])
@pytest.mark.parametrize("channels", [2, 4, 5])
@pytest.mark.parametrize("compression", [None, "zlib"])
def test_each_channel_without_colours_is_a_frame(
    tmp_path: Path, planar: str, channels: int, compression: str | None
) -> None:
    data = values(channels)
    stored = data if planar == "contig" else np.moveaxis(data, -1, 0)
    path = tmp_path / "a.tif"
    tifffile.imwrite(
        path,
        stored,
        photometric="minisblack",
        planarconfig=planar,
        extrasamples=[0] * (channels - 1),
        compression=compression,
    )
    frames = read_all(path)
    assert [grey(frame) for frame in frames] == [data[..., at].tolist() for at in range(channels)]
    assert [(frame.index, frame.frame_count) for frame in frames] == [
        (at, channels) for at in range(channels)
    ]
    assert ["channels" in warning for warning in frames[0].warnings] == [True]


def test_deep_channels_have_their_own_windows(tmp_path: Path) -> None:
    data = values(2, np.uint16) * np.array([1, 100], dtype=np.uint16)
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, data, photometric="minisblack", planarconfig="contig", extrasamples=[0])
    centers = [frame.window.center for frame in read_all(path) if frame.window is not None]
    expected = [np.percentile(data[..., at], (0.5, 99.5)).mean() for at in (0, 1)]
    assert centers == pytest.approx(expected)


@pytest.mark.parametrize(
    ("photometric", "extra", "shown", "words"),
    [
        ("rgb", [0], [[0, 1, 2]], ["channels"]),
        ("rgb", [2], [[0, 1, 2]], ["transparency"]),
        ("rgb", [1], [[0, 1, 2]], ["transparency"]),
        ("rgb", [2, 0], [[0, 1, 2]], ["transparency", "channels"]),
        ("minisblack", [2], [[0]], ["transparency"]),
        ("minisblack", [0, 2], [[0], [1]], ["transparency", "channels"]),
    ],
)
def test_further_channels(
    tmp_path: Path, photometric: str, extra: list[int], shown: list[list[int]], words: list[str]
) -> None:
    data = values(len(extra) + (3 if photometric == "rgb" else 1))
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, data, photometric=photometric, planarconfig="contig", extrasamples=extra)
    frames = read_all(path)
    for frame, channels in zip(frames, shown, strict=True):
        assert frame.pixels_rgb.tolist() == np.broadcast_to(data[..., channels], (6, 8, 3)).tolist()
        assert [word in warning for word, warning in zip(words, frame.warnings, strict=True)] == [True] * len(
            words
        )


def test_channels_that_are_not_declared(tmp_path: Path) -> None:
    """Without ExtraSamples, which TIFF 6.0 demands, channels beside the colours are unspecified."""
    data = values(4)
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, data, photometric="rgb", planarconfig="contig", extrasamples=[0])
    raw = path.read_bytes()
    at = raw.find(b"\x52\x01\x03\x00\x01\x00\x00\x00")  # the tag 338
    assert at > 0
    path.write_bytes(raw[:at] + b"\x53\xfd" + raw[at + 2 :])
    frame = read_all(path)[0]
    assert frame.pixels_rgb.tolist() == data[..., :3].tolist()
    assert ["channels" in warning for warning in frame.warnings] == [True]


@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("writer", ["imagej", "shaped"])
def test_stack_with_one_directory(tmp_path: Path, writer: str, kind: Any) -> None:
    data = (np.arange(5 * 6 * 8).reshape(5, 6, 8) % 256).astype(kind)
    path = tmp_path / "a.tif"
    options: dict[str, Any] = {"imagej": True} if writer == "imagej" else {"metadata": {"axes": "ZYX"}}
    tifffile.imwrite(path, data, truncate=True, photometric="minisblack", **options)
    with tifffile.TiffFile(path) as tiff:
        assert len(tiff.pages) == 1
    frames = read_all(path, "255,127.5")
    assert [frame.frame_count for frame in frames] == [5] * 5
    shown = [np.array(grey(frame)) for frame in frames]
    assert max(np.abs(one - plane).max() for one, plane in zip(shown, data, strict=True)) <= 1
    raw = path.read_bytes()
    path.write_bytes(raw[: -6 * 8 * data.itemsize - 1])
    assert error_of(path).code is ErrorCode.TRUNCATED
    path.write_bytes(raw)
    assert error_of(path, frames=4).code is ErrorCode.TOO_LARGE


def test_stack_with_a_directory_per_plane(tmp_path: Path) -> None:
    data = np.arange(5 * 6 * 8).reshape(5, 6, 8).astype(np.uint8)
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, data, imagej=True)
    assert [grey(frame) for frame in read_all(path)] == data.tolist()
