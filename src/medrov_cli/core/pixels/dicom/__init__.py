"""Reading of DICOM files as frames."""
