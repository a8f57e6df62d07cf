"""Addresses of DICOM services, and credentials from the environment."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import urlsplit

from medrov_cli.core.base.errors import ErrorCode, MedrovError, usage_error

USER, PASSWORD, TOKEN = "MEDROV_DICOMWEB_USER", "MEDROV_DICOMWEB_PASSWORD", "MEDROV_DICOMWEB_TOKEN"
CERTIFICATE, KEY, AUTHORITY = "MEDROV_TLS_CERTIFICATE", "MEDROV_TLS_KEY", "MEDROV_TLS_CA"
"""Environment variables: credentials of DICOMweb; files of the client certificate, its key and the CA."""

_AE_TITLE = re.compile(r"[\x20-\x5b\x5d-\x7e]{1,16}")
_PEER = re.compile(r"(?P<title>[^@]+)@(?P<host>\[[^\]]+\]|[^:@]+):(?P<port>\d{1,5})")


@dataclass(frozen=True, slots=True)
class DicomwebAddress:
    """Base address of a DICOMweb service, without credentials."""

    url: str

    @classmethod
    def parse(cls, text: str, flag: str) -> DicomwebAddress:
        """Return the address of an ``http`` or ``https`` URL.

        Raises
        ------
        MedrovError
            ``USAGE`` for another text, and for credentials in the URL or over plain http.
        """
        try:
            parts = urlsplit(text)
            host = parts.hostname or ""
        except ValueError:
            parts, host = urlsplit(""), ""
        if parts.scheme not in ("http", "https") or not host:
            raise usage_error(
                f"{flag} {text!r} is no address of a DICOMweb service", "Give https://HOST/PATH."
            )
        if parts.username is not None or parts.password is not None or parts.query:
            raise usage_error(
                f"{flag}: the address contains credentials or a query",
                f"Set {USER} and {PASSWORD}, or {TOKEN}, in the environment.",
            )
        has_credentials = any(os.environ.get(name) for name in (USER, PASSWORD, TOKEN))
        if parts.scheme == "http" and has_credentials and not _is_loopback(host):
            raise usage_error(f"{flag}: credentials are not sent over plain http", "Give an https address.")
        return cls(text.rstrip("/"))

    def __str__(self) -> str:
        """Return the URL."""
        return self.url


@dataclass(frozen=True, slots=True)
class PeerAddress:
    """Application entity: title, host and port."""

    title: str
    host: str
    port: int

    @classmethod
    def parse(cls, text: str, flag: str) -> PeerAddress:
        """Return the peer of ``AET@HOST:PORT``.

        Raises
        ------
        MedrovError
            ``USAGE`` for another text.
        """
        match = _PEER.fullmatch(text)
        if match is None or not _AE_TITLE.fullmatch(match["title"]) or not 0 < int(match["port"]) < 1 << 16:
            raise usage_error(
                f"{flag} {text!r} is neither a URL nor AET@HOST:PORT",
                "Give https://HOST/dicom-web, or an AE title of up to 16 characters with host and port.",
            )
        return cls(match["title"], match["host"].strip("[]"), int(match["port"]))

    def __str__(self) -> str:
        """Return ``AET@HOST:PORT``."""
        return f"{self.title}@{self.host}:{self.port}"


Destination = DicomwebAddress | PeerAddress


def parse_destination(text: str) -> Destination:
    """Return the destination of ``--to``: a URL, or ``AET@HOST:PORT``."""
    if "://" in text:
        return DicomwebAddress.parse(text, "--to")
    return PeerAddress.parse(text, "--to")


def require_network(offline: bool, what: str) -> None:
    """Refuse the network while it is forbidden.

    Raises
    ------
    MedrovError
        ``NETWORK_FORBIDDEN``.
    """
    if offline:
        raise MedrovError(
            ErrorCode.NETWORK_FORBIDDEN,
            f"{what} needs the network, which is forbidden",
            "Run without --offline and MEDROV_OFFLINE.",
        )


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
