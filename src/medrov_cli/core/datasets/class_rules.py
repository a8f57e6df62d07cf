"""Which names of an annotation file are object classes."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterable
from typing import Any

from medrov_cli.core.datasets.coco_records import CocoCategory

_NO_OBJECT = frozenset(
    {"background", "ignore", "ignored", "ignored region", "ignored regions", "dontcare", "don't care"}
    | {"unlabeled", "unlabelled"}
)


def is_object_name(name: str) -> bool:
    """Tell whether a class name is that of an object, and not of the background or of regions.

    QuPath marks classes of regions by a final ``*``: ``Region*``, ``Ignore*``.
    """
    plain = re.sub(r"[\s_-]+", " ", name).strip().casefold()
    return bool(plain) and plain not in _NO_OBJECT and not plain.endswith("*")


def umbrella_ids(categories: Iterable[CocoCategory], used: Collection[Any]) -> set[Any]:
    """Return the ids of categories without annotations that are the ``supercategory`` of other ones.

    Roboflow writes such a category before the classes. As a class, it would be absent where its parts are.
    """
    known = list(categories)
    above = {
        str(category.fields.get("supercategory") or "").strip().casefold()
        for category in known
        if str(category.fields.get("supercategory") or "").strip().casefold()
        != category.name.strip().casefold()
    }
    return {
        category.id
        for category in known
        if category.id not in used and category.name.strip().casefold() in above
    }


def names_apart_by_case(names: Iterable[str]) -> list[tuple[str, ...]]:
    """Return groups of class names that differ only by letter case or by blanks, ``_`` and ``-``."""
    groups: dict[str, dict[str, None]] = defaultdict(dict)
    for name in names:
        groups[re.sub(r"[\s_-]+", " ", name).strip().casefold()][name] = None
    return [tuple(group) for group in groups.values() if len(group) > 1]
