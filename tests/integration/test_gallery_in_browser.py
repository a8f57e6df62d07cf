"""The report of ``detect --format html`` in a real browser: filters, keys, decisions, no foreign script."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from chromium import BROWSER, Page, browser
from report_fixtures import HOSTILE, SLICES, write_report

pytestmark = pytest.mark.skipif(
    BROWSER is None, reason="no chromium, chromium-browser or google-chrome; MEDROV_CHROMIUM names another"
)

COUNT = 300
SOON = 5.0


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """Run one browser for all tests."""
    with browser(tmp_path_factory.mktemp("profile")) as own:
        own.call(
            "Emulation.setDeviceMetricsOverride", width=1200, height=800, deviceScaleFactor=1, mobile=False
        )
        yield own


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Write a report with files beside its page, and one that is a single file."""
    folder = tmp_path_factory.mktemp("reports")
    return {
        "folder": write_report(folder / "many", COUNT, records_sha256="many"),
        "file": write_report(folder / "few", 20, records_sha256="few"),
    }


@pytest.fixture
def page(tab: Page, reports: dict[str, Path]) -> Iterator[Page]:
    """Open the large report without decisions."""
    yield from opened(tab, reports["folder"])


def opened(tab: Page, path: Path) -> Iterator[Page]:
    tab.open(path)
    tab.evaluate("localStorage.clear()")
    tab.open(path)
    settle(tab)
    assert tab.evaluate("document.documentElement.dataset.script") == "ready"
    yield tab
    assert tab.complaints == []
    assert tab.requests == []
    assert tab.evaluate("document.querySelector('img[src=x]')") is None


def settle(page: Page) -> None:
    """Wait until two frames are drawn."""
    page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(0))))")


def value(page: Page, expression: str) -> Any:
    settle(page)
    return page.evaluate(expression)


def click_first(page: Page, selector: str) -> None:
    """Click on the first element of a selector, once it is drawn."""
    page.evaluate(
        "new Promise(done => { const look = () => {"
        f" const e = document.querySelector({json.dumps(selector)});"
        " if (e) { e.click(); done(0); } else requestAnimationFrame(look); }; look(); })"
    )


def scroll_to_end(page: Page) -> None:
    """Scroll to the last card, once the page has its height, and wait until the card is drawn."""
    settle(page)
    page.evaluate("scrollTo(0, 1e9)")
    settle(page)


def text(page: Page, identity: str) -> str:
    return value(page, f"document.getElementById('{identity}').textContent")


def choose(page: Page, identity: str, chosen: str) -> None:
    page.evaluate(
        f"(() => {{ const e = document.getElementById('{identity}'); e.value = {json.dumps(chosen)};"
        " e.dispatchEvent(new Event('input', { bubbles: true })); })()"
    )


def names(page: Page) -> list[str]:
    """Return the names of the cards that are elements, in the order of the gallery."""
    return value(
        page,
        "[...document.querySelectorAll('#gallery .card')].sort((a, b) => a.dataset.row - b.dataset.row)"
        ".map(card => card.title)",
    )


def test_the_best_images_come_first_and_few_cards_are_elements(page: Page) -> None:
    assert (
        text(page, "status")
        == f"{COUNT + 1 + SLICES} of {COUNT + 2 + SLICES} images, 614 detections from score 0.00."
    )
    shown = names(page)
    assert shown[:2] == [f"{HOSTILE}.png", f"case/{COUNT - 1:05d}.png"]
    assert len(shown) < 80
    assert value(page, "document.querySelectorAll('#gallery rect.box').length") == 2 * len(shown)
    assert value(page, "document.querySelector('#gallery img').naturalWidth") == 80
    scroll_to_end(page)
    assert names(page)[-1] == f"volume.nii [{SLICES - 1}]"
    assert len(names(page)) < 80


def test_the_slider_redraws_boxes_and_list(page: Page) -> None:
    page.evaluate("document.getElementById('threshold').focus()")
    assert text(page, "threshold-value") == "0.00"
    for _ in range(3):
        page.press("ArrowRight")  # three steps of a hundredth
    assert text(page, "threshold-value") == "0.03"
    choose(page, "threshold", "0.9")
    # Scores are 0.5 + k / 600: from k = 240 on; and the hostile image.
    assert text(page, "status").startswith("61 of 314 images, 61 detections")
    assert (
        value(page, "document.querySelectorAll('#gallery .card')[0].querySelectorAll('rect.box').length") == 1
    )


def test_class_modality_name_and_order(page: Page) -> None:
    choose(page, "modality-filter", "CT")
    assert text(page, "status").startswith(f"{SLICES} of")
    choose(page, "modality-filter", "")
    options = value(page, "[...document.getElementById('class-filter').options].map(o => o.textContent)")
    assert options == ["all", "polyp", "red blood cell", HOSTILE]
    choose(page, "class-filter", "2")
    assert names(page) == [f"{HOSTILE}.png"]
    choose(page, "class-filter", "")
    choose(page, "search", "case/0001")
    choose(page, "sort", "name")
    assert names(page) == [f"case/{number:05d}.png" for number in range(10, 20)]
    choose(page, "search", "")
    page.click("empty")
    choose(page, "sort", "order")
    scroll_to_end(page)
    assert "empty.png" in names(page)
    choose(page, "sort", "count")
    scroll_to_end(page)
    assert names(page)[-1] == "empty.png"


def test_keys_move_open_and_zoom(page: Page) -> None:
    page.press("/")
    assert value(page, "document.activeElement.id") == "search"
    page.evaluate("document.querySelector('#gallery .card').focus()")
    page.press("ArrowRight", "ArrowDown", "ArrowUp")
    assert value(page, "document.activeElement.dataset.row") == "1"
    page.press("Enter")
    assert text(page, "name") == f"case/{COUNT - 1:05d}.png"
    assert text(page, "position") == "2 of 313"
    assert value(page, "document.getElementById('picture').alt") == f"case/{COUNT - 1:05d}.png: 2 detections"
    page.press("ArrowRight", "ArrowRight", "ArrowLeft")
    assert text(page, "position") == "3 of 313"
    before = value(page, "document.getElementById('canvas').offsetWidth")
    page.press("+")
    assert value(page, "document.getElementById('canvas').offsetWidth") == pytest.approx(2 * before, abs=2)
    page.press("0")
    assert value(page, "document.getElementById('canvas').offsetWidth") == before
    facts = text(page, "facts")
    assert "center 40, width 400 (tag)" in facts
    assert "0.5 × 0.5 mm per pixel" in facts
    assert "15.0 × 10.0" in text(page, "detections")
    page.press("Escape")
    assert value(page, "document.getElementById('detail').open") is False
    assert value(page, "document.activeElement.dataset.row") == "2"


def test_boxes_lie_on_the_picture(page: Page) -> None:
    click_first(page, "#gallery .card")
    picture, box = value(
        page,
        "['#picture', '#boxes rect.box.chosen'].map(s => document.querySelector(s).getBoundingClientRect())"
        ".map(r => { return [r.x, r.y, r.width, r.height]; })",
    )
    scale = picture[2] / 80
    assert picture[3] == pytest.approx(60 * scale, abs=1)
    expected = [picture[0] + 5 * scale, picture[1] + 6 * scale, 30 * scale, 20 * scale]
    assert box == pytest.approx(expected, abs=3)  # half the width of the line


def test_findings_open_the_key_slice_and_scroll_through_the_volume(page: Page) -> None:
    page.click("tab-findings")
    row = text(page, "findings")
    assert "polyp" in row
    assert "4–6" in row
    assert "15.0 × 10.0 × 6.0" in row
    click_first(page, "#findings button")
    assert text(page, "name") == "volume.nii [4]"
    assert text(page, "slice-value") == f"5 of {SLICES}"
    assert "finding 1" in text(page, "detections")
    page.press("PageDown", "PageDown")
    assert text(page, "name") == "volume.nii [6]"
    assert "finding" not in text(page, "detections")
    page.evaluate("document.getElementById('slice').focus()")
    page.press("ArrowLeft")
    assert text(page, "name") == "volume.nii [5]"


def test_failures_have_reason_and_hint(page: Page) -> None:
    page.click("tab-failures")
    cells = value(
        page, "[...document.querySelectorAll('#failures tr:first-child > *')].map(c => c.textContent)"
    )
    assert cells == [f"{HOSTILE}.bad", "not_an_image", HOSTILE, "Repair the file."]


def test_decisions_by_keys_are_saved_and_outlive_the_page(
    page: Page, reports: dict[str, Path], tmp_path: Path
) -> None:
    click_first(page, "#gallery .card")
    page.press("a", "r", "ArrowRight", "l")
    assert value(page, "document.activeElement.id") == "classes"
    page.evaluate(f"document.getElementById('classes').value = {json.dumps(HOSTILE)}")
    page.press("Enter", "a", "u")
    assert text(page, "decided") == "3 decided: 1 accepted, 1 rejected, 1 relabelled."
    assert value(page, "document.querySelectorAll('#boxes rect.box.rejected').length") == 0
    page.press("ArrowLeft")
    assert value(page, "document.querySelectorAll('#boxes rect.box.rejected').length") == 1
    page.open(reports["folder"])
    click_first(page, "#gallery .card")
    assert text(page, "decided").startswith("3 decided")
    page.press("n")
    assert text(page, "name") == f"case/{COUNT - 1:05d}.png"  # its second detection is undecided
    page.call("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(tmp_path), eventsEnabled=True)
    page.press("s")
    page.wait("Browser.downloadProgress", state="completed")
    page.events.clear()
    document = json.loads((tmp_path / "decisions.json").read_text(encoding="utf-8"))
    assert document == {
        "schema": "medrov.detect-decisions/1",
        "records": "many",
        "decisions": [
            {
                "path": f"case/{COUNT - 1:05d}.png", "frame": 0, "detection": 0,
                "decision": "relabel", "class": HOSTILE,
            },
            {"path": f"{HOSTILE}.png", "frame": 0, "detection": 0, "decision": "accept"},
            {"path": f"{HOSTILE}.png", "frame": 0, "detection": 1, "decision": "reject"},
        ],
    }  # fmt: skip
    page.press("Escape")
    choose(page, "review-filter", "done")
    assert len(names(page)) == 2


def test_one_file_works_alone_after_a_move(tab: Page, reports: dict[str, Path], tmp_path: Path) -> None:
    alone = tmp_path / "alone.html"
    alone.write_bytes(reports["file"].read_bytes())
    steps = opened(tab, alone)
    page = next(steps)
    assert text(page, "status").startswith("33 of 34 images")
    end = time.monotonic() + SOON
    while value(page, "document.querySelector('#gallery img').naturalWidth") != 80:
        assert time.monotonic() < end
    click_first(page, "#gallery .card")
    assert text(page, "name") == f"{HOSTILE}.png"
    assert next(steps, None) is None


def test_dark_and_print(page: Page) -> None:
    bright = value(page, "getComputedStyle(document.body).backgroundColor")
    page.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark"}])
    assert value(page, "getComputedStyle(document.body).backgroundColor") != bright
    page.call("Emulation.setEmulatedMedia", features=[])
    page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    page.call("Emulation.setEmulatedMedia", media="print")
    printed = value(
        page,
        "['#printed .card', '#gallery']"
        ".map(s => [...document.querySelectorAll(s)].map(e => e.offsetHeight > 0))",
    )
    page.call("Emulation.setEmulatedMedia", media="")
    assert printed == [[True] * 200, [False]]


def test_the_policy_stops_a_script_that_came_into_the_page(
    tab: Page, reports: dict[str, Path], tmp_path: Path
) -> None:
    content = reports["file"].read_text(encoding="utf-8")
    assert HOSTILE not in content.replace("&lt;", "<") or "<img src=x" not in content
    broken = tmp_path / "broken.html"
    added = "<body><script>window.ran = 1</script><img src=data:, onerror='window.ran = 2'>"
    broken.write_text(content.replace("<body>", added), encoding="utf-8")
    tab.open(broken)
    settle(tab)
    assert tab.evaluate("window.ran") is None
    assert len([event for event in tab.complaints if "Content Security Policy" in json.dumps(event)]) >= 2
    assert (
        tab.evaluate("try { document.body.innerHTML = '<b>x</b>'; 'set' } catch (error) { error.name }")
        == "TypeError"
    )
