"""Ledger of sent instances in the folder of the results: no instance is sent twice to one destination."""

from __future__ import annotations

import json
import os
from enum import StrEnum
from pathlib import Path

from medrov_cli.core.base.errors import ErrorCode, MedrovError

LEDGER_FILE = "sent.jsonl"


class SendState(StrEnum):
    """State of an instance at a destination."""

    STARTED = "started"
    """The request was begun. Without a later state, its result is unknown."""
    STORED = "stored"
    REFUSED = "refused"


class SendLedger:
    """States of the instances of a folder at one destination.

    A line is appended before and after each request. The second one can be absent after a kill.

    Parameters
    ----------
    folder
        Folder of the results.
    destination
        Address without credentials.

    Raises
    ------
    MedrovError
        ``OUTPUT_FAILED`` if the file cannot be read or written.
    """

    def __init__(self, folder: Path, destination: str) -> None:
        self._path = folder / LEDGER_FILE
        self._destination = destination
        self._states = self._read()

    def state(self, instance_uid: str) -> SendState | None:
        """Return the last state of an instance; null if it was never sent."""
        return self._states.get(instance_uid)

    def write(self, instance_uid: str, state: SendState) -> None:
        """Append a state; it remains after a kill of the process, or of the machine."""
        record = {"to": self._destination, "instance_uid": instance_uid, "state": state.value}
        try:
            with self._path.open("ab") as stream:
                if stream.tell() and not self._ends_with_line():
                    stream.write(b"\n")
                stream.write(json.dumps(record).encode("ascii") + b"\n")
                stream.flush()
                os.fsync(stream.fileno())
        except OSError as error:
            raise self._error(error) from error
        self._states[instance_uid] = state

    def _ends_with_line(self) -> bool:
        with self._path.open("rb") as stream:
            stream.seek(-1, os.SEEK_END)
            return stream.read() == b"\n"

    def _read(self) -> dict[str, SendState]:
        states: dict[str, SendState] = {}
        try:
            lines = self._path.read_bytes().splitlines() if self._path.exists() else []
        except OSError as error:
            raise self._error(error) from error
        for line in lines:
            try:
                record = json.loads(line)
                if record["to"] == self._destination:
                    states[str(record["instance_uid"])] = SendState(record["state"])
            except (ValueError, TypeError, KeyError):  # a line that a kill cut off
                continue
        return states

    def _error(self, error: OSError) -> MedrovError:
        return MedrovError(
            ErrorCode.OUTPUT_FAILED,
            f"cannot use {self._path}: {error.strerror or error}",
            "Check the folder's permissions and the free space, then run again.",
        )
