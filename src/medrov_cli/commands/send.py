"""``medrov send``: DICOM results to a PACS; with ``--json`` a document of schema ``medrov.send/1``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from medrov_cli import console
from medrov_cli.core.settings.send import SendSettings

if TYPE_CHECKING:
    from medrov_cli.core.sending.run import SendSummary


def send(settings: SendSettings) -> None:
    """Send DICOM results to a PACS, each instance once.

    An interrupted command continues when it is repeated: DIR/sent.jsonl lists what was sent where.
    Credentials are read from the environment: MEDROV_DICOMWEB_USER and MEDROV_DICOMWEB_PASSWORD, or
    MEDROV_DICOMWEB_TOKEN; MEDROV_TLS_CA, MEDROV_TLS_CERTIFICATE and MEDROV_TLS_KEY name files.
    """
    from medrov_cli.core.sending.run import send_results

    with console.progress("instances") as advance:
        summary = send_results(settings, advance)
    for uid, reason in summary.refused:
        console.fail(f"{uid} was refused ({reason})")
    console.success(summary, _render, as_json=settings.as_json)
    if summary.exit_code:
        raise typer.Exit(summary.exit_code)


def _render(summary: SendSummary) -> str:
    return (
        f"{summary.destination}: {summary.stored} instance(s) stored, {summary.skipped} already there, "
        f"{len(summary.refused)} refused"
    )
