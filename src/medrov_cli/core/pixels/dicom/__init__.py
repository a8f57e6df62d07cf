"""DICOM files to frames."""
