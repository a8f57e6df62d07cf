"""The three planes in which a volume can be cut."""

from __future__ import annotations

from typing import Literal

Axis = Literal["axial", "coronal", "sagittal"]
"""The plane of the slices: across the body, front to back, or left to right."""
