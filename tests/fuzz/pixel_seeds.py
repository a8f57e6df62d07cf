"""Small valid files of every image format, from which hostile ones are made."""

from __future__ import annotations

import gzip
import io
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import imagecodecs
import nibabel
import numpy as np
import tifffile
from PIL import Image
from pydicom import uid
from pydicom.encaps import encapsulate

from image_files import dicom_dataset

SIDE = 16
_POSITION = {"ImageOrientationPatient": [1, 0, 0, 0, 1, 0], "ImagePositionPatient": [0, 0, 3]}

CODESTREAM_SYNTAXES = {
    "jpeg": uid.JPEGBaseline8Bit,
    "jpeg12": uid.JPEGExtended12Bit,
    "ljpeg": uid.JPEGLosslessSV1,
    "jpegls": uid.JPEGLSLossless,
    "jpeglsn": uid.JPEGLSNearLossless,
    "j2k": uid.JPEG2000Lossless,
    "j2kl": uid.JPEG2000,
    "jp2": uid.JPEG2000Lossless,
    "htj2k": uid.HTJ2KLossless,
    "rle": uid.RLELossless,
}


def grey(bits: int = 8) -> np.ndarray[Any, Any]:
    """Return a grey picture with structure."""
    values = np.add.outer(np.arange(SIDE) * 7, np.arange(SIDE) * 5) * (1 << bits) // 256 % (1 << bits)
    return values.astype(np.uint8 if bits <= 8 else np.uint16)


def colors() -> np.ndarray[Any, Any]:
    """Return a picture in colour, uint8."""
    return np.stack([grey(), grey()[::-1], grey()[:, ::-1]], axis=-1)


def codestreams() -> dict[str, tuple[bytes, dict[str, Any]]]:
    """Return compressed pictures and attributes of their headers, by name: a kind, or ``kind-variant``."""
    deep = grey(12)
    rgb = {"SamplesPerPixel": 3, "PhotometricInterpretation": "RGB", "PlanarConfiguration": 0}
    byte, word = {"BitsAllocated": 8, "BitsStored": 8}, {"BitsAllocated": 16, "BitsStored": 12}
    j2k = imagecodecs.jpeg2k_encode
    return {
        "jpeg": (imagecodecs.jpeg8_encode(grey()), byte),
        "jpeg-rgb": (imagecodecs.jpeg8_encode(colors()), byte | rgb),
        "jpeg12": (imagecodecs.jpeg8_encode(deep, bitspersample=12), word),
        "ljpeg": (imagecodecs.ljpeg_encode(deep, bitspersample=12), word),
        "jpegls": (imagecodecs.jpegls_encode(deep), word),
        "jpeglsn": (imagecodecs.jpegls_encode(grey(), level=2), byte),
        "j2k": (j2k(deep, level=0, reversible=True, codecformat="j2k"), word),
        "j2k-rgb": (j2k(colors(), level=0, reversible=True, codecformat="j2k"), byte | rgb),
        "j2kl": (j2k(grey(), level=30, codecformat="j2k"), byte),
        "jp2": (j2k(deep, level=0, reversible=True, codecformat="jp2"), word),
        "htj2k": (imagecodecs.htj2k_encode(deep), word),
        "rle": (_rle(grey()), byte),
    }


def _rle(values: np.ndarray[Any, Any]) -> bytes:
    packed = b"".join(imagecodecs.packbits_encode(row.tobytes()) for row in values)
    return struct.pack("<16I", 1, 64, *[0] * 14) + packed + b"\0" * (len(packed) % 2)


def dicom_file(streams: list[bytes], syntax: str, **attributes: Any) -> bytes:
    """Return a DICOM file of compressed frames."""
    dataset = dicom_dataset(grey(), Modality="CT", **_POSITION)
    for keyword, value in attributes.items():
        setattr(dataset, keyword, value)
    dataset.HighBit = int(dataset.BitsStored) - 1
    dataset.file_meta.TransferSyntaxUID = uid.UID(syntax)
    if len(streams) > 1:
        dataset.NumberOfFrames = len(streams)
    dataset.PixelData = encapsulate(streams)
    return _saved(dataset)


def dicom_seeds() -> list[bytes]:
    """Return DICOM files: every compression, uncompressed ones of several depths, deflated, big endian."""
    made = [
        dicom_file([stream], CODESTREAM_SYNTAXES[name.split("-")[0]], **about)
        for name, (stream, about) in codestreams().items()
    ]
    plain = (
        {"pixels": grey(12), "Modality": "CT", "RescaleSlope": 1, "RescaleIntercept": -1024},
        {"pixels": grey(12).astype(np.int16), "Modality": "MR", "WindowCenter": 40, "WindowWidth": 400},
        {"pixels": colors()},
        {"pixels": np.stack([grey(12)] * 3), "Modality": "MR"},
    )
    datasets = [dicom_dataset(**{**_POSITION, **kind}) for kind in plain]  # type: ignore[arg-type]
    made += [_saved(dataset) for dataset in datasets]
    for syntax in (uid.DeflatedExplicitVRLittleEndian, uid.ImplicitVRLittleEndian):
        datasets[0].file_meta.TransferSyntaxUID = syntax
        made.append(_saved(datasets[0]))
    return made


def _saved(dataset: Any) -> bytes:
    target = io.BytesIO()
    dataset.save_as(target, enforce_file_format=True)
    return target.getvalue()


def raster_seeds() -> list[bytes]:
    """Return PNG, JPEG, WebP, BMP, GIF, AVIF, JPEG 2000, lossless JPEG, JPEG-LS and Netpbm files."""
    rgb, deep = Image.fromarray(colors()), grey(12)
    frames = [rgb, rgb.transpose(Image.Transpose.ROTATE_90)]
    made = [_pillow(rgb, kind) for kind in ("PNG", "JPEG", "WEBP", "BMP", "GIF", "AVIF")]
    made += [
        _pillow(frames[0], kind, save_all=True, append_images=frames[1:]) for kind in ("WEBP", "GIF", "PNG")
    ]
    made += [
        _pillow(rgb, "WEBP", lossless=True),
        _pillow(rgb.convert("P"), "PNG"),
        _pillow(rgb, "JPEG", progressive=True),
    ]
    made += [imagecodecs.png_encode(deep), imagecodecs.jpegls_encode(deep), imagecodecs.ljpeg_encode(deep)]
    made += [imagecodecs.jpeg8_encode(deep, bitspersample=12), imagecodecs.jpeg2k_encode(deep, level=0)]
    made += [imagecodecs.jpeg2k_encode(colors(), level=20, codecformat="j2k"), imagecodecs.htj2k_encode(deep)]
    made += [
        b"P5 16 16 255\n" + grey().tobytes(),
        b"P2 4 2 9\n1 2 3 4 5 6 7 8\n",
        b"P4 16 2\n\xf0\x0f\x55\xaa",
    ]
    made += [b"P7\nWIDTH 16\nHEIGHT 16\nDEPTH 1\nMAXVAL 255\nTUPLTYPE GRAYSCALE\nENDHDR\n" + grey().tobytes()]
    return made


def _pillow(image: Image.Image, kind: str, **options: Any) -> bytes:
    target = io.BytesIO()
    image.save(target, kind, **options)
    return target.getvalue()


def tiff_seeds() -> list[bytes]:
    """Return TIFF files of every compression, as strips and tiles, with several pages, and BigTIFF."""
    made = [_tiff(colors(), compression=kind) for kind in _COMPRESSIONS]
    made += [
        _tiff(grey(12), compression=kind, tile=(16, 16)) for kind in ("zlib", "jpeg2000", "jpegxr", "lzma")
    ]
    made += [_tiff(np.stack([grey()] * 3), photometric="minisblack"), _tiff(grey(12), bigtiff=True)]
    made += [_tiff(np.stack([grey(12)] * 2), imagej=True), _tiff(grey(12).astype(np.float32), predictor=True)]
    return made


_COMPRESSIONS = (
    "none",
    "lzw",
    "packbits",
    "zlib",
    "zstd",
    "lzma",
    "jpeg",
    "webp",
    "jpeg2000",
    "jpegxr",
    "png",
    "lerc",
)


def _tiff(values: np.ndarray[Any, Any], **options: Any) -> bytes:
    target = io.BytesIO()
    compression = options.pop("compression", "none")
    if options.get("predictor"):
        compression = "zlib"
    tifffile.imwrite(target, values, compression=None if compression == "none" else compression, **options)
    return target.getvalue()


def volume_seeds() -> list[bytes]:
    """Return NIfTI, NRRD and MetaImage files, compressed and not."""
    voxels = (np.arange(6 * 5 * 4) * 9).astype(np.int16).reshape(6, 5, 4)
    nifti = [
        kind(voxels, np.diag([1, 2, 3, 1])).to_bytes() for kind in (nibabel.Nifti1Image, nibabel.Nifti2Image)
    ]
    head = b"NRRD0004\ntype: short\ndimension: 3\nsizes: 6 5 4\nendian: little\nspacings: 1 2 3\n"
    meta = (
        b"ObjectType = Image\nNDims = 3\nDimSize = 6 5 4\nElementType = MET_SHORT\nElementSpacing = 1 2 3\n"
        b"ElementByteOrderMSB = False\n"
    )
    raw = voxels.tobytes(order="F")
    packed = zlib.compress(raw)
    made = [*nifti, *(gzip.compress(data, mtime=0) for data in nifti)]
    made += [head + b"encoding: raw\n\n" + raw, head + b"encoding: gzip\n\n" + gzip.compress(raw, mtime=0)]
    made += [meta + b"ElementDataFile = LOCAL\n" + raw]
    made += [
        meta
        + b"CompressedData = True\nCompressedDataSize = %d\nElementDataFile = LOCAL\n" % len(packed)
        + packed
    ]
    return made


def video_seeds(folder: Path) -> Iterator[bytes]:
    """Yield short videos of several containers and codecs."""
    import cv2

    frame = np.repeat(np.repeat(colors(), 3, axis=0), 4, axis=1)
    for name, codec in (
        ("a.avi", "MJPG"),
        ("b.mp4", "mp4v"),
        ("c.mkv", "mp4v"),
        ("d.avi", "FFV1"),
        ("e.avi", "XVID"),
    ):
        path = folder / name
        writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*codec), 10, frame.shape[1::-1])
        for number in range(4):
            writer.write(np.roll(frame, number, axis=1))
        writer.release()
        yield path.read_bytes()
