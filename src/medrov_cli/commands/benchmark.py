"""``medrov benchmark``: one document of schema ``medrov.benchmark/1``, or its tables."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from medrov_cli import console
from medrov_cli.core.settings.benchmark import BenchmarkSettings

Document = Mapping[str, Any]


def _render(document: Document) -> RenderableType:
    parts: list[RenderableType] = [_about(document)]
    for section, render in (("runs", _runs), ("memory", _memory)):
        if document[section] is not None:
            parts += ["", *render(document[section])]
    return Group(*parts)


def _about(document: Document) -> Text:
    machine, settings = document["machine"], document["settings"]
    device = machine["gpu"] or machine["cpu"]
    flags, precision = " ".join(machine["cpu_flags"]), machine["train_precision"]
    versions = ", ".join(f"{name} {number}" for name, number in machine["versions"].items() if number)
    weights = document["weights"]
    synthetic = " synthetic" if settings["classes_from"] == "made_up" else ""
    description = f"weights {weights['name']} ({weights['sha256'][:12]}), {settings['imgsz']} pixels"
    lines = [
        f"{device}, {machine['cores']} core(s); {flags}",
        f"train --precision auto is {precision['name']}: {precision['reason']}",
        versions,
        f"{description}, {settings['classes']}{synthetic} classes",
        f"{settings['images']} images per round, of {settings['files']} {settings['images_from']}",
    ]
    peak = document["peak_memory_mb"]["resident"]
    if peak is not None:
        lines.append(f"peak memory of this process {peak:.0f} MiB")
    return Text("\n".join(lines))


def _runs(rows: Sequence[Document]) -> Iterator[RenderableType]:
    speed = console.table(
        "engine", "", "forward images/s", "end to end images/s", "ratio", "p50 ms", "p90 ms", "p99 ms"
    )
    for column in speed.columns[2:]:
        column.justify = "right"
    for row in rows:
        end_to_end, latency = row["end_to_end_images_per_s"], row["latency_ms"]
        speed.add_row(
            row["engine"],
            f"{row['streams']} stream(s), batch {row['batch']}",
            _with_range(row["forward_images_per_s"]),
            _with_range(end_to_end),
            f"{row['end_to_end_ratio']:.2f}",
            *(f"{latency[key]:.1f}" for key in ("p50", "p90", "p99")),
        )
    yield speed
    yield ""
    stages = console.table("mean ms of one image", *rows[0]["stages_ms"])
    for column in stages.columns[1:]:
        column.justify = "right"
    for row in rows:
        stages.add_row(row["engine"], *(f"{stage['mean']:.2f}" for stage in row["stages_ms"].values()))
    yield stages
    for row in rows:
        if row["energy_j_per_image"] is not None:
            yield f"{row['engine']}: {row['energy_j_per_image']:.3g} J per image, end to end"


def _memory(section: Document) -> Iterator[RenderableType]:
    yield (
        f"memory over {section['images']} images: {section['growth_mb']:+.1f} MiB after the first "
        f"{section['settled_after']}; at most {section['most_mb']:.0f} MiB"
    )


def _with_range(figure: Document) -> str:
    """Return a median, and the lowest and highest round."""
    rounds = figure["rounds"]
    return f"{figure['median']:.4g} ({min(rounds):.4g} to {max(rounds):.4g})"


def benchmark(settings: BenchmarkSettings) -> None:
    """Measure the speed of detection on this machine.

    The command works offline. Options can be combined. Compared entries run in turn.
    """
    from medrov_cli.core.benchmarking.run import run_benchmark

    with console.progress("steps") as advance:
        document = run_benchmark(settings, advance, stdin=sys.stdin)
    console.success(document, _render, as_json=settings.as_json)
