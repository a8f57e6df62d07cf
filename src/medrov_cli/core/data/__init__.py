"""The ``data`` room."""
