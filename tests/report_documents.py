"""Made-up documents ``medrov.eval/1``: every section filled, or hardly anything known."""

from __future__ import annotations

from typing import Any

import numpy as np

HOSTILE = "</script><script>document.title='taken'</script>\"' onload=\"x\" $\\frac{1}{2}$ & ]]>"
"""A class name that tries to become a part of the page, of an attribute, and a formula."""

RATES = [0.125, 0.25, 0.5, 1, 2, 4, 8]
_AP_KEYS = ("ap", "ap50", "ap75", "ap_small", "ap_medium", "ap_large", "ar_1", "ar_10", "ar_max")


def full_report(classes: int = 5, seed: int = 0) -> dict[str, Any]:
    """Return a report with every section, ``classes`` classes the first of which is hostile, and nulls."""
    rng = np.random.default_rng(seed)
    organs = [f"organ number {i}" + " of the upper trunk" * (i % 4 == 3) for i in range(classes)]
    names = [HOSTILE, "_hidden", *organs][:classes]
    return {
        "schema": "medrov.eval/1",
        "notice": "Research use only; not a medical device.",
        "created_by": "medrov 0.0",
        "dataset": {
            "name": "mini <b>",
            "path": "/data/mini.yaml",
            "split": "test",
            "images": 1234,
            "boxes": 4321,
            "cases": 77,
            "sources": 3,
            "classes": classes,
            "truth_sha256": "ab" * 32,
        },
        "model": {
            "name": "medrov-n",
            "sha256": "cd" * 32,
            "imgsz": 416,
            "text_encoder": "minilm",
            "engine": "torch",
        },
        "predictions": {"path": None, "detections": 9999, "sha256": None},
        "settings": {"conf": 0.001, "max_det": 300, "resume": False, "sizes": [32, 96], "seed": 0},
        "warnings": ["3 images have no case <i>identifier</i>."],
        "coco": {"presence": _coco(rng, names), "plain": _coco(rng, names)},
        "open_vocabulary": {
            "base": {"classes": 3, "ap": 0.5, "ap50": 0.71234},
            "novel": {"classes": 2, "ap": 0.25, "ap50": 0.41},
            "harmonic": {"ap": 0.333, "ap50": 0.52},
        },
        "nms_ap": {"iou": 0.7, "ap": 0.45, "ap50": 0.65, "ap_drop": 0.05, "ap50_drop": None},
        "synonyms": {
            "mean_ap50": 0.6,
            "worst_ap50": 0.3,
            "canonical_ap50": 0.7,
            "kept": 0.857,
            "classes": {
                name: {"names": {"x": 0.5, "y<": None}, "mean": 0.5, "worst": 0.5, "spread": 0.0}
                for name in names[:2]
            },
        },
        "froc": _froc(rng, names),
        "volumes": _volumes(names),
        "calibration": _calibration(names),
        "absent": _absent(rng, names),
        "operating_points": {
            "origin": "validation split",
            "macro_f1": 0.712,
            "best_macro_f1": 0.733,
            "classes": {
                name: {
                    "threshold": 0.2,
                    "f1": 0.7,
                    "precision": 0.8,
                    "recall": None,
                    "best_f1": 0.75,
                    "without_limit": {"threshold": 0.1, "f1": 0.72, "precision": 0.7, "recall": 0.741},
                }
                for name in names
            },
        },
        "curves": {"pr": {name: _falling(rng) for name in names}},
        "confusion": _confusion(rng, names),
        "kinds": {
            "images": 40,
            "kind_accuracy": 0.975,
            "modality_accuracy": 1.0,
            "unknown": 1,
            "impossible_per_image": 0.025,
            "searched_classes": 5,
            "kinds": {
                "chest CT": {"images": 20, "kind_accuracy": 0.95, "modality_accuracy": 1.0, "unknown": 1},
                "blood smear": {"images": 20, "kind_accuracy": 1.0, "modality_accuracy": 1.0, "unknown": 0},
            },
            "confused": [{"kind": "chest CT", "as": "abdominal CT", "images": 1}],
        },
        "sizes": {
            "edges_px": [0, 16, 32, 64, 128, None],
            "truths": [12, 80, 200, 90, 0],
            "found": [2, 40, 180, 88, 0],
            "false_positives": [40, 30, 22, 9, 0],
        },
        "comparison": {
            "with": "other.json",
            "samples": 1000,
            "unit": "case",
            "metrics": {
                "ap50": {"this": 0.7, "other": 0.6, "difference": 0.1, "interval": [0.02, 0.18]},
                "cpm": {"this": 0.5, "other": 0.6, "difference": -0.1, "interval": [-0.2, -0.01]},
                "ap": {"this": 0.5, "other": 0.51, "difference": -0.01, "interval": [-0.05, 0.03]},
            },
            "classes": {
                names[0]: {"this": 0.5, "other": None, "difference": None, "interval": None},
            },
        },
    }


def empty_report() -> dict[str, Any]:
    """Return a report of predictions from a file of which hardly anything is defined."""
    report: dict[str, Any] = dict.fromkeys(full_report())
    return report | {
        "schema": "medrov.eval/1",
        "notice": "Research use only; not a medical device.",
        "dataset": {"name": "void", "path": "void.yaml", "split": "test", "images": 0},
        "coco": {"presence": {"macro": dict.fromkeys(_AP_KEYS), "classes": {}}, "plain": None},
        "warnings": [],
    }


def _ap(rng: np.random.Generator) -> dict[str, Any]:
    values = {key: float(rng.uniform(0.1, 0.9)) for key in _AP_KEYS}
    return {**values, "ap_small": None}


def _coco(rng: np.random.Generator, names: list[str]) -> dict[str, Any]:
    def counts() -> dict[str, int]:
        return {"truths": int(rng.integers(5, 5000)), "images": int(rng.integers(5, 900))}

    return {
        **{key: _ap(rng) for key in ("macro", "micro", "macro_sources", "macro_modalities")},
        "classes": {name: {**_ap(rng), **counts()} for name in names},
        "sources": {
            f"source_{i}": {
                **_ap(rng),
                "modality": ("CT", "MRI", "endoscopy")[i % 3],
                **counts(),
                "classes": {name: _ap(rng) for name in names[i::3]},
            }
            for i in range(3)
        },
        "modalities": {name: {**_ap(rng), **counts()} for name in ("CT", "MRI", "endoscopy")},
    }


def _volumes(names: list[str]) -> dict[str, Any]:
    aps = {"0.1": 0.625, "0.5": None}
    figures = {"ap": aps, "sensitivity": [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7], "cpm": 0.4}
    own = {
        **figures,
        "truths": 12,
        "volumes": 9,
        "findings": 31,
        "ap_intervals": {"0.1": [0.5, 0.7], "0.5": None},
        "interval": [0.3, 0.5],
        "at_threshold": {"threshold": 0.2, "findings": 15, "recall": 0.5, "precision": 0.4},
    }
    return {
        "volumes": 9,
        "left_out": 1,
        "least_score": 0.05,
        "hit": "centre within the radius",
        "rates": RATES,
        "classes": dict.fromkeys(names, own),
        "mean": {**figures, "recall": 0.5, "precision": 0.4},
        "bootstrap": {"unit": "case", "units": 7, "samples": 1000},
    }


def _froc(rng: np.random.Generator, names: list[str]) -> dict[str, Any]:
    classes = {}
    for name in names:
        fppi = np.sort(rng.uniform(0, 10, 500)).tolist()
        sensitivity = (np.sqrt(np.linspace(0, 1, 500)) * rng.uniform(0.5, 0.98)).tolist()
        classes[name] = {
            "truths": 50,
            "images": 40,
            "sensitivity": [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, None],
            "cpm": 0.4,
            "interval": [0.3, 0.5],
            "curve": {"false_positives_per_image": fppi, "sensitivity": sensitivity},
        }
    return {
        "hit": "IoU of at least 0.5",
        "rates": RATES,
        "classes": classes,
        "mean": {
            "sensitivity": [0.2, 0.3, 0.42, 0.53, 0.64, 0.7, 0.75],
            "intervals": [[0.1, 0.3], [0.2, 0.4], [0.32, 0.5], [0.4, 0.6], [0.55, 0.7], [0.6, 0.8], None],
            "cpm": 0.506,
            "interval": [0.441, 0.571],
        },
        "bootstrap": {"unit": "case", "units": 77, "samples": 1000},
    }


def _calibration(names: list[str]) -> dict[str, Any]:
    bins = [
        {
            "low": i / 15,
            "high": (i + 1) / 15,
            "count": 4000 // (1 + i),
            "confidence": (i + 0.5) / 15,
            "precision": ((i + 0.5) / 15) ** 1.5,
        }
        for i in range(14)
    ]
    bins.append({"low": 14 / 15, "high": 1.0, "count": 0, "confidence": None, "precision": None})
    return {
        "iou": 0.5,
        "min_score": 0.01,
        "detections": 12345,
        "d_ece": 0.0873,
        "reliability": bins,
        "classes": {name: {"d_ece": None, "detections": 0} for name in names},
    }


def _absent(rng: np.random.Generator, names: list[str]) -> dict[str, Any]:
    thresholds = [0.05, 0.1, 0.25, 0.5, 0.75, 0.9]
    falling = np.array([4, 2.5, 1.2, 0.4, 0.1, 0.02])
    return {
        "thresholds": thresholds,
        "false_positives_per_image": falling.tolist(),
        "at_operating_points": 0.31,
        "images": 300,
        "classes": {
            name: {
                "images": 100,
                "false_positives_per_image": (falling * rng.uniform(0.01, 0.4)).tolist(),
                "at_operating_point": 0.02,
            }
            for name in names
        },
    }


def _confusion(rng: np.random.Generator, names: list[str]) -> dict[str, Any]:
    size = len(names) + 1
    counts = rng.integers(0, 4, (size, size)) * rng.integers(0, 2, (size, size))
    counts = counts + np.diag(rng.integers(10, 60, size))
    counts[-1, -1] = 0
    return {
        "labels": [*names, "background"],
        "counts": counts.tolist(),
        "iou": 0.5,
        "thresholds": "operating points",
    }


def _falling(rng: np.random.Generator) -> list[float]:
    return np.clip(1 - np.linspace(0, 1, 101) ** rng.uniform(0.5, 6), 0, 1).tolist()
