"""Comparison of two reports of ``medrov eval`` as a Markdown table.

    python benchmarks/side_by_side.py runs/eval-medrov-n/report.json runs/eval-yolov8n/report.json

The first report must be made with ``--compare`` to the second, because it contains the intervals.
"""

from __future__ import annotations

import argparse
import json
import statistics
from pathlib import Path
from typing import Any

import numpy as np

from medrov_cli.core.training.results import FITNESS_MIN_IMAGES


def main() -> None:
    """Run the script."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("reports", type=Path, nargs=2)
    first, second = (json.loads(path.read_text(encoding="utf-8")) for path in parser.parse_args().reports)
    names = [_name(first), _name(second)]
    columns = [f"{name} {figure}" for figure in ("mAP50", "mAP50-95") for name in names]
    print("| source | images | " + " | ".join(columns) + " |")
    print("|---|---|---|---|---|---|")
    sources = [report["coco"]["presence"]["sources"] for report in (first, second)]
    for name, own in sources[0].items():
        other = sources[1][name]
        row = [own["ap50"], other["ap50"], own["ap"], other["ap"]]
        print(f"| {name} | {own['images']} | " + " | ".join(f"{value:.3f}" for value in row) + " |")
    larger = [name for name, own in sources[0].items() if own["images"] >= FITNESS_MIN_IMAGES]
    title = f"mean of the {len(larger)} sources with {FITNESS_MIN_IMAGES} images or more"
    _print_mean(title, *({key: _mean(of, larger, key) for key in ("ap50", "ap")} for of in sources))
    for key, title in (
        ("macro_sources", "mean of sources"),
        ("macro_modalities", "mean of modalities"),
        ("macro", "mean of classes"),
        ("micro", "all objects together"),
    ):
        _print_mean(title, *(report["coco"]["presence"][key] for report in (first, second)))
    print()
    print(f"| figure | {names[0]} | {names[1]} | difference | 95 % |")
    print("|---|---|---|---|---|")
    real = [name for name in larger if not name.startswith("phantom_")]
    of_real = [_mean(of, real, "ap50") for of in sources]
    between = _interval([sources[0][name]["ap50"] - sources[1][name]["ap50"] for name in real])
    values = f"{of_real[0]:.3f} | {of_real[1]:.3f} | {of_real[0] - of_real[1]:+.3f} | {between} |"
    title = f"mAP50, mean of the {len(real)} real ones of them, interval over sources"
    print(f"| {title} | {values}")
    for name, entry in first["comparison"]["metrics"].items():
        print(f"| {name} | " + _row(entry) + " |")
    apart = [item for item in first["comparison"]["classes"].items() if _excludes_zero(item[1])]
    for name, entry in sorted(apart, key=lambda item: item[1]["difference"]):
        print(f"| AP50 of {name} | " + _row(entry) + " |")


def _print_mean(title: str, own: dict[str, float], other: dict[str, float]) -> None:
    row = [own["ap50"], other["ap50"], own["ap"], other["ap"]]
    print(f"| **{title}** | | " + " | ".join(f"**{value:.3f}**" for value in row) + " |")


def _interval(differences: list[float]) -> str:
    """Return the 95 % bootstrap interval of a mean, with 10,000 samples of the sources."""
    values = np.array(differences)
    drawn = np.random.default_rng(0).integers(0, len(values), (10_000, len(values)))
    low, high = np.quantile(values[drawn].mean(1), (0.025, 0.975))
    return f"{low:+.3f} to {high:+.3f}"


def _mean(sources: dict[str, Any], names: list[str], key: str) -> float:
    return statistics.fmean(sources[name][key] for name in names)


def _row(entry: dict[str, Any]) -> str:
    between = "" if entry["interval"] is None else "{:+.3f} to {:+.3f}".format(*entry["interval"])
    return f"{entry['this']:.3f} | {entry['other']:.3f} | {entry['difference']:+.3f} | {between}"


def _excludes_zero(entry: dict[str, Any]) -> bool:
    return entry["interval"] is not None and (entry["interval"][0] > 0 or entry["interval"][1] < 0)


def _name(report: dict[str, Any]) -> str:
    return (
        str(report["model"]["name"]) if report["model"] else Path(report["predictions"]["path"]).parent.name
    )


if __name__ == "__main__":
    main()
