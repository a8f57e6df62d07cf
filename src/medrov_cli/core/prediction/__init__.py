"""From pixels to detections."""
