"""Identity of written DICOM objects: derived UIDs, the equipment, and where their dates come from."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

import pydicom

from medrov_cli.core.base.constants import RESEARCH_NOTICE
from medrov_cli.core.base.versions import __version__

MANUFACTURER = "medrov"
MODEL_NAME = "medrov detect"
DEVICE_SERIAL_NUMBER = "none"

EQUIPMENT: dict[str, Any] = {
    "manufacturer": MANUFACTURER,
    "manufacturer_model_name": MODEL_NAME,
    "software_versions": __version__,
    "device_serial_number": DEVICE_SERIAL_NUMBER,
}
"""Equipment that made an object (PS3.3, C.7.5.2), as arguments of highdicom's classes."""

SERIES_DESCRIPTION = f"medrov: {RESEARCH_NOTICE}"
DEVICE_NAME = f"medrov. {RESEARCH_NOTICE}"

UNKNOWN_DATE, UNKNOWN_TIME = "19700101", "000000"
"""Content Date and Content Time of results whose images state no date, or with ``--phi hash``."""

_DATES = ("Content", "Acquisition", "Series", "Study")
_UNSTABLE = frozenset({"path", "slices", "elapsed_ms", "warnings"})
"""Fields of a record that say nothing about the result."""


def derive_uid(*parts: str) -> str:
    """Return the UID of some texts: ``2.25.`` and 128 bits of their SHA-256 (PS3.5, B.2)."""
    digest = hashlib.sha256("\0".join(("medrov", *parts)).encode(errors="surrogateescape")).digest()
    return f"2.25.{int.from_bytes(digest[:16], 'big')}"


def result_digest(records: Iterable[Mapping[str, Any]]) -> str:
    """Return the SHA-256 of this version and of the records of a result, without paths and times."""
    digest = hashlib.sha256(__version__.encode())
    for record in records:
        stable = {key: value for key, value in record.items() if key not in _UNSTABLE}
        digest.update(json.dumps(stable, sort_keys=True).encode())
    return digest.hexdigest()


def content_moment(headers: Iterable[pydicom.Dataset]) -> tuple[str, str]:
    """Return date and time of a result: the latest of its images, so that equal runs give equal bytes."""
    moments = [
        (str(header.get(f"{name}Date") or ""), str(header.get(f"{name}Time") or ""))
        for header in headers
        for name in _DATES
    ]
    date, time = max(moments, default=("", ""))
    return (date, time or UNKNOWN_TIME) if date else (UNKNOWN_DATE, UNKNOWN_TIME)
