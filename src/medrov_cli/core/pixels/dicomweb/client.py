"""Client of a DICOMweb service: TLS, credentials from the environment, repetition of failed requests."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.base.network_addresses import (
    AUTHORITY,
    CERTIFICATE,
    KEY,
    PASSWORD,
    TOKEN,
    USER,
    DicomwebAddress,
)
from medrov_cli.core.base.optional import require_packages

if TYPE_CHECKING:
    from dicomweb_client.web import DICOMwebClient

RETRIED_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504})
"""HTTP status codes after which a request is repeated."""

_TIMEOUT_S = (10.0, 120.0)  # connect, read
_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.5, 30.0

T = TypeVar("T")


def open_client(address: DicomwebAddress) -> DICOMwebClient:
    """Return a client. No proxy, netrc file or credentials of the URL are used, and no redirect is followed.

    Raises
    ------
    MedrovError
        ``DEPENDENCY_MISSING``.
    """
    require_packages("DICOMweb", ("dicomweb-client", "requests"))
    import requests
    from dicomweb_client.web import DICOMwebClient

    for name in ("dicomweb_client", "urllib3"):  # they log addresses and UIDs
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    session = requests.Session()
    session.trust_env = False
    session.max_redirects = 0
    session.verify = os.environ.get(AUTHORITY) or True
    if os.environ.get(CERTIFICATE):
        session.cert = (os.environ[CERTIFICATE], os.environ.get(KEY) or os.environ[CERTIFICATE])
    if os.environ.get(TOKEN):
        session.headers["Authorization"] = f"Bearer {os.environ[TOKEN]}"
    elif os.environ.get(USER):
        session.auth = (os.environ[USER], os.environ.get(PASSWORD, ""))
    client = DICOMwebClient(address.url, session=session, timeout=_TIMEOUT_S)
    client.set_http_retry_params(retry=False)
    return client


def repeated(request: Callable[[], T], address: DicomwebAddress, retries: int) -> T:
    """Return the result of a request, which is repeated after failures of the network or the server.

    Parameters
    ----------
    request
        The request.
    address
        Service, for the message.
    retries
        Number of repetitions, with growing intervals.

    Raises
    ------
    MedrovError
        ``TRANSFER_FAILED`` after the last repetition, and for a request that the server refuses.
    """
    import requests

    for attempt in range(retries + 1):
        try:
            return request()
        except requests.HTTPError as error:
            status = 0 if error.response is None else error.response.status_code
            if status not in RETRIED_STATUS or attempt == retries:
                raise transfer_error(address, f"status {status}", status) from None
        except (requests.RequestException, EOFError) as error:
            if attempt == retries:
                raise transfer_error(address, type(error).__name__) from None
        time.sleep(min(_FIRST_WAIT_S * 2**attempt, _LONGEST_WAIT_S))
    raise AssertionError("unreachable")


def transfer_error(address: object, detail: str, status: int = 0) -> MedrovError:
    """Return the error of a failed transfer, without content of the answer."""
    hint = "Check address and service, then run the same command again: it continues."
    if status in (401, 403):
        hint = f"Set {USER} and {PASSWORD}, or {TOKEN}, in the environment."
    return MedrovError(ErrorCode.TRANSFER_FAILED, f"{address} cannot be used ({detail})", hint)
