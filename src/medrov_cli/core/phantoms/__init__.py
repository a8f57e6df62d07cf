"""Synthetic images with exact boxes."""
