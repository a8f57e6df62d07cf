"""Generation of the presence table of a dataset yaml, and its file with reasons."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

from medrov_cli.core.base.csv_cells import plain_cells
from medrov_cli.core.base.errors import usage_error
from medrov_cli.core.base.files import open_text, require_absent, whole_file
from medrov_cli.core.curation.presence_generation import GeneratedPresence, SourceFacts, generate_presence
from medrov_cli.core.datasets.presence import presence_csv
from medrov_cli.core.datasets.source_set import SourceSet, annotated_names, open_inputs
from medrov_cli.core.settings.data import PresenceSettings


@dataclass(frozen=True, slots=True)
class PresenceResult:
    """Written presence table."""

    dataset: str
    generated: GeneratedPresence
    path: Path
    in_yaml: bool


def generate_for_dataset(settings: PresenceSettings) -> PresenceResult:
    """Generate and write the presence table of a dataset yaml; a table that the yaml names is ignored.

    Raises
    ------
    MedrovError
        ``DATASET_INVALID``; ``USAGE`` if the file exists; ``OUTPUT_FAILED``.
    """
    yaml_path = settings.dataset
    target = settings.output if settings.output is not None else yaml_path.parent / "presence.csv"
    require_absent(target, overwrite=settings.overwrite, detail=", and may have been edited by hand")
    if settings.reasons is not None:
        require_absent(
            settings.reasons, overwrite=settings.overwrite, hint="Give another file, or --overwrite."
        )
    opened = open_inputs([yaml_path], settings.data_root)
    if opened.yaml_path is None:
        raise usage_error(f"{yaml_path} is not a dataset yaml", "Give a dataset yaml.")
    if opened.failures:
        raise opened.failures[0][1]
    facts = [
        SourceFacts(own.name, own.modality, annotated_names(own.document.categories))
        for own in opened.sources
    ]
    generated = generate_presence(facts, opened.classes, opened.synonyms)
    write_presence(target, generated)
    if settings.reasons is not None:
        _write_reasons(settings.reasons, generated)
    return PresenceResult(opened.name, generated, target, _is_named(opened, target))


def write_presence(path: Path, generated: GeneratedPresence) -> None:
    """Write a table in the format of :func:`medrov_cli.core.datasets.presence.read_presence`.

    Raises
    ------
    MedrovError
        ``OUTPUT_FAILED``.
    """
    value_of = {(cell.source, cell.class_name): cell.value for cell in generated.cells}
    table = [[value_of[source, name] for name in generated.classes] for source in generated.sources]
    with whole_file(path) as temporary:
        text = presence_csv(generated.sources, generated.classes, table)
        temporary.write_text(text, encoding="utf-8", newline="\n")


def _write_reasons(path: Path, generated: GeneratedPresence) -> None:
    with whole_file(path) as temporary, open_text(temporary, newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(["source", "class", "value", "reason", "text"])
        writer.writerows(
            plain_cells([c.source, c.class_name, c.value, c.reason.value, c.text]) for c in generated.cells
        )


def _is_named(opened: SourceSet, target: Path) -> bool:
    """Return whether the yaml refers to this table."""
    if opened.yaml_path is None or opened.presence is None:
        return False
    return (opened.yaml_path.parent / opened.presence).resolve() == target.resolve()
