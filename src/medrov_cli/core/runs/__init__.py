"""Protocol of an output folder."""
