"""Findings about the meaning of labels: names that are no classes, spellings, forms of boxes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from medrov_cli.core.curation.issues import Code, DatasetIssue
from medrov_cli.core.datasets.box_forms import judge_form, stated_boxes
from medrov_cli.core.datasets.class_rules import is_object_name, names_apart_by_case
from medrov_cli.core.datasets.source_set import OpenSource


def check_class_names(sources: Sequence[OpenSource]) -> Iterator[DatasetIssue]:
    """Yield class names that are no objects, and names that differ in spelling only."""
    names = tuple(dict.fromkeys(name for source in sources for name in source.classes))
    for name in names:
        if not is_object_name(name):
            yield DatasetIssue(Code.CLASS_NO_OBJECT, name, f"{name!r} is not an object class")
    for first, *others in names_apart_by_case(names):
        listed = ", ".join(map(repr, others))
        yield DatasetIssue(Code.CLASS_SPELLING, first, f"{first!r} and {listed} differ in spelling only")


def check_form(source: OpenSource) -> Iterator[DatasetIssue]:
    """Yield the form of a source's boxes if it is not left, top, width, height in pixels."""
    size_of = {image.id: image.stated_size for image in source.images}
    boxes = list(stated_boxes(source.annotations, size_of))
    try:
        note = judge_form(boxes).note
    except ValueError as error:
        note = str(error)
    if note:
        yield DatasetIssue(Code.BOX_FORM, source.name, f"{len(boxes)} box(es): {note}")
