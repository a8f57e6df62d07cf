"""Weights files without pickle: container, metadata, manifest, download, resolution."""
