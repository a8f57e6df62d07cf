"""Mean F1 of rules for the thresholds of classes, on images that the thresholds were not fitted on.

::

    medrov eval DATA.yaml --split val --weights WEIGHTS --output val/
    python benchmarks/threshold_rules.py DATA.yaml val/predictions.json

Patients of the split are divided into halves, four times. Each rule fits thresholds on one half, and F1 at
IoU 0.5 is measured on the other one, for classes with objects in both. "Best" has the best threshold of each
class for the half that it is measured on, which no rule can reach.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from medrov_cli.core.datasets.dataset import load_dataset
from medrov_cli.core.datasets.foreign_coco import read_predictions
from medrov_cli.core.evaluation.scored_split import ScoredSplit
from medrov_cli.core.metrics.expected_f1 import (
    FIT_FLOOR,
    SmoothCounts,
    above_floor,
    smooth_threshold,
    typical_class,
)
from medrov_cli.core.metrics.operating import ClassScores, best_f1
from medrov_cli.core.settings.choices import SPLITS

MEASURABLE = 10
"""Smallest number of objects of a class for a second mean."""

MAX_DET = 100

Rule = Callable[[Sequence[ClassScores]], list[float]]


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table; return the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("dataset", type=Path)
    parser.add_argument("predictions", type=Path, help="predictions.json of medrov eval.")
    parser.add_argument("--data-root", type=Path)
    parser.add_argument("--split", default="val", choices=SPLITS)
    parser.add_argument("--seeds", type=int, default=4, help="Number of divisions into halves.")
    options = parser.parse_args(arguments)
    dataset = load_dataset(options.dataset, options.data_root, pseudo=())
    found, _ = read_predictions(options.predictions, dataset, options.split)
    split = ScoredSplit(dataset, dataset.samples[options.split], found, MAX_DET, False)
    halves = []
    for seed in range(options.seeds):
        first, second = (
            [split.class_scores(label, part) for label in range(len(dataset.classes))]
            for part in split.folds(2, seed)
        )
        halves += [(first, second), (second, first)]
    sys.stdout.write("\n".join(table(halves, rules())) + "\n")
    return 0


def rules() -> dict[str, Rule]:
    """Return the rules by name."""
    found: dict[str, Rule] = {
        "best F1": partial(lowest_within, slack=0.0),
        "lowest within 0.01 of the best F1": partial(lowest_within, slack=0.01),
    }
    for scale in (0.2, 0.3, 0.5, 0.7, 1.0):
        for objects in (0.0, 1.0, 2.0, 5.0):
            found[f"spread by {scale}, {objects:.0f} typical objects"] = partial(
                smoothed, scale=scale, objects=objects
            )
    return found


def lowest_within(classes: Sequence[ClassScores], slack: float) -> list[float]:
    """Return the lowest threshold of each class whose F1 is within ``slack`` of the best."""
    thresholds = []
    for own in classes:
        best = best_f1(own.scores, own.is_right, own.truths)
        tried = np.unique(own.scores) if best is not None else []
        thresholds.append(
            next((float(t) for t in tried if best and own.f1_from(float(t)) >= best.f1 - slack), math.inf)
            if slack and best is not None and best.f1 > slack
            else math.inf
            if best is None
            else best.threshold
        )
    return thresholds


def smoothed(classes: Sequence[ClassScores], scale: float, objects: float) -> list[float]:
    """Return the thresholds of the product's rule with other constants."""
    counts = [SmoothCounts.of_class(above_floor(own), scale) for own in classes]
    typical = typical_class([own for own in counts if own.truths])
    return [
        smooth_threshold(own.with_prior(typical, objects).f1, FIT_FLOOR) if own.truths else math.inf
        for own in counts
    ]


def table(
    halves: Sequence[tuple[Sequence[ClassScores], Sequence[ClassScores]]], tried: dict[str, Rule]
) -> list[str]:
    """Return the lines of the table."""
    known = np.array(
        [[bool(a.truths and b.truths) for a, b in zip(fit, held, strict=True)] for fit, held in halves]
    )
    large = known & np.array([[own.truths >= MEASURABLE for own in held] for _, held in halves])
    lines = [
        f"| rule | mean F1 | share of best | mean F1, {MEASURABLE} objects or more | share of best |",
        "|---|---|---|---|---|",
    ]
    best = np.array([_f1(held, lowest_within(held, 0.0)) for _, held in halves])
    for name, rule in tried.items():
        own = np.array([_f1(held, rule(fit)) for fit, held in halves])
        cells = [f"{own[on].mean():.3f} | {own[on].mean() / best[on].mean():.3f}" for on in (known, large)]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    lines.append(f"| best for the measured half | {best[known].mean():.3f} | | {best[large].mean():.3f} | |")
    return lines


def _f1(classes: Sequence[ClassScores], thresholds: Sequence[float]) -> list[float]:
    return [own.f1_from(threshold) for own, threshold in zip(classes, thresholds, strict=True)]


if __name__ == "__main__":
    sys.exit(main())
