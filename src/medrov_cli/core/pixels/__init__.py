"""Reading of image files as frames."""
