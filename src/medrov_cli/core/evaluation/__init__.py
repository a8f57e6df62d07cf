"""The procedure of ``medrov eval``."""
