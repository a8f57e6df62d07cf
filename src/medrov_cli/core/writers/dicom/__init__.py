"""DICOM objects from the records of a run: structured reports, presentation states, segmentations."""
