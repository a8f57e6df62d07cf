"""The page of a review in a real browser: keys, clicks, what it keeps, and the file that it saves."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from chromium import BROWSER, Page, browser
from conftest import Medrov
from detect_fixtures import write_eager_detector
from training_data import make_source

pytestmark = pytest.mark.skipif(
    BROWSER is None, reason="no chromium, chromium-browser or google-chrome; MEDROV_CHROMIUM names another"
)

HOSTILE = "<img src=x onerror=alert(1)>"


@pytest.fixture
def labels(tmp_path: Path, medrov: Medrov) -> list[dict[str, Any]]:
    """Make labels in ``out`` and the page ``review.html``; return the labels."""
    make_source(tmp_path, "smear", "microscopy", ["polyp"])
    make_source(tmp_path, "slides", "histopathology", ["red blood cell", "lung nodule", HOSTILE])
    (tmp_path / "data.yaml").write_text("sources: [smear, slides]\npresence: presence.csv\n")
    (tmp_path / "presence.csv").write_text(
        f"dataset,polyp,lung nodule,red blood cell,{HOSTILE}\nsmear,1,0,0,0\nslides,-1,1,1,1\n"
    )
    weights = write_eager_detector(tmp_path / "eager.safetensors")
    options = ("-w", weights, "--device", "cpu", "--score", 0.3)
    done = medrov(
        "pseudolabel", tmp_path / "data.yaml", *options,
        "-o", tmp_path / "out", "--review", tmp_path / "review.html",
    )  # fmt: skip
    assert done.exit_code == 0, done.stderr
    document = json.loads((tmp_path / "out" / "smear" / "annotations.json").read_text())
    names = {category["id"]: category["name"] for category in document["categories"]}
    return [a | {"class": names[a["category_id"]]} for a in document["annotations"] if "source" in a]


@pytest.fixture
def page(tmp_path: Path, labels: list[dict[str, Any]]) -> Iterator[Page]:
    """Open the page of the labels."""
    assert len(labels) > 6
    with browser(tmp_path / "profile") as tab:
        tab.open(tmp_path / "review.html")
        assert tab.evaluate("document.documentElement.dataset.script") == "ready"
        yield tab
        assert tab.complaints == []
        assert tab.requests == []


def text(page: Page, identity: str) -> str:
    return page.evaluate(f"document.getElementById('{identity}').textContent")


def shown(page: Page) -> int:
    return int(text(page, "id"))


def saved(page: Page, folder: Path, *, key: str | None = None) -> Any:
    """Save by the button or a key, and return the file."""
    folder.mkdir()
    page.call("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(folder), eventsEnabled=True)
    page.events.clear()
    if key is None:
        page.click("save")
    else:
        page.press(key)
    page.wait("Browser.downloadProgress", state="completed")
    assert [path.name for path in folder.iterdir()] == ["decisions.json"]
    return json.loads((folder / "decisions.json").read_text(encoding="utf-8"))


def test_what_is_shown(page: Page, labels: list[dict[str, Any]]) -> None:
    first = labels[0]
    assert shown(page) == first["id"]
    assert text(page, "class") == first["class"]
    assert text(page, "score") == f"{first['score']:.3f}"
    assert text(page, "source") == "smear (microscopy)"
    assert text(page, "image") == f"{first['image_id']}.png (train)"
    assert text(page, "status").startswith(f"Label 1 of {len(labels)}. 0 decided")
    widths = page.evaluate("Array.from(document.images, image => image.naturalWidth)")
    assert len(widths) == 1  # the others are text until they are shown
    assert widths[0] > 50
    assert (
        page.evaluate("document.getElementById('picture').alt")
        == f"{first['class']} in {first['image_id']}.png"
    )


def test_keys_decide_move_and_undo(page: Page, labels: list[dict[str, Any]], tmp_path: Path) -> None:
    ids = [label["id"] for label in labels]
    page.press("a", "r")
    assert shown(page) == ids[2]
    page.press("ArrowLeft")
    assert (shown(page), text(page, "decision")) == (ids[1], "rejected")
    page.press("a")  # another decision on the same label
    page.press("ArrowRight", "ArrowRight", "R")
    assert "3 decided: 2 accepted, 1 rejected, 0 relabelled" in text(page, "status")
    page.press("u")
    assert (shown(page), text(page, "decision")) == (ids[4], "none yet")
    page.press("u")
    assert (shown(page), text(page, "decision")) == (ids[1], "rejected")
    page.press("ArrowLeft", "ArrowLeft", "ArrowLeft")
    assert shown(page) == ids[0]
    page.press("n")
    assert shown(page) == ids[2]
    document = saved(page, tmp_path / "saved", key="s")
    assert document["decisions"] == [
        {"source": "smear", "id": ids[0], "decision": "accept"},
        {"source": "smear", "id": ids[1], "decision": "reject"},
    ]


def test_the_last_label_stays_when_it_is_decided(page: Page, labels: list[dict[str, Any]]) -> None:
    page.press(*["a"] * (len(labels) + 1))
    assert shown(page) == labels[-1]["id"]
    assert f"{len(labels)} decided: {len(labels)} accepted" in text(page, "status")
    page.press(*["u"] * (len(labels) + 2))
    assert "0 decided" in text(page, "status")
    assert page.evaluate("document.getElementById('undo').disabled") is True


def test_relabel_by_keys_alone(page: Page, labels: list[dict[str, Any]], tmp_path: Path) -> None:
    page.press("l")
    assert page.evaluate("document.activeElement.id") == "classes"
    possible = {"lung nodule", "red blood cell", HOSTILE}
    options = page.evaluate("Array.from(document.getElementById('classes').options, o => o.value)")
    assert set(options) == possible - {labels[0]["class"]}
    assert "polyp" not in options  # annotated there
    page.press("a")  # types into the list: nothing is accepted
    assert "0 decided" in text(page, "status")
    page.press("Escape")
    assert page.evaluate("document.getElementById('choice').hidden") is True
    assert page.evaluate("document.activeElement.id") == "relabel"
    page.press("l")
    page.evaluate(f"document.getElementById('classes').value = {json.dumps(HOSTILE)}")
    page.press("Enter")
    assert shown(page) == labels[1]["id"]
    page.press("ArrowLeft")
    assert text(page, "decision") == f"relabelled as {HOSTILE}"
    (decision,) = saved(page, tmp_path / "saved")["decisions"]
    assert decision == {"source": "smear", "id": labels[0]["id"], "decision": "relabel", "class": HOSTILE}


def test_clicks_and_the_saved_file_are_applied(
    page: Page, labels: list[dict[str, Any]], tmp_path: Path, medrov: Medrov
) -> None:
    page.click("accept")
    page.click("reject")
    page.click("relabel")
    other = page.evaluate("document.getElementById('classes').value")
    page.click("confirm")
    page.click("reject")
    page.click("undo")
    page.click("next")
    page.click("previous")
    assert shown(page) == labels[3]["id"]
    document = saved(page, tmp_path / "saved")
    assert document["schema"] == "medrov.pseudolabel-decisions/1"
    done = medrov(
        "pseudolabel", "apply", tmp_path / "saved" / "decisions.json",
        "--labels", tmp_path / "out", "-o", tmp_path / "new", "--json",
    )  # fmt: skip
    assert done.exit_code == 0, done.stderr
    counts = done.json["sources"]["smear"]
    assert counts == {"accepted": 1, "rejected": 1, "relabelled": 1, "undecided": len(labels) - 3}
    after = json.loads((tmp_path / "new" / "smear" / "annotations.json").read_text())
    names = {category["id"]: category["name"] for category in after["categories"]}
    kept = {a["id"]: a for a in after["annotations"] if "source" in a}
    assert set(kept) == {label["id"] for label in labels} - {labels[1]["id"]}
    assert kept[labels[0]["id"]]["reviewed"] is True
    assert names[kept[labels[2]["id"]]["category_id"]] == other
    assert "reviewed" not in kept[labels[3]["id"]]


def test_decisions_outlive_the_page(page: Page, labels: list[dict[str, Any]], tmp_path: Path) -> None:
    page.press("a", "r", "ArrowRight")
    page.open(tmp_path / "review.html")
    assert shown(page) == labels[3]["id"]
    assert "2 decided: 1 accepted, 1 rejected" in text(page, "status")
    page.press("u")
    assert (shown(page), text(page, "decision")) == (labels[1]["id"], "none yet")


def test_everything_is_reached_by_the_tabulator(page: Page) -> None:
    reached = set()
    for _ in range(12):
        page.press("Tab")
        reached.add(page.evaluate("document.activeElement.id"))
    assert {"accept", "reject", "relabel", "previous", "next", "open", "save"} <= reached


def test_it_would_be_seen_if_the_page_asked_for_something(tmp_path: Path) -> None:
    (tmp_path / "chatty.html").write_text(
        "<!doctype html><body><img src='http://image.invalid/a.png'><script>console.log('seen')</script>"
    )
    with browser(tmp_path / "profile") as tab:
        tab.open(tmp_path / "chatty.html")
        assert tab.requests == ["http://image.invalid/a.png"]
        assert tab.complaints
