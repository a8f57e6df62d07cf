"""The ``text`` room."""
