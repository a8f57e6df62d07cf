"""Left and right are the patient's: a mirrored image has them exchanged."""

from __future__ import annotations

import re

import numpy as np

from medrov_cli.core.records.boxes import IntArray

_SIDE = re.compile(r"\b(left|right)\b", re.IGNORECASE)
_OTHER = {"left": "right", "right": "left"}


def mirrored_name(name: str) -> str:
    """Return the class name with ``left`` and ``right`` exchanged."""

    def exchange(match: re.Match[str]) -> str:
        word = match.group(0)
        other = _OTHER[word.lower()]
        return other.capitalize() if word[0].isupper() else other

    return _SIDE.sub(exchange, name)


def mirror_rows(classes: tuple[str, ...]) -> IntArray:
    """Return, for each class, the row of the class that it becomes in a mirrored image.

    Returns
    -------
    ndarray
        int64, (classes,). The row itself for a class without a side; -1 where the other side
        is not among the classes, so that an image which shows it must not be mirrored. The
        ventricles of the heart are named by side but are no mirror images of each other: -1.
    """
    row_of = {name: row for row, name in enumerate(classes)}
    rows = []
    for row, name in enumerate(classes):
        other = mirrored_name(name)
        if other == name:
            rows.append(row)
        elif re.search(r"\b(ventric|atri)", name, re.IGNORECASE):
            rows.append(-1)
        else:
            rows.append(row_of.get(other, -1))
    return np.asarray(rows, dtype=np.int64)
