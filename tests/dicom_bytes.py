"""DICOM files that break the standard, made from files of pydicom by changes of their bytes."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
from pydicom.datadict import tag_for_keyword
from pydicom.dataset import Dataset

from image_files import dicom_dataset


def tag_bytes(keyword: str) -> bytes:
    """Return the little-endian bytes of a tag."""
    tag = tag_for_keyword(keyword)
    assert tag is not None
    return struct.pack("<HH", tag >> 16, tag & 0xFFFF)


def write_text_numbers(
    path: Path, pixels: np.ndarray[Any, Any], texts: dict[str, tuple[str, str]], **attributes: Any
) -> Path:
    """Write a DICOM file with elements of any text under any short value representation.

    ``texts`` has, by keyword, the value representation and the text.
    """
    dataset = dicom_dataset(pixels, **attributes)
    for keyword, (_, text) in texts.items():
        if keyword in dataset:
            delattr(dataset, keyword)
        dataset.add_new(tag_for_keyword(keyword), "LT", text)
    dataset.save_as(path, enforce_file_format=True)
    data = path.read_bytes()
    for keyword, (vr, _) in texts.items():
        old = tag_bytes(keyword) + b"LT"
        assert data.count(old) == 1
        data = data.replace(old, tag_bytes(keyword) + vr.encode())
    path.write_bytes(data)
    return path


def fragments(frames: list[list[bytes]], table: bytes = b"") -> bytes:
    """Return encapsulated pixel data: offset table, fragments, delimiter (PS3.5, A.4)."""
    parts = [table, *(part + b"\0" * (len(part) % 2) for frame in frames for part in frame)]
    items = b"".join(struct.pack("<HHI", 0xFFFE, 0xE000, len(part)) + part for part in parts)
    return items + struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)


def write_encapsulated(path: Path, dataset: Dataset, syntax: str, value: bytes) -> Path:
    """Write a dataset with encapsulated pixel data of these bytes, delimiter included."""
    dataset.file_meta.TransferSyntaxUID = syntax
    del dataset.PixelData
    dataset.save_as(path, enforce_file_format=True)
    head = tag_bytes("PixelData") + b"OB\0\0\xff\xff\xff\xff"
    path.write_bytes(path.read_bytes() + head + value)
    return path
