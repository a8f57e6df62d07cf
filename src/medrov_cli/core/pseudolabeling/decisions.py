"""Merge what a person has decided on added labels: accepted, rejected, relabelled."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from medrov_cli.core.base.constants import RESEARCH_NOTICE
from medrov_cli.core.base.errors import usage_error
from medrov_cli.core.base.files import sha256_of_file
from medrov_cli.core.base.versions import __version__
from medrov_cli.core.datasets.coco_records import CocoAnnotation, CocoDocument
from medrov_cli.core.datasets.labelled_documents import ids_by_name, undecided, with_categories
from medrov_cli.core.datasets.labelled_folder import MANIFEST, LabelledFolder, write_folder
from medrov_cli.core.datasets.sources import invalid
from medrov_cli.core.reports.review import DECISIONS_SCHEMA
from medrov_cli.core.runs.folder import RunFolder
from medrov_cli.core.runs.identity import Refusal
from medrov_cli.core.runs.kind import RunKind

SCHEMA = "medrov.pseudolabel.apply/1"

ACCEPT = "accept"
REJECT = "reject"
RELABEL = "relabel"

_REVIEWED = RunKind(
    taken=Refusal("--output {folder} already contains labels", "Add --overwrite, or give another --output."),
    marks=(MANIFEST,),
)


@dataclass(frozen=True, slots=True)
class Decision:
    """What a person has decided on one label.

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


def apply_decisions(
    decisions: Path, labels: Path, output: Path, *, overwrite: bool = False
) -> dict[str, Any]:
    """Write the labels of a folder as a person wants them; return the new manifest.

    Rejected labels are gone, relabelled ones have their new class, and those and the accepted ones
    are marked ``reviewed``. What nobody has decided on stays as it is.

    Parameters
    ----------
    decisions
        The file that the review page saves.
    labels
        The folder that was reviewed.
    output
        Folder of the new dataset.
    overwrite
        Whether to replace an earlier one there.

    Raises
    ------
    MedrovError
        ``USAGE``; ``DATASET_INVALID``: not a decisions file, one about other labels, or a class that
        is annotated or impossible in that source; ``OUTPUT_FAILED``.
    """
    if output.resolve() == labels.resolve():
        raise usage_error("--output is the folder that was reviewed", "Give a new folder.")
    if output.exists() and not output.is_dir():
        raise usage_error(f"--output {output} is a file", "Give a folder.")
    RunFolder(output, _REVIEWED).require_free(resume=False, overwrite=overwrite)
    folder = LabelledFolder.open(labels)
    by_source = _read_decisions(decisions, folder)
    documents, sources = {}, {}
    for row, source in enumerate(folder.dataset.sources):
        document = folder.document(source)
        own = by_source.get(source.name, {})
        _check(decisions, own, {a.id for a in undecided(document)}, folder.possible(row))
        left = sum(1 for _ in undecided(document)) - len(own)
        sources[source.name] = {
            **{key: sum(d.kind == kind for d in own.values()) for key, kind in _COUNTED.items()},
            "undecided": left,
        }
        if own:
            documents[row] = _applied(document, own)
    manifest = {
        "schema": SCHEMA,
        "notice": RESEARCH_NOTICE,
        "decisions_sha256": sha256_of_file(decisions),
        "sources": sources,
        "labels": dict(folder.manifest),
        "labels_sha256": folder.sha256,
        "versions": {"medrov": __version__},
    }
    return write_folder(output, folder.dataset, documents.get, manifest)


_COUNTED = {"accepted": ACCEPT, "rejected": REJECT, "relabelled": RELABEL}


def _applied(document: CocoDocument, decisions: Mapping[int, Decision]) -> CocoDocument:
    """Return a document with the decisions on its labels; everything else stays as it is."""
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


def _read_decisions(path: Path, folder: LabelledFolder) -> dict[str, dict[int, Decision]]:
    """Return the decisions by source and id."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        if document["schema"] != DECISIONS_SCHEMA:
            raise ValueError("schema")
        made = [_decision(entry) for entry in document["decisions"]]
        about = str(document["labels"])
    except OSError as error:
        raise invalid(
            f"{path}: {error.strerror or error}", "Give the file that the review page saved."
        ) from error
    except (ValueError, KeyError, TypeError) as error:
        raise invalid(
            f"{path} is not a file of decisions", "Give the file that the review page saved."
        ) from error
    if about != folder.sha256:
        raise invalid(
            f"{path} does not belong to the labels in {folder.folder}",
            "Give the folder that was reviewed with --labels, or review the new labels.",
        )
    by_source: dict[str, dict[int, Decision]] = {source.name: {} for source in folder.dataset.sources}
    for decision in made:
        if decision.annotation_id in by_source.setdefault(decision.source, {}):
            raise invalid(
                f"{path} contains two decisions on {_called(decision)}", "Save the decisions again."
            )
        by_source[decision.source][decision.annotation_id] = decision
    if unknown := sorted(set(by_source) - {source.name for source in folder.dataset.sources}):
        raise invalid(f"{path}: there is no source {unknown[0]!r}", "Save the decisions again.")
    return by_source


def _decision(entry: Mapping[str, Any]) -> Decision:
    """Return a decision, or raise ``ValueError``."""
    kind, name = entry["decision"], entry.get("class")
    if kind not in _COUNTED.values() or (kind == RELABEL) != isinstance(name, str):
        raise ValueError("decision")
    if type(entry["id"]) is not int or not isinstance(entry["source"], str):
        raise ValueError("id")
    return Decision(entry["source"], entry["id"], kind, name)


def _check(path: Path, own: Mapping[int, Decision], asked: set[Any], possible: list[str]) -> None:
    """Refuse decisions on what was not asked, and classes that cannot be."""
    for decision in own.values():
        if decision.annotation_id not in asked:
            raise invalid(f"{path}: {_called(decision)} is not a reviewed label", "Save the decisions again.")
        if decision.class_name is not None and decision.class_name not in possible:
            raise invalid(
                f"{path}: {decision.class_name!r} is annotated or impossible in {decision.source!r}",
                "Choose a class with a 0 in the presence table.",
            )


def _called(decision: Decision) -> str:
    return f"annotation {decision.annotation_id} of {decision.source!r}"
