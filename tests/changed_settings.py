"""Settings with some options changed, in whichever group they stand."""

from __future__ import annotations

from dataclasses import fields, is_dataclass, replace
from typing import Any


def with_changes(settings: Any, **changes: Any) -> Any:
    """Return settings with other values of fields, or of fields of their groups."""
    for name, value in changes.items():
        owner = next(path for path in _places(settings) if path[-1] == name)
        if len(owner) == 1:
            settings = replace(settings, **{name: value})
        else:
            group = replace(getattr(settings, owner[0]), **{name: value})
            settings = replace(settings, **{owner[0]: group})
    return settings


def _places(settings: Any) -> list[tuple[str, ...]]:
    own = [(item.name,) for item in fields(settings)]
    groups = [(name, getattr(settings, name)) for (name,) in own]
    return [
        *own,
        *((name, item.name) for name, group in groups if is_dataclass(group) for item in fields(group)),
    ]
