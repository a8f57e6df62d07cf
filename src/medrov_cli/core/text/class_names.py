"""Texts of the classes of a dataset: the parts of their names, and their synonyms."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from medrov_cli.core.text.lexicon import synonyms_of


def name_parts(text: str) -> tuple[str, ...]:
    """Return the names of a text with slashes, ``a/b``, without surrounding spaces and empty names."""
    return tuple(part.strip() for part in text.split("/") if part.strip())


def names_of_classes(classes: Sequence[str], synonyms: Mapping[str, Sequence[str]]) -> list[tuple[str, ...]]:
    """Return the names of each class: the parts of its name, then its synonyms.

    A synonym that another class has, too, is left out, without regard to case: it would be the prompt of an
    object and of its negative in one image.

    Parameters
    ----------
    classes
        Class names.
    synonyms
        Synonyms by class; the lexicon has those of the other classes.
    """
    groups = [(name_parts(name), synonyms.get(name) or synonyms_of(name)) for name in classes]
    owners = Counter(
        text for parts, others in groups for text in {own.casefold() for own in (*parts, *others)}
    )
    return [
        tuple(dict.fromkeys([*parts, *(text for text in others if owners[text.casefold()] == 1)]))
        for parts, others in groups
    ]
