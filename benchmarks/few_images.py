"""Dataset of a few images of one source, and of further sources for validation only.

    python benchmarks/few_images.py DATA --source dental_caries --images 50 \
        --watch lung_cxr --watch bccd --output runs/few
    medrov train runs/few/dataset.yaml -o runs/few/run --preset finetune --weights medrov-n --imgsz 352

The watched sources have validation images only, and their classes are novel: the run reports the AP of these
classes after every epoch. Images are links.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import yaml


def main() -> None:
    """Run the script."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, help="Folder of the sources.")
    parser.add_argument("--source", required=True)
    parser.add_argument("--images", type=int, default=50, help="Number of training images of the source.")
    parser.add_argument("--val", type=int, default=20, help="Maximum of validation images per source.")
    parser.add_argument("--watch", action="append", default=[])
    parser.add_argument("--output", type=Path, required=True)
    options = parser.parse_args()
    write_source(options.data / options.source, options.output, options.images, options.val)
    novel: list[str] = []
    for name in options.watch:
        coco = write_source(options.data / name, options.output, 0, options.val)
        novel += [category["name"] for category in coco["categories"]]
    document = {"name": "few", "sources": [options.source, *options.watch], "novel": novel}
    (options.output / "dataset.yaml").write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")


def write_source(source: Path, output: Path, train: int, val: int) -> dict[str, Any]:
    """Write the first images of two splits of a source, and return its COCO document."""
    coco: dict[str, Any] = json.loads((source / "annotations.json").read_text(encoding="utf-8"))
    by_split = {
        split: [image for image in coco["images"] if image["split"] == split] for split in ("train", "val")
    }
    coco["images"] = by_split["train"][:train] + by_split["val"][:val]
    kept = {image["id"] for image in coco["images"]}
    coco["annotations"] = [a for a in coco["annotations"] if a["image_id"] in kept]
    folder = output / source.name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "annotations.json").write_text(json.dumps(coco), encoding="utf-8")
    if not (folder / "images").exists():
        (folder / "images").symlink_to((source / "images").absolute(), target_is_directory=True)
    return coco


if __name__ == "__main__":
    main()
