"""The comparison of ``baseline.py``: what it leaves out, what it reports, and that no command is missing."""

from __future__ import annotations

import json

import pytest

from baseline import differences, selected
from baseline_normalisation import Normaliser, shape_of
from baseline_runs import RUNS
from command_line import command_paths


@pytest.fixture
def normaliser() -> Normaliser:
    return Normaliser({"/tmp/before/work-1": "<work>", "/tmp/before": "<folder>"})


def test_runs_have_unique_names_and_the_help_of_every_command() -> None:
    names = [run.name for run in RUNS]
    assert len(set(names)) == len(names)
    helps = {tuple(run.words[:-1]) for run in RUNS if run.words and run.words[-1] == "--help"}
    assert helps == set(command_paths())


def test_needed_runs_come_before_the_run_that_reads_them() -> None:
    seen: set[str] = set()
    for run in RUNS:
        assert set(run.needs) <= seen, run.name
        seen.add(run.name)


def test_selected_includes_what_a_run_needs() -> None:
    names = [run.name for run in selected("detect-exported")]
    assert names == ["export-onnx", "detect-exported"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"path": "/tmp/before/work-1/a", "x": "/tmp/before/b"}', '{"path": "<work>/a", "x": "<folder>/b"}'),
        ('{"elapsed_ms": 12.5, "score": 0.5}', '{"elapsed_ms": <time>, "score": 0.5}'),
        ('{"epoch": 1, "seconds": {"train": 1.5, "val": 0.25}}', '{"epoch": 1, "seconds": <time>}'),
        (
            '{"state": "{\\"seconds\\": 1.25, \\"step\\": 3}"}',
            '{"state": "{\\"seconds\\": <time>, \\"step\\": 3}"}',
        ),
        (
            '{"versions": {"medrov": "0.1.0", "numpy": null}}',
            '{"versions": {"medrov": "<version>", "numpy": null}}',
        ),
        ('"created_by": "medrov 0.1.0"', '"created_by": "medrov <version>"'),
        ("reading: 9/9 images, 12.5/s\n", "reading: 9/9 images\n"),
        ("reading: 5/9 images, 2.5/s, 2 s left\nwarning: x\n", "warning: x\n"),
        ("warning: 3 images\n", "warning: 3 images\n"),
        ("0.123456789", "0.123456789"),
    ],
)
def test_text_is_normalised(normaliser: Normaliser, text: str, expected: str) -> None:
    assert normaliser.text(text.encode()).decode() == expected


def test_safetensors_header_is_normalised_and_tensors_stay(normaliser: Normaliser) -> None:
    def file(seconds: str, tensors: bytes) -> bytes:
        header = json.dumps({"__metadata__": {"epoch": json.dumps({"seconds": float(seconds)})}}).encode()
        header += b" " * (-len(header) % 8)
        return len(header).to_bytes(8, "little") + header + tensors

    first = normaliser.file("a.safetensors", file("1.25", b"\xff\x00"))
    assert first == normaliser.file("a.safetensors", file("13.0625", b"\xff\x00"))
    assert first != normaliser.file("a.safetensors", file("1.25", b"\xff\x01"))


def test_a_binary_file_stays_as_it_is(normaliser: Normaliser) -> None:
    content = b"\xff/tmp/before"
    assert normaliser.file("a.png", content) == content


def test_shape_has_keys_and_types() -> None:
    assert json.loads(shape_of(b'{"a": [1, {"b": null}], "c": "x"}')) == {
        "a": ["int", {"b": "NoneType"}],
        "c": "str",
    }


def test_equal_results_have_no_differences() -> None:
    assert not list(differences({"stdout": b"a"}, {"stdout": b"a"}))


def test_differences_name_the_file_and_the_place() -> None:
    before = {"stdout": b"one\ntwo\n", "files/a.png": b"\xff\x01\x02", "files/gone": b""}
    now = {"stdout": b"one\n2\n", "files/a.png": b"\xff\x01\x03", "files/new": b""}
    found = "\n".join(differences(before, now))
    assert "stdout: the first difference in line 2" in found
    assert "-two" in found
    assert "+2" in found
    assert "files/a.png: 3 bytes before, 3 now, the first difference at byte 2" in found
    assert "files/gone: no longer written" in found
    assert "files/new: was not written before" in found


def test_a_line_end_is_a_difference() -> None:
    assert list(differences({"stdout": b"a\n"}, {"stdout": b"a\r\n"}))
