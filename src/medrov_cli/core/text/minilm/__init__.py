"""The default text encoder: all-MiniLM-L6-v2 on numpy."""
