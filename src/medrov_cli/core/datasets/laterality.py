"""Left and right are the patient's: a mirrored image has them exchanged."""

from __future__ import annotations

import re

import numpy as np

from medrov_cli.core.records.boxes import IntArray

_START = r"(?:(?<![^\W\d_])|(?<=[a-z])(?=[A-Z]))"
"""Start of a word: no letter before it, or a small letter before its capital (``LungLeft``)."""

_SIDE = re.compile(_START + r"(?i:left|right)(?:(?![^\W\d_])|(?<=[a-z])(?=[A-Z]))")
_SHORT_SIDE = re.compile(r"(?<![^\s_.(-])(?i:lt|rt|[lr])(?![^\s_.)-])(?![\s_.-]*\d)")
"""``lt``, ``rt``, ``l`` and ``r`` as words of their own; before a number, ``L`` is a lumbar vertebra."""

_CHAMBER = re.compile(_START + r"(?i:ventric|atri)")
_OTHER = {"left": "right", "lt": "rt", "l": "r"}
_OTHER |= {other: side for side, other in _OTHER.items()}


def mirrored_name(name: str) -> str:
    """Return the class name with left and right exchanged.

    Sides are words of their own (``left lung``, ``lung_left``, ``LeftLung``) and their short forms
    (``kidney_l``, ``Lt kidney``). Letter case and the rest of the name are kept.
    """

    def exchange(match: re.Match[str]) -> str:
        word = match.group(0)
        other = _OTHER[word.lower()]
        if word.isupper():
            return other.upper()
        return other.capitalize() if word[0].isupper() else other

    return _SHORT_SIDE.sub(exchange, _SIDE.sub(exchange, name))


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
        elif _CHAMBER.search(name):
            rows.append(-1)
        else:
            rows.append(row_of.get(other, -1))
    return np.asarray(rows, dtype=np.int64)
