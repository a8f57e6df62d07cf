"""Values of a DICOM header that the program outputs: modality, spacing and identifiers.

The patient's identifier and name are output on request only.
"""

from __future__ import annotations

import pydicom

from medrov_cli.core.base.constants import InputLimits
from medrov_cli.core.pixels.dicom.encoding import read_header
from medrov_cli.core.pixels.dicom.pixel_element import modality_tag
from medrov_cli.core.pixels.quiet import silence_python
from medrov_cli.core.pixels.source import open_for_header
from medrov_cli.core.records.frame import Identifiers
from medrov_cli.core.settings.choices import Modality

_MODALITIES = {
    Modality.CT: ("CT",),
    Modality.MRI: ("MR", "MA"),
    Modality.XRAY: ("CR", "DX", "RG", "RF", "XA", "MG", "IO", "PX", "DF"),
    Modality.ULTRASOUND: ("US", "IVUS", "EC"),
    Modality.HISTOPATHOLOGY: ("SM",),
    Modality.FUNDOSCOPY: ("OP",),
    Modality.ENDOSCOPY: ("ES",),
    Modality.MICROSCOPY: ("GM",),
    Modality.DERMOSCOPY: ("DMS",),
}
_MODALITY_OF_TAG = {tag: modality for modality, tags in _MODALITIES.items() for tag in tags}
"""(0008,0060) Modality (PS3.3, C.7.3.1.1.1) to the nine modalities; other codes have none."""


def modality_of(header: pydicom.Dataset) -> Modality | None:
    """Return the modality of the header among the nine, or null."""
    return _MODALITY_OF_TAG.get(modality_tag(header))


def identifiers_of(header: pydicom.Dataset, *, patient: bool = False) -> Identifiers:
    """Return the UIDs of study, series and instance, null if empty; on request also the patient's."""
    keywords = ["StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"]
    if patient:
        keywords += ["PatientID", "PatientName"]
    return Identifiers(*(str(header.get(keyword) or "") or None for keyword in keywords))


def functional_group(header: pydicom.Dataset, keyword: str, frame: int) -> pydicom.Dataset:
    """Return the dataset with a property of one frame.

    In enhanced multi-frame objects that is the item of the frame's own functional group, else
    of the shared one (PS3.3, C.7.6.16); elsewhere it is the header itself.

    Parameters
    ----------
    keyword
        Keyword of the functional group's sequence, such as ``FrameVOILUTSequence``.
    frame
        0-based.
    """
    per_frame = header.get("PerFrameFunctionalGroupsSequence") or ()
    shared = header.get("SharedFunctionalGroupsSequence") or ()
    for group in (*per_frame[frame : frame + 1], *shared[:1]):
        items = group.get(keyword)
        if items:
            item: pydicom.Dataset = items[0]
            return item
    return header


def read_file_header(path: str, limits: InputLimits | None = None) -> pydicom.Dataset:
    """Return all elements before the pixel data of a DICOM file, or of a member of an archive.

    Raises
    ------
    MedrovError
        An input code.
    OSError
        The file cannot be opened.
    """
    silence_python()
    own = limits or InputLimits()
    with open_for_header(path, own) as file:
        return read_header(file, own).dataset
