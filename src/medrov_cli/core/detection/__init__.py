"""The procedure of ``medrov detect``."""
