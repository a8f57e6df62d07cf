"""Protocol of a reader of ``medrov data convert``: the units that it lists.

A new format is a file ``readers/<name>.py`` that ends with ``READER: Reader = read``, and a row in
``readers/registry.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from medrov_cli.core.base.errors import MedrovError
from medrov_cli.core.records.annotations import AnnotatedImage
from medrov_cli.core.settings.data_convert import ReaderSettings

_LISTED = 5


@dataclass(frozen=True, slots=True, eq=False)
class Unit:
    """One input that is read, and fails, by itself: an image with its boxes, a volume, a series.

    Attributes
    ----------
    path
        Names it in reports; relative to the input, with forward slashes.
    read
        Yields its images, in a fixed order. May run in any thread, and raise a
        `MedrovError` with an input code. Images that came before a failure stay valid.
    """

    path: str
    read: Callable[[], Iterable[AnnotatedImage]]


@dataclass(frozen=True, slots=True)
class Reading:
    """What an input holds.

    Attributes
    ----------
    units
        In a fixed order.
    class_names
        Classes that the source names, in its order; those that turn up besides follow sorted.
    warnings
        Sentences for the user: what is left out, and what was assumed.
    pseudo_names
        Those of the classes that nobody annotated, but a detector.
    """

    units: tuple[Unit, ...]
    class_names: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    pseudo_names: frozenset[str] = frozenset()


def failing_unit(path: str, error: MedrovError) -> Unit:
    """Return the unit of an input that cannot be read, for a known reason."""

    def images_of() -> Iterable[AnnotatedImage]:
        raise error

    return Unit(path, images_of)


def listed(names: Sequence[str]) -> str:
    """Return the first names of a list, and how many more there are, for a sentence."""
    more = len(names) - _LISTED
    return ", ".join(names[:_LISTED]) + (f", and {more} more" if more > 0 else "")


def several_splits(names: Sequence[str]) -> tuple[str, ...]:
    """Return the sentence about images that an input lists in several splits; nothing if there are none."""
    what = f"{len(names)} image(s) are in several splits, and were read once, for test if it is one, else val"
    return (f"{what}: {listed(names)}",) if names else ()


Reader = Callable[[ReaderSettings], Reading]
"""Lists the units without reading pixels. Raises `MedrovError`: ``NO_INPUT`` or ``DATASET_INVALID`` where
there is nothing to read, ``USAGE`` where an option is missing."""
