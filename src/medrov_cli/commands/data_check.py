"""``medrov data check``: what is wrong with a dataset; ``medrov.data.check/1`` with ``--json``."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Group, RenderableType

from medrov_cli import console, options
from medrov_cli.core.base.errors import ExitCode
from medrov_cli.options import near_copies

if TYPE_CHECKING:
    from medrov_cli.core.curation.check import CheckResult

SHOWN_PER_CODE = 20
"""Rows of one code in the table; the JSON document has all."""


def _render(result: CheckResult) -> RenderableType:
    counts = ", ".join(f"{number} {severity}(s)" for severity, number in result.counts().items())
    summary = f"{result.sources} source(s), {result.images} image(s), {result.boxes} box(es): {counts}"
    if not result.findings:
        return summary
    table = console.table("severity", "code", "where", "what")
    seen = Counter(finding.code for finding in result.findings)
    shown: Counter[str] = Counter()
    for finding in result.findings:
        shown[finding.code] += 1
        if shown[finding.code] <= SHOWN_PER_CODE:
            table.add_row(finding.severity.value, finding.code.value, finding.where, finding.message)
        elif shown[finding.code] == seen[finding.code]:
            more = f"and {seen[finding.code] - SHOWN_PER_CODE} more: see --json"
            table.add_row(finding.severity.value, finding.code.value, "", more)
    return Group(table, "", summary)


def check(
    inputs: Annotated[
        list[Path],
        typer.Argument(metavar="DATASET.yaml|SOURCE_DIR...", help="A dataset yaml, or source folders."),
    ],
    data_root: options.DataRoot = None,
    hamming: near_copies.Hamming = 10,
    correlation: near_copies.Correlation = 0.95,
    threads: options.Threads = 4,
    as_json: options.Json = False,
) -> None:
    """Look for what spoils training or measuring: leaks between splits, broken files, odd boxes.

    Exit code 3 if there is a finding of severity error, 0 otherwise.
    """
    from medrov_cli.core.curation.check import CheckConfig, check_dataset

    config = CheckConfig(tuple(inputs), data_root, hamming, correlation, threads)
    with console.progress("images") as advance:
        result = check_dataset(config, advance)
    console.success(result, _render, as_json=as_json)
    for code, hint in {finding.code: finding.hint for finding in result.findings}.items():
        console.note(f"{code}: {hint}")
    if result.has_errors:
        raise typer.Exit(ExitCode.PARTIAL)
