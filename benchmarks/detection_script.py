"""Shared parts of the scripts that time detection: options, document and output.

A script prints tables, or with ``--json`` the document of ``medrov benchmark`` (schema
``medrov.benchmark/1``) with the section of the script.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table

from medrov_cli import console
from medrov_cli.core.base.constants import DEFAULT_WEIGHTS
from medrov_cli.core.base.errors import MedrovError
from medrov_cli.core.base.progress import Progress
from medrov_cli.core.benchmarking.images import collect_images
from medrov_cli.core.settings.benchmark import ROUNDS, BenchmarkSettings
from medrov_cli.core.settings.choices import EngineName, Precision
from medrov_cli.core.settings.groups import RuntimeSettings
from medrov_cli.core.settings.values import parse_variants

_USUAL = BenchmarkSettings()

Section = Mapping[str, Any]
"""Object of the document."""


def with_range(figure: Section) -> str:
    """Return a median, and the lowest and the highest round, as text."""
    rounds = figure["rounds"]
    return f"{figure['median']:.4g} ({min(rounds):.4g} to {max(rounds):.4g})"


def option_parser(description: str | None) -> argparse.ArgumentParser:
    """Return a parser with the options of all scripts."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("-w", "--weights", default=DEFAULT_WEIGHTS, help="name or weights file")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    return parser


def add_length(parser: argparse.ArgumentParser) -> None:
    """Add the length of a measurement: a number of rounds, or a time."""
    parser.add_argument("--rounds", type=int, help=f"default: {ROUNDS}")
    parser.add_argument("--seconds", type=float, help="instead of --rounds: rounds up to this time, in s")


def add_classes(parser: argparse.ArgumentParser) -> None:
    """Add the number of synthetic classes."""
    parser.add_argument("--classes", type=int, metavar="N", help="number of synthetic classes (fixed seed)")


def add_engine(parser: argparse.ArgumentParser) -> None:
    """Add the images and the options of the engine that runs the network."""
    parser.add_argument("inputs", nargs="*", metavar="INPUT", help="images; default: synthetic phantoms")
    parser.add_argument("--images", type=int, default=_USUAL.images, help="images per round")
    parser.add_argument("--imgsz", type=int, help="side of the model input in pixels; default: the weights'")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or mps")
    parser.add_argument("--engine", type=EngineName, choices=list(EngineName), default=EngineName.AUTO)
    parser.add_argument("--precision", type=Precision, choices=list(Precision), default=Precision.FP32)
    parser.add_argument("--batch", type=int, help="images per forward pass; default: as in detect")


def settings_from(options: argparse.Namespace) -> BenchmarkSettings:
    """Return the checked settings of options.

    Raises
    ------
    MedrovError
        ``USAGE``, naming the option.
    """
    given = vars(options)
    values = {
        name: given[name] for name in ("images", "rounds", "seconds", "weights", "classes") if name in given
    }
    runtime = {
        name: given[name] for name in ("imgsz", "device", "batch", "engine", "precision") if name in given
    }
    if given.get("compare") is not None:
        values["compare"] = parse_variants(options.compare)
    config = BenchmarkSettings(
        inputs=tuple(given.get("inputs", ())), runtime=RuntimeSettings(**runtime), **values
    )
    config.check()
    return config


@contextmanager
def images_of(
    config: BenchmarkSettings, advance: Progress, *, raster: bool
) -> Iterator[tuple[list[str], Path]]:
    """Yield the files for the timing and a temporary folder, which is removed afterwards.

    Parameters
    ----------
    config
        Inputs; without any, phantoms are written to the folder.
    advance
        Called with the number of drawn phantoms.
    raster
        Whether CT is written as PNG, since ultralytics does not read DICOM.
    """
    with tempfile.TemporaryDirectory(prefix="medrov-benchmark-") as name:
        folder = Path(name)
        images = folder / "images"
        yield (
            collect_images(
                config.inputs, images, config.images, raster=raster, advance=advance, stdin=sys.stdin
            ),
            folder,
        )


def run_script(
    measure: Callable[[Progress], dict[str, Any]],
    render: Callable[[dict[str, Any]], Iterator[RenderableType]],
    *,
    as_json: bool,
) -> int:
    """Measure, and print the document or its tables; return the exit code."""
    try:
        with console.progress("steps") as advance:
            document = measure(advance)
    except MedrovError as failure:
        console.fail(failure.message, failure.hint)
        return int(failure.exit_code)
    console.success(document, lambda found: Group(*render(found)), as_json=as_json)
    return 0


def right_aligned(*headings: str, left: int = 1) -> Table:
    """Return an empty table whose columns, but for the first ``left``, are aligned at the right."""
    table = console.table(*headings)
    for column in table.columns[left:]:
        column.justify = "right"
    return table
