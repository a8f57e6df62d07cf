"""DICOM whole slides: their storage class, and the images of it that show labels."""

from __future__ import annotations

import re
from typing import BinaryIO

import pydicom

from medrov_cli.core.base.constants import InputLimits
from medrov_cli.core.pixels.dicom.encoding import read_header

SLIDE_CLASS = "1.2.840.10008.5.1.4.1.1.77.1.6"
"""VL Whole Slide Microscopy Image Storage (PS3.4, B.5)."""

_SLIDE_UID = re.compile(rb"1\.2\.840\.10008\.5\.1\.4\.1\.1\.77\.1\.6(?![.\d])")

_HEAD_BYTES = 8192
"""Bytes at the start of a file that contain its storage class."""

_CLASS_GROUP = 0x0008

_LABEL_FLAVORS = ("LABEL", "OVERVIEW")
"""Image Type, value 3, of images that show the label (PS3.3, C.8.12.4.1.1); it can carry names."""


def is_slide(file: BinaryIO, limits: InputLimits) -> bool:
    """Return whether a DICOM file is a slide; other objects can refer to one. The file is at its start after.

    Raises
    ------
    MedrovError
        As `encoding.read_header`.
    """
    head = file.read(_HEAD_BYTES)
    file.seek(0)
    if _SLIDE_UID.search(head) is None:
        return False
    header = read_header(file, limits, last_group=_CLASS_GROUP).dataset
    file.seek(0)
    stated = header.get("SOPClassUID") or header.file_meta.get("MediaStorageSOPClassUID")
    return str(stated or "").strip(" \0") == SLIDE_CLASS


def shows_label(header: pydicom.Dataset) -> bool:
    """Return whether an image of a slide can show its label."""
    stated = header.get("ImageType") or ""
    values = [stated] if isinstance(stated, str) else list(stated)
    flavor = str(values[2]) if len(values) > 2 else ""
    return flavor in _LABEL_FLAVORS or header.get("SpecimenLabelInImage") == "YES"
