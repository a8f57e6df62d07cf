"""Datasets on disk: sources, samples, presence table."""
