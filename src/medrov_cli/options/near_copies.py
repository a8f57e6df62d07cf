"""Options of what counts as nearly the same image, of ``data check`` and ``data split``."""

from __future__ import annotations

from typing import Annotated

import typer

COPIES_PANEL = "Near-copies"
"""Heading under which ``--help`` groups them."""

Hamming = Annotated[
    int,
    typer.Option(
        "--hamming",
        min=0,
        max=64,
        help="Bits of 64 in which the hashes of candidates may differ.",
        rich_help_panel=COPIES_PANEL,
    ),
]

Correlation = Annotated[
    float,
    typer.Option(
        "--correlation",
        min=0,
        max=1,
        help="Least correlation of two images, without what all of their source have in common.",
        rich_help_panel=COPIES_PANEL,
    ),
]
