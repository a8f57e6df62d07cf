"""Compare what two states of weights show by default, class by class, as a Markdown table.

::

    medrov eval DATA.yaml --split test --weights old.safetensors --output old/
    medrov eval DATA.yaml --split test --weights new.safetensors --output new/
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
    parser.add_argument("reports", nargs=2, type=Path)
    parser.add_argument("--names", default="before,after", help="Names of the two, separated by a comma.")
    options = parser.parse_args(arguments)
    before, after = (json.loads(path.read_text(encoding="utf-8")) for path in options.reports)
    names = options.names.split(",")
    sys.stdout.write("\n".join(table(before, after, names)) + "\n")
    return 0


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
