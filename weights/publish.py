"""Make the embedded weights out of a training run: choose the image size, measure, write the card.

    python weights/publish.py runs/medrov-n/best.safetensors examples/medrov-n.yaml --data-root DATA

The image size is the one with the best validation score. Score calibration and operating points are fitted
on the validation split; with ``--absent-limit`` thresholds rise until classes that are not in an image are
found there that rarely. Then the test split is scored once, all classes asked for at once on every image.
The results go into the weights' metadata, the manifest and the tables of MODEL_CARD.md.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
from pathlib import Path
from typing import Any

import numpy as np

from medrov_cli.core.evaluation.run import run_evaluation
from medrov_cli.core.settings.evaluate import EvaluateSettings
from medrov_cli.core.settings.groups import COCO_BATCH, RuntimeSettings
from medrov_cli.core.settings.io_groups import DatasetSettings
from medrov_cli.core.training.results import FITNESS_MIN_IMAGES
from medrov_cli.core.weights.catalogue import write_manifest_entry
from medrov_cli.core.weights.container import load_tensors, read_metadata, save

HERE = Path(__file__).parent
CARD = "MODEL_CARD.md"
SIZES = (320, 352, 384, 416, 448, 512)

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
    parser.add_argument("--absent-limit", type=float)
    parser.add_argument("--output", type=Path, default=HERE, help="Folder of the weights and of the card.")
    options = parser.parse_args()

    data = DatasetSettings(dataset=options.dataset, data_root=options.data_root, split="val")
    base = EvaluateSettings(data=data, weights=str(options.weights), bootstrap=0)
    by_size = {size: evaluate(dataclasses.replace(base, runtime=at_size(size))) for size in SIZES}
    imgsz = max(by_size, key=lambda size: fitness(by_size[size]))
    trained = read_metadata(options.weights)
    target = options.output / f"{options.name}.safetensors"
    draft = dataclasses.replace(trained, name=options.name, imgsz=imgsz, results={})
    save(target, load_tensors(options.weights), draft)
    evaluate(
        dataclasses.replace(
            base,
            weights=str(target),
            runtime=at_size(imgsz),
            fit=target,
            absent_limit=options.absent_limit,
        )
    )
    test = evaluate(
        dataclasses.replace(
            base,
            data=dataclasses.replace(data, split="test"),
            weights=str(target),
            runtime=at_size(imgsz),
            synonyms=True,
            bootstrap=1000,
        )
    )
    results = {
        "val_by_imgsz": {str(size): summary(report) for size, report in by_size.items()},
        "test": summary(test) | {"headline_map50": headline(test)[0], "sources": details(test)},
        "epoch": trained.results["val"]["epoch"],
    }
    save(target, load_tensors(target), dataclasses.replace(read_metadata(target), results=results))
    write_manifest_entry(target, source="trained by this project; see MODEL_CARD.md")
    write_card(options.output / CARD, by_size, imgsz, test)


def at_size(imgsz: int) -> RuntimeSettings:
    """Return the settings of the engine for a side of the model input."""
    return RuntimeSettings(imgsz=imgsz, batch=COCO_BATCH)


def evaluate(config: EvaluateSettings) -> dict[str, Any]:
    """Return the report of an evaluation."""
    report = run_evaluation(config).report
    say(f"{config.data.split} at {config.runtime.imgsz} px: {summary(report)}")
    return report


def means(report: dict[str, Any]) -> dict[str, Any]:
    """Return COCO's figures, presence-aware."""
    found: dict[str, Any] = report["coco"]["presence"]
    return found


def fitness(report: dict[str, Any]) -> float:
    """Return what decides between image sizes, as between epochs: the larger sources' mAP50 and mAP50-95."""
    judges = [own for own in means(report)["sources"].values() if own["images"] >= FITNESS_MIN_IMAGES]
    return float(np.mean([(own["ap50"] + own["ap"]) / 2 for own in judges]))


def headline(report: dict[str, Any]) -> tuple[float, float]:
    """Return mean mAP50 and mAP50-95 of the nine headline sources."""
    nine = [means(report)["sources"][name] for name in HEADLINE]
    ap50, ap = (float(np.mean([own[key] for own in nine])) for key in ("ap50", "ap"))
    return round(ap50, 4), round(ap, 4)


def summary(report: dict[str, Any]) -> dict[str, Any]:
    """Return the means over sources."""
    mean = means(report)["macro_sources"]
    return {
        "map50": round(mean["ap50"], 4),
        "map50_95": round(mean["ap"], 4),
        "fitness": round(fitness(report), 4),
    }


def details(report: dict[str, Any]) -> dict[str, Any]:
    """Return every source and class."""
    return {
        name: {
            "images": own["images"],
            "map50": round(own["ap50"], 4),
            "map50_95": round(own["ap"], 4),
            "classes": {c: [round(v["ap50"], 4), round(v["ap"], 4)] for c, v in own["classes"].items()},
        }
        for name, own in means(report)["sources"].items()
    }


def write_card(card: Path, by_size: dict[int, dict[str, Any]], imgsz: int, test: dict[str, Any]) -> None:
    """Rewrite the tables of the card between their markers."""
    text = (HERE / CARD).read_text(encoding="utf-8")
    tables = {
        "sizes": size_table(by_size, imgsz),
        "test": source_table(test),
        "modalities": modality_table(test),
        "behaviour": behaviour_list(test),
    }
    for marker, lines in tables.items():
        start, end = f"<!-- {marker} -->\n", f"<!-- /{marker} -->"
        before, rest = text.split(start)
        text = before + start + "\n".join(lines) + "\n" + end + rest.split(end)[1]
    card.write_text(text, encoding="utf-8")


def size_table(by_size: dict[int, dict[str, Any]], imgsz: int) -> list[str]:
    """Return the table of image sizes."""
    lines = ["| side, pixels | mAP50 | mAP50-95 | fitness |", "|---|---|---|---|"]
    for size, report in by_size.items():
        row = summary(report)
        mark = " **(chosen)**" if size == imgsz else ""
        lines.append(f"| {size}{mark} | {row['map50']:.3f} | {row['map50_95']:.3f} | {row['fitness']:.3f} |")
    return lines


def source_table(test: dict[str, Any]) -> list[str]:
    """Return the table of sources and their classes."""
    lines = ["| source | test images | class | mAP50 | mAP50-95 |", "|---|---|---|---|---|"]
    sources = means(test)["sources"]
    for name, own in sorted(sources.items(), key=lambda item: (item[0] not in HEADLINE, item[0])):
        star = " *" if name in HEADLINE else ""
        classes = own["classes"]
        only = next(iter(classes)) + " " if len(classes) == 1 else ""
        lines.append(
            f"| {name}{star} | {own['images']} | {only}| **{own['ap50']:.3f}** | **{own['ap']:.3f}** |"
        )
        if len(classes) > 1:
            lines += [f"| | | {label} | {v['ap50']:.3f} | {v['ap']:.3f} |" for label, v in classes.items()]
    nine, every = headline(test), summary(test)
    lines.append(f"| mean of the nine marked * | | | **{nine[0]:.3f}** | **{nine[1]:.3f}** |")
    lines.append(f"| mean of all {len(sources)} | | | {every['map50']:.3f} | {every['map50_95']:.3f} |")
    return lines


def modality_table(test: dict[str, Any]) -> list[str]:
    """Return the table of modalities."""
    lines = ["| modality | test images | mAP50 | mAP50-95 |", "|---|---|---|---|"]
    lines += [
        f"| {name} | {own['images']} | {own['ap50']:.3f} | {own['ap']:.3f} |"
        for name, own in means(test)["modalities"].items()
    ]
    return lines


def behaviour_list(test: dict[str, Any]) -> list[str]:
    """Return what the detector does at its own thresholds, with its own scores, under other names."""
    absent, points, calibration = test["absent"], test["operating_points"], test["calibration"]
    low, high = test["coco"]["map50_interval"]
    mean, rate = means(test)["macro"]["ap50"], absent["at_operating_points"]
    return [
        f"- mAP50, mean of classes: {mean:.3f} (95 %, bootstrap over patients: {low:.3f} to {high:.3f}).",
        f"- At its own thresholds: F1 {points['macro_f1']:.3f}, mean of classes.",
        f"- Asked for all classes: {rate:.3f} false positives an image of classes that are not in it.",
        f"- Other names of the classes keep {100 * test['synonyms']['kept']:.1f} % of the AP50 of their own.",
        f"- D-ECE of calibrated scores: {calibration['d_ece']:.3f} (raw: {calibration['raw_d_ece']:.3f}).",
    ]


def say(text: str) -> None:
    """Report progress."""
    sys.stderr.write(text + "\n")


if __name__ == "__main__":
    main()
