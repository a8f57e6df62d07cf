"""The report of an evaluation: the page, its pictures, and the plots beside it."""

from __future__ import annotations

import base64
import copy
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import cv2
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.reports.behaviour import size_labels
from medrov_cli.core.reports.document_values import ABSENT, interval, number, printable
from medrov_cli.core.reports.evaluation import write_report_html
from medrov_cli.core.reports.pictures import (
    ITEM_COLOR,
    MAX_SIDE_PX,
    OTHER_COLOR,
    GalleryItem,
    draw_thumbnail,
    thumbnail_uri,
)
from medrov_cli.core.reports.plots import write_plots
from report_documents import HOSTILE, empty_report, full_report

SECTIONS = (
    *("key-figures", "warnings", "ap", "froc", "volumes", "pr", "reliability", "operating-points", "absent"),
    *("open-vocabulary", "synonyms", "nms-ap", "confusion", "image-kinds", "sizes", "comparison"),
    *("false-positives", "misses", "settings"),
)
PLOTS = ("pr", "froc", "reliability", "confusion", "sizes", "absent")
VOID = ("meta", "link", "img", "br", "input")


class Page(HTMLParser):
    """A page as a list of elements and texts; fails where elements are not closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[str, str]] = []
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len({name for name, _ in attrs}) == len(attrs)
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append((self._open[-1] if self._open else "", data))

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]

    def text_of(self, tag: str) -> list[str]:
        return [data for inside, data in self.texts if inside == tag]


def image_file(folder: Path, name: str = "scan.png", height: int = 200, width: int = 400) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), np.full((height, width, 3), 90, dtype=np.uint8))
    return path


def item(path: Path, kind: Any = "false positive", **changes: Any) -> GalleryItem:
    values = {
        "kind": kind,
        "image_path": path,
        "name": path.name,
        "class_name": "polyp",
        "score": None if kind == "miss" else 0.876,
        "box_xyxy": (100.0, 50.0, 300.0, 150.0),
        "others": (("other polyp", (20.0, 20.0, 80.0, 90.0)),),
    }
    return GalleryItem(**{**values, **changes})


def page_of(folder: Path, report: dict[str, Any], gallery: list[GalleryItem] | None = None) -> str:
    path = folder / "report.html"
    write_report_html(path, report, gallery or [])
    return path.read_text(encoding="utf-8")


def section(text: str, anchor: str) -> str:
    return re.search(rf'<section id="{anchor}".*?</section>', text, flags=re.DOTALL)[0]


# The page


def test_the_page_has_every_section_once_in_order_and_links_to_each(tmp_path: Path) -> None:
    scan = image_file(tmp_path)
    page = Page(page_of(tmp_path, full_report(), [item(scan), item(scan, "miss")]))
    assert [a["id"] for a in page.all("section")] == list(SECTIONS)
    assert [a["href"] for a in page.all("a")] == [f"#{anchor}" for anchor in SECTIONS]
    identifiers = [a["id"] for _, a in page.elements if "id" in a]
    assert len(identifiers) == len(set(identifiers))


def test_the_head_names_what_was_evaluated_and_the_notice(tmp_path: Path) -> None:
    page = Page(page_of(tmp_path, full_report()))
    assert page.text_of("h1") == ["Evaluation on mini <b> test"] == page.text_of("title")
    paragraphs = " ".join(page.text_of("p"))
    assert "Research use only; not a medical device." in paragraphs
    assert "model medrov-n, 416 px" in paragraphs
    assert "1,234 images, 4,321 boxes, 77 cases, 3 sources, 5 classes" in paragraphs


def test_key_figures_are_those_of_the_report(tmp_path: Path) -> None:
    report = full_report()
    report["coco"]["presence"]["macro"] = {"ap": 0.12345, "ap50": 0.6789}
    page = Page(section(page_of(tmp_path, report), "key-figures"))
    values = dict(zip(page.text_of("span")[::2], page.text_of("strong"), strict=True))
    assert values == {
        "mAP50": "0.679",
        "mAP50-95": "0.123",
        "CPM": "0.506",
        "D-ECE": "0.087",
        "AP50 base": "0.712",
        "AP50 novel": "0.410",
        "AP50 harmonic": "0.520",
        "Absent objects": "1.20",
    }
    assert "95 % interval [0.441, 0.571]" in page.text_of("span")
    assert "false positives per image at score 0.25" in page.text_of("span")


def test_tables_have_a_caption_and_headers_of_rows_and_columns(tmp_path: Path) -> None:
    text = page_of(tmp_path, full_report())
    tables = re.findall(r"<table.*?</table>", text, flags=re.DOTALL)
    assert len(tables) > 15
    for table in tables:
        page = Page(table)
        assert page.text_of("caption") != []
        scopes = [attributes["scope"] for attributes in page.all("th")]
        assert {"col", "row"} == set(scopes)
        rows = table.count("<tr") - 1
        assert scopes.count("row") == rows


def test_a_class_has_both_protocols_side_by_side(tmp_path: Path) -> None:
    report = full_report()
    name = "organ number 1"
    report["coco"]["presence"]["classes"][name] |= {"ap": 0.1111, "ap50": 0.2222, "truths": 1500}
    report["coco"]["plain"]["classes"][name] |= {"ap50": 0.3333}
    row = re.search(rf'<th scope="row">{name}</th>.*?</tr>', section(page_of(tmp_path, report), "ap"))[0]
    assert Page("<tr>" + row).text_of("td")[0] == "1,500"
    assert Page("<tr>" + row).text_of("td")[2:5] == ["0.111", "0.222", "0.333"]


def test_differences_whose_interval_excludes_zero_have_a_sign(tmp_path: Path) -> None:
    text = section(page_of(tmp_path, full_report()), "comparison")
    marks = {
        name: Page(f"<tr>{row}</tr>").text_of("span")
        for name, row in re.findall(r'<th scope="row">(ap50|cpm|ap)</th>(.*?)</tr>', text)
    }
    assert marks == {"ap50": ["▲ higher"], "cpm": ["▼ lower"], "ap": []}
    assert "+0.100" in text
    assert "−0.100" in text


@pytest.mark.slow
def test_many_classes_give_percent_in_the_matrix_and_counts_on_hovering(tmp_path: Path) -> None:
    report = full_report(41)
    counts = [[0] * 42 for _ in range(42)]
    counts[1][1], counts[1][2] = 30, 10
    report["confusion"]["counts"] = counts
    matrix = Page(section(page_of(tmp_path, report), "confusion"))
    cells = [a for a in matrix.all("td") if a.get("title")]
    assert len(cells) == 42 * 42
    names = report["confusion"]["labels"]
    assert cells[42 + 1]["title"] == f"{names[1]} as {names[1]}: 30 (75.0 %)"
    assert cells[42 + 1]["style"] == "--share:0.750"
    assert "style" not in cells[0]
    assert [text for text in matrix.text_of("td") if text in ("75", "25")] == ["75", "25"]


def test_few_classes_give_counts_in_the_matrix(tmp_path: Path) -> None:
    report = full_report(2)
    report["confusion"]["counts"] = [[1234, 5, 0], [0, 7, 1], [2, 0, 0]]
    matrix = Page(section(page_of(tmp_path, report), "confusion"))
    assert matrix.text_of("td")[:3] == ["1,234", "5", "0"]


# Untrusted text, and no way out


def test_hostile_names_stay_text_everywhere(tmp_path: Path) -> None:
    scan = image_file(tmp_path)
    hostile = item(scan, class_name=HOSTILE, name=f"{HOSTILE}.png", others=((HOSTILE, (1, 1, 9, 9)),))
    report = full_report()
    report["dataset"]["name"] = report["model"]["name"] = report["notice"] = HOSTILE
    report["warnings"] = report["settings"]["sizes"] = [HOSTILE]
    report["settings"][HOSTILE] = HOSTILE
    text = page_of(tmp_path, report, [hostile])
    page = Page(text)
    calm = Page(page_of(tmp_path, full_report(), [item(scan)]))
    assert len(page.all("script")) == 1
    assert {tag for tag, _ in page.elements} == {tag for tag, _ in calm.elements}
    assert not [a for _, a in page.elements if any(name.startswith("on") for name in a)]
    assert f"Evaluation on {HOSTILE} test" in page.text_of("h1")
    assert HOSTILE in page.text_of("th")
    assert f"false positive: {HOSTILE}, score 0.88, in {HOSTILE}.png" in [a["alt"] for a in page.all("img")]


def test_the_page_asks_nothing_of_any_other_place(tmp_path: Path) -> None:
    text = page_of(tmp_path, full_report(), [item(image_file(tmp_path))])
    page = Page(text)
    policy = next(a["content"] for a in page.all("meta") if a.get("http-equiv"))
    assert page.all("meta")[1]["http-equiv"] == "Content-Security-Policy"
    assert policy.startswith("default-src 'none'; img-src data:;")
    addresses = [
        value
        for _, attributes in page.elements
        for name, value in attributes.items()
        if name in ("src", "href", "xlink:href", "srcset", "action", "data", "poster")
    ]
    assert len(addresses) > 50
    assert {re.match(r"#|data:image/jpeg;base64,|data:,", str(a)) is not None for a in addresses} == {True}
    assert not re.search(r"https?:|url\((?!#)|@import|//[a-z]+\.", text.split("<script>")[0])


def test_the_drawings_in_the_page_refer_to_what_they_hold(tmp_path: Path) -> None:
    page = Page(page_of(tmp_path, full_report()))
    identifiers = {a["id"] for _, a in page.elements if "id" in a}
    wanted = {str(a["xlink:href"])[1:] for a in page.all("use")}
    wanted |= {match for _, a in page.elements for match in re.findall(r"url\(#(.*?)\)", str(a))}
    assert len(wanted) > 10
    assert wanted <= identifiers
    drawings = page.all("svg")
    assert len(drawings) == 5
    assert all(a["role"] == "img" and a["aria-label"] for a in drawings)


def test_text_that_no_page_may_hold_is_replaced(tmp_path: Path) -> None:
    report = full_report()
    report["warnings"] = ["nul \x00, half \udcff, escape \x1b[31m, two\nlines"]
    text = page_of(tmp_path, report)
    assert "nul \ufffd, half \ufffd, escape \ufffd[31m, two lines" in text


@given(st.text(st.characters(exclude_categories=())))
def test_any_text_is_escaped_to_itself(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    """Whatever goes in comes out of a browser's parser as the same printable text, and as nothing else."""
    report = empty_report()
    report["confusion"] = {"labels": [text, "background"], "counts": [[1, 0], [0, 1]]}
    written = page_of(tmp_path_factory.mktemp("text"), report)  # it is valid UTF-8
    (heading,) = re.findall(r'<th scope="col" title="[^"]*"><span>[^<]*</span></th>(?=<th)', written)
    page = Page(heading)
    assert [tag for tag, _ in page.elements] == ["th", "span"]
    assert "".join(page.text_of("span")) == printable(text)
    assert page.all("th")[0]["title"] == printable(text)


# Values that are not there


def test_nulls_are_dashes_and_sections_without_data_are_left_out(tmp_path: Path) -> None:
    text = page_of(tmp_path, empty_report())
    page = Page(text)
    assert [a["id"] for a in page.all("section")] == ["key-figures", "warnings", "ap", "settings"]
    assert page.text_of("strong") == [ABSENT] * 4
    assert "predictions from a file" in text
    assert "None" not in " ".join(page.text_of("td"))
    assert set(page.text_of("td")) == {ABSENT}
    assert "nan" not in text.split("<style>")[0] + text.split("</style>")[1]


def leaves(document: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the path of every object, list and value."""
    children = document.items() if isinstance(document, dict) else ()
    if isinstance(document, list):
        children = enumerate(document[:2])
    return [path, *(leaf for key, child in children for leaf in leaves(child, (*path, key)))]


PATHS = [path for path in leaves(full_report(3)) if path]


@settings(max_examples=15)
@example(paths={("confusion", "counts", 1)}, gap=None)
@given(
    paths=st.sets(st.sampled_from(PATHS), min_size=1, max_size=12), gap=st.sampled_from([None, float("nan")])
)
@pytest.mark.slow
def test_any_value_may_be_null(tmp_path_factory: pytest.TempPathFactory, paths: set[Any], gap: Any) -> None:
    report = copy.deepcopy(full_report(3))
    for path in sorted(paths, key=len, reverse=True):
        parent: Any = report
        for key in path[:-1]:
            parent = parent[key]
        is_number = isinstance(parent[path[-1]], float)
        parent[path[-1]] = gap if is_number else None
    folder = tmp_path_factory.mktemp("nulls")
    Page(page_of(folder, report))
    write_plots(folder, {"confusion": report["confusion"]})  # the one that the page does not draw


# Pictures


def decoded(uri: str) -> np.ndarray:
    assert uri.startswith("data:image/jpeg;base64,")
    data = np.frombuffer(base64.b64decode(uri.split(",")[1]), np.uint8)
    return cv2.imdecode(data, cv2.IMREAD_COLOR_RGB)


def near(pixel: Any, color: tuple[int, int, int]) -> bool:
    return bool(np.abs(np.asarray(pixel, dtype=int) - color).max() < 60)


def test_a_picture_shows_both_kinds_of_boxes_in_their_colours(tmp_path: Path) -> None:
    shown = decoded(thumbnail_uri(item(image_file(tmp_path))))
    assert shown.shape == (160, 320, 3)  # 400 x 200 at 0.8
    assert near(shown[80, 80], ITEM_COLOR)
    assert near(shown[40, 160], ITEM_COLOR)
    assert near(shown[18, 16], OTHER_COLOR)
    assert near(shown[100, 160], (90, 90, 90))


def test_the_picture_of_a_small_box_is_a_crop_around_it() -> None:
    image = np.full((1000, 2000, 3), 90, dtype=np.uint8)
    image[500, 1500] = 255
    before = image.copy()
    shown = draw_thumbnail(image, (1490, 490, 1520, 520), [])
    assert shown.shape == (MAX_SIDE_PX, MAX_SIDE_PX, 3)
    drawn = np.argwhere((np.abs(shown.astype(int) - ITEM_COLOR) == 0).all(2))
    rows_columns = drawn.max(0) - drawn.min(0)
    np.testing.assert_allclose(rows_columns, 30 * MAX_SIDE_PX / 120, atol=3)  # 4 times the box
    np.testing.assert_allclose(drawn.mean(0), MAX_SIDE_PX / 2, atol=3)
    assert (image == before).all()


def test_a_crop_at_the_edge_stays_inside_the_image() -> None:
    image = np.full((1000, 2000, 3), 90, dtype=np.uint8)
    shown = draw_thumbnail(image, (1985, 0, 2000, 12), [(1e9, 0, 2e9, 1)])
    assert shown.shape == (MAX_SIDE_PX, MAX_SIDE_PX, 3)
    assert (shown[0, -20:] == ITEM_COLOR).all()


BOX = st.tuples(*[st.floats(allow_nan=True, allow_infinity=True, width=32)] * 4)


@given(
    st.integers(1, 400),
    st.integers(1, 400),
    st.one_of(BOX, st.tuples(*[st.floats(-50, 450)] * 4)),
    st.lists(BOX, max_size=2),
)
def test_no_box_and_no_image_is_too_odd_to_draw(height: int, width: int, box: Any, others: Any) -> None:
    shown = draw_thumbnail(np.zeros((height, width, 3), np.uint8), box, others)
    assert max(shown.shape[:2]) <= MAX_SIDE_PX
    assert min(shown.shape) >= 1


def test_an_image_that_cannot_be_read_has_a_placeholder(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"\x89PNG\r\n\x1a\nno")
    gallery = [item(tmp_path / "gone.png"), item(tmp_path), item(broken, "miss")]
    page = Page(page_of(tmp_path, full_report(), gallery))
    assert page.text_of("div").count("image not readable") == 3
    labels = [a["aria-label"] for a in page.all("div") if a.get("class") == "placeholder"]
    assert labels[0] == "false positive: polyp, score 0.88, in gone.png"
    assert labels[2] == "miss: polyp, in broken.png"
    assert capfd.readouterr().err == ""


def test_the_orientation_of_the_file_is_ignored_as_in_the_dataset(tmp_path: Path) -> None:
    from PIL import Image

    path = tmp_path / "turned.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees
    Image.new("RGB", (200, 100)).save(path, exif=exif)
    assert decoded(thumbnail_uri(item(path))).shape == (160, 320, 3)


# Plots


def test_plots_are_written_as_png_and_svg(tmp_path: Path) -> None:
    paths = write_plots(tmp_path / "deep", full_report())
    assert [path.name for path in paths] == [f"{name}.{kind}" for name in PLOTS for kind in ("png", "svg")]
    assert sorted(path.parent for path in paths) == [tmp_path / "deep"] * 12
    assert len(list((tmp_path / "deep").iterdir())) == 12
    for path in paths:
        if path.suffix == ".png":
            assert min(cv2.imread(str(path)).shape[:2]) > 300
        else:
            assert ET.parse(path).getroot().tag == "{http://www.w3.org/2000/svg}svg"


@pytest.mark.parametrize(
    ("keys", "plot"),
    [
        (("curves",), "pr"),
        (("froc", "classes"), "froc"),
        (("calibration", "reliability"), "reliability"),
        (("confusion",), "confusion"),
        (("sizes",), "sizes"),
        (("absent",), "absent"),
    ],
)
def test_a_plot_without_data_is_left_out(tmp_path: Path, keys: tuple[str, ...], plot: str) -> None:
    report = full_report(2)
    parent = report
    for key in keys[:-1]:
        parent = parent[key]
    parent[keys[-1]] = None
    assert {path.stem for path in write_plots(tmp_path, report)} == set(PLOTS) - {plot}


def test_image_kinds_and_their_confusions_are_shown(tmp_path: Path) -> None:
    kinds = Page(section(page_of(tmp_path, full_report()), "image-kinds"))
    texts = [text.strip() for _, text in kinds.texts if text.strip()]
    assert any("Right kind 0.9750, right modality 1.0000" in text for text in texts)
    row = texts.index("chest CT", texts.index("Most frequent confusions of kinds"))
    assert texts[row : row + 3] == ["chest CT", "abdominal CT", "1"]


def svg_texts(path: Path) -> list[str]:
    texts = (node for node in ET.parse(path).iter() if node.tag.endswith("}text"))
    return ["".join(node.itertext()).strip() for node in texts]


def test_names_are_written_as_they_are_in_the_plots(tmp_path: Path) -> None:
    """No formulas, none hidden for its underscore, none cut in the middle of the plot."""
    report = full_report(3)
    for name in ("$x^2$", "_hidden too"):
        report["curves"]["pr"][name] = [0.5] * 101
    write_plots(tmp_path, report)
    texts = svg_texts(tmp_path / "pr.svg")
    assert {"$x^2$", "_hidden", "_hidden too", "organ number 0", "mean of classes"} <= set(texts)
    assert f"{HOSTILE[:29]}…" in texts


@pytest.mark.slow
def test_many_classes_have_a_small_plot_each(tmp_path: Path) -> None:
    report = full_report(41)
    write_plots(tmp_path, report)
    for plot in ("pr", "froc"):
        texts = svg_texts(tmp_path / f"{plot}.svg")
        assert sum(text.startswith("organ number") for text in texts) == 39
        assert "mean of classes" in texts
    assert sum(text.startswith("organ number") for text in svg_texts(tmp_path / "confusion.svg")) == 2 * 39
    assert sum(text.startswith("organ number") for text in svg_texts(tmp_path / "absent.svg")) <= 8


@pytest.mark.slow
def test_the_share_found_is_written_over_each_size(tmp_path: Path) -> None:
    write_plots(tmp_path, full_report())
    texts = svg_texts(tmp_path / "sizes.svg")
    assert [text for text in texts if text.endswith("%")] == ["17 %", "50 %", "90 %", "98 %"]
    assert {"0–16", "64–128", "≥ 128"} <= set(texts)


@pytest.mark.parametrize(("bins", "angle"), [(5, ""), (13, "rotate(-35)")])
def test_names_of_many_sizes_are_slanted_to_stay_apart(tmp_path: Path, bins: int, angle: str) -> None:
    values = list(range(1, bins + 1))
    sizes = {"edges_px": [10 * i for i in range(bins + 1)], "truths": values, "found": values}
    write_plots(tmp_path, {"sizes": {**sizes, "false_positives": values}})
    nodes = [n for n in ET.parse(tmp_path / "sizes.svg").iter() if "–" in "".join(n.itertext())]
    labels = [n for n in nodes if n.tag.endswith("}text")]
    assert len(labels) == bins
    assert all(re.findall(r"rotate\(-35\)", n.get("transform", "")) == [angle] * bool(angle) for n in labels)


@pytest.mark.slow
def test_the_same_report_gives_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scan = image_file(tmp_path)
    report = full_report(9)
    report["sizes"] = report["confusion"] = None  # they are drawn as the others are
    first = {path.name: path.read_bytes() for path in write_plots(tmp_path / "a", report)}
    page = page_of(tmp_path, report, [item(scan)])
    import matplotlib as mpl

    with mpl.rc_context({"font.size": 20, "savefig.dpi": 10, "svg.hashsalt": "another"}):
        monkeypatch.setenv("SOURCE_DATE_EPOCH", "0")
        second = {path.name: path.read_bytes() for path in write_plots(tmp_path / "b", copy.deepcopy(report))}
        assert page_of(tmp_path, copy.deepcopy(report), [item(scan)]) == page
        assert mpl.rcParams["font.size"] == 20
    assert len(first) == 8
    assert first == second
    assert not [name for name, content in first.items() if b"Matplotlib" in content or b"dc:date" in content]


def test_a_folder_that_cannot_be_written_is_an_error_with_a_code(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for write in (
        lambda: write_plots(tmp_path / "file", full_report(2)),
        lambda: write_report_html(tmp_path / "file" / "report.html", full_report(2), []),
    ):
        with pytest.raises(MedrovError) as caught:
            write()
        assert caught.value.code is ErrorCode.OUTPUT_FAILED


# Values


@pytest.mark.parametrize(
    ("value", "text"),
    [
        *[(0.12349, "0.123"), (1, "1"), (12345, "12,345"), (np.int64(7), "7"), (np.float32(0.5), "0.500")],
        *[(-0.25, "−0.250"), (None, ABSENT), (float("nan"), ABSENT), (float("inf"), ABSENT), ("x", ABSENT)],
    ],
)
def test_numbers(value: Any, text: str) -> None:
    assert number(value) == text


def test_intervals_and_sizes() -> None:
    assert interval([0.1, 0.25]) == "[0.100, 0.250]"
    assert interval([0.1, None]) == interval(None) == interval([1]) == ABSENT
    assert size_labels([0, 8, 16.5, None]) == ["0–8", "8–16.5", "≥ 16.5"]
    assert size_labels([]) == []
