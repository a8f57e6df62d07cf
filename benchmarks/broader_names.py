"""Broader names as prompts: the AP of "tumor" where brain tumors are annotated, of "lung", of "cell".

::

    python benchmarks/broader_names.py write examples/medrov-n.yaml --data-root DATA --output runs/broader
    data="runs/broader/broader.yaml --data-root runs/broader"
    medrov eval $data --split val --literal --output runs/broader/literal
    medrov eval $data --split val --output runs/broader/kinds
    python benchmarks/broader_names.py report runs/broader/literal/report.json runs/broader/kinds/report.json

``write`` makes a dataset of the same images, with links to them, whose boxes have broader names alone. Each
class has one: the name that covers the fewest classes, and is no name of a class of the dataset. Classes
without such a name are left out, and so are images that show no other. In a source with boxes of a name, all
classes below it are annotated or cannot be there, by the presence table.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import defaultdict
from pathlib import Path

import numpy as np
import yaml

from medrov_cli.core.datasets.dataset import Dataset, load_dataset
from medrov_cli.core.datasets.presence import POSSIBLE
from medrov_cli.core.text.lexicon import broader_names_of, synonyms_of


def main() -> None:
    """Run the script."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    actions = parser.add_subparsers(dest="action", required=True)
    write = actions.add_parser("write", help="Write the dataset.")
    write.add_argument("dataset", type=Path)
    write.add_argument("--data-root", type=Path)
    write.add_argument("--output", type=Path, required=True)
    report = actions.add_parser("report", help="Print the AP of the names.")
    report.add_argument("report", type=Path, nargs="+")
    options = parser.parse_args()
    if options.action == "write":
        write_dataset(load_dataset(options.dataset, options.data_root), options.output)
    else:
        print_table(options.report)


def broader_names(classes: tuple[str, ...]) -> dict[str, str]:
    """Return the broader name of each class that has one."""
    own = {text for name in classes for text in (name, *synonyms_of(name))}
    above = {name: [text for text in broader_names_of(name) if text not in own] for name in classes}
    covered: dict[str, int] = defaultdict(int)
    for names in above.values():
        for text in names:
            covered[text] += 1
    return {name: min(names, key=lambda text: covered[text]) for name, names in above.items() if names}


def write_dataset(dataset: Dataset, folder: Path) -> None:
    """Write the sources with broader names, and the yaml."""
    broader = broader_names(dataset.classes)
    names, written = sorted(set(broader.values())), []
    for row, source in enumerate(dataset.sources):
        unsure = {dataset.classes[column] for column in np.flatnonzero(dataset.presence[row] == POSSIBLE)}
        usable = set(names) - {text for name in unsure for text in broader_names_of(name)}
        document = json.loads((source.folder / "annotations.json").read_text(encoding="utf-8"))
        row_of = {
            category["id"]: names.index(broader[category["name"]]) + 1
            for category in document["categories"]
            if broader.get(category["name"]) in usable
        }
        kept = [box for box in document["annotations"] if box["category_id"] in row_of]
        if not kept:
            continue
        shown = {box["image_id"] for box in kept}
        document["images"] = [image for image in document["images"] if image["id"] in shown]
        document["annotations"] = [box | {"category_id": row_of[box["category_id"]]} for box in kept]
        used = sorted(set(row_of.values()))
        document["categories"] = [{"id": number, "name": names[number - 1]} for number in used]
        own = folder / source.name
        own.mkdir(parents=True, exist_ok=True)
        if not (own / "images").exists():
            (own / "images").symlink_to((source.folder / "images").absolute(), target_is_directory=True)
        (own / "annotations.json").write_text(json.dumps(document), encoding="utf-8")
        written.append(source.name)
    text = yaml.safe_dump({"name": "broader", "root": ".", "sources": written}, sort_keys=False)
    (folder / "broader.yaml").write_text(text, encoding="utf-8")


def print_table(reports: list[Path]) -> None:
    """Print AP50 of each name, one column for each report, and the mean."""
    documents = [json.loads(path.read_text(encoding="utf-8"))["coco"]["presence"] for path in reports]
    columns = [document["classes"] for document in documents]
    names = [name for name, own in columns[0].items() if own["truths"]]
    head = f"| broader name | objects |{' AP50 |' * len(columns)}\n|---|---|{'---|' * len(columns)}\n"
    sys.stdout.write(head)
    for name in names:
        values = "".join(f" {own[name]['ap50']:.3f} |" for own in columns)
        sys.stdout.write(f"| {name} | {columns[0][name]['truths']} |{values}\n")
    means = "".join(f" {np.mean([own[name]['ap50'] for name in names]):.3f} |" for own in columns)
    sys.stdout.write(f"| **mean** | {len(names)} names |{means}\n")


if __name__ == "__main__":
    main()
