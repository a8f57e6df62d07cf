"""Storage by DICOMweb (STOW-RS)."""

from __future__ import annotations

import pydicom

from medrov_cli.core.base.errors import MedrovError
from medrov_cli.core.base.network_addresses import DicomwebAddress
from medrov_cli.core.pixels.dicomweb.client import open_client, repeated
from medrov_cli.core.sending.protocol import ResultFile

_REFUSALS = ("status 400", "status 409", "status 413", "status 415")
"""Statuses with which a service refuses one instance; others concern all of them."""


class StowConnection:
    """Connection to a DICOMweb service.

    Parameters
    ----------
    address
        Base address.
    retries
        Repetitions of a failed request.
    """

    def __init__(self, address: DicomwebAddress, retries: int) -> None:
        self._address = address
        self._retries = retries
        self._client = open_client(address)

    def holds(self, file: ResultFile) -> bool:
        """Return whether a query (QIDO-RS) finds the instance."""
        found = repeated(
            lambda: self._client.search_for_instances(
                file.study_uid, file.series_uid, search_filters={"SOPInstanceUID": file.instance_uid}
            ),
            self._address,
            self._retries,
        )
        return bool(found)

    def store(self, file: ResultFile) -> str:
        """Store an instance; a repeated request first asks whether the last one succeeded."""
        dataset = pydicom.dcmread(file.path)
        is_first = True

        def request() -> pydicom.Dataset | None:
            nonlocal is_first
            if not is_first and self._client.search_for_instances(
                file.study_uid, file.series_uid, search_filters={"SOPInstanceUID": file.instance_uid}
            ):
                return None
            is_first = False
            return self._client.store_instances([dataset])

        try:
            answer = repeated(request, self._address, self._retries)
        except MedrovError as error:
            status = next((status for status in _REFUSALS if f"({status})" in error.message), "")
            if not status:
                raise
            return status
        failed = () if answer is None else answer.get("FailedSOPSequence") or ()
        return f"failure reason {failed[0].get('FailureReason', 'unknown')}" if failed else ""

    def close(self) -> None:
        """Do nothing: requests are independent."""
