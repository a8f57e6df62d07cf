"""Protocol of a connection that stores DICOM instances."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True, slots=True)
class ResultFile:
    """DICOM result in a file.

    Attributes
    ----------
    path
        The file.
    study_uid, series_uid, instance_uid, sop_class, transfer_syntax
        UIDs of the instance.
    """

    path: Path
    study_uid: str
    series_uid: str
    instance_uid: str
    sop_class: str
    transfer_syntax: str


class StoreConnection(Protocol):
    """Connection to a destination."""

    def holds(self, file: ResultFile) -> bool:
        """Return whether the destination has the instance; false if it cannot tell."""

    def store(self, file: ResultFile) -> str:
        """Store an instance; return why the destination refuses it, empty if it is stored.

        Raises
        ------
        MedrovError
            ``TRANSFER_FAILED`` if the destination cannot be used.
        """

    def close(self) -> None:
        """Close the connection."""
