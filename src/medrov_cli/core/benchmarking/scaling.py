"""How speed depends on the number of classes, the size of images and the batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medrov_cli.core.base.files import whole_file
from medrov_cli.core.base.progress import Progress
from medrov_cli.core.benchmarking.rounds import over_rounds, take_turns
from medrov_cli.core.benchmarking.subject import Model
from medrov_cli.core.benchmarking.throughput import Contestant
from medrov_cli.core.settings.benchmark import BenchmarkSettings

if TYPE_CHECKING:
    from matplotlib.figure import Figure

AXES = {"classes": "classes", "imgsz": "side of the model input, pixels", "batch": "images a forward pass"}
FORWARD_COLOR, END_COLOR = "#2474c6", "#d9541e"
"""Told apart by the colour-blind (after Okabe and Ito, 2008)."""


def measure_scaling(
    config: BenchmarkSettings,
    model: Model,
    paths: Sequence[str],
    folder: Path,
    *,
    rounds: int | None,
    advance: Progress,
) -> dict[str, Any]:
    """Time all points of each curve in turn; draw a PNG a curve; return the ``scaling`` object.

    Parameters
    ----------
    config
        The points, the engine, the number of images and of rounds.
    model
        What does not vary along a curve.
    paths
        Files.
    folder
        For ``classes.png``, ``imgsz.png`` and ``batch.png``.
    advance
        Told how many curves are done.
    """
    document: dict[str, Any] = {}
    for done, axis in enumerate(AXES, start=1):
        document[axis] = _measure_curve(config, model, paths, axis, rounds)
        _draw(document[axis], axis, folder / f"{axis}.png")
        advance(done, len(AXES), "scaling curves")
    return document


def _measure_curve(
    config: BenchmarkSettings, model: Model, paths: Sequence[str], axis: str, rounds: int | None
) -> list[dict[str, Any]]:
    """Return the points of one curve: their value, and images per second both ways."""
    values: tuple[int, ...] = getattr(config.curves, axis)
    contestants = [_at_point(config, model, paths, axis, value) for value in values]
    for contestant in contestants:
        contestant.warm_up()
    actions = [partial(_speeds, contestant) for contestant in contestants]
    turns = take_turns(actions, rounds=rounds, seconds=config.seconds)
    return [
        {
            "value": value,
            "forward_images_per_s": over_rounds([forward for forward, _ in own]),
            "end_to_end_images_per_s": over_rounds([end_to_end for _, end_to_end in own]),
        }
        for value, own in zip(values, turns, strict=True)
    ]


def _at_point(
    config: BenchmarkSettings, model: Model, paths: Sequence[str], axis: str, value: int
) -> Contestant:
    batch = value if axis == "batch" else config.runtime.batch
    if axis == "classes":
        model = model.with_classes(value)
    elif axis == "imgsz":
        model = replace(model, imgsz=value)
    return Contestant.open(
        model,
        config.variants[0],
        device=config.runtime.device,
        batch=batch,
        paths=paths,
        images=config.images,
    )


def _speeds(contestant: Contestant) -> tuple[float, float]:
    forward = contestant.forward()
    images, seconds = contestant.end_to_end()
    return forward, images / seconds


def _draw(points: Sequence[dict[str, Any]], axis: str, path: Path) -> None:
    figure = _figure(points, axis)
    with whole_file(path) as temporary:
        figure.savefig(temporary, format="png", dpi=120)


def _figure(points: Sequence[dict[str, Any]], axis: str) -> Figure:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 4), layout="constrained")
    plot = figure.subplots()
    values = [point["value"] for point in points]
    for key, color, label in (
        ("forward_images_per_s", FORWARD_COLOR, "forward alone"),
        ("end_to_end_images_per_s", END_COLOR, "end to end, from disk to disk"),
    ):
        medians = [point[key]["median"] for point in points]
        low, high = ([pick(point[key]["rounds"]) for point in points] for pick in (min, max))
        plot.plot(values, medians, "o-", color=color, label=label, linewidth=1.6, markersize=4)
        plot.fill_between(values, low, high, color=color, alpha=0.15, linewidth=0)
    if axis != "imgsz":
        plot.set_xscale("log")
    plot.set_xticks(values, [str(value) for value in values])
    plot.minorticks_off()
    plot.set(xlabel=AXES[axis], ylabel="images a second", ylim=(0, None))
    plot.grid(alpha=0.3)
    plot.legend(frameon=False)
    return figure
