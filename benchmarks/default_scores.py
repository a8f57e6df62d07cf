"""What weights show by default, class by class, as a Markdown table; or what two states of them show.

::

    medrov eval DATA.yaml --split test --weights old.safetensors --output old/
    medrov eval DATA.yaml --split test --weights new.safetensors --output new/
    python benchmarks/default_scores.py new/report.json --least 10
    python benchmarks/default_scores.py old/report.json new/report.json --names before,after

The figures are those of section ``operating_points`` of the reports: F1, recall and precision at IoU 0.5 with
the thresholds that the weights carry, and the best F1 that any threshold reaches on the same detections.
Classes that the first report does not have are listed with the second alone.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ABSENT = "-"


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table; return the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("reports", nargs="+", type=Path, help="One, or two.")
    parser.add_argument("--least", type=int, default=10, help="Of one report: least objects of a class.")
    parser.add_argument("--names", default="before,after", help="Names of the two, separated by a comma.")
    options = parser.parse_args(arguments)
    if len(options.reports) > 2:
        parser.error("more than two reports")
    reports = [json.loads(path.read_text(encoding="utf-8")) for path in options.reports]
    lines = (
        single_table(reports[0], options.least)
        if len(reports) == 1
        else table(*reports, options.names.split(","))
    )
    sys.stdout.write("\n".join(lines) + "\n")
    return 0


def single_table(report: dict[str, Any], least: int) -> list[str]:
    """Return the lines of the table of one report: classes with at least some objects, and two means."""
    truths = {name: own["truths"] for name, own in report["froc"]["classes"].items()}
    found = report["operating_points"]["classes"]
    shown = [name for name in sorted(found) if truths[name] >= least]
    lines = ["| class | objects | F1 | best F1 | recall | precision |", "|---|---|---|---|---|---|"]
    lines += [f"| {name} | {truths[name]} | {_cells(found[name])} |" for name in shown]
    for title, names in (("mean of these classes", shown), ("mean of all classes", list(found))):
        mean = _mean([found[name] for name in names])
        lines.append(f"| **{title}** | {len(names)} classes | {_cells(mean)} |")
    return lines


def table(before: dict[str, Any], after: dict[str, Any], names: list[str]) -> list[str]:
    """Return the lines of the table, with the means in the last line."""
    truths = {name: own["truths"] for name, own in after["froc"]["classes"].items()}
    old, new = (report["operating_points"]["classes"] for report in (before, after))
    lines = [
        "| class | objects | "
        + " | ".join(f"F1 {n} | best F1 {n} | recall {n} | precision {n}" for n in names)
        + " |",
        "|---" * (2 + 4 * len(names)) + "|",
    ]
    lines += [
        f"| {name} | {truths[name]} | {_cells(old.get(name))} | {_cells(new[name])} |" for name in sorted(new)
    ]
    shared = [name for name in new if name in old]
    for title, chosen in (("mean of the classes of both", shared), ("mean of all classes", list(new))):
        pair = (old if chosen == shared else {}, new)
        cells = " | ".join(_cells(_mean([own[name] for name in chosen if name in own])) for own in pair)
        lines.append(f"| **{title}** | {len(chosen)} classes | {cells} |")
    return lines


def _mean(entries: list[dict[str, float]]) -> dict[str, float] | None:
    if not entries:
        return None
    keys = ("f1", "best_f1", "recall", "precision")
    return {key: sum(entry[key] for entry in entries) / len(entries) for key in keys}


def _cells(entry: dict[str, float] | None) -> str:
    keys = ("f1", "best_f1", "recall", "precision")
    return " | ".join(ABSENT if entry is None else f"{entry[key]:.3f}" for key in keys)


if __name__ == "__main__":
    sys.exit(main())
