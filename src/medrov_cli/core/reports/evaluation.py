"""HTML page of an evaluation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup

from medrov_cli.core.reports import accuracy, behaviour, overview
from medrov_cli.core.reports.document_values import number
from medrov_cli.core.reports.page import write_page
from medrov_cli.core.reports.pictures import GalleryItem, thumbnail_uri
from medrov_cli.core.reports.plots import PLOT_TITLES, inline_plots


def write_report_html(path: Path, report: Mapping[str, Any], gallery: Sequence[GalleryItem]) -> None:
    """Write a report as one HTML page, readable without its script, for screen and paper.

    Parameters
    ----------
    path
        The HTML file.
    report
        The document ``medrov.eval/1``. Any value may be null, and any section may be absent.
    gallery
        Pictures of errors, in the order of the page.

    Raises
    ------
    MedrovError
        ``OUTPUT_FAILED``.
    """
    plots = {name: (Markup(drawn), PLOT_TITLES[name]) for name, drawn in inline_plots(report).items()}  # noqa: S704 - drawn by matplotlib, which escapes text
    write_page(
        path,
        "evaluation.html.j2",
        title=overview.title_of(report),
        report=report,
        plots=plots,
        false_positives=[_picture(item) for item in gallery if item.kind == "false positive"],
        misses=[_picture(item) for item in gallery if item.kind == "miss"],
        accuracy=accuracy,
        behaviour=behaviour,
        overview=overview,
    )


def _picture(item: GalleryItem) -> dict[str, Any]:
    """Return the values of one picture; its address is null if the image cannot be read."""
    score = None if item.score is None else f"score {number(item.score, 2)}"
    alt = ", ".join(part for part in (f"{item.kind}: {item.class_name}", score, f"in {item.name}") if part)
    return {
        "uri": thumbnail_uri(item),
        "alt": alt,
        "class_name": item.class_name,
        "score": score,
        "beside": ", ".join(dict.fromkeys(name for name, _ in item.others)),
        "name": item.name,
    }
