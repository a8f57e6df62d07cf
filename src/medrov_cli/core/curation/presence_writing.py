"""Draft the presence table of a dataset yaml, and write it with its reasons."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

from medrov_cli.core.base.errors import usage_error
from medrov_cli.core.base.files import require_absent, whole_file
from medrov_cli.core.curation.presence_draft import PresenceDraft, SourceFacts, draft_presence
from medrov_cli.core.datasets.presence import presence_csv
from medrov_cli.core.datasets.source_set import SourceSet, open_inputs
from medrov_cli.core.settings.data import PresenceSettings


@dataclass(frozen=True, slots=True)
class PresenceResult:
    """A draft that was written."""

    dataset: str
    draft: PresenceDraft
    path: Path
    in_yaml: bool


def draft_for_dataset(settings: PresenceSettings) -> PresenceResult:
    """Write the presence draft of a dataset yaml, whatever table the yaml names now.

    Raises
    ------
    MedrovError
        ``DATASET_INVALID``; ``USAGE``: the file is there already; ``OUTPUT_FAILED``.
    """
    yaml_path = settings.dataset
    target = settings.output if settings.output is not None else yaml_path.parent / "presence.csv"
    require_absent(target, overwrite=settings.overwrite, detail=", and may have been edited by hand")
    opened = open_inputs([yaml_path], settings.data_root)
    if opened.yaml_path is None:
        raise usage_error(f"{yaml_path} is not a dataset yaml", "Give a dataset yaml.")
    if opened.failures:
        raise opened.failures[0][1]
    facts = [SourceFacts(s.name, s.modality, s.classes) for s in opened.sources]
    draft = draft_presence(facts, opened.classes, opened.synonyms)
    write_presence(target, draft)
    if settings.reasons is not None:
        _write_reasons(settings.reasons, draft)
    return PresenceResult(opened.name, draft, target, _is_named(opened, target))


def write_presence(path: Path, draft: PresenceDraft) -> None:
    """Write a draft as the table that :func:`medrov_cli.core.datasets.presence.read_presence` reads.

    Raises
    ------
    MedrovError
        ``OUTPUT_FAILED``.
    """
    value_of = {(cell.source, cell.class_name): cell.value for cell in draft.cells}
    table = [[value_of[source, name] for name in draft.classes] for source in draft.sources]
    with whole_file(path) as temporary:
        text = presence_csv(draft.sources, draft.classes, table)
        temporary.write_text(text, encoding="utf-8", newline="\n")


def _write_reasons(path: Path, draft: PresenceDraft) -> None:
    with whole_file(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(["source", "class", "value", "reason", "text"])
        writer.writerows([c.source, c.class_name, c.value, c.reason.value, c.text] for c in draft.cells)


def _is_named(opened: SourceSet, target: Path) -> bool:
    """Tell whether the yaml takes its table from this file."""
    if opened.yaml_path is None or opened.presence is None:
        return False
    return (opened.yaml_path.parent / opened.presence).resolve() == target.resolve()
