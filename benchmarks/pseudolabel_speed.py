"""Comparison of `medrov pseudolabel` with `medrov detect`: speed, and memory by number of images.

    python benchmarks/pseudolabel_speed.py FOLDER --images 9900

The script writes phantoms of nine modalities to FOLDER (once; 450, linked under other names), and a presence
table with few annotated classes. It runs both commands on the same images in turn, each in a process of its
own: first on a tenth of the images, then on all. It prints images per second, their ratio, and the peak
resident memory.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

MODALITIES = 9

DRAWN = 50
"""Number of drawn phantoms of each modality; further images are links to them with other names."""


@dataclass(frozen=True)
class Run:
    """Run of a command: images, seconds of wall time, peak resident memory in MiB."""

    images: int
    seconds: float
    memory_mib: float

    @property
    def rate(self) -> float:
        """Return images per second."""
        return self.images / self.seconds


def main() -> None:
    """Run the script."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=1)
    options = parser.parse_args()
    print("| images | detect, images/s | pseudolabel, images/s | ratio | detect, MiB | pseudolabel, MiB |")
    print("|---|---|---|---|---|---|")
    for count in (options.images // 10, options.images):
        data = phantoms(options.folder / str(count), count)
        pairs = [(detect(data), pseudolabel(data)) for _ in range(options.rounds)]
        plain = min((pair[0] for pair in pairs), key=lambda run: run.seconds)
        labels = min((pair[1] for pair in pairs), key=lambda run: run.seconds)
        cells = [f"{plain.rate:.1f}", f"{labels.rate:.1f}", f"{labels.rate / plain.rate:.2f}"]
        cells += [f"{plain.memory_mib:.0f}", f"{labels.memory_mib:.0f}"]
        print(f"| {plain.images} | " + " | ".join(cells) + " |", flush=True)


def phantoms(folder: Path, count: int) -> Path:
    """Write the dataset, if it does not exist: one annotated class per source, all others possible."""
    if (folder / "dataset.yaml").exists():
        return folder
    drawn = min(-(-count // MODALITIES), DRAWN)
    medrov("data", "phantom", "-o", folder / "sources", "--count", drawn)
    sources = sorted(path.parent for path in (folder / "sources").glob("*/annotations.json"))
    kept: dict[str, str] = {}
    for source in sources:
        coco = json.loads((source / "annotations.json").read_text(encoding="utf-8"))
        first = coco["categories"][0]
        kept[source.name] = first["name"]
        coco["categories"] = [first]
        coco["annotations"] = [a for a in coco["annotations"] if a["category_id"] == first["id"]]
        coco["images"] = [image | {"split": "train"} for image in coco["images"]]
        repeat(source, coco, count // (MODALITIES * drawn))
        (source / "annotations.json").write_text(json.dumps(coco), encoding="utf-8")
    with (folder / "presence.csv").open("w", encoding="utf-8", newline="") as stream:
        table = csv.writer(stream)
        names = sorted(set(kept.values()))
        table.writerow(["dataset", *names])
        table.writerows([source, *(int(name == own) for name in names)] for source, own in kept.items())
    document = {
        "name": "phantoms",
        "root": "sources",
        "sources": [source.name for source in sources],
        "presence": "presence.csv",
    }
    (folder / "dataset.yaml").write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")
    return folder


def repeat(source: Path, coco: dict[str, Any], times: int) -> None:
    """Add links to a source's images with other names and the same boxes, up to a number per image."""
    images, annotations = list(coco["images"]), list(coco["annotations"])
    for copy in range(1, times):
        for image in images:
            name = f"copy{copy}_{image['file_name']}"
            os.link(source / "images" / image["file_name"], source / "images" / name)
            own = image | {"id": image["id"] + copy * 100_000, "file_name": name}
            coco["images"].append(own)
        for annotation in annotations:
            shift = {
                "id": annotation["id"] + copy * 100_000,
                "image_id": annotation["image_id"] + copy * 100_000,
            }
            coco["annotations"].append(annotation | shift)


def images_of(data: Path) -> list[str]:
    """Return the paths of all images."""
    return sorted(str(path) for path in (data / "sources").glob("*/images/*"))


def detect(data: Path) -> Run:
    """Run ``detect`` over all images."""
    images = images_of(data)
    (data / "images.txt").write_text("\n".join(images) + "\n", encoding="utf-8")
    with (data / "images.txt").open(encoding="utf-8") as stream:
        output = ("-o", data / "found", "--overwrite")
        return timed(len(images), "detect", "-", *output, stdin=stream.fileno())


def pseudolabel(data: Path) -> Run:
    """Run ``pseudolabel`` over all images."""
    output = ("-o", data / "labelled", "--overwrite")
    return timed(len(images_of(data)), "pseudolabel", data / "dataset.yaml", *output)


def timed(count: int, *arguments: object, stdin: int | None = None) -> Run:
    """Return the time and memory of a command."""
    started = time.perf_counter()
    process = subprocess.Popen(  # noqa: S603
        command(arguments), stdin=stdin, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - started
    if status:
        raise SystemExit(f"{arguments[0]} failed: {status}")
    return Run(count, seconds, usage.ru_maxrss / 1024)


def medrov(*arguments: object) -> None:
    """Run a command; raise if it fails."""
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    subprocess.run(command(arguments), check=True, **quiet)  # noqa: S603


def command(arguments: tuple[object, ...]) -> list[str]:
    """Return the command line of this installation's ``medrov``."""
    return [sys.executable, "-m", "medrov_cli", *map(str, arguments)]


if __name__ == "__main__":
    main()
