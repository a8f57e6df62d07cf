"""Plug-ins: implementations that a registry names by text, imported on first use."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Entry:
    """One row of a registry.

    Attributes
    ----------
    name
        Name of the plug-in, unique in its registry.
    module
        Full name of the module that holds the implementation.
    attribute
        Name of the implementation in that module.
    help
        Description in one line.
    """

    name: str
    module: str
    attribute: str
    help: str


def load(entry: Entry) -> Any:
    """Import the module of an entry and return its implementation."""
    return getattr(importlib.import_module(entry.module), entry.attribute)


def find_entry(registry: Sequence[Entry], name: str) -> Entry | None:
    """Return the entry of a name, or None."""
    return next((entry for entry in registry if entry.name == name), None)
