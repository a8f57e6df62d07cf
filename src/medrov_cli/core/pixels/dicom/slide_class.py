"""DICOM whole slides: their storage class, and the images of it that show labels."""

from __future__ import annotations

import re

import pydicom

SLIDE_CLASS = "1.2.840.10008.5.1.4.1.1.77.1.6"
"""VL Whole Slide Microscopy Image Storage (PS3.4, B.5)."""

_SLIDE_UID = re.compile(rb"1\.2\.840\.10008\.5\.1\.4\.1\.1\.77\.1\.6(?![.\d])")

HEAD_BYTES = 8192
"""Bytes at the start of a file that contain its storage class."""

_LABEL_FLAVORS = ("LABEL", "OVERVIEW")
"""Image Type, value 3, of images that show the label (PS3.3, C.8.12.4.1.1); it can carry names."""


def is_slide_head(head: bytes) -> bool:
    """Return whether the first bytes of a DICOM file name the storage class of slides."""
    return _SLIDE_UID.search(head) is not None


def shows_label(header: pydicom.Dataset) -> bool:
    """Return whether an image of a slide can show its label."""
    stated = header.get("ImageType") or ""
    values = [stated] if isinstance(stated, str) else list(stated)
    flavor = str(values[2]) if len(values) > 2 else ""
    return flavor in _LABEL_FLAVORS or header.get("SpecimenLabelInImage") == "YES"
