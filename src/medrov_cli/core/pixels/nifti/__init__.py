"""Reading of NIfTI and Analyze files."""
