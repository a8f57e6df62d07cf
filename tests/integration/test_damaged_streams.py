"""Damaged code streams in DICOM files cost one input each: the process goes on."""

from __future__ import annotations

from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from pydicom import uid
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate

from conftest import Medrov

SIDE = 24


def write(path: Path, syntax: str, stream: bytes) -> None:
    """Write a grey DICOM image of 16 bits whose only frame is the stream."""
    image = Dataset()
    image.file_meta = FileMetaDataset()
    image.file_meta.TransferSyntaxUID = uid.UID(syntax)
    image.file_meta.MediaStorageSOPClassUID = image.SOPClassUID = uid.SecondaryCaptureImageStorage
    image.file_meta.MediaStorageSOPInstanceUID = image.SOPInstanceUID = uid.generate_uid()
    image.Modality = "CT"
    image.Rows = image.Columns = SIDE
    image.SamplesPerPixel, image.PhotometricInterpretation = 1, "MONOCHROME2"
    image.BitsAllocated, image.BitsStored, image.HighBit, image.PixelRepresentation = 16, 12, 11, 0
    image.PixelData = encapsulate([stream])
    image["PixelData"].VR = "OB"
    image.save_as(path, enforce_file_format=True)


@pytest.mark.slow
def test_damaged_streams_are_records_among_good_ones(run_medrov: Medrov, tmp_path: Path) -> None:
    grey = np.linspace(0, 4095, SIDE * SIDE).reshape(SIDE, SIDE).astype(np.uint16)
    colours = np.repeat((grey // 16).astype(np.uint8)[..., None], 3, axis=2)
    lossless = imagecodecs.jpeg2k_encode(grey, level=0, reversible=True, codecformat="j2k")
    write(tmp_path / "1_good.dcm", uid.JPEG2000Lossless, lossless)
    write(
        tmp_path / "2_three_components.dcm", uid.JPEG2000Lossless, imagecodecs.jpeg2k_encode(colours, level=0)
    )
    write(tmp_path / "3_cut.dcm", uid.JPEG2000Lossless, lossless[:40])
    ls = imagecodecs.jpegls_encode(grey)
    write(tmp_path / "4_ls_cut.dcm", uid.JPEGLSLossless, ls[: len(ls) // 3])
    write(tmp_path / "5_ls_parameters.dcm", uid.JPEGLSLossless, ls.replace(b"\xff\xda", b"\xff\xda\xff", 1))
    write(tmp_path / "6_not_a_jpeg.dcm", uid.JPEGBaseline8Bit, bytes(range(200)))
    write(tmp_path / "7_good.dcm", uid.JPEG2000Lossless, lossless)
    done = run_medrov("detect", tmp_path, "--format", "jsonl", "--offline")
    assert done.exit_code == 3, done.stderr
    records = {Path(line["path"]).name: line for line in done.lines}
    assert len(records) == 7
    assert "error" not in records["1_good.dcm"]
    assert "error" not in records["7_good.dcm"]
    failed = {name for name, record in records.items() if "error" in record}
    assert failed >= {"3_cut.dcm", "4_ls_cut.dcm", "5_ls_parameters.dcm", "6_not_a_jpeg.dcm"}
