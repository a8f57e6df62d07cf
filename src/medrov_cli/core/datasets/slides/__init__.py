"""Annotated slides: their objects by GeoJSON of QuPath or DICOM annotations, and their annotated regions."""
