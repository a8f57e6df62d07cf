"""Fuzz targets of the image readers."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from medrov_cli.core.base.constants import InputLimits
from medrov_cli.core.base.errors import MedrovError
from mutation import fix_png_checksums, mutate, mutate_gzip
from pixel_seeds import (
    CODESTREAM_SYNTAXES,
    codestreams,
    dicom_file,
    dicom_seeds,
    raster_seeds,
    tiff_seeds,
    video_seeds,
    volume_seeds,
)
from target import Target

FRAMES = 3
"""Frames that are read of an input."""

_SIDES = (0, 1, 2, 15, 16, 17, 64, 1000, 65535)
_ATTRIBUTES: dict[str, Sequence[Any]] = {
    "Rows": _SIDES,
    "Columns": _SIDES,
    "BitsAllocated": (1, 8, 12, 16, 32),
    "BitsStored": (1, 7, 8, 10, 12, 16, 24),
    "SamplesPerPixel": (1, 2, 3, 4),
    "PixelRepresentation": (0, 1),
    "PhotometricInterpretation": (
        "MONOCHROME1",
        "RGB",
        "YBR_FULL",
        "YBR_FULL_422",
        "PALETTE COLOR",
        "YBR_RCT",
    ),
}


def _read_frames(path: Path) -> str:
    """Read the first frames as ``detect`` does."""
    from medrov_cli.core.pixels.read import read_frames

    frames = read_frames(path)
    try:
        for number, _ in enumerate(frames, 1):
            if number == FRAMES:
                break
    except MedrovError as error:
        return error.code.value
    finally:
        frames.close()  # type: ignore[attr-defined]
    return "ok"


def _group(path: Path) -> str:
    """Group the files of a folder to series as ``detect`` does, and require that none is lost."""
    from medrov_cli.core.pixels.dicom.series import group_series, read_place

    files = sorted(map(str, path.iterdir()))
    groups = group_series([read_place(file, InputLimits()) for file in files])
    found = sorted(place.path for group in groups for place in group)
    return f"ok, {len(groups)} groups" if found == files else "internal: files were lost"


def _dicom_inputs(rng: random.Random, _: Path) -> Iterator[bytes]:
    """Yield files with changed bytes, and changed codestreams under headers that may contradict them."""
    seeds, streams = dicom_seeds(), codestreams()
    others = [stream for stream, _ in streams.values()]
    while True:
        if rng.random() < 0.3:
            data = rng.choice(seeds)
            at = data.find(b"\xe0\x7f\x10\x00")
            yield mutate(data, rng, seeds, (at, at + 400) if rng.random() < 0.5 else (132, at + 8))
            continue
        name = rng.choice(sorted(streams))
        stream, about = streams[name]
        kind = name.split("-")[0] if rng.random() < 0.85 else rng.choice(sorted(CODESTREAM_SYNTAXES))
        if rng.random() < 0.9:
            stream = mutate(stream, rng, others, (0, 120) if rng.random() < 0.7 else None)
        if name.startswith(("jpeg", "ljpeg")) and rng.random() < 0.8 and b"\xff\xd9" not in stream[-64:]:
            stream += b"\xff\xd9"
        if rng.random() < 0.4:
            about = about | {key: rng.choice(of) for key, of in _ATTRIBUTES.items() if rng.random() < 0.3}
        pieces = [stream] * rng.choice((1, 1, 1, 2))
        try:
            yield dicom_file(pieces, CODESTREAM_SYNTAXES[kind], **about)
        except Exception:  # noqa: BLE001 - pydicom refuses to write some values
            yield mutate(rng.choice(seeds), rng, seeds)


def _series_inputs(rng: random.Random, _: Path) -> Iterator[dict[str, bytes]]:
    seeds = dicom_seeds()
    deflated = [data for data in seeds if b"1.2.840.10008.1.2.1.99" in data[:400]]
    while True:
        data = rng.choice(deflated if rng.random() < 0.2 else seeds)
        yield {"bad.dcm": mutate(data, rng, seeds, (128, 2000)), "good.dcm": seeds[-3]}


def _changed(
    seeds_of: Callable[[Path], Sequence[bytes]], head: int
) -> Callable[[random.Random, Path], Iterator[bytes]]:
    """Return a source of changed files; most changes are in the first ``head`` bytes."""

    def inputs(rng: random.Random, folder: Path) -> Iterator[bytes]:
        seeds = seeds_of(folder)
        while True:
            data = rng.choice(seeds)
            if data.startswith(b"\x1f\x8b") and rng.random() < 0.7:
                yield mutate_gzip(data, rng, (0, 352))
                continue
            made = mutate(data, rng, seeds, (0, head) if rng.random() < 0.6 else None)
            yield fix_png_checksums(made) if made.startswith(b"\x89PNG") and rng.random() < 0.8 else made

    return inputs


PIXEL_TARGETS = (
    Target("dicom", _dicom_inputs, _read_frames, ".dcm"),
    Target("series", _series_inputs, _group),
    Target("raster", _changed(lambda _: raster_seeds(), 120), _read_frames),
    Target("tiff", _changed(lambda _: tiff_seeds(), 400), _read_frames),
    Target("volumes", _changed(lambda _: volume_seeds(), 400), _read_frames),
    Target("video", _changed(lambda folder: list(video_seeds(folder)), 1200), _read_frames),
)
