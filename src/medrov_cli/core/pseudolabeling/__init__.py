"""The procedure of ``medrov pseudolabel``."""
