"""Planes in which a volume was searched, and what each of them has of a finding."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from medrov_cli.core.settings.choices import Axis

Box3D = tuple[float, float, float, float, float, float]
"""Lower corner, then upper corner: (x1, y1, z1, x2, y2, z2)."""


class PlanesRefusal(StrEnum):
    """Reasons for which a volume was not searched in other planes than that of its slices."""

    NOT_LINKED = "not_linked"
    """Its slices were not linked, either."""
    IN_TIME = "in_time"
    """The frames are a sequence in time."""
    MISSING_SLICES = "missing_slices"
    """Slices are missing."""
    UNEVEN_STEPS = "uneven_steps"
    """The distances between slices differ."""
    TILTED_GANTRY = "tilted_gantry"
    """The slices are shifted against each other."""
    COLOR = "color"
    """The slices are in colour."""
    TOO_LARGE = "too_large"
    """The volume does not fit into the budget of memory."""
    UNREADABLE = "unreadable"
    """A slice could not be read a second time."""


@dataclass(frozen=True, slots=True)
class PlaneVote:
    """What one plane has of a finding.

    Attributes
    ----------
    plane
        The plane.
    score
        Score of its own finding; of several, the highest.
    box_voxels
        Its own box, in columns, rows and slices of the volume.
    """

    plane: Axis
    score: float
    box_voxels: Box3D


@dataclass(frozen=True, slots=True)
class SearchedPlanes:
    """Planes in which a volume was searched.

    Attributes
    ----------
    planes
        First that of the slices; alone if the others were refused.
    spacing_mm
        Distance between pixels of the other planes; null if there is none.
    step_mm
        Distance between slices of the other planes; null if there is none.
    refusal
        Why the others were not searched; null if they were.
    """

    planes: tuple[Axis, ...]
    spacing_mm: float | None = None
    step_mm: float | None = None
    refusal: PlanesRefusal | None = None
