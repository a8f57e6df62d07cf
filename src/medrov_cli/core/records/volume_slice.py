"""Identity of an image that is a slice of a volume: which volume, which slice, and its plane."""

from __future__ import annotations

from dataclasses import dataclass

from medrov_cli.core.records.slice_plane import SlicePlane


@dataclass(frozen=True, slots=True)
class VolumeSlice:
    """Slice of a volume.

    Attributes
    ----------
    volume
        Name of the volume, unique within its source, without data of the patient.
    number
        0-based number of the slice in the volume.
    plane
        Position, orientation and spacing; null if unknown.
    is_placed
        Whether the file states the orientation in the patient. Otherwise the plane gives sizes alone.
    """

    volume: str
    number: int
    plane: SlicePlane | None = None
    is_placed: bool = True
