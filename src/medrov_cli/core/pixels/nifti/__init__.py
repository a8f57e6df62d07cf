"""Reading of NIfTI volumes as slices."""
