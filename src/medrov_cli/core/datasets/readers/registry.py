"""Formats that ``medrov data convert`` reads, by the name that ``--from`` takes."""

from __future__ import annotations

from medrov_cli.core.base.plugins import Entry

_PACKAGE = "medrov_cli.core.datasets.readers"

READERS = (
    Entry("masks", f"{_PACKAGE}.masks", "READER", "Folders of images and masks"),
    Entry("voc", f"{_PACKAGE}.voc", "READER", "Pascal VOC"),
    Entry("yolo", f"{_PACKAGE}.yolo", "READER", "YOLO layout of ultralytics"),
    Entry("coco", f"{_PACKAGE}.coco", "READER", "COCO instances"),
    Entry("label-studio", f"{_PACKAGE}.label_studio", "READER", "JSON export of Label Studio"),
    Entry("cvat", f"{_PACKAGE}.cvat", "READER", "CVAT for images 1.1"),
    Entry("labelme", f"{_PACKAGE}.labelme", "READER", "LabelMe"),
    Entry("geojson", f"{_PACKAGE}.geojson", "READER", "Slides and GeoJSON of QuPath"),
    Entry("ann", f"{_PACKAGE}.ann", "READER", "DICOM slides and annotations"),
    Entry("nifti", f"{_PACKAGE}.nifti", "READER", "NIfTI volumes and label volumes"),
    Entry("dicom-seg", f"{_PACKAGE}.dicom_seg", "READER", "DICOM segmentations"),
    Entry("rtstruct", f"{_PACKAGE}.rtstruct", "READER", "DICOM radiotherapy structure sets"),
    Entry("dicom-csv", f"{_PACKAGE}.dicom_csv", "READER", "DICOM images and a table of boxes"),
)
