"""The procedure of ``medrov send``."""
