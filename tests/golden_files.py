"""Texts that must not change unnoticed, in ``tests/golden``.

``MEDROV_UPDATE_GOLDEN=1`` (``make golden``) writes them anew instead of comparing.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "golden"


def compare(name: str, found: str | Mapping[str, Any], replace: Mapping[str, str] | None = None) -> None:
    """Compare a text or a JSON document with ``tests/golden/<name>``.

    Parameters
    ----------
    name
        File name below the folder, e.g. ``help/detect.txt``.
    found
        What the program says now.
    replace
        What differs between machines, and what to write in its place.
    """
    text = found if isinstance(found, str) else json.dumps(found, indent=2, ensure_ascii=False) + "\n"
    for old, new in (replace or {}).items():
        text = text.replace(old, new)
    path = FOLDER / name
    if os.environ.get("MEDROV_UPDATE_GOLDEN"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assert path.is_file(), f"no {path}: run with MEDROV_UPDATE_GOLDEN=1 and read what it writes"
    assert text == path.read_text(encoding="utf-8")
