"""Readers of ``medrov data convert``, imported on first use."""

from __future__ import annotations

from medrov_cli.core.base.errors import usage_error
from medrov_cli.core.base.plugins import find_entry, load
from medrov_cli.core.datasets.readers import registry
from medrov_cli.core.datasets.readers.protocol import Reader


def find_reader(name: str) -> Reader:
    """Return the reader of a format.

    Raises
    ------
    MedrovError
        ``usage`` if there is none of that name.
    """
    entry = find_entry(registry.READERS, name)
    if entry is None:
        known = ", ".join(entry.name for entry in registry.READERS)
        raise usage_error(f"--from: unknown {name!r}.", f"Known formats: {known}.")
    reader: Reader = load(entry)
    return reader
