"""Classes that are held out of training: the dataset, and their AP from a report of ``medrov eval``.

::

    python benchmarks/novel_classes.py write examples/medrov-n.yaml runs/novel
    medrov train runs/novel/medrov-n.yaml --data-root DATA --output runs/novel/run --name novel \
        --weights runs/coco.safetensors --model n --imgsz 256 --multi-scale 0.2 --epochs 7 --batch 16
    medrov eval runs/novel/medrov-n.yaml --data-root DATA --split test --output runs/novel/test \
        --weights runs/novel/run/best.safetensors
    python benchmarks/novel_classes.py report runs/novel/test/report.json

Near classes have a relative among the classes of the training in the same kind of image; far ones have none.
All of them have ten test objects or more. They are prompted by their texts alone, together with all others.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from pathlib import Path

import numpy as np
import yaml

NEAR = {
    "lung tumor": ("CT", "lung nodule, lung mass"),
    "left atrium": ("CT and MRI", "right atrium, left ventricle"),
    "brain metastasis": ("MRI", "brain tumor"),
    "premolar": ("X-ray", "molar, incisor, upper left first premolar"),
    "lung consolidation": ("X-ray", "ground-glass opacity"),
    "malignant breast tumor": ("ultrasound and MRI", "breast tumor, benign breast tumor"),
    "melanoma skin cancer": ("dermoscopy", "benign skin lesion, atypical nevus"),
    "laparoscopic instrument": ("endoscopy", "surgical instrument, instrument tip"),
    "t lymphocyte": ("histopathology", "lymphocyte"),
    "ki-67 positive nucleus": ("histopathology", "ki-67 negative nucleus"),
    "white blood cell": ("microscopy", "neutrophil, leukemic blast"),
}
"""Modality, and relatives among the classes of the training."""

FAR = {
    "kidney stone": "CT",
    "fetal head": "ultrasound",
    "foot ulcer": "dermoscopy",
    "acne lesion": "dermoscopy",
    "glottis": "endoscopy",
    "mitochondrion": "microscopy",
    "sperm head": "microscopy",
    "fovea": "fundoscopy",
}
"""Modality."""


def main() -> None:
    """Run the script."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    actions = parser.add_subparsers(dest="action", required=True)
    write = actions.add_parser("write", help="Write the dataset.")
    write.add_argument("dataset", type=Path)
    write.add_argument("folder", type=Path)
    report = actions.add_parser("report", help="Print the AP of the classes.")
    report.add_argument("report", type=Path)
    options = parser.parse_args()
    if options.action == "write":
        write_dataset(options.dataset, options.folder)
    else:
        print_table(options.report)


def write_dataset(dataset: Path, folder: Path) -> None:
    """Write a dataset with the classes as ``novel``, beside copies of its tables."""
    document = yaml.safe_load(dataset.read_text(encoding="utf-8"))
    folder.mkdir(parents=True, exist_ok=True)
    for key in ("presence", "kinds"):
        shutil.copyfile(dataset.parent / document[key], folder / document[key])
    document["novel"] = [*NEAR, *FAR]
    text = yaml.safe_dump(document, sort_keys=False, allow_unicode=True)
    (folder / dataset.name).write_text(text, encoding="utf-8")


def print_table(path: Path) -> None:
    """Print AP50 and AP of each class, and the means."""
    classes = json.loads(path.read_text(encoding="utf-8"))["coco"]["presence"]["classes"]
    rows = [(name, "near", where, kin) for name, (where, kin) in NEAR.items()]
    rows += [(name, "far", where, "") for name, where in FAR.items()]
    sys.stdout.write("| class | | modality | known relatives | AP50 | AP50-95 |\n|---|---|---|---|---|---|\n")
    for name, group, where, kin in rows:
        own = classes[name]
        sys.stdout.write(f"| {name} | {group} | {where} | {kin} | {own['ap50']:.3f} | {own['ap']:.3f} |\n")
    known = [name for name, own in classes.items() if name not in {*NEAR, *FAR} and own["ap50"] is not None]
    for title, names in (("near", list(NEAR)), ("far", list(FAR)), ("all other classes", known)):
        means = [np.mean([classes[name][key] for name in names]) for key in ("ap50", "ap")]
        sys.stdout.write(f"| **mean, {title}** | {len(names)} | | | {means[0]:.3f} | {means[1]:.3f} |\n")


if __name__ == "__main__":
    main()
