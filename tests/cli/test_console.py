"""What is printed where: terminals, pipes, logs, and texts that would drive a terminal."""

from __future__ import annotations

import io
import json
import os
import pty
import re
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import pytest

from medrov_cli import console

COLOUR = re.compile(r"\x1b\[(?:\d+;)*3[0-7](?:;\d+)*m")

TABLE = """
from medrov_cli import console
table = console.table("image", "class", title="found")
table.add_row("scan[1].png " + "x" * 90, "polyp")
console.stdout().print(table)
console.warn("low contrast")
"""

PROGRESS = """
from medrov_cli import console
with console.progress("images") as advance:
    for done in range(4):
        advance(done, 3, "reading")
"""


def on_terminal(code: str, **environment: str) -> str:
    """Run code with stdout and stderr on a terminal of 100 columns; return what that shows."""
    ours, its = pty.openpty()
    env = {key: value for key, value in os.environ.items() if key != "NO_COLOR"}
    env |= {"TERM": "xterm-256color", "COLUMNS": "100", **environment}
    process = subprocess.Popen([sys.executable, "-c", code], stdout=its, stderr=its, env=env)
    os.close(its)
    shown = b""
    while True:
        try:
            piece = os.read(ours, 4096)
        except OSError:  # Linux says so when the other side is closed
            break
        if not piece:
            break
        shown += piece
    os.close(ours)
    assert process.wait() == 0
    return shown.decode()


def in_pipe(code: str) -> tuple[str, str]:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, encoding="utf-8", check=True)
    return done.stdout, done.stderr


def test_a_terminal_gets_colour_and_a_table_of_its_width() -> None:
    shown = on_terminal(TABLE)
    assert COLOUR.search(shown)
    assert max(len(line) for line in re.sub(r"\x1b\[[0-9;]*m", "", shown).splitlines()) <= 100


@pytest.mark.parametrize("wish", [{"NO_COLOR": "1"}, {"TERM": "dumb"}], ids=["NO_COLOR", "TERM=dumb"])
def test_colour_can_be_refused(wish: dict[str, str]) -> None:
    assert not COLOUR.search(on_terminal(TABLE, **wish))


def test_a_pipe_gets_whole_lines_without_boxes() -> None:
    out, errors = in_pipe(TABLE)
    title, heading, row = out.splitlines()
    assert title.strip() == "found"
    assert heading.split() == ["image", "class"]
    assert row.split() == ["scan[1].png", "x" * 90, "polyp"]
    assert errors == "warning: low contrast\n"


LEARNED = """
from medrov_cli import console
from medrov_cli.commands.learn import HEADINGS
table = console.table(*HEADINGS)
table.add_row("laparoscopic instrument", "10", "13", "1", "0.512", "0.001", "0.321", "0.700")
console.stdout().print(table)
"""


def test_a_heading_of_two_lines_leaves_room_for_names_and_is_one_line_in_a_pipe() -> None:
    shown = COLOUR.sub("", on_terminal(LEARNED, COLUMNS="80", NO_COLOR="1"))
    lines = [re.sub(r"\x1b\[[0-9;]*m", "", line).split() for line in shown.splitlines()]
    assert ["laparoscopic", "10", "13", "1", "0.512", "0.001", "0.321", "0.700"] in lines
    first = in_pipe(LEARNED)[0].splitlines()[0]
    assert re.split(r"  +", first.strip())[4:] == ["AP50 held out", "AP50 by text", "threshold", "F1"]


def test_progress_on_a_terminal_is_a_bar_with_rate() -> None:
    shown = on_terminal(PROGRESS)
    assert "3/3" in shown
    assert "images/s" in shown


def test_progress_does_not_move_on_a_dumb_terminal() -> None:
    assert on_terminal(PROGRESS, TERM="dumb").count("\n") == 1


def test_progress_in_a_log_is_lines() -> None:
    out, errors = in_pipe(PROGRESS)
    assert out == ""
    assert errors.startswith("reading: 3/3 images, ")
    assert errors.endswith("/s\n")


def test_progress_in_a_log_speaks_now_and_then(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 100.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    with console.progress("images") as advance:
        for done in range(1, 26):
            now += 1
            advance(done, 40, "detect")
        now += 1
        advance(26, None, "other")
    # One image a second; the line of the 21st is the second after 10 s of silence.
    assert capsys.readouterr().err.splitlines() == [
        "detect: 11/40 images, 1.0/s, 29 s left",
        "detect: 21/40 images, 1.0/s, 19 s left",
    ]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain [red]text[/] :smile:", "plain [red]text[/] :smile:"),
        ("a\x1b[2Jb\rc\x07", r"a\x1b[2Jb\rc\x07"),
        ("Lunge überall\n\tzweite Zeile", "Lunge überall\n\tzweite Zeile"),
    ],
)
def test_texts_cannot_drive_the_terminal(text: str, shown: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert console.printable(text) == shown
    console.warn(text.replace("\t", ""))
    assert capsys.readouterr().err == f"warning: {shown.replace(chr(9), '')}\n"


class Found:
    """A record as commands have them."""

    def as_dict(self) -> Mapping[str, Any]:
        return {"schema": "medrov.test/1", "class": "Knötchen"}


def test_success_prints_one_form(capsys: pytest.CaptureFixture[str]) -> None:
    console.success(Found(), lambda found: f"one {type(found).__name__}", as_json=False)
    assert capsys.readouterr().out == "one Found\n"
    for output in (Found(), Found().as_dict()):
        console.success(output, lambda _: pytest.fail("rendered"), as_json=True)
        assert capsys.readouterr().out == '{\n  "schema": "medrov.test/1",\n  "class": "Knötchen"\n}\n'


def test_json_is_whole_where_stdout_is_not_utf8(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="latin-1"))
    console.print_json({"class": "Knötchen 結節"})
    assert json.loads(raw.getvalue().decode("ascii")) == {"class": "Knötchen 結節"}
