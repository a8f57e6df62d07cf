"""The ``commands`` room."""
