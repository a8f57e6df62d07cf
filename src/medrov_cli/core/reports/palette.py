"""The colours of the plots."""

from __future__ import annotations

INK = "#15191e"
"""Colour of lines and text; in a page it is replaced by the colour of its text."""

PAPER = "#fefefe"
"""Background of the files; plots in a page have none."""

GRID = "#9aa1a955"
"""Grid lines, half transparent: visible on bright and dark pages."""

MUTED = "#8a929b"
"""Colour of secondary elements."""

MAIN = "#2474c6"
SECOND = "#e07b1a"

SERIES = ("#2474c6", "#d9541e", "#0f9d76", "#c768a8", "#b8860b", "#4fb0e0", "#7d62c9", "#8a6d5a")
"""Colours for colour-blind readers (after Okabe and Ito, 2008), visible on bright and dark pages."""

LINE_STYLES = ("-", "--", "-.", ":")
