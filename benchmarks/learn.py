"""Accuracy of classes that are learned from few examples, on classes that the network has not seen.

::

    python benchmarks/learn.py DATA --weights medrov-n --k 1,5,10,30 --draws 3 --output learn.json

``DATA`` is the folder of omnis-mini, release 2. `CLASSES` are classes of release 2 that are not in the
vocabulary of the embedded weights of the first edition. Examples are drawn from the train split, and AP50 is
measured on the test split of the same source; nothing was chosen on it. All methods use the same region
vectors, which are computed once per image with the whole vocabulary as guides:

text
    The name of the class.
like
    The mean region embedding of the examples, without a fit (``medrov detect --like``).
learn
    ``medrov learn`` with its defaults.

Times are processor seconds of the fit and of the views of its images, so that they do not depend on other
programs.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from medrov_cli.core.datasets.dataset import Dataset, load_dataset
from medrov_cli.core.learning.class_fit import ClassTask, score_images
from medrov_cli.core.learning.examples import ExampleImage, ExampleSet, examples_of_dataset
from medrov_cli.core.learning.starts import starts_of, text_vectors
from medrov_cli.core.learning.vector_fit import rows_of_class
from medrov_cli.core.learning.views import ExampleView, ViewSet, compute_views
from medrov_cli.core.prediction.dataset_model import embed_names
from medrov_cli.core.prediction.embedding_space import EmbeddingSpace
from medrov_cli.core.prediction.model_file import WeightsFile
from medrov_cli.core.prediction.open_predictor import guiding_classes
from medrov_cli.core.settings.groups import RuntimeSettings
from medrov_cli.core.weights import container, resolution

CLASSES = (
    ("imagechd_ct", "left atrium"),
    ("transverse_prostate_mri", "prostate"),
    ("bladder_mri", "urinary bladder"),
    ("covid_cxr_structures", "cardiomediastinum"),
    ("dental_findings_panoramic", "dental implant"),
    ("fetal_head_us", "fetal head"),
    ("fuseg_foot_ulcer", "foot ulcer"),
    ("laryngeal_endoscopy", "glottis"),
    ("endovis15_rigid", "laparoscopic instrument"),
    ("fundus_fovea", "fovea"),
    ("segpc_myeloma", "plasma cell"),
    ("bacteria_fluo", "bacterium"),
    ("gtex_adipocyte", "adipocyte"),
    ("ebhi_colorectal", "colon crypt"),
)
"""Source and class: nine modalities; each source has at least ten training images with the class. They were
fixed before any measurement on a test split."""

METHODS = ("text", "like", "learn")


@dataclass(frozen=True)
class Network:
    """Weights with what the fits need."""

    file: WeightsFile
    space: EmbeddingSpace
    tensors: dict[str, Any]
    imgsz: int

    @classmethod
    def open(cls, name: str, imgsz: int | None) -> Network:
        """Return the network of weights."""
        file = WeightsFile.read(resolution.resolve(name))
        tensors = container.load_tensors(file.path)
        return cls(file, EmbeddingSpace.from_tensors(tensors), tensors, imgsz or file.imgsz)

    def views(self, images: Sequence[ExampleImage], classes: tuple[str, ...], *, plain: bool) -> ViewSet:
        """Return the views of images; ``plain``: without the mirrored and the smaller ones."""
        guides = guiding_classes(self.file).embeddings
        engine = self.file.open(guides, RuntimeSettings(device="cpu"), imgsz=self.imgsz, streams=1)
        return compute_views(engine, images, classes, lambda *_: None, plain=plain)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; return the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, help="Folder of omnis-mini.")
    parser.add_argument("--yaml", default="release-2.yaml", help="Dataset yaml in that folder.")
    parser.add_argument("--weights", default="medrov-n")
    parser.add_argument("--imgsz", type=int)
    parser.add_argument("--classes", default="", help="Some of the classes, comma separated. Default: all.")
    parser.add_argument("--k", default="1,5,10,30", help="Numbers of images with an example.")
    parser.add_argument("--draws", type=int, default=3)
    parser.add_argument("--test", type=int, default=1000, help="Maximum of test images per source.")
    parser.add_argument("--output", type=Path, help="JSON file of all measurements.")
    options = parser.parse_args(arguments)
    network = Network.open(options.weights, options.imgsz)
    seen = {entry.name for entry in network.file.metadata.vocabulary}
    wanted = [name for name in options.classes.split(",") if name]
    counts = [int(text) for text in options.k.split(",")]
    rows: list[dict[str, Any]] = []
    dataset = load_dataset(options.data / options.yaml)
    for source, name in CLASSES:
        if wanted and name not in wanted:
            continue
        own = dataset.classes.index(name)
        for row in measure(network, dataset, source, own, counts, options.draws, options.test):
            rows.append({**row, "seen": name in seen})
            sys.stderr.write(json.dumps(rows[-1]) + "\n")
            if options.output is not None:
                options.output.write_text(json.dumps({"weights": options.weights, "rows": rows}, indent=1))
    sys.stdout.write("\n".join(table(rows)) + "\n")
    return 0


def measure(
    network: Network,
    dataset: Dataset,
    source: str,
    label: int,
    counts: Sequence[int],
    draws: int,
    most_test: int,
) -> Iterator[dict[str, Any]]:
    """Yield the figures of one class: one row for each number of images and draw."""
    source_id = next(row for row, own in enumerate(dataset.sources) if own.name == source)
    name = dataset.classes[label]

    def part(split: str) -> ExampleSet:
        chosen = [own for own in dataset.samples[split] if own.source_id == source_id]  # type: ignore[index]
        return examples_of_dataset(replace(dataset, samples={split: tuple(chosen)}), split).restrict([name])

    train, test = part("train"), part("test")
    text = text_vectors(network.tensors, embed_names(train.texts, network.file.text_encoder, offline=True))[0]
    shown = network.views(test.images[:most_test], test.classes, plain=True)
    with_examples = [image for image in train.images if len(image.labels)]
    seconds_of: dict[str, float] = {}
    views_of: dict[str, list[ExampleView]] = {}
    for draw in range(draws):
        order = np.random.default_rng(draw).permutation(len(with_examples))
        for count in counts:
            if count > len(order):
                continue
            images = [with_examples[row] for row in order[:count]]
            for image in images:
                if image.path not in views_of:
                    started = time.process_time()
                    made = network.views([image], train.classes, plain=False)
                    views_of[image.path] = [*made.plain, *made.others]
                    seconds_of[image.path] = time.process_time() - started
            views = ViewSet(
                tuple(replace(views_of[image.path][0], image=row) for row, image in enumerate(images)),
                tuple(
                    replace(view, image=row)
                    for row, image in enumerate(images)
                    for view in views_of[image.path][1:]
                ),
                (),
            )
            groups = [[own.group for own in images].index(image.group) for image in images]
            task = ClassTask(
                name, 0, text, views, groups, network.space, network.imgsz, folds=5, chooses=True
            )
            started = time.process_time()
            vectors, record = task.fit()
            seconds = time.process_time() - started + sum(seconds_of[image.path] for image in images)
            like = starts_of(network.space, text, rows_of_class(views.plain, 0, network.imgsz))["examples"]
            figures = {
                method: score_images([task.detect(view, own) for view in shown.plain])[0]
                for method, own in (("text", [text]), ("like", [like]), ("learn", vectors))
            }
            validation = record.validation
            yield {
                "source": source,
                "class": name,
                "k": count,
                "draw": draw,
                "test_images": len(shown.plain),
                "boxes": record.boxes,
                **{method: round(value, 4) for method, value in figures.items()},
                "held_out": None if validation is None else round(validation.ap50, 4),
                "start": record.start,
                "vectors": record.vectors,
                "cpu_seconds": round(seconds, 2),
            }


def table(rows: Sequence[dict[str, Any]]) -> list[str]:
    """Return a Markdown table: the mean over the draws of each class and number of images, and medians."""
    counts = sorted({row["k"] for row in rows})
    lines = ["| class | images | " + " | ".join(f"{method} AP50" for method in METHODS) + " | CPU s |"]
    lines.append("|---" * (3 + len(METHODS)) + "|")
    for count in counts:
        own = [row for row in rows if row["k"] == count]
        names = list(dict.fromkeys(row["class"] for row in own))
        means = []
        for name in names:
            draws = [row for row in own if row["class"] == name]
            means.append([float(np.mean([row[key] for row in draws])) for key in (*METHODS, "cpu_seconds")])
            lines.append(f"| {name} | {count} | " + _cells(means[-1]))
        lines.append(f"| **median of {len(names)} classes** | {count} | " + _cells(np.median(means, 0)))
        lines.append(f"| **mean of {len(names)} classes** | {count} | " + _cells(np.mean(means, 0)))
    return lines


def _cells(values: Sequence[float] | np.ndarray) -> str:
    *figures, seconds = values
    return " | ".join(f"{value:.3f}" for value in figures) + f" | {seconds:.1f} |"


if __name__ == "__main__":
    sys.exit(main())
