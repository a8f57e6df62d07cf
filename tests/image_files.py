"""Real image files for the tests of the input side, written from small arrays."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, MRImageStorage, generate_uid

from medrov_cli.core.base.constants import InputLimits
from medrov_cli.core.base.errors import MedrovError
from medrov_cli.core.pixels.read import read_frames
from medrov_cli.core.records.frame import Frame
from medrov_cli.core.settings.io_groups import ReadSettings
from medrov_cli.core.settings.window import parse_window

PATIENT = "SECRET^NAME"
PATIENT_ID = "ID-4711-SECRET"


def dicom_dataset(pixels: np.ndarray[Any, Any], **attributes: Any) -> Dataset:
    """Return a DICOM dataset of ``pixels``: (rows, columns), with frames before or RGB samples behind.

    ``attributes`` are set by keyword and win over what follows from the array; None removes one.
    """
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID = CTImageStorage if attributes.get("Modality") == "CT" else MRImageStorage
    dataset.SOPInstanceUID = generate_uid(entropy_srcs=["instance"])
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.PatientName, dataset.PatientID = PATIENT, PATIENT_ID
    color = pixels.ndim >= 3 and pixels.shape[-1] == 3
    size = pixels.shape[:-1] if color else pixels.shape
    dataset.Rows, dataset.Columns = size[-2:]
    if len(size) == 3:
        dataset.NumberOfFrames = size[0]
    dataset.SamplesPerPixel = 3 if color else 1
    if color:
        dataset.PlanarConfiguration = 0
    dataset.PhotometricInterpretation = "RGB" if color else "MONOCHROME2"
    dataset.BitsAllocated = dataset.BitsStored = 8 * pixels.dtype.itemsize
    dataset.HighBit = dataset.BitsStored - 1
    dataset.PixelRepresentation = int(pixels.dtype.kind == "i")
    for keyword, value in attributes.items():
        if value is None:
            delattr(dataset, keyword)
        else:
            setattr(dataset, keyword, value)
    data = pixels.astype(pixels.dtype.newbyteorder("<")).tobytes()
    dataset.PixelData = data + b"\0" * (len(data) % 2)
    dataset["PixelData"].VR = "OW" if pixels.dtype.itemsize > 1 else "OB"
    return dataset


def write_dicom(path: Path, pixels: np.ndarray[Any, Any], **attributes: Any) -> str:
    """Write a DICOM file (see `dicom_dataset`) and return its path."""
    dicom_dataset(pixels, **attributes).save_as(path, enforce_file_format=True)
    return str(path)


def item(**attributes: Any) -> pydicom.Dataset:
    """Return a sequence item with these attributes."""
    dataset = Dataset()
    for keyword, value in attributes.items():
        setattr(dataset, keyword, value)
    return dataset


def read_all(path: str | Path, window: str = "auto", **options: Any) -> list[Frame]:
    """Return all frames of a file."""
    return list(read_frames(str(path), ReadSettings(window=parse_window(window), **options)))


def read_one(path: str | Path, window: str = "auto", **options: Any) -> Frame:
    """Return the only frame of a file."""
    (frame,) = read_all(path, window, **options)
    return frame


def grey(frame: Frame) -> list[list[int]]:
    """Return the grey values of a frame whose three channels are equal."""
    red, green, blue = np.moveaxis(frame.pixels_rgb, -1, 0)
    assert (red == green).all()
    assert (red == blue).all()
    return red.tolist()


def error_of(path: str | Path, **limits: int) -> MedrovError:
    """Return the error with which reading ``path`` ends."""
    try:
        for _ in read_frames(str(path), ReadSettings(limits=InputLimits(**limits))):
            pass
    except MedrovError as error:
        return error
    raise AssertionError(f"{path} was read")


def row(values: Sequence[float], dtype: str) -> np.ndarray[Any, Any]:
    """Return an image of one pixel row."""
    return np.array([values], dtype=dtype)
