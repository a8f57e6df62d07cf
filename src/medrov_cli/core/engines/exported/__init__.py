"""Exported models: metadata and engines."""
