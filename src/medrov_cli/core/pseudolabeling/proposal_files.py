"""Files of a run of pseudo-labels in its output folder."""

from __future__ import annotations

from pathlib import Path

from medrov_cli.core.datasets.dataset import Dataset
from medrov_cli.core.datasets.labelled_folder import MANIFEST, written_names
from medrov_cli.core.runs.identity import Refusal
from medrov_cli.core.runs.journal import Journal
from medrov_cli.core.runs.kind import RunKind
from medrov_cli.core.settings.pseudolabel import PseudolabelSettings
from medrov_cli.core.settings.values import Shard


def kind_of_run(config: PseudolabelSettings, dataset: Dataset) -> RunKind:
    """Return the kind of the output folder, which several shards share."""
    journal = journal_path(config, config.shard)
    return RunKind(
        taken=Refusal(
            "--output {folder} already contains pseudo-labels, or a part of them",
            "Add --resume to continue, --overwrite, or give another --output.",
        ),
        marks=(MANIFEST, journal.name, Journal(journal).partial.name),
        foreign=Refusal(
            "--output {folder}: {file} exists, and the folder contains no run",
            "Give another --output, or --overwrite.",
        ),
        files=written_names(dataset.sources),
        is_shared=config.shard is not None,
    )


def journal_path(config: PseudolabelSettings, shard: Shard | None) -> Path:
    """Return the file of the detections of a run, or of a shard of it."""
    suffix = "" if shard is None else f"-{shard.number}-of-{shard.count}"
    return (config.output.folder or Path()) / f"proposals{suffix}.jsonl"
