"""Objects found, objects missed and false positives by size, at the operating points."""

from __future__ import annotations

import math
from typing import Any

from medrov_cli.core.evaluation.scored_split import ScoredSplit
from medrov_cli.core.metrics.error_analysis import (
    SIZE_EDGES,
    Outcome,
    size_histogram,
)


def sizes_section(split: ScoredSplit, outcome: Outcome) -> dict[str, Any]:
    """Return the numbers of objects, found objects and false positives by side of the box, in pixels."""
    truths, found, wrong = size_histogram(split.table, outcome)
    return {
        "edges_px": [edge if math.isfinite(edge) else None for edge in SIZE_EDGES],
        "truths": truths.tolist(),
        "found": found.tolist(),
        "false_positives": wrong.tolist(),
    }
