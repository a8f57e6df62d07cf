"""The procedure of ``medrov benchmark``."""
