"""Accuracy of pseudo-labels: boxes of one class are removed from half of the images, and predicted.

    python benchmarks/hidden_boxes.py make DATA --output runs/hidden
    medrov train runs/hidden/dataset.yaml -o runs/hidden-model --imgsz 320 --epochs 60 --optimizer adamw
    medrov pseudolabel runs/hidden/dataset.yaml --weights runs/hidden-model/best.safetensors \
        --score 0.9 --output runs/pseudo-90
    python benchmarks/hidden_boxes.py score runs/hidden runs/pseudo-90

``make`` divides each of three sources (bccd, codras_fundus, curvas_ct) into two. One keeps all boxes. The
other, ``<name>_hidden``, contains every second training case without the boxes of one class, which its
presence table marks as possible but not annotated. Validation and test images stay in the first. ``score``
compares the added boxes with the hidden ones, at an IoU of 0.5.

It also writes two datasets for comparisons of trainings: ``negative.yaml`` has the same boxes, and a table
that marks the hidden class as absent (training without a presence table); ``whole.yaml`` has all boxes.
"""

from __future__ import annotations

import argparse
import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from medrov_cli.core.records.boxes import iou_matrix, xywh_to_xyxy

HIDDEN = {"bccd": "red blood cell", "codras_fundus": "optic disc", "curvas_ct": "liver"}
SUFFIX = "_hidden"
WHOLE = "_whole"
IOU = 0.5


def main() -> None:
    """Run the script."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    steps = parser.add_subparsers(dest="step", required=True)
    make_step = steps.add_parser("make")
    make_step.add_argument("data", type=Path)
    make_step.add_argument("--output", type=Path, required=True)
    score_step = steps.add_parser("score")
    score_step.add_argument("dataset", type=Path)
    score_step.add_argument("pseudo", type=Path)
    options = parser.parse_args()
    if options.step == "make":
        make(options.data, options.output)
    else:
        print(score(options.dataset, options.pseudo))


def make(data: Path, output: Path) -> None:
    """Write the sources, their presence tables and the three datasets."""
    documents: dict[str, dict[str, Any]] = {}
    for name, class_name in HIDDEN.items():
        coco = json.loads((data / name / "annotations.json").read_text(encoding="utf-8"))
        cases = sorted({case_of(image) for image in coco["images"] if image["split"] == "train"})
        chosen = set(cases[1::2])
        lost = [i for i in coco["images"] if i["split"] == "train" and case_of(i) in chosen]
        kept = [i for i in coco["images"] if i not in lost]
        whole = part_of(coco, lost)
        truth, rest = hide(whole, class_name)
        documents |= {name: part_of(coco, kept), name + SUFFIX: rest, name + WHOLE: whole}
        write(output / f"{name}_truth.json", {"class": class_name, "annotations": truth})
    for name, coco in documents.items():
        write(output / name / "annotations.json", coco)
        images = output / name / "images"
        if not images.exists():
            stem = name.removesuffix(SUFFIX).removesuffix(WHOLE)
            images.symlink_to((data / stem / "images").absolute(), target_is_directory=True)
    hidden = [name for name in documents if not name.endswith(WHOLE)]
    whole_ones = [name for name in documents if not name.endswith(SUFFIX)]
    write_dataset(output, "dataset", {name: documents[name] for name in hidden}, silent=0)
    write_dataset(output, "negative", {name: documents[name] for name in hidden}, silent=-1)
    write_dataset(output, "whole", {name: documents[name] for name in whole_ones}, silent=0)


def hide(coco: dict[str, Any], class_name: str) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Return the annotations of a class, and the document without it."""
    (class_id,) = [c["id"] for c in coco["categories"] if c["name"] == class_name]
    rest = coco | {
        "annotations": [a for a in coco["annotations"] if a["category_id"] != class_id],
        "categories": [c for c in coco["categories"] if c["id"] != class_id],
    }
    return [a for a in coco["annotations"] if a["category_id"] == class_id], rest


def case_of(image: dict[str, Any]) -> str:
    """Return the patient or volume of an image, or the image itself."""
    return str(image.get("case") or image["file_name"])


def part_of(coco: dict[str, Any], images: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the document of a part of the images."""
    ids = {image["id"] for image in images}
    return coco | {"images": images, "annotations": [a for a in coco["annotations"] if a["image_id"] in ids]}


def write(path: Path, document: dict[str, Any]) -> None:
    """Write JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document), encoding="utf-8")


def write_dataset(output: Path, stem: str, documents: dict[str, dict[str, Any]], *, silent: int) -> None:
    """Write a dataset and its table: 1 for own classes, ``silent`` for the hidden one, else -1."""
    names = {source: [c["name"] for c in coco["categories"]] for source, coco in documents.items()}
    classes = list(dict.fromkeys(name for own in names.values() for name in own))
    table_name = "presence.csv" if stem == "dataset" else f"{stem}_presence.csv"
    with (output / table_name).open("w", encoding="utf-8", newline="") as stream:
        table = csv.writer(stream)
        table.writerow(["dataset", *classes])
        for source, own in names.items():
            hidden = HIDDEN[source.removesuffix(SUFFIX)] if source.endswith(SUFFIX) else None
            table.writerow([source, *(1 if c in own else silent if c == hidden else -1 for c in classes)])
    settings = {"name": "hidden", "sources": list(documents), "presence": table_name}
    (output / f"{stem}.yaml").write_text(yaml.safe_dump(settings, sort_keys=False), encoding="utf-8")


def score(dataset: Path, pseudo: Path) -> str:
    """Return precision and recall of the added boxes, as a Markdown table."""
    lines = [
        "| source | class | hidden | added | correct | precision | recall |",
        "|---|---|---|---|---|---|---|",
    ]
    for name in HIDDEN:
        truth = json.loads((dataset / f"{name}_truth.json").read_text(encoding="utf-8"))
        coco = json.loads((pseudo / (name + SUFFIX) / "annotations.json").read_text(encoding="utf-8"))
        added = [a for a in coco["annotations"] if a.get("source") == "pseudo"]
        right = sum(matches(added, truth["annotations"], image["id"]) for image in coco["images"])
        total = len(truth["annotations"])
        precision = f"{right / len(added):.3f}" if added else ""
        counts = f"{total} | {len(added)} | {right}"
        lines.append(f"| {name} | {truth['class']} | {counts} | {precision} | {right / total:.3f} |")
    return "\n".join(lines)


def matches(added: list[dict[str, Any]], truth: list[dict[str, Any]], image_id: int) -> int:
    """Return the number of added boxes of an image that match hidden boxes, by descending score."""
    mine = sorted((a for a in added if a["image_id"] == image_id), key=lambda a: -a["score"])
    true = [a["bbox"] for a in truth if a["image_id"] == image_id]
    if not mine or not true:
        return 0
    found = xywh_to_xyxy(np.array([a["bbox"] for a in mine], dtype=np.float64))
    overlap = iou_matrix(found, xywh_to_xyxy(np.array(true, dtype=np.float64)))
    count = 0
    for row in overlap:
        best = int(row.argmax())
        if row[best] >= IOU:
            count += 1
            overlap[:, best] = 0
    return count


if __name__ == "__main__":
    main()
