"""Timing of the scoring of COCO detections against pycocotools and two faster engines.

    pip install -e ".[benchmark]"
    python benchmarks/coco_engines.py --images 5000 --classes 80 --detections 100

The detections are synthetic, near synthetic objects. Each engine receives the same parsed COCO documents, in
a process of its own, whose peak memory is reported. The time is that from documents to figures. ``medrov
eval`` uses arrays instead of documents, which is the last row.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import multiprocessing
import resource
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from medrov_cli.core.evaluation.reference_ap import coco_documents
from medrov_cli.core.metrics.average_precision import CocoScorer, mean_of
from medrov_cli.core.metrics.detection_table import DetectionTable

Documents = tuple[dict[str, Any], list[dict[str, Any]]]
LIMITS = [1, 10, 100]


def synthetic_table(images: int, classes: int, detections: int, seed: int = 0) -> DetectionTable:
    """Return random objects, seven per image as in COCO, and detections, a third of them near objects."""
    rng = np.random.default_rng(seed)
    truths = 7 * images
    corner = rng.uniform(0, 500, (truths, 2))
    size = rng.choice([12.0, 60.0, 150.0], (truths, 1)) * rng.uniform(0.7, 1.3, (truths, 2))
    truth_xyxy = np.concatenate([corner, corner + size], 1)
    truth_image, truth_label = np.sort(rng.integers(0, images, truths)), rng.integers(0, classes, truths)
    found = images * detections
    image, label = np.repeat(np.arange(images), detections), rng.integers(0, classes, found)
    corner = rng.uniform(0, 500, (found, 2))
    xyxy = np.concatenate([corner, corner + rng.uniform(10, 150, (found, 2))], 1)
    near, moved = rng.integers(0, truths, found // 3), rng.permutation(found)[: found // 3]
    xyxy[moved] = truth_xyxy[near] + rng.normal(0, 5, (len(near), 4))
    xyxy[:, 2:] = np.maximum(xyxy[:, :2] + 1, xyxy[:, 2:])
    image[moved], label[moved] = truth_image[near], truth_label[near]
    return DetectionTable(
        images,
        truth_image,
        truth_label,
        truth_xyxy,
        size.prod(1),
        np.zeros(truths, dtype=bool),
        image,
        label,
        xyxy,
        rng.random(found),
    )


def pycocotools(documents: Documents, _: DetectionTable) -> list[float]:
    """Return the summary of pycocotools, the reference."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    truth = COCO()
    truth.dataset = documents[0]
    truth.createIndex()
    evaluation = COCOeval(truth, truth.loadRes(documents[1]), "bbox")
    return _summary(evaluation)


def faster_coco_eval(documents: Documents, _: DetectionTable) -> list[float]:
    """Return the summary of faster-coco-eval."""
    from faster_coco_eval import COCO, COCOeval_faster

    truth = COCO(documents[0])
    return _summary(COCOeval_faster(truth, truth.loadRes(documents[1]), "bbox"))


def hotcoco(documents: Documents, _: DetectionTable) -> list[float]:
    """Return the summary of hotcoco."""
    from hotcoco import COCO, COCOeval

    truth = COCO(documents[0])
    return _summary(COCOeval(truth, truth.load_res(documents[1]), "bbox"))


def medrov(documents: Documents, _: DetectionTable) -> list[float]:
    """Return the summary of medrov, from documents."""
    document, found = documents
    truths = document["annotations"]
    xywh = np.array([t["bbox"] for t in truths]), np.array([d["bbox"] for d in found])
    boxes = [np.concatenate([b[:, :2], b[:, :2] + b[:, 2:]], 1) for b in xywh]
    table = DetectionTable(
        len(document["images"]),
        np.array([t["image_id"] for t in truths]) - 1,
        np.array([t["category_id"] for t in truths]),
        boxes[0],
        np.array([t["area"] for t in truths]),
        np.array([t["iscrowd"] for t in truths], dtype=bool),
        np.array([d["image_id"] for d in found]) - 1,
        np.array([d["category_id"] for d in found]),
        boxes[1],
        np.array([d["score"] for d in found]),
    )
    return arrays(documents, table)


def arrays(_: Documents, table: DetectionTable) -> list[float]:
    """Return the summary of medrov, from arrays."""
    scorer = CocoScorer(table, max(LIMITS))
    everywhere = np.ones(table.images, dtype=bool)
    labels = np.unique(table.truth_label).tolist()
    mean = mean_of([scorer.of_class(label, everywhere) for label in labels])
    names = ("ap", "ap50", "ap75", "ap_small", "ap_medium", "ap_large", "ar_1", "ar_10", "ar_max")
    return [getattr(mean, name) for name in names]


def _summary(evaluation: Any) -> list[float]:
    with contextlib.redirect_stdout(io.StringIO()):
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return [float(value) for value in evaluation.stats[:9]]


ENGINES: dict[str, Callable[[Documents, DetectionTable], list[float]]] = {
    "pycocotools": pycocotools,
    "faster-coco-eval": faster_coco_eval,
    "hotcoco": hotcoco,
    "medrov": medrov,
    "medrov, from arrays": arrays,
}


def measure(name: str, sizes: tuple[int, int, int], pipe: Any) -> None:
    """Send the seconds, the initial and peak memory in MiB, and the summary of one engine."""
    table = synthetic_table(*sizes)
    documents = coco_documents(table, range(sizes[1]))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    with contextlib.redirect_stdout(io.StringIO()):
        started = time.perf_counter()
        summary = ENGINES[name](documents, table)
        seconds = time.perf_counter() - started
    pipe.send((seconds, before, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, summary))


def main() -> None:
    """Run the script."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, default=5000)
    parser.add_argument("--classes", type=int, default=80)
    parser.add_argument("--detections", type=int, default=100)
    options = parser.parse_args()
    sizes = (options.images, options.classes, options.detections)
    context = multiprocessing.get_context("spawn")
    rows = {}
    for name in ENGINES:
        here, there = context.Pipe()
        process = context.Process(target=measure, args=(name, sizes, there))
        process.start()
        rows[name] = here.recv()
        process.join()
    seconds, _, _, reference = rows["pycocotools"]
    print("| engine | seconds | speed ratio | memory added, MiB | largest difference |")
    print("|---|---|---|---|---|")
    for name, (own, before, most, summary) in rows.items():
        apart = float(np.abs(np.array(summary) - reference).max())
        print(f"| {name} | {own:.2f} | {seconds / own:.1f} | {most - before:.0f} | {apart:.1e} |")
    print(json.dumps(dict(zip(("AP", "AP50", "AP75"), reference, strict=False))))


if __name__ == "__main__":
    main()
