"""``medrov doctor``: checks of this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer
from rich.console import Group, RenderableType
from rich.text import Text

from medrov_cli import console
from medrov_cli.core.base.errors import ExitCode
from medrov_cli.core.settings.doctor import DoctorSettings

if TYPE_CHECKING:
    from medrov_cli.core.doctor.report import Report


def doctor(settings: DoctorSettings) -> None:
    """Test the formats, engines, text encoders and weights on this machine.

    Exit code 0 if 'medrov detect' works with its default settings, else 1. Failures of other parts are
    warnings. Nothing is downloaded.
    """
    from medrov_cli.core.doctor.run import run_checks

    with console.progress("groups") as advance:
        report = run_checks(offline=settings.offline, progress=advance)
    console.success(report, _render, as_json=settings.as_json)
    if not report.works:
        raise typer.Exit(ExitCode.FAILURE)


def _installed(report: Report) -> str:
    """Return the parts of the installation, in one line."""
    installation = report.installation
    if not installation.unavailable:
        return "whole install: all commands are available"
    return (
        f"{installation.kind} install: detect, eval, pseudolabel, data, learn, send, weights and benchmark "
        f"are available; not available: {', '.join(installation.unavailable)}"
    )


def _render(report: Report) -> RenderableType:
    table = console.table("", "", "works", "")
    shown = ""
    for check in report.checks:
        heading = "" if check.group == shown else check.group.value.replace("_", " ")
        shown = check.group
        state = Text("yes", "green") if check.works else Text("no", "bold red" if check.needed else "yellow")
        table.add_row(heading, check.name, state, check.detail)
    packages = ", ".join(f"{name} {version or 'missing'}" for name, version in report.versions.items())
    network = "forbidden" if report.offline else "used by 'weights pull' and hf-hub: encoders only"
    lines = [Text(f"\n{_installed(report)}\nnetwork: {network}\nversions: {packages}\n")]
    for failure in report.failures:
        label = Text("broken", "bold red") if failure.needed else Text("not working", "yellow")
        lines.append(
            Text.assemble(label, f": {failure.group.value.replace('_', ' ')}, {failure.name}. {failure.hint}")
        )
    verdict = "works here" if report.works else "does not work on this machine with its default settings"
    lines.append(Text(f"medrov detect {verdict}.", "bold"))
    return Group(table, *lines)
