"""The procedure of ``medrov export``."""
