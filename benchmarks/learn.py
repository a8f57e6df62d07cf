"""Accuracy of classes that are learned from few examples, on classes that the network has not seen.

::

    python benchmarks/learn.py DATA --weights medrov-n --k 1,5,10,30 --draws 3 --output learn.json
    python benchmarks/learn.py DATA --weights medrov-n --k 10 --methods text,learn,adapt,fine-tune

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
adapt
    ``medrov learn --adapt --folds 0``: an adapter, and the class on its network. The validation of the
    command fits three more adapters.
fine-tune
    ``medrov train --preset finetune --freeze none``: all weights. Its "best" epoch is chosen on the examples.

Times are processor seconds of the fit and of the views of its images, so that they do not depend on other
programs. The figure of old classes is the mean AP50 of blood cells (`OLD`) with the network of a method:
``learn`` and ``adapt`` search them with the network as it is.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # as the command line, before the import of numpy

import numpy as np

from medrov_cli.core.datasets.dataset import Dataset, load_dataset
from medrov_cli.core.learning.class_fit import ClassTask, score_images, with_box_map
from medrov_cli.core.learning.example_squares import ExampleSquare
from medrov_cli.core.learning.examples import ExampleImage, ExampleSet, examples_of_dataset
from medrov_cli.core.learning.starts import starts_of, text_vectors
from medrov_cli.core.learning.vector_fit import rows_of_class
from medrov_cli.core.learning.views import ExampleView, ViewSet, compute_views
from medrov_cli.core.prediction.adapted_weights import adapted_weights
from medrov_cli.core.prediction.dataset_model import embed_names
from medrov_cli.core.prediction.embedding_space import EmbeddingSpace, Vector
from medrov_cli.core.prediction.model_file import WeightsFile
from medrov_cli.core.prediction.open_predictor import guiding_classes
from medrov_cli.core.records.box_maps import BoxMap
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

METHODS = ("text", "like", "learn", "adapt", "fine-tune")

OLD = ("bccd", ("red blood cell", "white blood cell", "platelets"))
"""Source and classes that the weights know."""

OLD_IMAGES = 30
"""Number of test images of the old classes."""


FINETUNE_BATCH = 8
"""Images per step of the preset ``finetune``."""


@dataclass(frozen=True)
class Network:
    """Weights with what the fits need."""

    file: WeightsFile
    space: EmbeddingSpace
    imgsz: int

    @classmethod
    def open(cls, name: str, imgsz: int | None) -> Network:
        """Return the network of weights."""
        file = WeightsFile.read(resolution.resolve(name))
        tensors = container.load_tensors(file.path)
        return cls(file, EmbeddingSpace.from_tensors(tensors), imgsz or file.imgsz)

    def texts(self, names: Sequence[Sequence[str]]) -> list[Vector]:
        """Return the vector of the names of each class."""
        embeddings = embed_names(names, self.file.text_encoder, offline=True)
        return text_vectors(container.load_tensors(self.file.path), embeddings)

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
    parser.add_argument(
        "--output", type=Path, help="JSON file of all measurements; what it has is not measured again."
    )
    parser.add_argument("--first-draw", type=int, default=0)
    parser.add_argument("--methods", default="text,like,learn", help=f"Of {', '.join(METHODS)}.")
    options = parser.parse_args(arguments)
    methods = [name for name in METHODS if name in options.methods.split(",")]
    draws = range(options.first_draw, options.first_draw + options.draws)
    network = Network.open(options.weights, options.imgsz)
    seen = {entry.name for entry in network.file.metadata.vocabulary}
    wanted = [name for name in options.classes.split(",") if name]
    counts = [int(text) for text in options.k.split(",")]
    rows = kept_rows(options.output, network.file.content_sha256)
    done = {(row["class"], row["k"], row["draw"]) for row in rows if set(methods) <= set(row["figures"])}
    dataset = load_dataset(options.data / options.yaml)
    old = old_ap50(network, dataset) if "fine-tune" in methods else None
    for source, name in CLASSES:
        if wanted and name not in wanted:
            continue
        own = dataset.classes.index(name)
        cells = [(k, draw) for draw in draws for k in counts if (name, k, draw) not in done]
        for row in measure(network, dataset, source, own, cells, options.test, methods):
            rows.append({**row, "seen": name in seen})
            sys.stderr.write(json.dumps(rows[-1]) + "\n")
            if options.output is not None:
                document = {"weights": network.file.content_sha256, "old_ap50": old, "rows": rows}
                options.output.write_text(json.dumps(document, indent=1))
    sys.stdout.write("\n".join(table(rows, methods)) + "\n")
    if old is not None:
        after = float(np.mean([row["figures"]["fine-tune"]["old_ap50"] for row in rows]))
        sys.stdout.write(f"old classes: {old:.3f}, after fine-tuning {after:.3f}\n")
    return 0


def kept_rows(path: Path | None, weights: str) -> list[dict[str, Any]]:
    """Return the measurements of an earlier run with the same weights."""
    if path is None or not path.exists():
        return []
    document = json.loads(path.read_text())
    if document["weights"] != weights:
        raise SystemExit(f"{path} has measurements of other weights")
    return list(document["rows"])


@dataclass(frozen=True)
class Examples:
    """Images with an example of one class, and the test images of its source."""

    name: str
    folder: Path
    train: ExampleSet
    test: tuple[ExampleImage, ...]
    text: Vector
    shown: ViewSet

    @classmethod
    def read(cls, network: Network, dataset: Dataset, source: str, label: int, most_test: int) -> Examples:
        """Return the examples and the views of the test images."""
        name = dataset.classes[label]
        train, test = (part_of(dataset, source, [name], split) for split in ("train", "test"))
        shown = network.views(test.images[:most_test], test.classes, plain=True)
        text = network.texts(train.texts)[0]
        folder = next(own.folder for own in dataset.sources if own.name == source)
        return cls(name, folder, train, test.images[:most_test], text, shown)


def part_of(dataset: Dataset, source: str, names: Sequence[str], split: str) -> ExampleSet:
    """Return the images of a source in a split, with some classes."""
    source_id = next(row for row, own in enumerate(dataset.sources) if own.name == source)
    chosen = [own for own in dataset.samples[split] if own.source_id == source_id]  # type: ignore[index]
    return examples_of_dataset(replace(dataset, samples={split: tuple(chosen)}), split).restrict(names)  # type: ignore[arg-type,dict-item]


def ap50_of(
    network: Network, shown: ViewSet, label: int, vectors: Sequence[Vector], box_map: BoxMap | None = None
) -> float:
    """Return the AP50 of a class of views, found by vectors."""
    task = ClassTask("", label, vectors[0], shown, [], network.space, network.imgsz, folds=0, chooses=False)
    found = [with_box_map(task.detect(view, vectors), box_map, network.imgsz) for view in shown.plain]
    return score_images(found)[0]


def old_ap50(network: Network, dataset: Dataset) -> float:
    """Return the mean AP50 of the old classes."""
    source, names = OLD
    test = part_of(dataset, source, names, "test")
    shown = network.views(test.images[:OLD_IMAGES], test.classes, plain=True)
    texts = network.texts(test.texts)
    return float(np.mean([ap50_of(network, shown, row, [text]) for row, text in enumerate(texts)]))


def measure(
    network: Network,
    dataset: Dataset,
    source: str,
    label: int,
    cells: Sequence[tuple[int, int]],
    most_test: int,
    methods: Sequence[str],
) -> Iterator[dict[str, Any]]:
    """Yield the figures of one class: one row for each number of images and draw in ``cells``."""
    if not cells:
        return
    own = Examples.read(network, dataset, source, label, most_test)
    with_examples = [image for image in own.train.images if len(image.labels)]
    views_of: dict[str, tuple[list[ExampleView], float]] = {}
    for draw in dict.fromkeys(draw for _, draw in cells):
        order = np.random.default_rng(draw).permutation(len(with_examples))
        for count in (count for count, own_draw in cells if own_draw == draw and count <= len(order)):
            images = [with_examples[row] for row in order[:count]]
            for image in images:
                if image.path not in views_of:
                    started = time.process_time()
                    made = network.views([image], own.train.classes, plain=False)
                    views_of[image.path] = [*made.plain, *made.others], time.process_time() - started
            views = ViewSet(
                tuple(replace(views_of[image.path][0][0], image=row) for row, image in enumerate(images)),
                tuple(
                    replace(view, image=row)
                    for row, image in enumerate(images)
                    for view in views_of[image.path][0][1:]
                ),
                (),
            )
            task = class_task(network, own, images, views, folds=5)
            started = time.process_time()
            vectors, record = task.fit()
            seconds = time.process_time() - started + sum(views_of[image.path][1] for image in images)
            like = starts_of(network.space, own.text, rows_of_class(views.plain, 0, network.imgsz))[
                "examples"
            ]
            figures = {
                method: {"ap50": ap50_of(network, own.shown, 0, found, box_map)}
                for method, found, box_map in (
                    ("text", [own.text], None),
                    ("like", [like], None),
                    ("learn", vectors, record.calibration.box_map),
                )
                if method in methods
            }
            if "learn" in methods:
                figures["learn"]["seconds"] = seconds
            if "adapt" in methods:
                figures["adapt"] = adapt(network, own, images, vectors)
            if "fine-tune" in methods:
                figures["fine-tune"] = fine_tune(network, dataset, own, images)
            validation = record.validation
            yield {
                "source": source,
                "class": own.name,
                "k": count,
                "draw": draw,
                "test_images": len(own.shown.plain),
                "boxes": record.boxes,
                "figures": {
                    method: {key: round(value, 4) for key, value in found.items()}
                    for method, found in figures.items()
                },
                "held_out": None if validation is None else round(validation.ap50, 4),
                "start": record.start,
                "vectors": record.vectors,
                "box_map": record.calibration.box_map is not None,
            }


def class_task(
    network: Network, own: Examples, images: Sequence[ExampleImage], views: ViewSet, folds: int
) -> ClassTask:
    """Return the fit of the class on the views of some images."""
    groups = [[image.group for image in images].index(image.group) for image in images]
    return ClassTask(
        own.name, 0, own.text, views, groups, network.space, network.imgsz, folds=folds, chooses=True
    )


def adapt(
    network: Network, own: Examples, images: Sequence[ExampleImage], vectors: Sequence[Vector]
) -> dict[str, float]:
    """Return AP50, processor seconds and bytes of an adapter, and of the class on its network."""
    from medrov_cli.core.learning.adapter_fit import AdapterTask

    started = time.process_time()
    guides = guiding_classes(network.file).embeddings
    squares = [ExampleSquare.fit(row, image, image.read(), network.imgsz) for row, image in enumerate(images)]
    fit = AdapterTask(network.file.path, guides, network.imgsz, (own.name,))  # type: ignore[arg-type]
    adapter = fit.fit(squares, [vectors], lambda *_: None)
    path = adapted_weights(network.file.path, network.file.content_sha256, adapter)
    adapted = replace(network, file=WeightsFile.read(path))
    views = adapted.views(images, own.train.classes, plain=False)
    found, _ = class_task(adapted, own, images, views, folds=0).fit()
    seconds = time.process_time() - started
    shown = adapted.views(own.test, own.train.classes, plain=True)
    size = sum(array.nbytes for array in adapter.as_arrays().values())
    return {"ap50": ap50_of(adapted, shown, 0, found), "seconds": seconds, "bytes": float(size)}


def fine_tune(
    network: Network, dataset: Dataset, own: Examples, images: Sequence[ExampleImage]
) -> dict[str, float]:
    """Return AP50 and processor seconds of a training of all weights, and what is left of the old classes."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_examples(own, images, folder / "source")
        (folder / "data.yaml").write_text("name: few\nsources: [source]\n")
        command = [sys.executable, "-m", "medrov_cli", "train", str(folder / "data.yaml"), "--device", "cpu"]
        command += ["--output", str(folder / "run"), "--preset", "finetune", "--freeze", "none"]
        command += ["--weights", str(network.file.path), "--imgsz", str(network.imgsz), "--workers", "0"]
        if len(images) < FINETUNE_BATCH:
            command += ["--batch", str(len(images))]
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(command, check=True, capture_output=True)  # noqa: S603
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        tuned = Network.open(str(folder / "run" / "best.safetensors"), network.imgsz)
        shown = tuned.views(own.test, own.train.classes, plain=True)
        return {
            "ap50": ap50_of(tuned, shown, 0, tuned.texts(own.train.texts)),
            "seconds": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
            "old_ap50": old_ap50(tuned, dataset),
        }


def write_examples(own: Examples, images: Sequence[ExampleImage], folder: Path) -> None:
    """Write a source with the examples as its train and its val split; images are links."""
    document = json.loads((own.folder / "annotations.json").read_text(encoding="utf-8"))
    wanted = {Path(image.path).name for image in images}
    kept = [image for image in document["images"] if Path(image["file_name"]).name in wanted]
    category = next(item["id"] for item in document["categories"] if item["name"] == own.name)
    boxes = [item for item in document["annotations"] if item["category_id"] == category]
    document["categories"] = [item for item in document["categories"] if item["id"] == category]
    document["images"], document["annotations"] = [], []
    for number, split in enumerate(("train", "val")):
        for image in kept:
            own_id = len(document["images"])
            name = image["file_name"] if number == 0 else f"again_{image['file_name']}"
            document["images"].append({**image, "id": own_id, "split": split, "file_name": name})
            for box in (item for item in boxes if item["image_id"] == image["id"]):
                number_of_box = len(document["annotations"])
                document["annotations"].append({**box, "id": number_of_box, "image_id": own_id})
            (folder / "images").mkdir(parents=True, exist_ok=True)
            (folder / "images" / name).symlink_to(own.folder / "images" / image["file_name"])
    (folder / "annotations.json").write_text(json.dumps(document), encoding="utf-8")


def table(rows: Sequence[dict[str, Any]], methods: Sequence[str]) -> list[str]:
    """Return a Markdown table: the mean over the draws of each class and number of images, and medians."""
    timed = [method for method in methods if method in ("learn", "adapt", "fine-tune")]
    heads = [f"{method} AP50" for method in methods] + [f"{method} s" for method in timed]
    lines = ["| class | images | " + " | ".join(heads) + " |", "|---" * (2 + len(heads)) + "|"]
    for count in sorted({row["k"] for row in rows}):
        own = [row for row in rows if row["k"] == count]
        names = list(dict.fromkeys(row["class"] for row in own))
        means = []
        for name in names:
            draws = [row["figures"] for row in own if row["class"] == name]
            keys = [(method, "ap50") for method in methods] + [(method, "seconds") for method in timed]
            means.append([float(np.mean([row[method][key] for row in draws])) for method, key in keys])
            lines.append(f"| {name} | {count} | {_cells(means[-1], len(methods))} |")
        lines.append(
            f"| **median of {len(names)} classes** | {count} | {_cells(np.median(means, 0), len(methods))} |"
        )
        lines.append(
            f"| **mean of {len(names)} classes** | {count} | {_cells(np.mean(means, 0), len(methods))} |"
        )
    return lines


def _cells(values: Sequence[float] | np.ndarray, figures: int) -> str:
    return " | ".join(f"{value:.3f}" if row < figures else f"{value:.1f}" for row, value in enumerate(values))


if __name__ == "__main__":
    sys.exit(main())
