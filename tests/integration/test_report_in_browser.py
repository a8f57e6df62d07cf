"""The report in a real browser: its script runs, its tables sort, and it asks nothing of anyone."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from medrov_cli.core.reports.evaluation import write_report_html
from medrov_cli.core.reports.pictures import GalleryItem
from report_documents import full_report

BROWSER = os.environ.get("MEDROV_CHROMIUM") or next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)

pytestmark = pytest.mark.skipif(
    BROWSER is None, reason="no chromium, chromium-browser or google-chrome; MEDROV_CHROMIUM names another"
)

OPTIONS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"),
    *("--enable-logging=stderr", "--v=0"),
    *("--disable-background-networking", "--disable-component-update", "--disable-default-apps"),
    *("--disable-extensions", "--disable-sync", "--no-first-run"),
    "--host-resolver-rules=MAP * ~NOTFOUND",  # whatever is asked for, nothing leaves this machine
)

BROWSERS_OWN = "not an origin"
"""The initiator of requests that the browser makes for itself, whatever page is open."""


@dataclass(frozen=True)
class Visit:
    """What was seen of a page."""

    dom: str
    console: list[str]
    requests: list[str]

    def data(self, name: str) -> str | None:
        """Return an attribute of the root element."""
        root = re.search(r"<html[^>]*>", self.dom)[0]
        found = re.search(rf'\sdata-{name}="([^"]*)"', root)
        return found[1] if found else None

    def result(self) -> Any:
        """Return what a script of ours left in the page."""
        return json.loads(self.data("result").replace("&quot;", '"').replace("&amp;", "&"))


def visit(page: Path, folder: Path) -> Visit:
    """Open a page and observe the console and the network."""
    log = folder / "network.json"
    done = subprocess.run(
        [
            BROWSER,
            *OPTIONS,
            f"--user-data-dir={folder / 'profile'}",
            f"--log-net-log={log}",
            "--dump-dom",
            page.as_uri(),
        ],
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        timeout=120,
        check=True,
    )
    network = json.loads(log.read_text(encoding="utf-8"))
    start = network["constants"]["logEventTypes"]["URL_REQUEST_START_JOB"]
    jobs = [event.get("params", {}) for event in network["events"] if event["type"] == start]
    requests = [
        job["url"] for job in jobs if "url" in job and job.get("initiator", BROWSERS_OWN) != BROWSERS_OWN
    ]
    console = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    return Visit(done.stdout, console, requests)


def written_report(folder: Path, classes: int = 14) -> Path:
    image = folder / "scan.png"
    assert cv2.imwrite(str(image), np.full((60, 80, 3), 90, dtype=np.uint8))
    gallery = [
        GalleryItem("miss", image, "scan.png", "polyp", None, (10, 10, 40, 40), ()),
        GalleryItem("false positive", folder / "gone.png", "gone.png", "polyp", 0.5, (1, 1, 4, 4), ()),
    ]
    report = full_report(classes)
    for row, values in enumerate(report["coco"]["presence"]["classes"].values()):
        values["ap50"] = None if row == 2 else 0.9 - row / 100 if row % 2 else row / 100
    path = folder / "report.html"
    write_report_html(path, report, gallery)
    return path


def with_script(page: Path, script: str) -> Path:
    """Return a copy of a page with a script at its end, which hands on ``result``."""
    leave = "document.documentElement.dataset.result = JSON.stringify(result);"
    copy = page.with_name("scripted.html")
    text = page.read_text(encoding="utf-8")
    end = "</body></html>"
    assert text.count(end) == 1
    copy.write_text(text.replace(end, f"<script>{{{script}{leave}}}</script>{end}"), encoding="utf-8")
    return copy


def test_the_page_runs_and_asks_nothing_of_anyone(tmp_path: Path) -> None:
    seen = visit(written_report(tmp_path), tmp_path)
    assert seen.data("script") == "ready"
    assert seen.console == []
    assert seen.requests == []
    assert "<title>Evaluation on mini &lt;b&gt; test</title>" in seen.dom  # a hostile class would change it
    assert seen.dom.count("<script>") == 1


def test_the_observation_would_see_a_request_and_an_error(tmp_path: Path) -> None:
    page = tmp_path / "chatty.html"
    page.write_text(
        "<!doctype html><html><body><img src='http://image.invalid/a.png'>"
        "<script>console.error('seen'); fetch('http://fetch.invalid/b').catch(() => 0)</script></body></html>"
    )
    seen = visit(page, tmp_path)
    assert sorted(seen.requests) == ["http://fetch.invalid/b", "http://image.invalid/a.png"]
    assert "seen" in " ".join(seen.console)


def test_the_page_forbids_requests_even_to_what_got_into_it(tmp_path: Path) -> None:
    script = """
    document.body.insertAdjacentHTML("beforeend", "<img src='http://image.invalid/a.png'>");
    fetch("http://fetch.invalid/b").catch(() => 0);
    const result = null;
    """
    seen = visit(with_script(written_report(tmp_path), script), tmp_path)
    assert seen.requests == []
    assert sum("Content Security Policy" in line for line in seen.console) >= 2


def test_pictures_and_drawings_are_shown(tmp_path: Path) -> None:
    script = """
    const widths = Array.from(document.images, image => image.naturalWidth);
    const drawn = Array.from(document.querySelectorAll("figure svg"), svg => svg.getBBox().width > 100);
    const result = {widths, drawn};
    """
    result = visit(with_script(written_report(tmp_path), script), tmp_path).result()
    assert result == {"widths": [320], "drawn": [True] * 5}


FIND_TABLE = """
const table = Array.from(document.querySelectorAll("table.sortable"))
  .find(found => found.caption.textContent === "Per class" && found.closest("#ap"));
const rows = () => Array.from(table.tBodies[0].rows);
const column = title => Array.from(table.tHead.rows[0].cells)
  .findIndex(cell => cell.textContent === title);
const cells = title => rows().map(row => row.cells[column(title)].textContent);
const button = title => table.tHead.rows[0].cells[column(title)].querySelector("button");
const order = () => Array.from(table.tHead.rows[0].cells, cell => cell.getAttribute("aria-sort"));
"""


def test_a_click_on_a_header_sorts_and_another_one_turns_it_round(tmp_path: Path) -> None:
    script = f"""{FIND_TABLE}
    const before = cells("AP50");
    button("AP50").click();
    const down = cells("AP50"), saysDown = order()[column("AP50")];
    button("AP50").click();
    const up = cells("AP50"), saysUp = order()[column("AP50")];
    button("Class").click();
    const names = cells("Class"), sorted = order().filter(value => value !== null);
    button("Class").focus();
    const reached = document.activeElement === button("Class") && button("Class").tabIndex === 0;
    const result = {{before, down, up, saysDown, saysUp, names, sorted, reached}};
    """
    result = visit(with_script(written_report(tmp_path), script), tmp_path).result()
    values = sorted(text for text in result["before"] if text != "–")
    assert len(values) == 13
    assert result["before"] not in (values, values[::-1])
    assert result["down"] == [*values[::-1], "–"]
    assert result["up"] == [*values, "–"]
    assert (result["saysDown"], result["saysUp"]) == ("descending", "ascending")
    numbered = [name for name in result["names"] if name.startswith("organ")]
    assert [int(name.split()[2]) for name in numbered] == list(range(12))
    assert result["sorted"] == ["ascending"]
    assert result["reached"] is True


def test_the_filter_hides_the_rows_without_the_text(tmp_path: Path) -> None:
    script = f"""{FIND_TABLE}
    const label = table.parentElement.previousElementSibling;
    const input = label.querySelector("input");
    input.value = "NUMBER 1";
    input.dispatchEvent(new Event("input"));
    const shown = rows().filter(row => row.getClientRects().length).map(row => row.cells[0].textContent);
    const said = label.querySelector("[role=status]").textContent;
    input.value = "";
    input.dispatchEvent(new Event("input"));
    const result = {{shown, said, after: rows().filter(row => row.getClientRects().length).length}};
    """
    result = visit(with_script(written_report(tmp_path), script), tmp_path).result()
    assert result["shown"] == ["organ number 1", "organ number 10", "organ number 11 of the upper trunk"]
    assert result["said"] == "3 of 14 rows"
    assert result["after"] == 14
