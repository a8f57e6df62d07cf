"""Ranges of weights for int8, and the losses of bf16 and int8, in the file beside the weights.

    python weights/calibrate_int8.py weights/medrov-n.safetensors examples/medrov-n.yaml --data-root DATA

The ranges are measured on evenly chosen training images: at each point of the network, a percentile of the
smallest and of the largest values of the images. ``narrow_ranges.py`` then makes them narrower where the
outputs come nearer to those in fp32. The losses are measured on the images of another split,
with all classes prompted at once: the differences from fp32 of the means over the sources with real images.
The manifest beside the weights gets the SHA-256 of the file. ``publish.py`` ends with the same steps.
"""

from __future__ import annotations

import argparse
import dataclasses
from contextlib import closing
from pathlib import Path

import numpy as np
from narrow_ranges import Outputs, narrow_ranges
from publish import mean_of, real_sources, say

from medrov_cli.core.datasets.dataset import Dataset, load_dataset
from medrov_cli.core.datasets.sample_images import load_image
from medrov_cli.core.datasets.truth import require_readable
from medrov_cli.core.engines.openvino_streams import OpenVinoStreams, computes_in_bf16
from medrov_cli.core.evaluation.scored_split import ScoredSplit
from medrov_cli.core.evaluation.sections.coco_ap import coco_section
from medrov_cli.core.model.folding import fold_text
from medrov_cli.core.model.graph.detector import GraphForm, OutputForm, TextForm, build_graph
from medrov_cli.core.model.graph.points import ObservedPoints, share_ranges
from medrov_cli.core.prediction.dataset_model import DatasetModel, names_of_classes
from medrov_cli.core.prediction.model_file import WeightsFile
from medrov_cli.core.records.detections import Detections
from medrov_cli.core.records.letterbox import Letterbox
from medrov_cli.core.settings.choices import Precision, Split
from medrov_cli.core.settings.groups import COCO_BATCH, COCO_SELECTION, RuntimeSettings
from medrov_cli.core.settings.io_groups import DatasetSettings
from medrov_cli.core.weights.catalogue import manifest, write_manifest_entry
from medrov_cli.core.weights.container import load_embeddings, load_tensors, read_metadata, sha256_of_tensors
from medrov_cli.core.weights.number_formats import (
    CalibrationImages,
    FormatLoss,
    NumberFormats,
    read_formats,
    write_formats,
)

PERCENTILES = (1, 99)
"""Percentiles over the images of their smallest and largest values."""

IMAGES = 400
NARROWED_ON = 100
"""Images of the search of narrower ranges, of those of the calibration."""

CALIBRATION_SPLIT = "train"


def main() -> None:
    """Run the script."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("weights", type=Path)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--data-root", type=Path)
    parser.add_argument("--images", type=int, default=IMAGES, help="Images of the calibration.")
    parser.add_argument("--split", default="test", help="Split of the losses.")
    parser.add_argument("--keep-ranges", action="store_true", help="Measure the losses of the present file.")
    options = parser.parse_args()

    data = DatasetSettings(dataset=options.dataset, data_root=options.data_root, split=options.split)
    if not options.keep_ranges:
        keep(options.weights, calibrate(options.weights, data, options.images))
    keep(options.weights, measure_losses(options.weights, data))


def keep(weights: Path, formats: NumberFormats) -> None:
    """Write the file beside the weights, and its SHA-256 to the manifest if it names the weights."""
    write_formats(weights, formats)
    known = manifest(weights.parent).get(read_metadata(weights).name)
    if known is not None:
        write_manifest_entry(weights, source=known.source, url=known.url)


def calibrate(weights: Path, data: DatasetSettings, images: int) -> NumberFormats:
    """Return the ranges of weights on evenly chosen training images, without losses."""
    tensors, imgsz = load_tensors(weights), read_metadata(weights).imgsz
    form = GraphForm(
        TextForm.FOLDED, OutputForm.PARTS, input_hw=(imgsz, imgsz), batch=1, bytes_in=True, pooled=True
    )
    graph = build_graph(tensors, form, points=ObservedPoints).SerializeToString()
    text = fold_text(tensors, load_embeddings(weights))
    model = OpenVinoStreams(lambda core: core.read_model(graph), None, text.inputs(), bf16=False, streams=1)
    names = tuple(
        sorted(name for own in model.output_names for name in own if name.startswith(ObservedPoints.PREFIX))
    )
    dataset = load_dataset(data.dataset, data.data_root)
    samples = dataset.samples[CALIBRATION_SPLIT]
    count = min(images, len(samples))
    chosen = [samples[row * len(samples) // count] for row in range(count)]
    squares = np.stack(
        [Letterbox.fit((own.height, own.width), imgsz).apply(load_image(own)) for own in chosen]
    )
    extremes = list(model.run(squares, names, lambda parts: np.stack([parts[name].copy() for name in names])))
    measured = np.stack(extremes)  # (images, points, 2)
    low, high = (np.percentile(measured[:, :, end], PERCENTILES[end], axis=0) for end in (0, 1))
    ranges = {
        name.removeprefix(ObservedPoints.PREFIX): (round(min(float(a), 0.0), 6), round(float(b), 6))
        for name, a, b in zip(names, low, high, strict=True)
    }
    about = CalibrationImages(dataset.name, CALIBRATION_SPLIT, count, imgsz)
    outputs = Outputs(weights, squares[:: max(1, count // NARROWED_ON)])
    narrowed = narrow_ranges(share_ranges(ranges), outputs.error, say)
    return NumberFormats(sha256_of_tensors(weights), narrowed, about, {})


def measure_losses(weights: Path, data: DatasetSettings) -> NumberFormats:
    """Return the content of the file beside weights with the losses on a split; bf16 where the CPU has it."""
    formats = read_formats(weights)
    if formats is None:
        raise SystemExit(f"{weights} has no ranges: run without --keep-ranges")
    dataset = load_dataset(data.dataset, data.data_root, pseudo=(), slides=True)
    reference = mean_ap(weights, dataset, data.split, Precision.FP32)
    losses = dict(formats.losses)
    for name in (Precision.BF16, Precision.INT8):
        if name is Precision.INT8 or computes_in_bf16():
            found = mean_ap(weights, dataset, data.split, name)
            lost = [round(a - b, 5) for a, b in zip(reference, found, strict=True)]
            images, imgsz = len(dataset.samples[data.split]), read_metadata(weights).imgsz
            losses[name.value] = FormatLoss(lost[0], lost[1], data.split, images, imgsz)
    return dataclasses.replace(formats, losses=losses)


def mean_ap(weights: Path, dataset: Dataset, split: Split, precision: Precision) -> tuple[float, float]:
    """Return mAP50 and mAP50-95, the means over the sources with real images, as in ``medrov eval``."""
    runtime = RuntimeSettings("cpu", precision=precision, batch=COCO_BATCH)  # the shape of the weights
    detector = DatasetModel.bind(WeightsFile.read(weights), dataset, runtime, text_encoder=None)
    samples = dataset.samples[split]
    found: list[Detections] = []
    with (
        detector.open(names_of_classes(dataset), COCO_SELECTION) as predictor,
        closing(predictor.stream(samples, batch=COCO_BATCH, batch_by="position")) as stream,
    ):
        for item in stream:
            found.append(samples[len(found)].localize(require_readable(item)))
    scored = ScoredSplit(dataset, samples, found, COCO_SELECTION.max_det)
    means = mean_of(real_sources({"coco": {"presence": coco_section(scored, scored.is_known)}}).values())
    say(f"{split}, {precision}: mAP50 {means[0]:.4f}, mAP50-95 {means[1]:.4f}")
    return means


if __name__ == "__main__":
    main()
