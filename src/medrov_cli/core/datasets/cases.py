"""Patients and volumes as names that say nothing: equal cases have equal names, and that is all."""

from __future__ import annotations

import hashlib
import math
import re

_DIGITS = 16


def hashed_case(*parts: str) -> str:
    """Return the first 16 hexadecimal digits of SHA-256 of what identifies a patient or a volume.

    The same parts give the same case in every source and on every machine: right for what identifies a
    patient anywhere, such as DICOM's PatientID. It keeps identities out of files and logs; it is no
    protection against someone who holds a list of all possible identities.

    Parameters
    ----------
    parts
        Such as issuer and patient id. Each counts by itself: ("ab", "c") and ("a", "bc") differ.
    """
    text = "".join(f"{len(part)}:{part}" for part in parts)
    return hashlib.sha256(text.encode("utf-8", errors="surrogateescape")).hexdigest()[:_DIGITS]


def local_case(source: str, name: str) -> str:
    """Return the case of a name that says who it is in its own source alone.

    ``case_001`` of two sources is two patients, ``case_001`` of two conversions of one source is one.

    Parameters
    ----------
    source
        What the source is called.
    name
        Such as the stem of a volume.
    """
    return hashed_case(source, name)


def stated_case(value: object) -> str | None:
    """Return the case that a record states, without blanks around it; None for null, NaN and blank texts."""
    is_nan = isinstance(value, float) and math.isnan(value)
    return None if value is None or is_nan else str(value).strip() or None


def case_in_path(path: str, pattern: re.Pattern[str] | None) -> str | None:
    """Return the hashed case that a pattern finds in a relative path: its first group, or all of it.

    The pattern is searched in the whole path, then without its first folder, and so on to the file's name:
    ``^`` matches before the name in ``images/train/p1_2.png``, too.
    """
    parts = path.split("/") if pattern is not None else []
    for start in range(len(parts)):
        found = pattern.search("/".join(parts[start:])) if pattern is not None else None
        if found is not None:
            text = found[1] if found.re.groups else found[0]
            return hashed_case(text) if text else None
    return None
