"""Formats that ``medrov data export`` writes, one file per format."""
