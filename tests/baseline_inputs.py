"""The inputs of the runs of ``baseline.py``: copies of real images, and small files that are made here.

They are copied, so that a recording holds all that a later comparison reads.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, RTStructureSetStorage, SegmentationStorage

from conftest import ROOT, SHARED_DATA

IMAGES = 50
SOURCES = ("smdg_fundus", "acdc_cardiac", "chest_ct_organs")
VOLUMES = (
    "anatomical.nii",
    "example4d.nii.gz",
    "example_nifti2.nii.gz",
    "totalsegmentator/example_ct_sm.nii.gz",
)
SEGMENTED = ("example_ct_sm", "example_ct_seg_liver", "example_ct_seg_aorta", "example_ct_seg_pancreas")

_DATASET = """name: {name}
root: .
sources:
- {fundus}
- {{path: sources/acdc_cardiac, name: cardiac}}
- sources/chest_ct_organs
classes:
  optic disc: optic nerve head/disc
  heart: cardiac silhouette
novel: [optic cup]
presence: {presence}
"""
_PRESENCE = """\
dataset,optic disc,optic cup,left ventricle,right ventricle,myocardium,heart,left lung,right lung,trachea
smdg_fundus,1,1,-1,-1,-1,-1,-1,-1,-1
cardiac,-1,-1,1,1,1,0,0,0,-1
chest_ct_organs,-1,-1,0,0,0,1,1,1,1
"""
_INCOMPLETE = "optic disc"
"""Class whose boxes are taken away from a copy of the first source, for pseudo-labels."""
_CLASS_MAP = """rename: {platelets: platelet}
drop: [aorta]
synonyms: {red blood cell: erythrocyte/red cell, colon polyp: polyp}
"""


def make_inputs(folder: Path) -> Iterator[str]:
    """Make what is not there yet; yield the names of shared data that are absent."""
    (folder / "broken").mkdir(parents=True, exist_ok=True)
    if not (folder / "examples").exists():
        shutil.copytree(ROOT / "examples", folder / "examples")
    polyp = (folder / "examples" / "polyp.png").read_bytes()
    (folder / "broken" / "cut.png").write_bytes(polyp[: len(polyp) // 2])
    (folder / "broken" / "empty.dcm").write_bytes(b"")
    (folder / "broken" / "no image.nii.gz").write_bytes(b"text\n")
    (folder / "broken" / "whole.png").write_bytes(polyp)
    (folder / "classes.txt").write_text("# two classes\ncolon polyp/polyp\nred blood cell\n")
    (folder / "class_map.yaml").write_text(_CLASS_MAP)
    (folder / "broken.yaml").write_text("sources: [no such folder]\n")
    make_dicom_objects(folder / "ct")
    for part in ("formats", "omnis-mini"):
        if not (SHARED_DATA / part).is_dir():
            yield str(SHARED_DATA / part)
    if (SHARED_DATA / "formats").is_dir() and not (folder / "formats").exists():
        copy_formats(SHARED_DATA / "formats", folder / "formats")
    if (SHARED_DATA / "omnis-mini").is_dir() and not (folder / "omnis").exists():
        copy_sources(SHARED_DATA / "omnis-mini", folder)


def copy_formats(formats: Path, target: Path) -> None:
    """Copy all DICOM files, the series, some volumes, and a volume with masks of three organs."""
    shutil.copytree(formats / "dicom", target / "dicom")
    shutil.copytree(formats / "dicom_series", target / "dicom_series")
    (target / "nifti").mkdir()
    (target / "segmented").mkdir()
    for name in VOLUMES:
        shutil.copy(formats / "nifti" / name, target / "nifti")
    for name in SEGMENTED:  # the masks were made on the smaller volume
        copied = target / "segmented" / f"{name.removesuffix('_sm')}.nii.gz"
        shutil.copy(formats / "nifti" / "totalsegmentator" / f"{name}.nii.gz", copied)


def copy_sources(omnis: Path, folder: Path) -> None:
    """Copy the first image of every second source, and three small sources with their annotations."""
    names = sorted(path.parent.name for path in omnis.glob("*/annotations.json"))
    for name in names[::2][:IMAGES]:
        (folder / "omnis" / name).mkdir(parents=True)
        shutil.copy(min((omnis / name / "images").iterdir()), folder / "omnis" / name)
    for name in SOURCES:
        shutil.copytree(omnis / name, folder / "sources" / name)
    shutil.copytree(omnis / SOURCES[0] / "images", folder / "incomplete" / SOURCES[0] / "images")
    document = json.loads((omnis / SOURCES[0] / "annotations.json").read_text(encoding="utf-8"))
    kept = [category for category in document["categories"] if category["name"] != _INCOMPLETE]
    ids = {category["id"] for category in kept}
    boxes = [box for box in document["annotations"] if box["category_id"] in ids]
    (folder / "incomplete" / SOURCES[0] / "annotations.json").write_text(
        json.dumps(document | {"categories": kept, "annotations": boxes})
    )
    whole = f"sources/{SOURCES[0]}"
    both = f"incomplete/{SOURCES[0]}\n- {{path: {whole}, name: complete}}"
    for name, fundus, table in (("three", whole, "presence.csv"), ("incomplete", both, "possible.csv")):
        text = _DATASET.format(name=name, fundus=fundus, presence=table)
        (folder / f"{name}.yaml").write_text(text)
    (folder / "fundus.yaml").write_text(f"root: sources\nsources: [{SOURCES[0]}]\n")
    (folder / "presence.csv").write_text(_PRESENCE)
    row = f"{SOURCES[0]},1,1,-1,-1,-1,-1,-1,-1,-1\n"
    possible = row.replace("1,1", "0,1", 1) + row.replace(SOURCES[0], "complete")
    (folder / "possible.csv").write_text(_PRESENCE.replace(row, possible))


def make_dicom_objects(folder: Path) -> None:
    """Write three slices, a segmentation and a structure set of the second one, and a table of boxes."""
    (folder / "slices").mkdir(parents=True, exist_ok=True)
    place = {"FrameOfReferenceUID": "1.9", "SeriesInstanceUID": "1.2.3", "StudyInstanceUID": "1.2"}
    for number in range(3):
        pixels = np.add.outer(np.arange(32), np.arange(40)).astype(np.uint8) * (number + 1)
        slice_ = _object(CTImageStorage, f"1.2.3.{number}", Modality="CT", **place)
        slice_.ImagePositionPatient, slice_.ImageOrientationPatient = [0, 0, 3 * number], [1, 0, 0, 0, 1, 0]
        slice_.PixelSpacing, slice_.WindowCenter, slice_.WindowWidth = [2, 1], 128, 256
        _set_pixels(slice_, pixels, bits=8)
        slice_.save_as(folder / "slices" / f"{number}.dcm", enforce_file_format=True)
    mask = np.zeros((32, 40), np.uint8)
    mask[8:20, 10:30] = 1
    segmentation = _object(SegmentationStorage, "1.2.66", Modality="SEG", SegmentationType="BINARY", **place)
    segmentation.ReferencedSeriesSequence = [_item(SeriesInstanceUID="1.2.3")]
    segmentation.SegmentSequence = [_item(SegmentNumber=1, SegmentLabel="liver")]
    segmentation.SharedFunctionalGroupsSequence = [
        _item(
            PlaneOrientationSequence=[_item(ImageOrientationPatient=[1, 0, 0, 0, 1, 0])],
            PixelMeasuresSequence=[_item(PixelSpacing=[2, 1])],
        )
    ]
    segmentation.PerFrameFunctionalGroupsSequence = [
        _item(
            SegmentIdentificationSequence=[_item(ReferencedSegmentNumber=1)],
            PlanePositionSequence=[_item(ImagePositionPatient=[0, 0, 3])],
        )
    ]
    segmentation.NumberOfFrames = 1
    _set_pixels(segmentation, mask, bits=1)
    segmentation.save_as(folder / "segmentation.dcm", enforce_file_format=True)
    _structures([10, 16, 3, 30, 16, 3, 30, 40, 3, 10, 40, 3], place).save_as(
        folder / "structures.dcm", enforce_file_format=True
    )
    rows = ["patientId,x,y,width,height,Target", "1.2.3.0,,,,,0", "1.2.3.1,10,8,20,12,1", "1.2.3.2,,,,,0"]
    (folder / "boxes.csv").write_text("\n".join([*rows, ""]))


def _structures(outline_mm: list[float], place: dict[str, str]) -> Dataset:
    made = _object(RTStructureSetStorage, "1.2.481", Modality="RTSTRUCT", **place)
    series = _item(RTReferencedSeriesSequence=[_item(SeriesInstanceUID="1.2.3")])
    made.ReferencedFrameOfReferenceSequence = [
        _item(FrameOfReferenceUID="1.9", RTReferencedStudySequence=[series])
    ]
    made.StructureSetROISequence = [_item(ROINumber=1, ROIName="liver")]
    count = len(outline_mm) // 3
    contour = {"ContourGeometricType": "CLOSED_PLANAR", "NumberOfContourPoints": count}
    contours = [_item(ContourData=outline_mm, **contour)]
    made.ROIContourSequence = [_item(ReferencedROINumber=1, ContourSequence=contours)]
    return made


def _object(sop_class: str, uid: str, **attributes: Any) -> Dataset:
    made = _item(SOPClassUID=sop_class, SOPInstanceUID=uid, PatientName="A^B", PatientID="4711", **attributes)
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made.file_meta.MediaStorageSOPClassUID, made.file_meta.MediaStorageSOPInstanceUID = sop_class, uid
    return made


def _item(**attributes: Any) -> Dataset:
    made = pydicom.Dataset()
    for keyword, value in attributes.items():
        setattr(made, keyword, Sequence(value) if keyword.endswith("Sequence") else value)
    return made


def _set_pixels(made: Dataset, pixels: np.ndarray[Any, Any], bits: int) -> None:
    made.Rows, made.Columns = pixels.shape
    made.SamplesPerPixel, made.PhotometricInterpretation, made.PixelRepresentation = 1, "MONOCHROME2", 0
    made.BitsAllocated, made.BitsStored, made.HighBit = bits, bits, bits - 1
    data = pixels.tobytes() if bits == 8 else np.packbits(pixels.ravel(), bitorder="little").tobytes()
    made.PixelData = data + b"\0" * (len(data) % 2)
    made["PixelData"].VR = "OB"


def write_decisions(work: Path) -> None:
    """Write what the review page would save: every third label rejected, relabelled, accepted."""
    labels = work / "runs" / "pseudolabel"
    if not (labels / "manifest.json").exists():  # the command then says that there is no file of decisions
        return
    manifest = (labels / "manifest.json").read_bytes()
    decisions = []
    for path in sorted(labels.glob("*/annotations.json")):
        added = [a for a in json.loads(path.read_text())["annotations"] if a.get("source") == "pseudo"]
        kinds = ("accept", "reject")
        decisions += [
            {"source": path.parent.name, "id": a["id"], "decision": kinds[n % 2]}
            for n, a in enumerate(added)
            if n % 3
        ]
    document = {
        "schema": "medrov.pseudolabel-decisions/1",
        "labels": hashlib.sha256(manifest).hexdigest(),
        "decisions": decisions,
    }
    (work / "decisions.json").write_text(json.dumps(document))
