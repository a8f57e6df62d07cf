"""The page: all of a report in one file that asks nothing of any other place."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from medrov_cli.core.base.files import whole_file
from medrov_cli.core.reports import accuracy, behaviour, overview
from medrov_cli.core.reports.markup import Markup, element, escape, join, section
from medrov_cli.core.reports.pictures import GalleryItem, thumbnail_uri
from medrov_cli.core.reports.plots import PLOT_TITLES, inline_plots
from medrov_cli.core.reports.theme import CONTENT_POLICY, SCRIPT, STYLE
from medrov_cli.core.reports.values import number

Report = Mapping[str, Any]
Section = tuple[str, str, Markup | None]


def write_report_html(path: Path, report: Report, gallery: Sequence[GalleryItem]) -> None:
    """Write a report as one HTML page, readable without its script, for screen and paper.

    Parameters
    ----------
    report
        The document ``medrov.eval/1``. Any value may be null, and any section may be absent.
    gallery
        Pictures of what went wrong, in the order in which they are shown.

    Raises
    ------
    MedrovError
        ``OUTPUT_FAILED``.
    """
    page = render_page(report, gallery)
    with whole_file(path) as temporary:
        temporary.write_text(page, encoding="utf-8", newline="\n")


def render_page(report: Report, gallery: Sequence[GalleryItem]) -> str:
    """Return the page as text. The same report and images give the same text."""
    sections = [part for part in _sections(report, gallery) if part[2] is not None]
    links = [(anchor, title) for anchor, title, _ in sections]
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=CONTENT_POLICY),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="referrer", content="no-referrer"),
        element("title", overview.title_of(report)),
        element("link", rel="icon", href="data:,"),
        element("style", Markup(STYLE)),
    )
    main = element("main", (content for _, _, content in sections))
    footer = element("footer", element("p", str(report.get("created_by") or ""), class_="soft"))
    body = element(
        "body",
        overview.header(report),
        overview.contents(links),
        main,
        footer,
        element("script", Markup(SCRIPT)),
    )
    return "<!doctype html>\n" + element("html", head, body, lang="en") + "\n"


def _sections(report: Report, gallery: Sequence[GalleryItem]) -> Iterable[Section]:
    """Yield anchor, title and content of each section, in the page's order."""
    plots = inline_plots(report)

    def figure(name: str) -> Markup | None:
        drawn = plots.get(name)
        if drawn is None:
            return None
        return element("figure", Markup(drawn), element("figcaption", PLOT_TITLES[name]))

    yield "key-figures", "Key figures", overview.key_figures(report)
    yield "warnings", "Warnings", overview.warning_list(report)
    yield "ap", "Average precision", accuracy.average_precision(report)
    yield "froc", "FROC", accuracy.froc(report, figure)
    yield "pr", "Precision and recall", accuracy.precision_recall(figure)
    yield "reliability", "Reliability", behaviour.reliability(report, figure)
    yield "operating-points", "Operating points", behaviour.operating_points(report)
    yield "absent", "Absent objects", behaviour.absent_objects(report, figure)
    yield "open-vocabulary", "Open vocabulary", accuracy.open_vocabulary(report)
    yield "synonyms", "Synonyms", accuracy.synonyms(report)
    yield "nms-ap", "NMS-AP", accuracy.nms_ap(report)
    yield "confusion", "Confusion", behaviour.confusion(report)
    yield "sizes", "Sizes", behaviour.sizes(report, figure)
    yield "comparison", "Comparison", overview.comparison(report)
    yield "false-positives", "False positives", _gallery(gallery, "false positive")
    yield "misses", "Misses", _gallery(gallery, "miss")
    yield "settings", "Settings", overview.settings(report)


def _gallery(gallery: Sequence[GalleryItem], kind: str) -> Markup | None:
    """Return the pictures of one kind."""
    items = [item for item in gallery if item.kind == kind]
    if not items:
        return None
    is_miss = kind == "miss"
    legend = element(
        "p",
        element("span", class_="swatch item"),
        "object that was missed  " if is_miss else "wrong detection  ",
        element("span", class_="swatch other"),
        "detections nearby (dashed)" if is_miss else "true objects (dashed)",
    )
    return section(
        "misses" if is_miss else "false-positives",
        "Misses" if is_miss else "False positives",
        legend,
        element("ul", [element("li", _picture(item)) for item in items], class_="gallery"),
    )


def _picture(item: GalleryItem) -> Markup:
    """Return one picture with its caption, or a placeholder where the image cannot be read."""
    score = None if item.score is None else f"score {number(item.score, 2)}"
    alt = ", ".join(part for part in (f"{item.kind}: {item.class_name}", score, f"in {item.name}") if part)
    uri = thumbnail_uri(item)
    if uri is None:
        shown = element("div", "image not readable", class_="placeholder", role="img", aria_label=alt)
    else:
        shown = element("img", src=uri, alt=alt)
    others = ", ".join(dict.fromkeys(name for name, _ in item.others))
    caption = join(
        join(element("strong", item.class_name), score and escape(f" {score}")),
        escape(f"beside: {others}") if others else None,
        escape(item.name),
        between=element("br"),
    )
    return element("figure", shown, element("figcaption", caption))
