"""Checks of image formats: a small file of each is written, and read by the readers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np

from medrov_cli.core.base.scratch import scratch_folder
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
        "NRRD": (".nrrd", _write_nrrd),
        "MetaImage": (".mha", _write_metaimage),
        "PNG": (".png", _write_image),
        "JPEG": (".jpg", _write_image),
        "BMP": (".bmp", _write_image),
        "WebP": (".webp", _write_image),
        "TIFF": (".tif", _write_tiff),
        "PGM": (".pgm", _write_image),
        "JPEG 2000": (".jp2", _write_jpeg2000),
        "AVIF": (".avif", _write_avif),
        "video": (".mp4", _write_video),
    }
    with scratch_folder() as folder:
        for name, (suffix, write) in samples.items():
            action = partial(_round_trip, folder / f"sample{suffix}", write)
            yield probe(CheckGroup.FORMATS, name, action, needed=name != "AVIF")  # optional in Pillow


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


def _write_nrrd(path: Path, pixels: UInt8Array) -> None:
    head = f"NRRD0004\ntype: uchar\ndimension: 2\nsizes: {SIDE} {SIDE}\nencoding: raw\n\n"
    path.write_bytes(head.encode() + pixels.tobytes())


def _write_metaimage(path: Path, pixels: UInt8Array) -> None:
    head = f"NDims = 2\nDimSize = {SIDE} {SIDE}\nElementType = MET_UCHAR\nElementDataFile = LOCAL\n"
    path.write_bytes(head.encode() + pixels.tobytes())


def _write_jpeg2000(path: Path, pixels: UInt8Array) -> None:
    import imagecodecs

    path.write_bytes(imagecodecs.jpeg2k_encode(pixels))


def _write_avif(path: Path, pixels: UInt8Array) -> None:
    from PIL import Image

    Image.fromarray(pixels).save(path)


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
