"""Processor time per frame of the decoders that are installed anyway: DICOM, PNG, JPEG and TIFF.

    python benchmarks/decoders.py --sizes 512 1024 3000 --output decoders.md

The images are synthetic: waves with noise, 12 bits in grey and 8 bits in colour. Every decoder runs in this
process on one thread, in turn with the others; the figure is the median processor time of the rounds, in ms.
A decoder whose pixels differ from those of the first one of its row is marked with ``!`` and the largest
difference.
"""

from __future__ import annotations

import argparse
import io
import statistics
import sys
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import imagecodecs
import numpy as np
import tifffile
from PIL import Image
from pydicom import uid
from pydicom.encaps import encapsulate
from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import UID

from medrov_cli.core.pixels.dicom import codec_plugins

Decode = Callable[[bytes], Any]

SECONDS = 0.3
"""Least time of the rounds of a decoder; there are three rounds or more."""


@dataclass(frozen=True)
class Case:
    """A compressed image with its decoders by name; the pixels of the first one are the reference."""

    name: str
    data: bytes
    decoders: Mapping[str, Decode]


def main() -> None:
    """Run the script."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sizes", type=int, nargs="+", default=[512, 1024, 3000], help="Sides in pixels.")
    parser.add_argument("--cases", default="", help="Only cases whose name contains this text.")
    parser.add_argument("--output", type=Path, help="Markdown file; also printed.")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    codec_plugins.register()
    rows: dict[str, list[str]] = {}
    for side in options.sizes:
        for case in cases(side):
            if options.cases.lower() in case.name.lower():
                for name, text in measure(case).items():
                    rows.setdefault(f"{case.name} | {name}", []).append(text)
                sys.stderr.write(f"{side} {case.name}\n")
    head = ["| form | decoder | " + " | ".join(f"{side} px" for side in options.sizes) + " |"]
    head.append("|---|---|" + "---|" * len(options.sizes))
    text = "\n".join([*head, *(f"| {name} | {' | '.join(times)} |" for name, times in rows.items())]) + "\n"
    sys.stdout.write(text)
    if options.output is not None:
        options.output.write_text(text, encoding="utf-8")


def measure(case: Case) -> dict[str, str]:
    """Return the median milliseconds of each decoder, with a mark where the pixels differ."""
    reference: Any = None
    marks: dict[str, str] = {}
    for name, decode in case.decoders.items():
        try:
            found = np.squeeze(np.asarray(decode(case.data)))
        except Exception as error:  # noqa: BLE001 - a decoder that refuses a form raises any exception
            marks[name] = f"- ({type(error).__name__})"
            continue
        reference = found if reference is None else reference
        if found.shape != reference.shape:
            marks[name] = "- (shape)"
        else:
            apart = int(np.abs(found.astype(np.int64) - reference.astype(np.int64)).max())
            marks[name] = f" !{apart}" if apart else ""
    usable = [name for name in case.decoders if not marks[name].startswith("-")]
    seconds: dict[str, list[float]] = {name: [] for name in usable}
    while min(map(len, seconds.values())) < 3 or sum(map(sum, seconds.values())) < SECONDS:
        for name in usable:
            begun = time.process_time()
            case.decoders[name](case.data)
            seconds[name].append(time.process_time() - begun)
    shown = {name: f"{1000 * statistics.median(own):.2f}{marks[name]}" for name, own in seconds.items()}
    return {name: shown.get(name, marks[name]) for name in case.decoders}


def grey_image(side: int) -> np.ndarray:
    """Return waves with noise, uint16 of 12 bits."""
    y, x = np.mgrid[:side, :side] * (512 / side)
    noise = np.random.default_rng(0).normal(0, 20, (side, side))
    waves = 1500 + 800 * np.sin(x / 40) * np.cos(y / 55)
    return (waves + noise).clip(0, 4095).astype(np.uint16)


def color_image(side: int) -> np.ndarray:
    """Return the same in colour, uint8, RGB."""
    grey = (grey_image(side) >> 4).astype(np.uint8)
    return np.stack([grey, np.roll(grey, side // 9, 0), np.roll(grey, side // 5, 1)], -1)


def by_pydicom(syntax: UID, plugin: str | None, image: np.ndarray, bits: int) -> Decode:
    """Return the decoder of a plug-in of pydicom for frames like an image."""
    color = image.ndim == 3
    options: dict[str, Any] = {
        "rows": image.shape[0],
        "columns": image.shape[1],
        "samples_per_pixel": 3 if color else 1,
        "photometric_interpretation": "RGB" if color else "MONOCHROME2",
        "bits_allocated": 8 * image.itemsize,
        "bits_stored": bits,
        "pixel_representation": 0,
        "number_of_frames": 1,
        "transfer_syntax_uid": syntax,
        "pixel_keyword": "PixelData",
    }
    if color:
        options["planar_configuration"] = 0
    if plugin is not None:
        options["decoding_plugin"] = plugin
    decoder: Any = get_decoder(syntax)
    packed = plugin is not None

    def decode(data: bytes) -> np.ndarray:
        item = encapsulate([data]) if packed else data
        return np.asarray(decoder.as_array(item, index=0, raw=True, **options)[0])

    return decode


def dicom_cases(side: int) -> Iterator[Case]:
    """Yield the transfer syntaxes of DICOM."""
    grey, color = grey_image(side), color_image(side)
    j2k = partial(imagecodecs.jpeg2k_encode, codecformat="j2k")
    native = grey.tobytes()
    for name, syntax, data in (
        ("explicit, little endian", uid.ExplicitVRLittleEndian, native),
        ("explicit, big endian", uid.ExplicitVRBigEndian, grey.byteswap().tobytes()),
    ):
        yield Case(name, data, {"pydicom": by_pydicom(syntax, None, grey, 12)})
    deflated = zlib.compressobj(wbits=-15)
    stream = deflated.compress(native) + deflated.flush()
    yield Case(
        "deflated",
        stream,
        {"zlib": lambda data: np.frombuffer(zlib.decompress(data, -15), np.uint16).reshape(grey.shape)},
    )
    ours: dict[str, Decode]
    for name, syntax, data, image, plugins, others in (
        (
            "JPEG baseline",
            uid.JPEGBaseline8Bit,
            imagecodecs.jpeg8_encode(color, level=90, colorspace="RGB", outcolorspace="RGB"),
            color,
            ("pillow", "pylibjpeg"),
            {
                "imagecodecs.jpeg8": partial(imagecodecs.jpeg8_decode, colorspace="RGB", outcolorspace="RGB"),
            },
        ),
        (
            "JPEG extended, 12 bits",
            uid.JPEGExtended12Bit,
            imagecodecs.jpeg8_encode(grey, level=90, bitspersample=12),
            grey,
            ("pylibjpeg",),
            {"imagecodecs.jpeg8": imagecodecs.jpeg8_decode},
        ),
        (
            "JPEG lossless",
            uid.JPEGLosslessSV1,
            imagecodecs.jpeg8_encode(grey, lossless=True, bitspersample=12, predictor=1),
            grey,
            (codec_plugins.PLUGIN, "pylibjpeg"),
            {
                "imagecodecs.jpeg8": imagecodecs.jpeg8_decode,
                "imagecodecs.ljpeg": imagecodecs.ljpeg_decode,
                "imagecodecs.jpegsof3": imagecodecs.jpegsof3_decode,
            },
        ),
        (
            "JPEG-LS lossless",
            uid.JPEGLSLossless,
            imagecodecs.jpegls_encode(grey),
            grey,
            ("pyjpegls", "pylibjpeg"),
            {"imagecodecs.jpegls": imagecodecs.jpegls_decode},
        ),
        (
            "JPEG-LS near-lossless",
            uid.JPEGLSNearLossless,
            imagecodecs.jpegls_encode(grey, level=2),
            grey,
            ("pyjpegls", "pylibjpeg"),
            {"imagecodecs.jpegls": imagecodecs.jpegls_decode},
        ),
        (
            "JPEG 2000 lossless",
            uid.JPEG2000Lossless,
            j2k(grey, reversible=True, bitspersample=12),
            grey,
            ("pylibjpeg", "pillow"),
            {"imagecodecs.jpeg2k": imagecodecs.jpeg2k_decode},
        ),
        (
            "JPEG 2000, 42 dB",
            uid.JPEG2000,
            j2k(grey, level=42, reversible=False, bitspersample=12),
            grey,
            ("pylibjpeg", "pillow"),
            {"imagecodecs.jpeg2k": imagecodecs.jpeg2k_decode},
        ),
        (
            "HTJ2K lossless",
            uid.HTJ2KLossless,
            imagecodecs.htj2k_encode(grey, reversible=True),
            grey,
            ("pylibjpeg",),
            {
                "imagecodecs.htj2k": imagecodecs.htj2k_decode,
                "imagecodecs.jpeg2k": imagecodecs.jpeg2k_decode,
            },
        ),
        (
            "RLE",
            uid.RLELossless,
            rle(grey),
            grey,
            (codec_plugins.PLUGIN, "pydicom"),
            {"imagecodecs.dicomrle": partial(rle_decoded, grey.shape)},
        ),
    ):
        ours = {
            f"pydicom, {plugin}": by_pydicom(syntax, plugin, image, 12 if image.itemsize == 2 else 8)
            for plugin in plugins
        }
        yield Case(name, data, {**ours, **others})


def rle(image: np.ndarray) -> bytes:
    """Return a frame in RLE."""
    from pydicom.pixels.encoders.base import RLELosslessEncoder

    encoder: Any = RLELosslessEncoder
    return bytes(
        encoder.encode(
            image,
            encoding_plugin="pydicom",
            rows=image.shape[0],
            columns=image.shape[1],
            samples_per_pixel=1,
            bits_allocated=16,
            bits_stored=12,
            pixel_representation=0,
            photometric_interpretation="MONOCHROME2",
            number_of_frames=1,
        )
    )


def rle_decoded(shape: tuple[int, ...], data: bytes) -> np.ndarray:
    """Return a frame of two planes of bytes, the high one first."""
    planes = np.frombuffer(imagecodecs.dicomrle_decode(data, dtype="<u2"), np.uint16)
    return planes.reshape(shape)


def file_cases(side: int) -> Iterator[Case]:
    """Yield PNG, JPEG and TIFF files."""
    grey, color = grey_image(side), color_image(side)
    for name, image in (("PNG, 8-bit RGB", color), ("PNG, 16-bit grey", grey)):
        data = cv2.imencode(".png", image[..., ::-1] if image.ndim == 3 else image)[1].tobytes()
        decoders: dict[str, Decode] = {
            "pillow": by_pillow,
            "opencv": by_opencv,
            "imagecodecs.png": imagecodecs.png_decode,
            "imagecodecs.spng": imagecodecs.spng_decode,
        }
        if image.ndim == 2:
            decoders = {"imagecodecs.png": imagecodecs.png_decode, **decoders}
        yield Case(name, data, decoders)
    jpeg = io.BytesIO()
    Image.fromarray(color).save(jpeg, "jpeg", quality=90)
    yield Case(
        "JPEG, RGB",
        jpeg.getvalue(),
        {"pillow": by_pillow, "opencv": by_opencv, "imagecodecs.jpeg8": imagecodecs.jpeg8_decode},
    )
    for compression in (None, "lzw", "deflate", "jpeg"):
        file = io.BytesIO()
        image = color if compression == "jpeg" else grey
        tifffile.imwrite(file, image, compression=compression, rowsperstrip=64)
        yield Case(
            f"TIFF, {compression or 'not compressed'}",
            file.getvalue(),
            {
                "tifffile": by_tifffile,
                "pillow": by_pillow,
                "opencv": by_opencv,
                "imagecodecs.tiff": imagecodecs.tiff_decode,
            },
        )


def cases(side: int) -> Iterator[Case]:
    """Yield all forms for images of a side."""
    yield from dicom_cases(side)
    yield from file_cases(side)


def by_pillow(data: bytes) -> np.ndarray:
    """Decode by Pillow."""
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image)


def by_opencv(data: bytes) -> np.ndarray:
    """Decode by OpenCV, to RGB."""
    found = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if found is None:
        raise ValueError
    return np.asarray(cv2.cvtColor(found, cv2.COLOR_BGR2RGB) if found.ndim == 3 else found)


def by_tifffile(data: bytes) -> np.ndarray:
    """Decode by tifffile, on one thread."""
    with tifffile.TiffFile(io.BytesIO(data)) as tiff:
        return np.asarray(tiff.pages[0].asarray(maxworkers=1))


if __name__ == "__main__":
    main()
