"""Curves of speed by number of classes, image size and batch.

::

    python benchmarks/scaling_curves.py images/ --output curves --imgsz 640 --images 64 --rounds 3
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from rich.console import RenderableType

from detection_script import (
    add_classes,
    add_engine,
    add_length,
    images_of,
    option_parser,
    right_aligned,
    run_script,
    settings_from,
    with_range,
)
from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.base.files import whole_file
from medrov_cli.core.base.progress import Progress
from medrov_cli.core.benchmarking.benchmark_model import BenchmarkModel, synthetic_classes
from medrov_cli.core.benchmarking.rounds import interleave, over_rounds
from medrov_cli.core.benchmarking.run import benchmark_document
from medrov_cli.core.benchmarking.throughput import TimedModel
from medrov_cli.core.settings.benchmark import BenchmarkSettings

POINTS: Mapping[str, tuple[int, ...]] = {
    "classes": (1, 10, 100, 1000, 2000),
    "imgsz": (224, 320, 416, 512, 640),
    "batch": (1, 2, 4, 8, 16),
}
"""Points of each curve."""

AXES = {
    "classes": "classes",
    "imgsz": "side of the model input in pixels",
    "batch": "images per forward pass",
}
FORWARD_COLOR, END_COLOR = "#2474c6", "#d9541e"
"""Colours for colour-blind readers (Okabe and Ito, 2008)."""


def measure_scaling(
    config: BenchmarkSettings,
    model: BenchmarkModel,
    paths: Sequence[str],
    folder: Path,
    advance: Progress,
) -> dict[str, Any]:
    """Time all points of each curve in turn, draw one PNG per curve, and return the ``scaling`` object.

    Parameters
    ----------
    config
        Settings with the engine and the numbers of images and rounds.
    model
        Model, in its constant properties of a curve.
    paths
        Files.
    folder
        Folder of ``classes.png``, ``imgsz.png`` and ``batch.png``.
    advance
        Called with the number of completed curves.
    """
    document: dict[str, Any] = {}
    for done, axis in enumerate(AXES, start=1):
        document[axis] = _measure_curve(config, model, paths, axis)
        _draw(document[axis], axis, folder / f"{axis}.png")
        advance(done, len(AXES), "scaling curves")
    return document


def _measure_curve(
    config: BenchmarkSettings, model: BenchmarkModel, paths: Sequence[str], axis: str
) -> list[dict[str, Any]]:
    """Return the points of one curve: their value, and images per second forward and end to end."""
    values = POINTS[axis]
    models = [_at_point(config, model, paths, axis, value) for value in values]
    for timed in models:
        timed.warm_up()
    actions = [partial(_speeds, timed) for timed in models]
    turns = interleave(actions, rounds=config.rounds_or_default, seconds=config.seconds)
    return [
        {
            "value": value,
            "forward_images_per_s": over_rounds([forward for forward, _ in own]),
            "end_to_end_images_per_s": over_rounds([end_to_end for _, end_to_end in own]),
        }
        for value, own in zip(values, turns, strict=True)
    ]


def _at_point(
    config: BenchmarkSettings, model: BenchmarkModel, paths: Sequence[str], axis: str, value: int
) -> TimedModel:
    batch = value if axis == "batch" else config.runtime.batch
    if axis == "classes":
        model = replace(model, classes=synthetic_classes(value))
    elif axis == "imgsz":
        model = replace(model, imgsz=value)
    return TimedModel.open(
        model,
        config.variants[0],
        device=config.runtime.device,
        batch=batch,
        paths=paths,
        images=config.images,
    )


def _speeds(timed: TimedModel) -> tuple[float, float]:
    forward = timed.forward()
    images, seconds = timed.end_to_end()
    return forward, images / seconds


def _draw(points: Sequence[dict[str, Any]], axis: str, path: Path) -> None:
    figure = _figure(points, axis)
    with whole_file(path) as temporary:
        figure.savefig(temporary, format="png", dpi=120)


def _figure(points: Sequence[dict[str, Any]], axis: str) -> Figure:
    figure = Figure(figsize=(6, 4), layout="constrained")
    plot = figure.subplots()
    values = [point["value"] for point in points]
    for key, color, label in (
        ("forward_images_per_s", FORWARD_COLOR, "forward alone"),
        ("end_to_end_images_per_s", END_COLOR, "end to end"),
    ):
        medians = [point[key]["median"] for point in points]
        low, high = ([pick(point[key]["rounds"]) for point in points] for pick in (min, max))
        plot.plot(values, medians, "o-", color=color, label=label, linewidth=1.6, markersize=4)
        plot.fill_between(values, low, high, color=color, alpha=0.15, linewidth=0)
    if axis != "imgsz":
        plot.set_xscale("log")
    plot.set_xticks(values, [str(value) for value in values])
    plot.minorticks_off()
    plot.set(xlabel=AXES[axis], ylabel="images per second", ylim=(0, None))
    plot.grid(alpha=0.3)
    plot.legend(frameon=False)
    return figure


def measure(options: argparse.Namespace, advance: Progress) -> dict[str, Any]:
    """Return the document with the section ``scaling``."""
    config = settings_from(options)
    folder: Path = options.output
    if folder.exists() and not folder.is_dir():
        raise MedrovError(ErrorCode.USAGE, f"--output {folder} is a file", "Give a folder.")
    model = BenchmarkModel.from_settings(config)
    with images_of(config, advance, raster=False) as (paths, _):
        section = measure_scaling(config, model, paths, folder, advance)
    return benchmark_document(config, model, len(paths), {"scaling": section})


def render(document: dict[str, Any]) -> Iterator[RenderableType]:
    """Yield one table per curve of a document."""
    for number, (axis, points) in enumerate(document["scaling"].items()):
        if number:
            yield ""
        table = right_aligned(AXES[axis], "forward images/s", "end to end images/s", left=0)
        for point in points:
            speeds = (point[key] for key in ("forward_images_per_s", "end_to_end_images_per_s"))
            table.add_row(str(point["value"]), *map(with_range, speeds))
        yield table


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the script; return its exit code."""
    parser = option_parser(__doc__)
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="DIR", help="folder of the PNGs")
    add_engine(parser)
    add_classes(parser)
    add_length(parser)
    options = parser.parse_args(arguments)
    return run_script(partial(measure, options), render, as_json=options.json)


if __name__ == "__main__":
    sys.exit(main())
