"""Publication of weights of a training run: choice of the image size, evaluation, tables of the card.

    python weights/publish.py runs/medrov-n/best.safetensors examples/medrov-n.yaml --data-root DATA

The image size is the smallest whose validation score is within 0.002 of the best, measured on squares. Model
inputs of the shape of the image become the default if they lose at most 0.001 on the validation split. Score
calibration and operating points are fitted on the validation split; with ``--absent-limit`` thresholds are
raised until the false positives of absent classes are below the limit. Then the test split is evaluated once,
with all classes prompted at once on every image, and once with the other shape of inputs, for the difference.
The results are written to the weights' metadata, the manifest and the tables of the model card. The ranges
for int8 and the losses of bf16 and int8 are measured by ``calibrate_int8.py``.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from medrov_cli.core.evaluation.run import run_evaluation
from medrov_cli.core.settings.evaluate import EvaluateSettings
from medrov_cli.core.settings.groups import COCO_BATCH, RuntimeSettings
from medrov_cli.core.settings.io_groups import DatasetSettings, OutputSettings
from medrov_cli.core.training.results import FITNESS_MIN_IMAGES
from medrov_cli.core.weights.catalogue import write_manifest_entry
from medrov_cli.core.weights.container import load_tensors, read_metadata, save

HERE = Path(__file__).parent
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
"""Nine sources of the first trial runs."""


FIRST_EDITION = frozenset(
    yaml.safe_load((HERE.parent / "benchmarks" / "first_edition.yaml").read_text(encoding="utf-8"))["sources"]
)
"""The sources of the first edition of medrov-n."""

SYNTHETIC = "phantom_"
"""Beginning of the names of sources with synthetic images, which are left out of every mean."""

PLATEAU = 0.002
"""Difference of validation scores that is not worth the time of a larger image size."""

SHAPE_LOSS = 0.001
"""Largest loss of the validation score by inputs of the shape of the image."""

MEASURABLE = 10
"""Smallest number of test images of a source, or of test objects of a class, for a reliable figure."""


def main() -> None:
    """Run the script."""
    import calibrate_int8  # it imports this file

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("weights", type=Path)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--data-root", type=Path)
    parser.add_argument("--name", default="medrov-n")
    parser.add_argument("--absent-limit", type=float)
    parser.add_argument("--card", default="MODEL_CARD.md", help="Name of the card, in this folder.")
    parser.add_argument("--output", type=Path, default=HERE, help="Folder of the weights and of the card.")
    parser.add_argument(
        "--sizes", type=int, nargs="+", default=SIZES, help="Sides of the model input to try, in pixels."
    )
    parser.add_argument("--report", type=Path, help="Folder for the report on the test split.")
    options = parser.parse_args()

    data = DatasetSettings(dataset=options.dataset, data_root=options.data_root, split="val")
    base = EvaluateSettings(data=data, weights=str(options.weights), bootstrap=0)
    by_size = {
        size: evaluate(dataclasses.replace(base, runtime=at_size(size, rectangles=False)))
        for size in options.sizes
    }
    scores = {size: fitness(report) for size, report in by_size.items()}
    imgsz = min(size for size, score in scores.items() if score >= max(scores.values()) - PLATEAU)
    by_shape = {
        False: by_size[imgsz],
        True: evaluate(dataclasses.replace(base, runtime=at_size(imgsz, rectangles=True))),
    }
    rectangles = not loses(by_shape[False], by_shape[True])
    trained = read_metadata(options.weights)
    target = options.output / f"{options.name}.safetensors"
    metadata = dataclasses.replace(trained, name=options.name, imgsz=imgsz, rectangles=rectangles, results={})
    save(target, load_tensors(options.weights), metadata)
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
            output=OutputSettings(folder=options.report, overwrite=True),
        )
    )
    other = evaluate(
        dataclasses.replace(
            base,
            data=dataclasses.replace(data, split="test"),
            weights=str(target),
            runtime=at_size(imgsz, rectangles=not rectangles),
        )
    )
    tested = {rectangles: test, not rectangles: other}
    results = {
        "val_by_imgsz": {str(size): summary(report) for size, report in by_size.items()},
        "by_shape": {
            name: {"val": summary(by_shape[shape]), "test": summary(tested[shape])}
            for name, shape in (("squares", False), ("rectangles", True))
        },
        "test": summary(test) | {"groups": group_results(test), "sources": details(test)},
        "epoch": trained.results["val"]["epoch"],
    }
    save(target, load_tensors(target), dataclasses.replace(read_metadata(target), results=results))
    calibrate_int8.keep(target, calibrate_int8.calibrate(target, data, calibrate_int8.IMAGES))
    formats = calibrate_int8.measure_losses(target, dataclasses.replace(data, split="test"))
    calibrate_int8.keep(target, formats)
    write_manifest_entry(target, source=f"trained by this project; see {options.card}")
    shapes = shape_table(results["by_shape"], rectangles=rectangles)
    write_card(HERE / options.card, options.output / options.card, by_size, imgsz, test, shapes)


def at_size(imgsz: int, *, rectangles: bool | None = None) -> RuntimeSettings:
    """Return the settings of the engine for a size of the model input; by default in the weights' shape."""
    return RuntimeSettings(imgsz=imgsz, rectangles=rectangles, batch=COCO_BATCH)


def loses(squares: dict[str, Any], rectangles: dict[str, Any]) -> bool:
    """Return whether inputs of the shape of the image find less than squares."""
    return fitness(squares) - fitness(rectangles) > SHAPE_LOSS


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
    """Return the criterion of image sizes and epochs: mAP50 and mAP50-95 of the larger sources."""
    counted = [own for own in means(report)["sources"].values() if own["images"] >= FITNESS_MIN_IMAGES]
    return float(np.mean([(own["ap50"] + own["ap"]) / 2 for own in counted]))


def real_sources(report: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the figures of the sources with real images, by name."""
    sources = means(report)["sources"]
    return {name: own for name, own in sources.items() if not name.startswith(SYNTHETIC)}


def mean_of(sources: Iterable[dict[str, Any]]) -> tuple[float, float]:
    """Return mean mAP50 and mAP50-95 of sources."""
    rows = [(own["ap50"], own["ap"]) for own in sources]
    ap50, ap = np.mean(rows, axis=0) if rows else (float("nan"), float("nan"))
    return float(ap50), float(ap)


def groups(report: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """Return the figures of the sources in each group, by its description."""
    real = real_sources(report)
    new = {name: own for name, own in real.items() if name not in FIRST_EDITION}
    synthetic = [own for name, own in means(report)["sources"].items() if name.startswith(SYNTHETIC)]
    return {
        "all real sources": list(real.values()),
        "the nine sources marked *": [real[name] for name in HEADLINE if name in real],
        "sources of the first edition": [own for name, own in real.items() if name in FIRST_EDITION],
        f"new sources with {MEASURABLE} test images or more": [
            own for own in new.values() if own["images"] >= MEASURABLE
        ],
        f"new sources with fewer than {MEASURABLE}": [
            own for own in new.values() if own["images"] < MEASURABLE
        ],
        "synthetic images, in none of the means above": synthetic,
    }


def summary(report: dict[str, Any]) -> dict[str, Any]:
    """Return the means over sources."""
    mean = mean_of(real_sources(report).values())
    return {
        "map50": round(mean[0], 4),
        "map50_95": round(mean[1], 4),
        "fitness": round(fitness(report), 4),
    }


def group_results(report: dict[str, Any]) -> dict[str, Any]:
    """Return number of sources, mAP50 and mAP50-95 of each group that has sources."""
    return {
        name: {"sources": len(own), "map50": round(mean_of(own)[0], 4), "map50_95": round(mean_of(own)[1], 4)}
        for name, own in groups(report).items()
        if own
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


def write_card(
    template: Path,
    card: Path,
    by_size: dict[int, dict[str, Any]],
    imgsz: int,
    test: dict[str, Any],
    shapes: list[str],
) -> None:
    """Rewrite the tables of the card between their markers."""
    text = template.read_text(encoding="utf-8")
    tables = {
        "sizes": size_table(by_size, imgsz),
        "shapes": shapes,
        "groups": group_table(test),
        "test": source_table(test),
        "modalities": modality_table(test),
        "behaviour": behaviour_list(test),
        "weak": weak_list(test),
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


def shape_table(by_shape: dict[str, dict[str, Any]], *, rectangles: bool) -> list[str]:
    """Return the table of shapes of the model input."""
    lines = ["| model input | split | mAP50 | mAP50-95 |", "|---|---|---|---|"]
    for name, splits in by_shape.items():
        mark = " **(default)**" if (name == "rectangles") is rectangles else ""
        for split, row in splits.items():
            lines.append(f"| {name}{mark} | {split} | {row['map50']:.4f} | {row['map50_95']:.4f} |")
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
    return lines


def group_table(test: dict[str, Any]) -> list[str]:
    """Return the table of the groups of sources."""
    lines = ["| test sources | number | mAP50 | mAP50-95 |", "|---|---|---|---|"]
    lines += [
        f"| {name} | {own['sources']} | {own['map50']:.3f} | {own['map50_95']:.3f} |"
        for name, own in group_results(test).items()
    ]
    return lines


def weak_list(test: dict[str, Any]) -> list[str]:
    """Return the classes with at least ten test objects that are hardly found."""
    truths = {name: own["truths"] for name, own in test["froc"]["classes"].items()}
    weak = [
        f"{name} {own['ap50']:.2f}"
        for name, own in sorted(means(test)["classes"].items(), key=lambda item: item[1]["ap50"] or 0.0)
        if truths.get(name, 0) >= MEASURABLE and own["ap50"] is not None and own["ap50"] < 0.3
    ]
    return [
        f"AP50 below 0.3, of classes with {MEASURABLE} test objects or more: {', '.join(weak) or 'none'}."
    ]


def modality_table(test: dict[str, Any]) -> list[str]:
    """Return the table of modalities."""
    lines = ["| modality | test images | mAP50 | mAP50-95 |", "|---|---|---|---|"]
    lines += [
        f"| {name} | {own['images']} | {own['ap50']:.3f} | {own['ap']:.3f} |"
        for name, own in means(test)["modalities"].items()
    ]
    return lines


def behaviour_list(test: dict[str, Any]) -> list[str]:
    """Return the figures at the thresholds of the classes, with calibrated scores, and with synonyms."""
    absent, points, calibration = test["absent"], test["operating_points"], test["calibration"]
    low, high = test["coco"]["map50_interval"]
    own, best = points["macro_f1"], points["best_macro_f1"]
    mean, rate = means(test)["macro"]["ap50"], absent["at_operating_points"]
    return [
        f"- mAP50, mean of classes: {mean:.3f} (95 %, bootstrap over patients: {low:.3f} to {high:.3f}).",
        f"- At the thresholds of the classes: mean F1 {own:.3f}; at the best for these images {best:.3f}.",
        *kind_list(test["kinds"]),
        f"- With all classes prompted: {rate:.3f} false positives of absent classes per image.",
        f"- Synonyms of the classes reach {100 * test['synonyms']['kept']:.1f} % of the AP50 of class names.",
        f"- D-ECE of calibrated scores: {calibration['d_ece']:.3f} (raw: {calibration['raw_d_ece']:.3f}).",
    ]


def kind_list(kinds: dict[str, Any] | None) -> list[str]:
    """Return the accuracy of image kinds, if the weights classify them."""
    if kinds is None:
        return []
    kind, modality = 100 * kinds["kind_accuracy"], 100 * kinds["modality_accuracy"]
    rate = kinds["impossible_per_image"]
    return [
        f"- Image kind right: {kind:.1f} % of the test images; modality right: {modality:.1f} %.",
        f"- Without named classes: {rate:.3f} false positives of impossible classes per image.",
    ]


def say(text: str) -> None:
    """Report progress."""
    sys.stderr.write(text + "\n")


if __name__ == "__main__":
    main()
