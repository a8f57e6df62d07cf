"""The plots of a report: PNG and SVG files, and SVG inside the page. Same report, same bytes."""

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
"""What each plot shows, also for those who cannot see it."""

_DPI = 144
_PX_PER_PT = 4 / 3  # of CSS
_STYLE: dict[Any, Any] = {
    "axes.axisbelow": True,
    "axes.edgecolor": INK,
    "axes.facecolor": PAPER,
    "axes.grid": True,
    "axes.labelcolor": INK,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": 10,
    "font.family": ["DejaVu Sans"],  # comes with matplotlib: the same on every machine
    "font.size": 9,
    "grid.color": GRID,
    "grid.linewidth": 0.5,
    "legend.frameon": False,
    "svg.fonttype": "none",  # text stays text: small, searchable, read aloud
    "svg.hashsalt": "medrov",
    "text.color": INK,
    "text.parse_math": False,  # class names are no formulas
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
    """Return the plots as ``svg`` elements for one page, which take the page's ink and no paper.

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
    """Draw with our settings only, whatever the user's matplotlibrc says."""
    from matplotlib import rc_context, rcdefaults

    with rc_context(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing")  # a name in another script
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
    """Return a drawing as an element of a page: own ids, the page's ink, no paper, no namespaces."""
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
    """Return a tag with ids of its own and colours of the page. Attribute values hold no ``>``."""
    tag = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{name}-", tag)
    return tag.replace(INK, "currentColor").replace(f"fill: {PAPER}", "fill: none")
