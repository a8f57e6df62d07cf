"""Memory that the process may use, from control groups and limits of the process."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from medrov_cli.core.base.memory_limits import usable_memory_bytes

PHYSICAL = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.parametrize(
    ("groups", "files", "expected"),
    [
        ("0::/job/step\n", {"job/step/memory.max": "max\n", "job/memory.max": "1000000\n"}, 1_000_000),
        ("0::/\n", {"memory.max": "2000000\n"}, 2_000_000),
        ("4:memory,hugetlb:/a\n2:cpu:/\n", {"memory/a/memory.limit_in_bytes": "3000000\n"}, 3_000_000),
        ("0::/\n", {}, None),
        ("no groups", {}, None),
    ],
)
def test_smallest_limit_counts(
    tmp_path: Path, groups: str, files: dict[str, str], expected: int | None
) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    (tmp_path / "own").write_text(groups)
    found = usable_memory_bytes(tmp_path, tmp_path / "own")
    assert found == expected if expected else found <= PHYSICAL


def test_no_control_groups(tmp_path: Path) -> None:
    assert 0 < usable_memory_bytes(tmp_path, tmp_path / "absent") <= PHYSICAL
