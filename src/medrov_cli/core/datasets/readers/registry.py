"""Formats that ``medrov data convert`` reads, by the name that ``--from`` takes."""

from __future__ import annotations

from medrov_cli.core.base.plugins import Entry

_PACKAGE = "medrov_cli.core.curation"

READERS = (
    Entry("masks", f"{_PACKAGE}.from_masks", "READER", "Folders of images and masks"),
    Entry("voc", f"{_PACKAGE}.from_voc", "READER", "Pascal VOC"),
    Entry("yolo", f"{_PACKAGE}.from_yolo", "READER", "YOLO layout of ultralytics"),
    Entry("coco", f"{_PACKAGE}.from_coco", "READER", "COCO instances"),
    Entry("label-studio", f"{_PACKAGE}.from_label_studio", "READER", "JSON export of Label Studio"),
    Entry("cvat", f"{_PACKAGE}.from_cvat", "READER", "CVAT for images 1.1"),
    Entry("nifti", f"{_PACKAGE}.from_nifti", "READER", "NIfTI volumes and label volumes"),
    Entry("dicom-seg", f"{_PACKAGE}.from_dicom_seg", "READER", "DICOM segmentations"),
    Entry("rtstruct", f"{_PACKAGE}.from_rtstruct", "READER", "DICOM radiotherapy structure sets"),
    Entry("dicom-csv", f"{_PACKAGE}.from_dicom_csv", "READER", "DICOM images and a table of boxes"),
)
