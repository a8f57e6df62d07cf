"""Detections of neighbouring slices, linked to findings with sizes and places in mm."""
