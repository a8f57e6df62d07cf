"""Sequences that are encoded without pydicom have its bytes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ComprehensiveSRStorage, ExplicitVRLittleEndian

from medrov_cli.core.writers.dicom.item_encoding import write_dataset_file

ELEMENTS: dict[str, Any] = {
    "CodeValue": "12345",
    "CodeMeaning": "Größe, μm",
    "CodingSchemeDesignator": "",
    "ReferencedSOPInstanceUID": "1.2.3",
    "ReferencedFrameNumber": [1, 22],
    "GraphicData": [1.5, 2.25, -3.0],
    "NumericValue": "1.25",
    "PersonName": "Müller^A",
    "ContentDate": "20260102",
    "TextValue": "a text of several words ",
    "GraphicDimensions": 2,
    "Rows": 7,
    "AnchorPoint": [0.1, 1e6],
    "ImageType": ["ORIGINAL", "PRIMARY"],
    "TrackingID": "",
    "PixelPaddingValue": 5,
    "EncapsulatedDocument": b"\x01\x02\x03\x04",
}


def item(number: int, **changes: Any) -> Dataset:
    found = Dataset()
    for keyword, value in (ELEMENTS | changes).items():
        setattr(found, keyword, value)
    found.InstanceNumber = number
    found.PixelRepresentation = 0
    found["PixelPaddingValue"].VR = "US"
    return found


def root(items: list[Dataset], **others: Any) -> Dataset:
    found = Dataset()
    found.file_meta = FileMetaDataset()
    found.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    found.SOPClassUID, found.SOPInstanceUID = ComprehensiveSRStorage, "1.2.3.4"
    found.SpecificCharacterSet = "ISO_IR 192"
    found.PatientName = "Ä^B"
    found.ContentSequence = items
    found.CompletionFlag = "PARTIAL"
    for keyword, value in others.items():
        setattr(found, keyword, value)
    return found


def require_equal(dataset: Dataset, folder: Path) -> None:
    dataset.save_as(folder / "pydicom.dcm", enforce_file_format=True)
    write_dataset_file(folder / "own.dcm", dataset)
    assert (folder / "own.dcm").read_bytes() == (folder / "pydicom.dcm").read_bytes()
    assert pydicom.dcmread(folder / "own.dcm").PatientName == "Ä^B"


def test_all_value_representations_have_the_bytes_of_pydicom(tmp_path: Path) -> None:
    shared = item(0)
    nested = [item(number, ContentSequence=[shared, item(-number)]) for number in range(5)]
    require_equal(root([*nested, shared, shared], ReferencedSeriesSequence=[item(9)] * 9), tmp_path)


@pytest.mark.parametrize("number", [0, 1, 20])
def test_few_items_and_none(tmp_path: Path, number: int) -> None:
    require_equal(root([item(at) for at in range(number)]), tmp_path)


def test_unusual_items_are_left_to_pydicom(tmp_path: Path) -> None:
    items = [item(number) for number in range(10)]
    items[3].add_new(0x00091001, "UN", b"ab")
    items[4].SpecificCharacterSet = "ISO_IR 100"
    require_equal(root(items), tmp_path)
    items[4].is_undefined_length_sequence_item = True
    require_equal(root(items), tmp_path)
    private = [item(number) for number in range(10)]
    private[3].add_new(0x00090010, "LO", "OWN")
    private[3].add_new(0x00091001, "LT", "x" * 70_001)
    with pytest.warns(UserWarning, match="64 kByte"):
        require_equal(root(private), tmp_path)
