"""The ``runtime`` room."""
