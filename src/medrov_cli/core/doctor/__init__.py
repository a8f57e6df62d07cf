"""The procedure of ``medrov doctor``."""
