"""Average precision of base and novel classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from medrov_cli.core.evaluation.scored_split import ScoredSplit
from medrov_cli.core.evaluation.sections.coco_ap import Figures


def open_vocabulary_section(split: ScoredSplit, classes: Mapping[str, Figures]) -> dict[str, Any] | None:
    """Return the mean AP of base and novel classes and their harmonic mean; null without novel classes.

    Parameters
    ----------
    split
        The scored split.
    classes
        COCO's figures of each class, by name.
    """
    novel = {split.dataset.classes[label] for label in split.dataset.novel}
    if not novel:
        return None
    parts: dict[str, dict[str, Any]] = {}
    for part, names in (
        ("base", [name for name in classes if name not in novel]),
        ("novel", [name for name in classes if name in novel]),
    ):
        parts[part] = {"classes": len(names)} | {
            key: _mean([classes[name][key] for name in names]) for key in ("ap", "ap50")
        }
    parts["harmonic"] = {key: _harmonic(parts["base"][key], parts["novel"][key]) for key in ("ap", "ap50")}
    return parts


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


def _harmonic(first: float | None, second: float | None) -> float | None:
    if first is None or second is None:
        return None
    return 2 * first * second / (first + second) if first + second else 0.0
