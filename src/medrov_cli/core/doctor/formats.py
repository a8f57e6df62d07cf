"""Checks of image formats: a small file of each is written, and read by the readers."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np

from medrov_cli.core.doctor.report import Check, CheckGroup, CheckResult, probe
from medrov_cli.core.records.frame import UInt8Array

SIDE = 32
"""Side of the test images in pixels."""

Writer = Callable[[Path, UInt8Array], None]


def format_checks() -> Iterator[Check]:
    """Yield one check per file format."""
    samples: dict[str, tuple[str, Writer]] = {
        "DICOM": (".dcm", _write_dicom),
        "NIfTI": (".nii.gz", _write_nifti),
        "PNG": (".png", _write_image),
        "JPEG": (".jpg", _write_image),
        "BMP": (".bmp", _write_image),
        "WebP": (".webp", _write_image),
        "TIFF": (".tif", _write_tiff),
        "video": (".mp4", _write_video),
    }
    with tempfile.TemporaryDirectory() as folder:
        for name, (suffix, write) in samples.items():
            action = partial(_round_trip, Path(folder) / f"sample{suffix}", write)
            yield probe(CheckGroup.FORMATS, name, action, needed=True)


def transfer_syntax_checks() -> list[Check]:
    """Return one check per DICOM transfer syntax with pixels for which pydicom has a decoder.

    Uncompressed syntaxes need no plug-in.
    """
    from pydicom.pixels.decoders.base import get_decoder
    from pydicom.uid import AllTransferSyntaxes

    checks = []
    for uid in AllTransferSyntaxes:
        try:
            decoder = get_decoder(uid)
        except NotImplementedError:
            continue  # no pixels, or a video codec
        plugins = sorted(decoder.available_plugins)
        checks.append(
            Check(
                CheckGroup.DICOM,
                uid.name,
                works=decoder.is_available,
                needed=not uid.is_compressed,
                detail=", ".join(plugins) or ("built in" if decoder.is_available else "no decoder"),
                hint=f"Install one of: {', '.join(decoder.missing_dependencies)}.",
                facts={"uid": str(uid), "plugins": plugins},
            )
        )
    return checks


def _round_trip(path: Path, write: Writer) -> CheckResult:
    from medrov_cli.core.pixels.read import read_frames

    write(path, np.tile(np.arange(SIDE, dtype=np.uint8) * 8, (SIDE, 1)))
    frame = next(iter(read_frames(str(path))))
    if (frame.height, frame.width) != (SIDE, SIDE):
        raise ValueError(f"read {frame.height} x {frame.width} pixels instead of {SIDE} x {SIDE}")
    return CheckResult()


def _write_image(path: Path, pixels: UInt8Array) -> None:
    import cv2

    _, encoded = cv2.imencode(path.suffix, pixels)
    path.write_bytes(encoded.tobytes())


def _write_tiff(path: Path, pixels: UInt8Array) -> None:
    import tifffile

    tifffile.imwrite(path, pixels, compression="lzw")


def _write_nifti(path: Path, pixels: UInt8Array) -> None:
    import nibabel

    volume = nibabel.Nifti1Image(np.dstack([pixels] * 2), np.eye(4))  # type: ignore[no-untyped-call]
    nibabel.save(volume, path)


def _write_video(path: Path, pixels: UInt8Array) -> None:
    import cv2

    film = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 25, (SIDE, SIDE), isColor=False)
    film.write(pixels)
    film.release()


def _write_dicom(path: Path, pixels: UInt8Array) -> None:
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage, generate_uid

    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID = SecondaryCaptureImageStorage
    dataset.SOPInstanceUID = generate_uid()
    dataset.Modality = "OT"
    dataset.set_pixel_data(pixels, photometric_interpretation="MONOCHROME2", bits_stored=8)
    dataset.save_as(path, enforce_file_format=True)
