"""Decisions on labels that a detector added, and their application to a COCO document."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from medrov_cli.core.datasets.coco_records import CocoAnnotation, CocoDocument
from medrov_cli.core.datasets.labelled_documents import ids_by_name, undecided, with_categories

ACCEPT = "accept"
REJECT = "reject"
RELABEL = "relabel"

KINDS = {"accepted": ACCEPT, "rejected": REJECT, "relabelled": RELABEL}
"""Kinds of decisions, by the name of their number in a manifest."""


@dataclass(frozen=True, slots=True)
class Decision:
    """Decision of a reviewer on one label.

    Attributes
    ----------
    source
        Name of the source.
    annotation_id
        Id of the label in the source's COCO file.
    kind
        ``accept``, ``reject`` or ``relabel``.
    class_name
        The new class of ``relabel``.
    """

    source: str
    annotation_id: int
    kind: str
    class_name: str | None = None


def applied(document: CocoDocument, decisions: Mapping[int, Decision]) -> CocoDocument:
    """Return a document after the decisions on its labels."""
    renamed = [d.class_name for d in decisions.values() if d.class_name is not None]
    categories = with_categories(document, renamed)
    id_of = ids_by_name(categories)
    name_of = {category.id: category.name for category in categories}
    annotations: list[CocoAnnotation] = []
    asked = {annotation.id for annotation in undecided(document)}
    for annotation in document.annotations:
        own: Any = annotation.fields.get("id")
        decision = decisions.get(own) if own in asked else None
        if decision is None:
            annotations.append(annotation)
        elif decision.class_name is not None:
            was = name_of[annotation.category_id]
            relabelled = annotation.with_category(id_of[decision.class_name])
            annotations.append(relabelled.replaced(reviewed=True, was=was))
        elif decision.kind == ACCEPT:
            annotations.append(annotation.replaced(reviewed=True))
    return replace(document, categories=categories, annotations=tuple(annotations))
