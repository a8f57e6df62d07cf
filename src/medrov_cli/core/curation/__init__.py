"""The procedures of ``medrov data``."""
