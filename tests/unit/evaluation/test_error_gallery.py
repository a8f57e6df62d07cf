"""The table with one row per image."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np

from medrov_cli.core.evaluation.error_gallery import write_images_csv
from medrov_cli.core.evaluation.scored_split import ScoredSplit
from medrov_cli.core.metrics.error_analysis import outcome_of
from scored_splits import FOUND, four_images


def test_images_csv_counts_each_image_and_has_no_formulas(tmp_path: Path) -> None:
    made = four_images()
    sources = (replace(made.dataset.sources[0], name="=scopes"), made.dataset.sources[1])
    dataset = replace(made.dataset, sources=sources)
    samples = tuple(
        replace(own, image_path=sources[own.source_id].images / own.image_path, case="-7")
        for own in made.samples
    )
    split = ScoredSplit(dataset, samples, FOUND, max_det=100)
    outcome = outcome_of(split.table, split.scored, np.array([0.5, 0.5]))
    write_images_csv(tmp_path / "images.csv", split, outcome)
    with (tmp_path / "images.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.reader(stream))[1:]
    assert rows[:2] == [
        ["'=scopes/images/0.png", "'=scopes", "endoscopy", "'-7", "2", "1", "1", "1", "0.950000"],
        ["'=scopes/images/1.png", "'=scopes", "endoscopy", "'-7", "1", "0", "1", "0", ""],
    ]
    assert [row[0] for row in rows[2:]] == ["slides/images/2.png", "slides/images/3.png"]
