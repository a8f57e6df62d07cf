"""Registry of image readers by kind of file."""

from __future__ import annotations

from medrov_cli.core.base.plugins import Entry

_PACKAGE = "medrov_cli.core.pixels"

RASTER = "raster"
"""Name of the reader of the kinds that have no row of their own."""

READERS = (
    Entry("DICOM", f"{_PACKAGE}.dicom.frames", "READER", "DICOM"),
    Entry("NIfTI", f"{_PACKAGE}.nifti.file", "READER", "NIfTI-1, NIfTI-2, Analyze 7.5"),
    Entry("NRRD", f"{_PACKAGE}.nrrd.file", "READER", "NRRD, attached or detached"),
    Entry("MetaImage", f"{_PACKAGE}.metaimage.file", "READER", "MetaImage, one file or two"),
    Entry("TIFF", f"{_PACKAGE}.tiff", "READER", "TIFF, BigTIFF"),
    Entry("Netpbm", f"{_PACKAGE}.netpbm", "READER", "PBM, PGM, PPM, PAM, PFM"),
    Entry("JPEG 2000", f"{_PACKAGE}.jpeg2000", "READER", "JPEG 2000, HTJ2K"),
    Entry("video", f"{_PACKAGE}.video", "READER", "video files"),
    Entry(RASTER, f"{_PACKAGE}.raster", "READER", "PNG, JPEG, WebP, AVIF, HEIC, BMP, GIF"),
)
