"""Average precision of each class under each of its names."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from medrov_cli.core.evaluation.scored_split import ScoredSplit
from medrov_cli.core.records.detections import Detections

Detect = Callable[[Sequence[str], int], Sequence[Detections]]
"""Function of one text per class and the number of the pass to the detections in all images."""


def synonyms_section(split: ScoredSplit, names: Sequence[Sequence[str]], detect: Detect) -> dict[str, Any]:
    """Return the AP at IoU 0.5 of each class under each of its names alone.

    Pass k searches all classes, each by its k-th name, or by the first one where it has fewer.

    Parameters
    ----------
    split
        The split; its detections are not used.
    names
        Names of each class, the canonical one first.
    detect
        Function that runs the detector.
    """
    results: list[dict[str, float]] = [{} for _ in names]
    for number in range(max(map(len, names))):
        texts = [own[number] if number < len(own) else own[0] for own in names]
        found = detect(texts, number)
        renamed = split.with_detections(found)
        for label, own in enumerate(names):
            if number >= len(own):
                continue
            score = renamed.scorer.of_class(label, split.scored[:, label])
            if score is not None:
                results[label][own[number]] = score.ap50
    classes = {split.dataset.classes[label]: _entry(values) for label, values in enumerate(results) if values}
    return {**_means(classes), "classes": classes}


def _entry(values: Mapping[str, float]) -> dict[str, Any]:
    own = list(values.values())
    return {
        "names": dict(values),
        "canonical": own[0],
        "mean": float(np.mean(own)),
        "worst": min(own),
        "spread": max(own) - min(own),
    }


def _means(classes: Mapping[str, dict[str, Any]]) -> dict[str, float | None]:
    """Return the means over the classes with several names, and the fraction of AP of the other names."""
    several = [entry for entry in classes.values() if len(entry["names"]) > 1]
    if not several:
        return dict.fromkeys(("canonical_ap50", "mean_ap50", "worst_ap50", "kept"))
    canonical = float(np.mean([entry["canonical"] for entry in several]))
    others = float(np.mean([np.mean(list(entry["names"].values())[1:]) for entry in several]))
    return {
        "canonical_ap50": canonical,
        "mean_ap50": float(np.mean([entry["mean"] for entry in several])),
        "worst_ap50": float(np.mean([entry["worst"] for entry in several])),
        "kept": others / canonical if canonical else None,
    }
