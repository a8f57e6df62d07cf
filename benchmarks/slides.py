"""Memory, throughput, suppression and accuracy of ``medrov detect`` on slides and very large images.

::

    python benchmarks/slides.py memory --sides 20000,100000
    python benchmarks/slides.py throughput --sides 3000,10000,30000
    python benchmarks/slides.py suppression --boxes 1000000
    python benchmarks/slides.py mosaic data/monuseg --classes nuclei --tile 500 --side 20
    pip install sahi
    python benchmarks/slides.py sahi data/monuseg --classes nuclei --tile 500 --side 20

``memory`` and ``throughput`` search sparse pyramids: one of 16 blocks has tissue with drawn cells, the
others have no data and are read as white. ``memory`` prints the peak resident memory of a process of its own
for each size, after one that compiles the network. ``mosaic`` joins test
images of a source folder to one image, with a gap of the grey of the letterbox, because halves of objects at
the edges of two images would be one object. It prints the AP50 of the mosaic and of the single images: the
boxes of each cell are scored as an image. Its times are processor time. ``sahi`` searches a mosaic by
``detect`` and by SAHI with the same weights in ultralytics' YOLO-World (``sahi_search.py``): equal tiles,
overlap and lowest score, all cores, on an image in memory.
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
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # as the command line, before the import of numpy

import cv2
import numpy as np
import tifffile
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from medrov_cli.core.pixels.read import read_frames
from medrov_cli.core.pixels.stored import stored_pixels
from medrov_cli.core.prediction.predictor import Predictor
from medrov_cli.core.prediction.tile_rule import ClassScale
from medrov_cli.core.prediction.tile_windows import choose_plan
from medrov_cli.core.records.detections import Detections
from medrov_cli.core.records.grid_suppression import nms_by_grid
from medrov_cli.core.records.letterbox import PAD_VALUE
from medrov_cli.core.settings.choices import Precision
from medrov_cli.core.settings.groups import COCO_SELECTION, RuntimeSettings, SelectionSettings
from medrov_cli.core.settings.io_groups import ReadSettings
from medrov_cli.core.settings.tile_groups import TileJob, TileSettings, parse_tile

MPP = 0.25
TILE = 256
SPARSE_SIDE = 4
"""One of four blocks in each direction has tissue: one of 16."""
BLOCK_PX = 4096
MAX_DETECTIONS = 1000
"""Largest number of detections per cell: more than its objects."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one benchmark and print its lines; return the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    for name, sides in (("memory", "20000,100000"), ("throughput", "3000,10000,30000")):
        command = commands.add_parser(name)
        command.add_argument("--sides", default=sides, help="Sides of the images in pixels.")
        command.add_argument("--tile", default="1024" if name == "memory" else "512")
    commands.add_parser("suppression").add_argument("--boxes", type=int, default=1_000_000)
    cells = argparse.ArgumentParser(add_help=False)
    cells.add_argument("source", type=Path, help="Source folder with annotations.json and images/.")
    cells.add_argument("--classes", required=True, help="Class names, separated by commas.")
    cells.add_argument("--tile", default="500", help="Side of a tile: that of the single images.")
    cells.add_argument("--side", type=int, default=20, help="Cells a side.")
    cells.add_argument("--overlap", type=float, default=0.2)
    cells.add_argument("--gap", type=int, default=50, help="Grey pixels between the cells.")
    commands.add_parser("mosaic", parents=[cells])
    sahi = commands.add_parser("sahi", parents=[cells])
    sahi.add_argument("--conf", type=float, default=0.05, help="Lowest score of both, not calibrated.")
    sahi.add_argument("--precision", default="fp32,bf16", help="Number formats of medrov, each in turn.")
    sahi.add_argument(
        "--sahi", default="defaults,best,openvino", help="Settings of SAHI: those and merging, each in turn."
    )
    options = parser.parse_args(arguments)
    for line in _COMMANDS[options.command](options):
        sys.stdout.write(line + "\n")
    return 0


def measure_memory(options: argparse.Namespace) -> Iterator[str]:
    """Yield the peak resident memory of ``detect`` for each size."""
    for side, found in _search_sparse(options):
        yield f"{side} x {side} pixels: {found['peak_mib']:.0f} MiB, {found['tiles']} tiles"


def measure_throughput(options: argparse.Namespace) -> Iterator[str]:
    """Yield processor seconds per megapixel for each size."""
    for side, found in _search_sparse(options):
        megapixels = side * side / 1e6
        yield (
            f"{megapixels:.0f} megapixels: {found['cpu_s'] / megapixels:.4f} s per megapixel, "
            f"{found['tiles']} tiles, {found['cpu_s'] * 1000 / found['tiles']:.1f} ms per tile"
        )


def _search_sparse(options: argparse.Namespace) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield each side and the figures of a process that searches a pyramid of that size."""
    with tempfile.TemporaryDirectory() as folder:
        for side in map(int, options.sides.split(",")):
            path = Path(folder) / f"{side}.tif"
            write_sparse_pyramid(path, side)
            for name in ("_compile", "_one"):  # compilation takes memory of its own
                command = [sys.executable, __file__, name, str(path), options.tile]
                done = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603
            yield side, json.loads(done.stdout.splitlines()[-1])
            path.unlink()


def compile_for(path: str, tile: str) -> int:
    """Compile the network for the sizes of its input that the search of a pyramid uses."""
    job = TileJob(settings=TileSettings(tile=parse_tile(tile), search_glass=True))
    (frame,) = read_frames(path, ReadSettings(by_region=True))
    with Predictor.open(classes=["nuclei"]) as predictor:
        plan = choose_plan(frame, predictor.engine.imgsz, (ClassScale(),), job, may_widen=True)
        if plan is None:
            raise ValueError("the image was not cut into tiles")
        for side in {grid.input_px for grid in plan.grids}:
            predictor.infer(np.zeros((1, side, side, 3), dtype=np.uint8))
    return 0


def search_one(path: str, tile: str) -> int:
    """Search all glass of one pyramid, and print peak memory, processor seconds and tiles as JSON."""
    started = time.process_time()
    settings = TileSettings(tile=parse_tile(tile), search_glass=True)
    with Predictor.open(classes=["nuclei"], tiles=settings) as predictor:
        opened = time.process_time()
        (found,) = predictor.predict([path])
    if found.tiling is None:
        raise ValueError("the image was not cut into tiles")
    figures = {
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "start_s": opened - started,
        "cpu_s": time.process_time() - opened,
        "tiles": sum(level.tiles for level in found.tiling.levels),
    }
    sys.stdout.write(json.dumps(figures) + "\n")
    return 0


def write_sparse_pyramid(path: Path, side: int) -> None:
    """Write a tiled TIFF pyramid in which one of 16 blocks has data."""
    sides = [side]
    while sides[-1] > 1024:
        sides.append(-(-sides[-1] // 2))
    tissue = zlib.compress(tissue_tile().tobytes())
    with tifffile.TiffWriter(path, bigtiff=True) as tiff:
        for level, own in enumerate(sides):
            across = -(-own // TILE)
            block = max(1, BLOCK_PX // TILE >> level)
            rows = np.arange(across) // block % SPARSE_SIDE == 0
            has_data = (rows[:, None] & rows[None, :]).ravel()
            tiff.write(
                (tissue if here else b"" for here in has_data),
                shape=(own, own, 3),
                dtype=np.uint8,
                tile=(TILE, TILE),
                compression="zlib",
                photometric="rgb",
                subifds=len(sides) - 1 if level == 0 else None,
                subfiletype=1 if level else 0,
                resolution=(1e4 / MPP, 1e4 / MPP),
                resolutionunit="CENTIMETER",
                metadata=None,
            )


def tissue_tile() -> Any:
    """Return a tile of drawn cells, uint8, (TILE, TILE, 3)."""
    rng = np.random.default_rng(0)
    tile = np.full((TILE, TILE, 3), (232, 190, 220), np.uint8)
    for x, y, width, height in rng.integers((0, 0, 5, 5), (TILE, TILE, 12, 12), (40, 4)):
        cv2.ellipse(tile, (int(x), int(y)), (int(width), int(height)), 0, 0, 360, (90, 50, 130), -1)
    return tile


def measure_suppression(options: argparse.Namespace) -> Iterator[str]:
    """Yield processor seconds of the suppression of random boxes of the density of nuclei."""
    rng = np.random.default_rng(0)
    count = options.boxes
    corners = rng.uniform(0, 50 * count**0.5, (count, 2))
    boxes = np.hstack((corners, corners + rng.uniform(15, 60, (count, 2))))
    scores, labels = rng.random(count), rng.integers(0, 3, count)
    started = time.process_time()
    kept = nms_by_grid(boxes, scores, labels, 0.7)
    yield f"{count} boxes: {time.process_time() - started:.2f} s, {len(kept)} kept"


@dataclass(frozen=True)
class Mosaic:
    """Test images of a source, joined to one image.

    Attributes
    ----------
    document
        Annotations of the source.
    names
        Scored classes.
    cells
        Record of the image in each cell, by rows.
    cell_hw
        Size of a cell: that of the largest image, and the gap.
    side
        Cells a side.
    pictures
        Pixels of each image, by id.
    pixels
        The mosaic, uint8, (height, width, 3).
    """

    document: dict[str, Any]
    names: list[str]
    cells: list[dict[str, Any]]
    cell_hw: tuple[int, int]
    side: int
    pictures: dict[int, Any]
    pixels: Any

    @classmethod
    def read(cls, options: argparse.Namespace) -> Mosaic:
        """Join the test images of a source."""
        document = json.loads((options.source / "annotations.json").read_text(encoding="utf-8"))
        tests = [image for image in document["images"] if image["split"] == "test"]
        cells = [tests[number % len(tests)] for number in range(options.side**2)]
        height, width = (max(image[key] for image in tests) + options.gap for key in ("height", "width"))
        pixels = np.full((height * options.side, width * options.side, 3), PAD_VALUE, np.uint8)
        pictures = {}
        for number, image in enumerate(cells):
            if image["id"] not in pictures:
                pictures[image["id"]] = stored_pixels(options.source / "images" / image["file_name"])
            row, column = divmod(number, options.side)
            top, left = row * height, column * width
            pixels[top : top + image["height"], left : left + image["width"]] = pictures[image["id"]]
        names = [name.strip() for name in options.classes.split(",")]
        return cls(document, names, cells, (height, width), options.side, pictures, pixels)

    def ap50(self, found: Detections) -> float:
        """Return the AP50 of detections on the mosaic: each belongs to the cell of its centre."""
        height, width = self.cell_hw
        centers = (found.boxes_xyxy[:, :2] + found.boxes_xyxy[:, 2:]) / 2
        places = (centers[:, 1] // height).astype(int) * self.side + (centers[:, 0] // width).astype(int)
        results = []
        for number, image in enumerate(self.cells):
            own = found.subset(np.flatnonzero(places == number))
            row, column = divmod(number, self.side)
            boxes = own.boxes_xyxy - np.tile([column * width, row * height], 2)
            boxes = np.clip(boxes, 0, np.tile([image["width"], image["height"]], 2))
            results.append(_result(number, boxes, own))
        return _ap50(self.document, self.cells, self.names, results)


def measure_mosaic(options: argparse.Namespace) -> Iterator[str]:
    """Yield the AP50 of single images, in their own scales and in that of the tiles, and of their mosaic."""
    mosaic = Mosaic.read(options)
    for name, tiles in (
        ("each fitted to the model input", None),
        ("at the scale of the tiles", _tiles(options)),
    ):
        with Predictor.open(classes=mosaic.names, selection=COCO_SELECTION, tiles=tiles) as predictor:
            started = time.process_time()
            single = {key: predictor.predict([pixels])[0] for key, pixels in mosaic.pictures.items()}
            seconds = (time.process_time() - started) * len(mosaic.cells) / len(mosaic.pictures)
        results = [
            _result(number, single[image["id"]].boxes_xyxy, single[image["id"]])
            for number, image in enumerate(mosaic.cells)
        ]
        ap50 = _ap50(mosaic.document, mosaic.cells, mosaic.names, results)
        yield f"single images, {name}: AP50 {ap50:.4f}, {seconds:.1f} s"
    found, _, seconds = _detect(mosaic, options, COCO_SELECTION, is_timed=False)
    yield f"mosaic: AP50 {mosaic.ap50(found):.4f}, {seconds:.1f} s, {len(found)} detections"


def _tiles(options: argparse.Namespace) -> TileSettings:
    return TileSettings(tile=parse_tile(options.tile), overlap=options.overlap)


def _detect(
    mosaic: Mosaic,
    options: argparse.Namespace,
    selection: SelectionSettings,
    precision: str = "fp32",
    *,
    is_timed: bool = True,
) -> tuple[Detections, float, float]:
    """Return the detections of the mosaic, the seconds of the search, and those of the processor.

    A timed search is the second one.
    """
    runtime = RuntimeSettings(precision=Precision(precision))
    with Predictor.open(
        classes=mosaic.names, runtime=runtime, selection=selection, tiles=_tiles(options)
    ) as predictor:
        if is_timed:
            predictor.predict([mosaic.pixels])  # the first search compiles
        started, started_cpu = time.perf_counter(), time.process_time()
        (found,) = predictor.predict([mosaic.pixels])
        return found, time.perf_counter() - started, time.process_time() - started_cpu


def measure_sahi(options: argparse.Namespace) -> Iterator[str]:
    """Yield AP50 and time of ``detect`` and of SAHI on one mosaic."""
    from sahi_search import WAYS, SahiSearch

    mosaic = Mosaic.read(options)
    selection = replace(COCO_SELECTION, conf=options.conf)
    reference = 0.0
    for precision in options.precision.split(","):
        found, seconds, cpu_seconds = _detect(mosaic, options, selection, precision)
        reference = reference or seconds
        yield _row(f"medrov {precision}", mosaic, found, seconds, cpu_seconds, reference)
    for name in options.sahi.split(","):
        with tempfile.TemporaryDirectory() as folder:
            search = SahiSearch(mosaic.names, options.conf, WAYS[name], Path(folder))
            found, seconds, cpu_seconds = search.search(mosaic.pixels, int(options.tile), options.overlap)
        yield _row(f"SAHI {name}", mosaic, found, seconds, cpu_seconds, reference)


def _row(
    name: str, mosaic: Mosaic, found: Detections, seconds: float, cpu_seconds: float, reference: float
) -> str:
    return (
        f"{name}: AP50 {mosaic.ap50(found):.4f}, {seconds:.1f} s ({seconds / reference:.2f} times the first "
        f"row), {cpu_seconds:.1f} s of the processor, {len(found)} detections"
    )


def _result(number: int, boxes_xyxy: Any, found: Any) -> list[dict[str, Any]]:
    """Return the detections of a cell as COCO results."""
    return [
        {
            "image_id": number + 1,
            "category_id": int(label) + 1,
            "bbox": [x1, y1, x2 - x1, y2 - y1],
            "score": float(score),
        }
        for (x1, y1, x2, y2), score, label in zip(
            boxes_xyxy.tolist(), found.scores, found.labels, strict=True
        )
    ]


def _ap50(
    document: dict[str, Any],
    cells: list[dict[str, Any]],
    names: list[str],
    results: list[list[dict[str, Any]]],
) -> float:
    """Return the mean AP at IoU 0.5 over the classes, by pycocotools."""
    ids = {own["id"]: names.index(own["name"]) + 1 for own in document["categories"] if own["name"] in names}
    truth = COCO()
    truth.dataset = {
        "images": [{"id": number + 1} for number in range(len(cells))],
        "categories": [{"id": number + 1, "name": name} for number, name in enumerate(names)],
        "annotations": [],
    }
    for number, image in enumerate(cells):
        for own in document["annotations"]:
            if own["image_id"] == image["id"] and own["category_id"] in ids:
                truth.dataset["annotations"].append(
                    {
                        "id": len(truth.dataset["annotations"]) + 1,
                        "image_id": number + 1,
                        "category_id": ids[own["category_id"]],
                        "bbox": own["bbox"],
                        "area": own["bbox"][2] * own["bbox"][3],
                        "iscrowd": own.get("iscrowd", 0),
                    }
                )
    truth.createIndex()
    evaluation = COCOeval(truth, truth.loadRes([item for own in results for item in own]), "bbox")
    evaluation.params.iouThrs = np.array([0.5])
    evaluation.params.maxDets = [MAX_DETECTIONS]
    evaluation.params.areaRng, evaluation.params.areaRngLbl = [[0, 1e10]], ["all"]
    evaluation.evaluate()
    evaluation.accumulate()
    precision = evaluation.eval["precision"][0, :, :, 0, 0]
    return float(precision[:, (precision >= 0).all(0)].mean())


_COMMANDS: dict[str, Callable[[argparse.Namespace], Iterator[str]]] = {
    "memory": measure_memory,
    "throughput": measure_throughput,
    "suppression": measure_suppression,
    "mosaic": measure_mosaic,
    "sahi": measure_sahi,
}

if __name__ == "__main__":
    if sys.argv[1:2] == ["_one"]:
        sys.exit(search_one(*sys.argv[2:4]))
    if sys.argv[1:2] == ["_compile"]:
        sys.exit(compile_for(*sys.argv[2:4]))
    sys.exit(main())
