"""Sentences about a conversion: what was left out, what was assumed, and which images it concerns."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from medrov_cli.core.datasets.class_rules import is_object_name, names_apart_by_case
from medrov_cli.core.datasets.readers.protocol import listed
from medrov_cli.core.records.annotations import AnnotatedImage

OUTSIDE = "box(es) without an area inside the image were removed"


def keep_objects(image: AnnotatedImage, named: Iterable[str]) -> AnnotatedImage:
    """Return an image without boxes of classes that are no objects; a warning names each class.

    Parameters
    ----------
    image
        An image with all boxes of its source.
    named
        Classes that the user has named; they are objects.
    """
    wanted = set(named)
    other = [
        own
        for own in image.annotations
        if own.class_name not in wanted and not is_object_name(own.class_name)
    ]
    if not other:
        return image
    names = dict.fromkeys(own.class_name for own in other)
    return replace(
        image,
        annotations=tuple(own for own in image.annotations if own.class_name not in names),
        warnings=(
            *image.warnings,
            *(f"boxes of {name!r} were left out, because that is not an object class" for name in names),
        ),
    )


def image_warnings(paths_by_text: Mapping[str, list[str]]) -> list[str]:
    """Return each text with the number and the first names of its images."""
    return [
        f"{text} ({len(dict.fromkeys(paths))} image(s)): {listed(list(dict.fromkeys(paths)))}"
        for text, paths in paths_by_text.items()
    ]


def case_warnings(cases: Sequence[str | None], names: Sequence[str]) -> list[str]:
    """Return in how many images, by their names, ``--case`` found no patient."""
    without = [name for case, name in zip(cases, names, strict=True) if case is None]
    what = f"--case matches {len(cases) - len(without)} of {len(cases)} image(s)"
    return [f"{what}; without a patient: {listed(list(dict.fromkeys(without)))}"] if without else []


def class_warnings(stated: Iterable[str], kept: Iterable[str]) -> list[str]:
    """Return what is to be said about class names that are no objects, or that differ in spelling only."""
    names = list(kept)
    left = [name for name in stated if name not in names]
    warnings = [f"{', '.join(map(repr, left))}: not an object class, left out"] if left else []
    groups = (", ".join(map(repr, group)) for group in names_apart_by_case(names))
    hint = "join them with 'medrov data merge --map'"
    return warnings + [
        f"classes that differ in spelling only stay separate ({hint}): {own}" for own in groups
    ]
