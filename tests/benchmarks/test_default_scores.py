"""The table of what two states of weights show by default."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import default_scores


def report(**classes: tuple[int, float, float, float, float]) -> dict[str, Any]:
    return {
        "froc": {"classes": {name: {"truths": own[0]} for name, own in classes.items()}},
        "operating_points": {
            "classes": {
                name: dict(zip(("f1", "best_f1", "recall", "precision"), own[1:], strict=True))
                for name, own in classes.items()
            }
        },
    }


def test_classes_and_means_side_by_side(tmp_path: Path, script: Callable[..., Any]) -> None:
    before = tmp_path / "before.json"
    before.write_text(json.dumps(report(polyp=(4, 0.2, 0.6, 0.1, 1.0))))
    after = tmp_path / "after.json"
    after.write_text(json.dumps(report(polyp=(4, 0.5, 0.6, 0.4, 0.8), liver=(2, 0.9, 1.0, 0.9, 0.9))))
    done = script(default_scores, before, after, "--names", "old,new")
    assert done.exit_code == 0
    lines = done.stdout.splitlines()
    assert lines[0].startswith(
        "| class | objects | F1 old | best F1 old | recall old | precision old | F1 new"
    )
    assert lines[2] == "| liver | 2 | - | - | - | - | 0.900 | 1.000 | 0.900 | 0.900 |"
    assert lines[3] == "| polyp | 4 | 0.200 | 0.600 | 0.100 | 1.000 | 0.500 | 0.600 | 0.400 | 0.800 |"
    assert lines[4].startswith("| **mean of the classes of both** | 1 classes | 0.200 | 0.600 |")
    assert lines[5].endswith("| - | - | - | - | 0.700 | 0.800 | 0.650 | 0.850 |")
