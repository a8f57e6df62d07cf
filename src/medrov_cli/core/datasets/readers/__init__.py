"""Formats that ``medrov data convert`` reads, one file per format."""
