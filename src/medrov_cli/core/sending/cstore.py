"""Storage by an association with an application entity (C-STORE)."""

from __future__ import annotations

import logging
import os
import ssl
import time
from typing import TYPE_CHECKING, Any

from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.base.network_addresses import AUTHORITY, CERTIFICATE, KEY, PeerAddress
from medrov_cli.core.base.optional import require_packages
from medrov_cli.core.pixels.dicomweb.client import transfer_error
from medrov_cli.core.sending.protocol import ResultFile

if TYPE_CHECKING:
    from pynetdicom.association import Association

_OUT_OF_RESOURCES = 0xA7
_TIMEOUT_S = 30.0
_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.5, 30.0
_STUDY_ROOT_FIND = "1.2.840.10008.5.1.4.1.2.2.1"
_PENDING = (0xFF00, 0xFF01)


class StoreAssociation:
    """Association with a peer, opened again after a failure.

    Parameters
    ----------
    peer
        Address.
    calling_title
        Own title.
    sop_classes
        SOP classes of the instances.
    tls
        Whether to use TLS, with the files in the environment.
    retries
        Repetitions after a failure of the network or of the peer.

    Raises
    ------
    MedrovError
        ``DEPENDENCY_MISSING``.
    """

    def __init__(
        self, peer: PeerAddress, calling_title: str, sop_classes: set[str], *, tls: bool, retries: int
    ) -> None:
        require_packages("DICOM C-STORE", ("pynetdicom",))
        from pynetdicom import AE

        logging.getLogger("pynetdicom").setLevel(logging.CRITICAL + 1)
        self._peer = peer
        self._retries = retries
        self._tls = (_tls_context(), peer.host) if tls else None
        self._entity = AE(calling_title)
        self._entity.acse_timeout = self._entity.dimse_timeout = self._entity.network_timeout = _TIMEOUT_S
        self._entity.connection_timeout = _TIMEOUT_S
        for sop_class in sorted(sop_classes):
            self._entity.add_requested_context(sop_class, "1.2.840.10008.1.2.1")
        self._entity.add_requested_context(_STUDY_ROOT_FIND)
        self._association: Association | None = None

    def holds(self, file: ResultFile) -> bool:
        """Return whether a query (C-FIND) finds the instance; false if the peer answers no queries."""
        from pydicom.dataset import Dataset

        association = self._open()
        if not any(context.abstract_syntax == _STUDY_ROOT_FIND for context in association.accepted_contexts):
            return False
        query = Dataset()
        query.QueryRetrieveLevel = "IMAGE"
        query.StudyInstanceUID, query.SeriesInstanceUID = file.study_uid, file.series_uid
        query.SOPInstanceUID = file.instance_uid
        answers = association.send_c_find(query, _STUDY_ROOT_FIND)
        return any(status.get("Status") in _PENDING and found is not None for status, found in answers)

    def store(self, file: ResultFile) -> str:
        """Store an instance; a repeated request first asks whether the last one succeeded."""
        for attempt in range(self._retries + 1):
            if attempt:
                time.sleep(min(_FIRST_WAIT_S * 2**attempt, _LONGEST_WAIT_S))
            try:
                if attempt and self.holds(file):
                    return ""
                status = self._send(file)
            except (OSError, RuntimeError, ValueError, MedrovError) as error:
                self.close()
                if attempt == self._retries:
                    detail = str(error) if isinstance(error, MedrovError) else type(error).__name__
                    raise transfer_error(self._peer, detail) from None
                continue
            if status is not None and status >> 8 != _OUT_OF_RESOURCES:
                return "" if status == 0 or status >> 12 == 0xB else f"status {status:04X}"
            self.close()
        raise transfer_error(self._peer, "no answer" if status is None else f"status {status:04X}")

    def close(self) -> None:
        """Release the association."""
        if self._association is not None and self._association.is_established:
            self._association.release()
        self._association = None

    def _send(self, file: ResultFile) -> int | None:
        """Return the status of the peer; null if there is none."""
        association = self._open()
        accepted = {context.abstract_syntax for context in association.accepted_contexts}
        if file.sop_class not in accepted:
            return 0x0122  # SOP class not supported
        answer: Any = association.send_c_store(file.path)
        status = answer.get("Status")
        return None if status is None else int(status)

    def _open(self) -> Association:
        if self._association is None or not self._association.is_established:
            self._association = self._entity.associate(
                self._peer.host, self._peer.port, ae_title=self._peer.title, tls_args=self._tls
            )
            if not self._association.is_established:
                detail = "association rejected" if self._association.is_rejected else "no association"
                self._association = None
                raise MedrovError(ErrorCode.TRANSFER_FAILED, detail)
        return self._association


def _tls_context() -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=os.environ.get(AUTHORITY) or None)
    if os.environ.get(CERTIFICATE):
        context.load_cert_chain(os.environ[CERTIFICATE], os.environ.get(KEY) or None)
    return context
