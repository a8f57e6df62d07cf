"""``medrov merge``: folders of ``--shard`` runs as one; with ``--json`` a document of ``medrov.merge/1``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from medrov_cli import console
from medrov_cli.core.settings.merge_shards import MergeRunsSettings

if TYPE_CHECKING:
    from medrov_cli.core.detection.shard_merge import MergedRuns


def merge(settings: MergeRunsSettings) -> None:
    """Join the output folders of 'medrov detect --shard' to that of the whole run.

    All files are those of one run without --shard, byte for byte. The formats sr and gsps read the inputs.
    Jobs with --shard-by tiles give the objects of one run.
    The exit code is that of the whole run: 3 if an input failed.
    """
    from medrov_cli.core.detection.shard_merge import merge_runs

    with console.progress("images") as advance:
        merged = merge_runs(settings, advance)
    console.success(merged, _render, as_json=settings.as_json)
    if merged.summary.exit_code:
        raise typer.Exit(merged.summary.exit_code)


def _render(merged: MergedRuns) -> str:
    found = merged.summary
    return (
        f"{merged.parts} part(s): {found.images} image(s), {sum(found.detections.values())} detection(s), "
        f"{found.failed} failed input(s); results in {merged.folder}"
    )
