"""The ``model`` room."""
