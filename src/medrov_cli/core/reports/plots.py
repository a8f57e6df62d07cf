"""Plots of a report: PNG and SVG files, and SVG in the page. Equal reports give equal bytes."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medrov_cli.core.base.files import whole_file
from medrov_cli.core.reports import charts, curves
from medrov_cli.core.reports.palette import GRID, INK, PAPER

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_PLOTS: dict[str, Callable[[Mapping[str, Any]], Figure | None]] = {
    "pr": curves.precision_recall,
    "froc": curves.froc,
    "reliability": charts.reliability,
    "confusion": charts.confusion,
    "sizes": charts.sizes,
    "absent": curves.absent,
}

PLOT_TITLES = {
    "pr": "Precision by recall at IoU 0.50.",
    "froc": "Sensitivity by false positives per image.",
    "reliability": "Precision by score, and how many detections have that score.",
    "confusion": "Truth by detection, in shares of the row.",
    "sizes": "Objects, found ones and false positives by size of the box.",
    "absent": "False positives per image without the object, by threshold.",
}
"""Description of each plot: its caption and its text for screen readers."""

_DPI = 144
_PX_PER_PT = 4 / 3  # CSS pixels
_STYLE: dict[Any, Any] = {
    "axes.axisbelow": True,
    "axes.edgecolor": INK,
    "axes.facecolor": PAPER,
    "axes.grid": True,
    "axes.labelcolor": INK,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": 10,
    "font.family": ["DejaVu Sans"],  # part of matplotlib: equal on all machines
    "font.size": 9,
    "grid.color": GRID,
    "grid.linewidth": 0.5,
    "legend.frameon": False,
    "svg.fonttype": "none",  # text is not converted to paths
    "svg.hashsalt": "medrov",
    "text.color": INK,
    "text.parse_math": False,  # class names are not formulas
    "xtick.color": INK,
    "ytick.color": INK,
}


def write_plots(folder: Path, report: Mapping[str, Any]) -> tuple[Path, ...]:
    """Write each plot as PNG and SVG; those without data are left out.

    Returns
    -------
    tuple of Path
        ``pr``, ``froc``, ``reliability``, ``confusion``, ``sizes``, ``absent``, each twice.

    Raises
    ------
    MedrovError
        ``OUTPUT_FAILED``.
    """
    written = []
    with _style():
        for name, figure in _figures(report):
            for kind, content in (("png", _png(figure)), ("svg", _svg(figure).encode())):
                path = folder / f"{name}.{kind}"
                with whole_file(path) as temporary:
                    temporary.write_bytes(content)
                written.append(path)
    return tuple(written)


def inline_plots(report: Mapping[str, Any]) -> dict[str, str]:
    """Return the plots as ``svg`` elements of one page, in its text colour and without background.

    The confusion matrix is left out: the page has it as a table.
    """
    with _style():
        return {name: _inline(_svg(figure), name) for name, figure in _figures(report, without="confusion")}


def _figures(report: Mapping[str, Any], without: str = "") -> Iterator[tuple[str, Figure]]:
    for name, draw in _PLOTS.items():
        figure = None if name == without else draw(report)
        if figure is not None:
            yield name, figure


@contextmanager
def _style() -> Iterator[None]:
    """Draw with fixed settings, without the matplotlibrc of the user."""
    from matplotlib import rc_context, rcdefaults

    with rc_context(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing")  # glyphs that the font does not have
        rcdefaults()
        with rc_context(_STYLE):
            yield


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=_DPI, facecolor=PAPER, metadata={"Software": None})
    return buffer.getvalue()


def _svg(figure: Figure) -> str:
    nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    buffer = io.BytesIO()
    figure.savefig(buffer, format="svg", facecolor=PAPER, metadata=nothing)
    return buffer.getvalue().decode()


def _inline(svg: str, name: str) -> str:
    """Return a plot as an element of a page: unique ids, text colour of the page, no background."""
    svg = svg[svg.index("<svg") :].strip()
    svg = re.sub(r"<metadata>.*?</metadata>|<style[^>]*>.*?</style>", "", svg, flags=re.DOTALL)
    svg = re.sub(r"<[^>]*>", lambda tag: _inline_tag(tag[0], name), svg)
    width, height = (float(size) for size in re.findall(r'\b(?:width|height)="([\d.]+)pt"', svg)[:2])
    opening = (
        f'<svg viewBox="0 0 {width:g} {height:g}" width="{width * _PX_PER_PT:.0f}" '
        f'role="img" aria-label="{PLOT_TITLES[name]}">'
    )
    return re.sub(r"^<svg[^>]*>", lambda _: opening, svg)


def _inline_tag(tag: str, name: str) -> str:
    """Return a tag with unique ids and the colours of the page. Attribute values contain no ``>``."""
    tag = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{name}-", tag)
    return tag.replace(INK, "currentColor").replace(f"fill: {PAPER}", "fill: none")
