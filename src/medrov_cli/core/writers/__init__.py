"""Output formats of detections."""
