"""Reading of NRRD files."""
