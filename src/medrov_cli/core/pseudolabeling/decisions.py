"""Decisions of a reviewer on added labels or detections (accept, reject, relabel), as a new dataset."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from medrov_cli.core.base.constants import RESEARCH_NOTICE
from medrov_cli.core.base.documents import read_json
from medrov_cli.core.base.errors import MedrovError, usage_error
from medrov_cli.core.base.files import sha256_of_file
from medrov_cli.core.base.text_files import DocumentError
from medrov_cli.core.base.versions import __version__
from medrov_cli.core.datasets.labelled_documents import undecided
from medrov_cli.core.datasets.labelled_folder import (
    DATASET,
    MANIFEST,
    PRESENCE,
    LabelledFolder,
    require_no_original,
    write_folder,
)
from medrov_cli.core.datasets.sources import ANNOTATIONS, invalid
from medrov_cli.core.pseudolabeling.detection_review import apply_to_detections
from medrov_cli.core.pseudolabeling.label_decisions import KINDS, RELABEL, Decision, applied
from medrov_cli.core.reports.detection_report import DECISIONS_SCHEMA as RUN_DECISIONS_SCHEMA
from medrov_cli.core.reports.review import DECISIONS_SCHEMA
from medrov_cli.core.runs.folder import RunFolder
from medrov_cli.core.runs.identity import Refusal
from medrov_cli.core.runs.kind import RunKind
from medrov_cli.core.settings.choices import Modality

SCHEMA = "medrov.pseudolabel.apply/1"

_REVIEWED = RunKind(
    taken=Refusal("--output {folder} already contains labels", "Add --overwrite, or give another --output."),
    marks=(MANIFEST,),
    foreign=Refusal(
        "--output {folder}: {file} exists, and the folder contains no labels",
        "Give another --output, or --overwrite.",
    ),
    files=(DATASET, PRESENCE, f"*/{ANNOTATIONS}"),
)


def apply_decisions(
    decisions: Path, labels: Path, output: Path, *, overwrite: bool = False, modality: Modality | None = None
) -> dict[str, Any]:
    """Apply the decisions of a review to the labels or detections of a folder; return the new manifest.

    Rejected labels are removed, and relabelled ones get their new class. Relabelled and accepted labels
    are marked ``reviewed``. Labels without a decision are unchanged. Of a detection run, the images with a
    decision are copied, and all of their detections become labels.

    Parameters
    ----------
    decisions
        File that the review page of labels, or the report of detections, saves.
    labels
        The folder that was reviewed: of ``pseudolabel``, or of ``detect``.
    output
        Folder of the new dataset.
    overwrite
        Whether to replace an earlier dataset there.
    modality
        Modality of images of a detection run whose modality is unknown.

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
    place = RunFolder(output, _REVIEWED)
    place.check(None, resume=False, overwrite=overwrite)
    document = _read_document(decisions)
    if document["schema"] == RUN_DECISIONS_SCHEMA:
        with place:
            place.claim(None, resume=False, overwrite=overwrite)
            return apply_to_detections(document, decisions, labels, output, SCHEMA, modality)
    folder = LabelledFolder.open(labels)
    require_no_original(output, folder.dataset, labels / DATASET)
    by_source = _read_decisions(document, decisions, folder)
    documents, sources = {}, {}
    for row, source in enumerate(folder.dataset.sources):
        labelled = folder.document(source)
        own = by_source.get(source.name, {})
        _check(decisions, own, {a.id for a in undecided(labelled)}, folder.possible(row))
        left = sum(1 for _ in undecided(labelled)) - len(own)
        sources[source.name] = {
            **{key: sum(d.kind == kind for d in own.values()) for key, kind in KINDS.items()},
            "undecided": left,
        }
        if own:
            documents[row] = applied(labelled, own)
    manifest = {
        "schema": SCHEMA,
        "notice": RESEARCH_NOTICE,
        "decisions_sha256": sha256_of_file(decisions),
        "sources": sources,
        "labels": dict(folder.manifest),
        "labels_sha256": folder.sha256,
        "versions": {"medrov": __version__},
    }
    with place:
        place.claim(None, resume=False, overwrite=overwrite)
        return write_folder(output, folder.dataset, documents.get, manifest)


def _read_document(path: Path) -> Mapping[str, Any]:
    """Return the content of a file of decisions, with a known schema."""
    try:
        document: Mapping[str, Any] = read_json(path)
        if document["schema"] not in (DECISIONS_SCHEMA, RUN_DECISIONS_SCHEMA):
            raise ValueError("schema")
    except OSError as error:
        raise invalid(
            f"{path}: {error.strerror or error}", "Give the file that the review page saved."
        ) from error
    except DocumentError as error:
        raise invalid(f"{path} {error}", "Give the file that the review page saved.") from error
    except (ValueError, KeyError, TypeError) as error:
        raise _no_decisions(path) from error
    return document


def _no_decisions(path: Path) -> MedrovError:
    return invalid(f"{path} is not a file of decisions", "Give the file that the review page saved.")


def _read_decisions(
    document: Mapping[str, Any], path: Path, folder: LabelledFolder
) -> dict[str, dict[int, Decision]]:
    """Return the decisions by source and id."""
    try:
        made = [_decision(entry) for entry in document["decisions"]]
        about = str(document["labels"])
    except (ValueError, KeyError, TypeError) as error:
        raise _no_decisions(path) from error
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
    if kind not in KINDS.values() or (kind == RELABEL) != isinstance(name, str):
        raise ValueError("decision")
    if type(entry["id"]) is not int or not isinstance(entry["source"], str):
        raise ValueError("id")
    return Decision(entry["source"], entry["id"], kind, name)


def _check(path: Path, own: Mapping[int, Decision], asked: set[Any], possible: list[str]) -> None:
    """Refuse decisions on labels that are not undecided, and classes that are not possible."""
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
