"""Text and image towers of open_clip models."""
