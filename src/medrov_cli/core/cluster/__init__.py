"""Blocks of work on the machines of a Ray cluster."""
