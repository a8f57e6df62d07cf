"""Colour of a class by its name: equal in every run, format and page.

The palette has the hues of Okabe and Ito (2008), which colour-blind readers can distinguish, each also as a
light tint. Several classes of a run may have one colour: labels and legends name the class.
"""

from __future__ import annotations

import hashlib

Color = tuple[int, int, int]

_HUES: tuple[Color, ...] = (
    (230, 159, 0),
    (86, 180, 233),
    (0, 158, 115),
    (240, 228, 66),
    (64, 128, 224),  # lighter than theirs, (0, 114, 178), which is dark on dark images
    (213, 94, 0),
    (204, 121, 167),
)
_TINT = 0.6
"""Share of white in the light tints."""

PALETTE: tuple[Color, ...] = (
    *_HUES,
    *(
        (round(r + (255 - r) * _TINT), round(g + (255 - g) * _TINT), round(b + (255 - b) * _TINT))
        for r, g, b in _HUES
    ),
)
"""RGB, 0 to 255."""

_SALT = 1969
"""Of the first 2,000 numbers, the one with the fewest equal or similar colours in a source of `medrov-n`."""


def class_color(name: str) -> Color:
    """Return the colour of a class, RGB, 0 to 255."""
    digest = hashlib.sha256(f"{_SALT}:{name}".encode(errors="surrogateescape")).digest()
    return PALETTE[digest[0] % len(PALETTE)]


def class_color_hex(name: str) -> str:
    """Return the colour of a class as ``#rrggbb``."""
    return "#{:02x}{:02x}{:02x}".format(*class_color(name))
