"""``medrov data check``: issues of a dataset; ``medrov.data.check/1`` with ``--json``."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import typer
from rich.console import Group, RenderableType

from medrov_cli import console
from medrov_cli.core.base.errors import ExitCode
from medrov_cli.core.settings.data import CheckSettings

if TYPE_CHECKING:
    from medrov_cli.core.curation.check import DatasetCheck

SHOWN_PER_CODE = 20
"""Maximum number of rows of one code in the table; the JSON document has all."""


def _render(result: DatasetCheck) -> RenderableType:
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


def check(settings: CheckSettings) -> None:
    """Report problems of a dataset: leaks between splits, broken files, implausible boxes.

    Exit code 3 if there is a problem of severity error, else 0.
    """
    from medrov_cli.core.curation.check import check_dataset

    with console.progress("images") as advance:
        result = check_dataset(settings, advance)
    console.success(result, _render, as_json=settings.as_json)
    for code, hint in {finding.code: finding.hint for finding in result.findings}.items():
        console.note(f"{code}: {hint}")
    if result.has_errors:
        raise typer.Exit(ExitCode.PARTIAL)
