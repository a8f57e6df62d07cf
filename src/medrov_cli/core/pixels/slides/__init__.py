"""Images that are read by regions: whole slides, pyramids, and images too large to be decoded whole."""
