"""Default text encoder: all-MiniLM-L6-v2 in numpy."""
