"""Procedure of ``medrov send``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medrov_cli.core.base.errors import ErrorCode, ExitCode, MedrovError, usage_error
from medrov_cli.core.base.network_addresses import DicomwebAddress, require_network
from medrov_cli.core.base.progress import Progress, no_progress
from medrov_cli.core.runs.locking import FolderLock
from medrov_cli.core.sending.cstore import StoreAssociation
from medrov_cli.core.sending.ledger import SendLedger, SendState
from medrov_cli.core.sending.protocol import ResultFile, StoreConnection
from medrov_cli.core.sending.stow import StowConnection
from medrov_cli.core.settings.send import SendSettings
from medrov_cli.core.writers.json_lines import JSONL_FILE

SEND_SCHEMA = "medrov.send/1"

RESULT_FOLDERS = ("sr", "gsps", "seg", "ann")
"""Folders of DICOM results, in the order of sending."""


@dataclass(frozen=True, slots=True)
class SendSummary:
    """Result of sending.

    Attributes
    ----------
    destination
        Address without credentials.
    stored
        Number of instances that were stored now.
    skipped
        Number of instances that the destination had already.
    refused
        Instance UIDs that the destination refuses, with its reason.
    """

    destination: str
    stored: int
    skipped: int
    refused: tuple[tuple[str, str], ...] = ()

    @property
    def exit_code(self) -> ExitCode:
        """Return the exit code of the command."""
        if not self.refused:
            return ExitCode.OK
        return ExitCode.PARTIAL if self.stored or self.skipped else ExitCode.FAILURE

    def as_dict(self) -> dict[str, Any]:
        """Return the JSON document."""
        return {
            "schema": SEND_SCHEMA,
            "to": self.destination,
            "stored": self.stored,
            "skipped": self.skipped,
            "refused": [{"instance_uid": uid, "reason": reason} for uid, reason in self.refused],
        }


def send_results(settings: SendSettings, progress: Progress = no_progress) -> SendSummary:
    """Send the DICOM results of a folder; after an interruption, only those that are left.

    Parameters
    ----------
    settings
        All settings.
    progress
        Called with the number of instances that are done, their total and the stage.

    Raises
    ------
    MedrovError
        ``USAGE``, ``NETWORK_FORBIDDEN``, ``NO_INPUT`` for a folder without DICOM results,
        ``TRANSFER_FAILED`` if the destination cannot be used, ``DEPENDENCY_MISSING``, ``OUTPUT_FAILED``.
    """
    settings.check()
    require_network(settings.offline, f"--to {settings.destination}")
    if not (settings.results / JSONL_FILE).is_file():
        raise usage_error(
            f"{settings.results} contains no complete run of detect", "Finish it with --resume, then send."
        )
    files = list(_result_files(settings.results))
    if not files:
        raise MedrovError(
            ErrorCode.NO_INPUT,
            f"{settings.results} contains no DICOM results",
            "Run medrov detect with --format sr,gsps, of slides with --format ann.",
        )
    lock = FolderLock(settings.results)
    lock.acquire()
    try:
        ledger = SendLedger(settings.results, str(settings.destination))
        with closing(_connect(settings, files)) as connection:
            return _send_all(files, connection, ledger, str(settings.destination), progress)
    finally:
        lock.release()


def _send_all(
    files: list[ResultFile],
    connection: StoreConnection,
    ledger: SendLedger,
    destination: str,
    progress: Progress,
) -> SendSummary:
    stored = skipped = 0
    refused: list[tuple[str, str]] = []
    for number, file in enumerate(files, 1):
        state = ledger.state(file.instance_uid)
        if state is SendState.STORED:
            skipped += 1
        elif state is SendState.STARTED and connection.holds(file):
            ledger.write(file.instance_uid, SendState.STORED)
            skipped += 1
        else:
            ledger.write(file.instance_uid, SendState.STARTED)
            reason = connection.store(file)
            ledger.write(file.instance_uid, SendState.REFUSED if reason else SendState.STORED)
            stored += not reason
            if reason:
                refused.append((file.instance_uid, reason))
        progress(number, len(files), "send")
    return SendSummary(destination, stored, skipped, tuple(refused))


def _connect(settings: SendSettings, files: list[ResultFile]) -> StoreConnection:
    if isinstance(settings.destination, DicomwebAddress):
        return StowConnection(settings.destination, settings.retries)
    classes = {file.sop_class for file in files}
    return StoreAssociation(
        settings.destination, settings.calling_title, classes, tls=settings.tls, retries=settings.retries
    )


def _result_files(folder: Path) -> Iterator[ResultFile]:
    """Yield the DICOM results of a run, by format and name."""
    import pydicom

    for name in RESULT_FOLDERS:
        for path in sorted((folder / name).glob("*.dcm")):
            header = pydicom.dcmread(path, stop_before_pixels=True)
            yield ResultFile(
                path,
                str(header.StudyInstanceUID),
                str(header.SeriesInstanceUID),
                str(header.SOPInstanceUID),
                str(header.SOPClassUID),
                str(header.file_meta.TransferSyntaxUID),
            )
