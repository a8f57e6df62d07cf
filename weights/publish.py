"""Make the embedded weights out of a training run: choose the image size, measure, write the card.

    python weights/publish.py runs/medrov-n/best.safetensors examples/medrov-n.yaml --data-root DATA

The image size is the one with the best validation score. Then the test split is scored once, all
classes asked for at once on every image; the results go into the weights' metadata, the manifest
and the tables of MODEL_CARD.md. Score calibration and operating points are fitted on the validation split.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from medrov_cli.core.data.dataset import Dataset, load_dataset
from medrov_cli.core.data.source import Split
from medrov_cli.core.evaluation import EvalConfig, run_evaluation
from medrov_cli.core.evaluation.validation import SourceScore, evaluate
from medrov_cli.core.model.checkpoint import load_detector
from medrov_cli.core.runtime.interface import Precision
from medrov_cli.core.runtime.torch_engine import TorchEngine
from medrov_cli.core.training.results import fitness
from medrov_cli.core.weights import (
    load_embeddings,
    load_tensors,
    read_metadata,
    save,
    write_manifest_entry,
)

HERE = Path(__file__).parent
CARD = HERE / "MODEL_CARD.md"
SIZES = (320, 352, 416, 512)

HEADLINE = (
    "bccd",
    "busi",
    "drions",
    "isic2018",
    "kvasir_seg",
    "liver_ct",
    "lung_cxr",
    "monuseg",
    "nerve_us",
)
"""The nine sources that the first trial runs were measured on."""


def main() -> None:
    """Run the script."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("weights", type=Path)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--data-root", type=Path)
    parser.add_argument("--name", default="medrov-n")
    options = parser.parse_args()

    dataset = load_dataset(options.dataset, options.data_root)
    by_size = {size: score(options.weights, dataset, "val", size) for size in SIZES}
    for size, scores in by_size.items():
        say(f"val at {size}: fitness {fitness(scores):.4f}, mAP50 {mean50(scores):.4f}")
    imgsz = max(by_size, key=lambda size: fitness(by_size[size]))
    test = score(options.weights, dataset, "test", imgsz)
    say(f"test at {imgsz}: mAP50 {mean50(test):.4f}, headline {mean50(headline(test)):.4f}")

    metadata = read_metadata(options.weights)
    results = {
        "val_by_imgsz": {str(size): summary(scores) for size, scores in by_size.items()},
        "test": summary(test) | {"headline_map50": mean50(headline(test)), "sources": details(test)},
        "epoch": metadata.results["val"]["epoch"],
    }
    target = HERE / f"{options.name}.safetensors"
    save(
        target,
        load_tensors(options.weights),
        dataclasses.replace(metadata, name=options.name, imgsz=imgsz, results=results),
    )
    fit = EvalConfig(
        options.dataset, options.data_root, "val", weights=str(target), bootstrap=0, fit=target, imgsz=imgsz
    )
    run_evaluation(fit)
    write_manifest_entry(target, source="trained by this project; see MODEL_CARD.md")
    write_card(by_size, imgsz, test)


def score(weights: Path, dataset: Dataset, split: Split, imgsz: int) -> dict[str, SourceScore]:
    """Return the scores of weights on a split at an image size, float32."""
    engine = TorchEngine(load_detector(weights), load_embeddings(weights), imgsz, "cpu", Precision.FP32)
    started = time.monotonic()
    scores = evaluate(engine.infer, dataset, split, imgsz)
    say(f"{split} at {imgsz} px: {time.monotonic() - started:.0f} s")
    return scores


def headline(scores: dict[str, SourceScore]) -> dict[str, SourceScore]:
    """Return the scores of the nine headline sources."""
    return {name: scores[name] for name in HEADLINE if name in scores}


def mean50(scores: dict[str, SourceScore]) -> float:
    """Return the mean over sources of mAP50."""
    return float(np.mean([s.map50 for s in scores.values()]))


def summary(scores: dict[str, SourceScore]) -> dict[str, Any]:
    """Return the means over sources."""
    return {
        "map50": round(mean50(scores), 4),
        "map50_95": round(float(np.mean([s.map50_95 for s in scores.values()])), 4),
        "fitness": round(fitness(scores), 4),
    }


def details(scores: dict[str, SourceScore]) -> dict[str, Any]:
    """Return every source and class."""
    return {
        name: {
            "images": s.images,
            "map50": round(s.map50, 4),
            "map50_95": round(s.map50_95, 4),
            "classes": {c: [round(v.ap50, 4), round(v.ap, 4)] for c, v in s.classes.items()},
        }
        for name, s in scores.items()
    }


def write_card(by_size: dict[int, dict[str, SourceScore]], imgsz: int, test: dict[str, SourceScore]) -> None:
    """Rewrite the tables of the card between their markers."""
    sizes = ["| side, pixels | mAP50 | mAP50-95 | fitness |", "|---|---|---|---|"]
    for size, scores in by_size.items():
        row = summary(scores)
        mark = " **(chosen)**" if size == imgsz else ""
        sizes.append(f"| {size}{mark} | {row['map50']:.3f} | {row['map50_95']:.3f} | {row['fitness']:.3f} |")
    table = ["| source | test images | class | mAP50 | mAP50-95 |", "|---|---|---|---|---|"]
    for name, source in sorted(test.items(), key=lambda item: (item[0] not in HEADLINE, item[0])):
        star = " *" if name in HEADLINE else ""
        table.append(
            f"| {name}{star} | {source.images} | | **{source.map50:.3f}** | **{source.map50_95:.3f}** |"
        )
        if len(source.classes) > 1:
            for label, value in source.classes.items():
                table.append(f"| | | {label} | {value.ap50:.3f} | {value.ap:.3f} |")
        else:
            table[-1] = table[-1].replace("| | **", f"| {next(iter(source.classes))} | **", 1)
    nine, every = summary(headline(test)), summary(test)
    table.append(f"| mean of the nine marked * | | | **{nine['map50']:.3f}** | **{nine['map50_95']:.3f}** |")
    table.append(f"| mean of all {len(test)} | | | {every['map50']:.3f} | {every['map50_95']:.3f} |")
    text = CARD.read_text(encoding="utf-8")
    for marker, lines in (("sizes", sizes), ("test", table)):
        start, end = f"<!-- {marker} -->\n", f"<!-- /{marker} -->"
        before, rest = text.split(start)
        text = before + start + "\n".join(lines) + "\n" + end + rest.split(end)[1]
    CARD.write_text(text, encoding="utf-8")


def say(text: str) -> None:
    """Report progress."""
    sys.stderr.write(text + "\n")


if __name__ == "__main__":
    main()
