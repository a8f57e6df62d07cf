"""The colours of the plots."""

from __future__ import annotations

INK = "#15191e"
"""Lines and letters; inside the page it becomes the page's own."""

PAPER = "#fefefe"
"""Background of the files; inside the page there is none."""

GRID = "#9aa1a955"
"""Grid lines, half transparent: visible on bright and dark pages."""

MUTED = "#8a929b"
"""What stands behind what matters."""

MAIN = "#2474c6"
SECOND = "#e07b1a"

SERIES = ("#2474c6", "#d9541e", "#0f9d76", "#c768a8", "#b8860b", "#4fb0e0", "#7d62c9", "#8a6d5a")
"""Told apart by the colour-blind (after Okabe and Ito, 2008), and visible on bright and dark pages."""

LINE_STYLES = ("-", "--", "-.", ":")
