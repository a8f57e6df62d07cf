"""The ``io`` room."""
