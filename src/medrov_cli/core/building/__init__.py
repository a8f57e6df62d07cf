"""Datasets from what people have: masks, volumes, boxes in many formats."""
