"""``requirements/detect.lock`` and ``pyproject.toml`` agree."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from packaging.markers import Marker
from packaging.requirements import Requirement

from lean_runs import ADDED, EXCLUDED, LOCK, canonical, project_requirements, requirement_lines

PYTHONS = ("3.11", "3.12", "3.13")


@dataclass(frozen=True)
class Pin:
    """One entry of the lock."""

    name: str
    version: str
    marker: str
    hashes: int
    needed_by: frozenset[str]


def pins() -> Iterator[Pin]:
    text = LOCK.read_text(encoding="utf-8")
    for entry in re.split(r"\n(?=\S)", text):
        head = re.match(r"([\w.-]+)==(\S+?)(?: ; (.+?))?(?: \\)?\n", entry + "\n")
        if head is None:
            assert entry.startswith("#"), entry
            continue
        needed_by = re.findall(r"^    #(?: via)?\s+(\S.*)$", entry, re.MULTILINE)
        hashes = len(re.findall(r"--hash=sha256:[0-9a-f]{64}\b", entry))
        yield Pin(head[1], head[2], head[3] or "", hashes, frozenset(needed_by))


def locked(python: str) -> dict[str, Pin]:
    """Return the entries for a version of Python on Linux x86_64; each package has one."""
    environment = {
        "sys_platform": "linux",
        "platform_machine": "x86_64",
        "python_version": python,
        "python_full_version": f"{python}.1",
    }
    found = [pin for pin in pins() if not pin.marker or Marker(pin.marker).evaluate(environment)]
    by_name = {pin.name: pin for pin in found}
    assert len(by_name) == len(found)
    return by_name


def wanted() -> dict[str, Requirement]:
    """Return the direct requirements of the lean installation by name."""
    excluded = {canonical(line) for line in requirement_lines(EXCLUDED)}
    lines = [*project_requirements(), *requirement_lines(ADDED)]
    by_name = {canonical(Requirement(line).name): Requirement(line) for line in lines}
    return {name: requirement for name, requirement in by_name.items() if name not in excluded}


@pytest.mark.parametrize("python", PYTHONS)
def test_lock_has_every_requirement_in_a_supported_version(python: str) -> None:
    found = locked(python)
    for name, requirement in wanted().items():
        assert name in found, f"{name} is not in {LOCK.name}: run make lock, or exclude it"
        assert requirement.specifier.contains(found[name].version), f"{name}: run make lock"


def test_lock_has_no_package_that_is_needed_by_none() -> None:
    found = locked("3.11")
    direct = {name for name, pin in found.items() if any("(pyproject.toml)" in by for by in pin.needed_by)}
    direct |= {name for name, pin in found.items() if any("detect.in" in by for by in pin.needed_by)}
    assert direct == set(wanted()), "run make lock"
    for name, pin in found.items():
        assert pin.needed_by, name
        assert name in direct or pin.needed_by & set(found), f"{name}: what needs it is not in the lock"


def test_lock_lacks_the_excluded_packages() -> None:
    excluded = {canonical(line) for line in requirement_lines(EXCLUDED)}
    assert excluded >= {"torch", "ultralytics", "transformers", "open-clip-torch"}
    assert not excluded & {pin.name for pin in pins()}
    reasons = [line for line in EXCLUDED.read_text(encoding="utf-8").splitlines() if line.strip()]
    assert all(re.search(r"# .+", line) for line in reasons), "each excluded package needs a reason"


def test_opencv_has_equal_versions_with_and_without_display() -> None:
    (added,) = (Requirement(line) for line in requirement_lines(ADDED))
    whole = next(Requirement(line) for line in project_requirements() if line.startswith("opencv-python"))
    assert (added.name, added.specifier) == (f"{whole.name}-headless", whole.specifier)


def test_lock_pins_hashes_and_names_no_host() -> None:
    entries = list(pins())
    assert len(entries) > 30
    assert all(pin.hashes for pin in entries)
    text = LOCK.read_text(encoding="utf-8")
    assert "://" not in text
    assert not re.search(r"^\s*-(?!-hash=sha256:)", text, re.MULTILINE), "no options but hashes"
