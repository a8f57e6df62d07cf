"""What a class is worth when it is asked for by its other names."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from medrov_cli.core.evaluation.scored_split import ScoredSplit
from medrov_cli.core.records.detections import Detections

Detect = Callable[[Sequence[str], int], Sequence[Detections]]
"""From one text a class, and the number of the pass, to detections on all images."""


def synonyms_section(scene: ScoredSplit, names: Sequence[Sequence[str]], detect: Detect) -> dict[str, Any]:
    """Return the AP at IoU 0.5 of each class under each of its names alone.

    Pass number k asks for every class by its k-th name; a class with fewer names by its first.
    All classes are asked for at once, as always.

    Parameters
    ----------
    scene
        What is scored; only its images and settings are used.
    names
        Of each class: the canonical name first.
    detect
        Runs the detector.
    """
    results: list[dict[str, float]] = [{} for _ in names]
    for number in range(max(map(len, names))):
        texts = [own[number] if number < len(own) else own[0] for own in names]
        found = detect(texts, number)
        asked = scene.with_detections(found)
        for label, own in enumerate(names):
            if number >= len(own):
                continue
            score = asked.scorer.of_class(label, scene.scored[:, label])
            if score is not None:
                results[label][own[number]] = score.ap50
    classes = {scene.dataset.classes[label]: _entry(values) for label, values in enumerate(results) if values}
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
    """Return the means over the classes that have several names, and what the other names keep."""
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
