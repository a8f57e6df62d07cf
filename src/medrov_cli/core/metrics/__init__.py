"""The ``metrics`` room."""
