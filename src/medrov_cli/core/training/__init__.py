"""The procedure of ``medrov train``."""
