"""Image files to frames."""
