"""The procedure of ``medrov learn``."""
