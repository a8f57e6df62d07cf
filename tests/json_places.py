"""Every place of a JSON document, to try another value there."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any


def places(value: Any, way: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the way to every number, text and truth value of a document."""
    if isinstance(value, dict | list):
        for key, own in value.items() if isinstance(value, dict) else enumerate(value):
            yield from places(own, (*way, key))
    elif value is not None:
        yield way


def changed(document: Any, way: tuple[Any, ...], value: Any) -> Any:
    """Return a document with another value in one place."""
    other = copy.deepcopy(document)
    target = other
    for key in way[:-1]:
        target = target[key]
    target[way[-1]] = value
    return other
