"""Reading of volumes as slices: what NIfTI, Analyze, NRRD and MetaImage share."""
