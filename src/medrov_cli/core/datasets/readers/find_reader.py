"""Readers of ``medrov data convert``, imported on first use."""

from __future__ import annotations

import traceback
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from medrov_cli.core.base.errors import ErrorCode, MedrovError, usage_error
from medrov_cli.core.base.plugins import find_entry, load
from medrov_cli.core.datasets.readers import registry
from medrov_cli.core.datasets.readers.protocol import Reader, Reading, Unit
from medrov_cli.core.records.annotations import AnnotatedImage
from medrov_cli.core.settings.data_convert import ReaderSettings


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

    def read(settings: ReaderSettings) -> Reading:
        with _input_errors(ErrorCode.DATASET_INVALID, name):
            reading = reader(settings)
        return replace(reading, units=tuple(_guarded(unit, name) for unit in reading.units))

    return read


def _guarded(unit: Unit, name: str) -> Unit:
    """Return a unit that raises input errors alone."""

    def images_of() -> Iterable[AnnotatedImage]:
        with _input_errors(ErrorCode.BAD_METADATA, name):
            return iterated(unit.read())

    def iterated(images: Iterable[AnnotatedImage]) -> Iterator[AnnotatedImage]:
        with _input_errors(ErrorCode.BAD_METADATA, name):
            yield from images

    return Unit(unit.path, images_of)


@contextmanager
def _input_errors(code: ErrorCode, name: str) -> Iterator[None]:
    """Convert exceptions for values that a reader does not expect: annotations are written by anyone."""
    try:
        yield
    except (MedrovError, MemoryError):
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # of the operating system
        place = traceback.extract_tb(error.__traceback__)[-1]
        raise MedrovError(
            code,
            f"The annotations contain a value that the reader of {name} cannot use "
            f"({type(error).__name__} at {Path(place.filename).name}:{place.lineno}).",
            "Check the numbers and names of the annotations. If they are right, please report this.",
        ) from error
