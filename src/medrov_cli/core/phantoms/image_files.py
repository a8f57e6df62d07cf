"""Writers of phantom files whose bytes depend only on the pixels and the arguments.

A file contains no time, no random UID and no software version. The lossless encoders are those whose
output does not depend on the version of an image library.
"""

from __future__ import annotations

import gzip
import struct
import uuid
import zlib
from collections.abc import Sequence
from io import BytesIO
from typing import TYPE_CHECKING, Any

import nibabel as nib
import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, CTImageStorage, RLELossless

if TYPE_CHECKING:
    from medrov_cli.core.phantoms.abdomen import PhantomVolume
    from medrov_cli.core.records.frame import UInt8Array

_STORED_ZERO_HU = 1024  # the stored value of water: 12 unsigned bits hold -1024 to 3071 HU
_NOTICE = "Synthetic phantom, not a patient"


def phantom_uid(name: str) -> UID:
    """Return the UID of a synthetic object: equal names give equal UIDs (PS3.5 B.2, root 2.25)."""
    return UID(f"2.25.{uuid.uuid5(uuid.NAMESPACE_URL, f'urn:medrov:phantom:{name}').int}")


def dicom_bytes(
    pixels_hu: npt.NDArray[np.int16],
    spacing_mm: tuple[float, float],
    name: str,
    patient_id: str = "SYNTHETIC",
) -> bytes:
    """Return a CT slice as a DICOM file, marked as synthetic in all attributes for it.

    Parameters
    ----------
    pixels_hu
        int16, (rows, columns), -1024 to 3071 HU.
    spacing_mm
        Distance between rows, and between columns.
    name
        Name from which the UIDs are computed.
    patient_id
        Identifier of the patient; equal for the slices of one patient.

    Returns
    -------
    bytes
        A CT Image Storage file, RLE Lossless, with a lung and a soft-tissue window.
    """
    dataset = Dataset()
    _fill_identity(dataset, name, patient_id)
    _fill_acquisition(dataset, spacing_mm)
    dataset.Rows, dataset.Columns = pixels_hu.shape
    stored = (pixels_hu.astype(np.int32) + _STORED_ZERO_HU).astype("<u2")
    dataset.compress(RLELossless, stored, encoding_plugin="pydicom", generate_instance_uid=False)
    buffer = BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def _fill_identity(dataset: Dataset, name: str, patient_id: str) -> None:
    """Set file meta information, patient, study, series and UIDs."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = CTImageStorage
    meta.MediaStorageSOPInstanceUID = phantom_uid(f"{name}/instance")
    meta.ImplementationClassUID = phantom_uid("implementation")
    meta.ImplementationVersionName = "MEDROV_PHANTOM"
    dataset.file_meta = meta
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.SOPClassUID = CTImageStorage
    dataset.SOPInstanceUID = meta.MediaStorageSOPInstanceUID
    dataset.StudyInstanceUID = phantom_uid(f"{name}/study")
    dataset.SeriesInstanceUID = phantom_uid(f"{name}/series")
    dataset.FrameOfReferenceUID = phantom_uid(f"{name}/frame of reference")
    dataset.PatientName = "SYNTHETIC^PHANTOM"
    dataset.PatientID = patient_id
    dataset.StudyDescription = _NOTICE
    dataset.SeriesDescription = _NOTICE
    dataset.Manufacturer = "medrov"
    # Type 2: must be present, may be empty.
    for keyword in (
        "PatientBirthDate",
        "PatientSex",
        "StudyDate",
        "StudyTime",
        "StudyID",
        "AccessionNumber",
        "ReferringPhysicianName",
        "PositionReferenceIndicator",
        "AcquisitionNumber",
        "KVP",
    ):
        setattr(dataset, keyword, None)


def _fill_acquisition(dataset: Dataset, spacing_mm: tuple[float, float]) -> None:
    """Set the CT image's description and pixel format."""
    dataset.Modality = "CT"
    dataset.ImageType = ["DERIVED", "SECONDARY", "AXIAL"]
    dataset.DerivationDescription = _NOTICE
    dataset.BurnedInAnnotation = "YES"
    dataset.ImageComments = _NOTICE
    dataset.SeriesNumber = 1
    dataset.InstanceNumber = 1
    dataset.PatientPosition = "HFS"
    dataset.PixelSpacing = [round(value, 6) for value in spacing_mm]
    dataset.SliceThickness = 1
    dataset.ImagePositionPatient = [0, 0, 0]
    dataset.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 12, 11
    dataset.PixelRepresentation = 0
    dataset.RescaleIntercept, dataset.RescaleSlope, dataset.RescaleType = -_STORED_ZERO_HU, 1, "HU"
    dataset.WindowCenter, dataset.WindowWidth = [-600, 40], [1500, 400]
    dataset.WindowCenterWidthExplanation = ["LUNG", "SOFT TISSUE"]
    dataset.LossyImageCompression = "00"


def nifti_bytes(volume: PhantomVolume) -> bytes:
    """Return a volume as a gzipped NIfTI-1 file of int16 HU in RAS+ order."""
    return _nifti_bytes(volume.voxels_hu, volume.spacing_mm)


def label_bytes(volume: PhantomVolume, classes: Sequence[str]) -> bytes:
    """Return the objects of a volume as a gzipped NIfTI-1 file of uint8: 1 for the first class, and so on."""
    values = np.zeros(volume.voxels_hu.shape, dtype=np.uint8)
    for level, objects in zip(values, volume.slices, strict=True):
        for drawn in objects:
            level[drawn.mask] = classes.index(drawn.class_name) + 1
    return _nifti_bytes(values, volume.spacing_mm)


def _nifti_bytes(voxels: npt.NDArray[Any], spacing_mm: tuple[float, float, float]) -> bytes:
    slices_zyx = voxels[:, ::-1, ::-1]  # rows run to the front, columns to the right
    step, row, column = spacing_mm
    voxels_xyz = np.ascontiguousarray(slices_zyx.transpose(2, 1, 0))
    image = nib.Nifti1Image(voxels_xyz, np.diag([column, row, step, 1]))  # type: ignore[no-untyped-call]
    image.header["descrip"] = _NOTICE.encode()
    image.header.set_xyzt_units("mm")  # type: ignore[no-untyped-call]
    buffer = BytesIO()
    with gzip.GzipFile(filename="", fileobj=buffer, mode="wb", compresslevel=9, mtime=0) as stream:
        stream.write(image.to_bytes())
    return buffer.getvalue()


def png_bytes(pixels_rgb: UInt8Array) -> bytes:
    """Return uint8 (height, width, 3) RGB as a PNG file whose text chunk marks it as synthetic."""
    height, width = pixels_rgb.shape[:2]
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        _chunk(kind, content)
        for kind, content in (
            (b"IHDR", header),
            (b"tEXt", b"Description\0" + _NOTICE.encode()),
            (b"IDAT", zlib.compress(_filter_rows(pixels_rgb), 9)),
            (b"IEND", b""),
        )
    )


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def _filter_rows(pixels_rgb: UInt8Array) -> bytes:
    """Apply to each row the PNG filter with the smallest residuals (PNG specification, 12.7)."""
    current = np.pad(pixels_rgb.astype(np.int16), ((1, 0), (1, 0), (0, 0)))
    here, left, above, corner = current[1:, 1:], current[1:, :-1], current[:-1, 1:], current[:-1, :-1]
    distances = [np.abs(left + above - corner - near) for near in (left, above, corner)]
    paeth = np.where(
        (distances[0] <= distances[1]) & (distances[0] <= distances[2]),
        left,
        np.where(distances[1] <= distances[2], above, corner),
    )
    guesses = np.stack([np.zeros_like(here), left, above, (left + above) // 2, paeth])
    residuals = (here - guesses).astype(np.uint8)  # modulo 256
    cost = np.abs(residuals.view(np.int8).astype(np.int32)).sum(axis=(2, 3))
    best = cost.argmin(axis=0)
    rows = residuals[best, np.arange(len(best))].reshape(len(best), -1)
    return np.column_stack([best.astype(np.uint8), rows]).tobytes()
