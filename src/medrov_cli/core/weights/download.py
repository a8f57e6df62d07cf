"""Download of one file of known SHA-256, the only network access of this package."""

from __future__ import annotations

import hashlib
import http.client
import urllib.error
import urllib.request
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.base.files import whole_file
from medrov_cli.core.base.progress import Progress, no_progress

_CHUNK_BYTES = 1 << 20
_TIMEOUT_S = 30.0


def download(
    url: str,
    path: Path,
    *,
    sha256: str,
    size_bytes: int,
    progress: Progress = no_progress,
    stage: str = "downloading",
) -> None:
    """Download a file, which gets its name only after a check of its size and SHA-256.

    Parameters
    ----------
    url
        ``https``; ``http`` only for the local machine.
    path
        Path of the file.
    sha256, size_bytes
        SHA-256 and size of the file.
    progress
        Called after every chunk with the number of downloaded bytes, their total and ``stage``.
    stage
        Name of the download.

    Raises
    ------
    MedrovError
        ``weights_untrusted`` for an address without encryption, ``weights_missing`` if the
        server fails, ``weights_corrupt`` for another file, ``output_failed``.
    """
    digest = hashlib.sha256()
    done = 0
    with whole_file(path) as temporary, temporary.open("wb") as target:
        for chunk in _chunks(url):
            done += len(chunk)
            if done > size_bytes:
                break
            digest.update(chunk)
            target.write(chunk)
            progress(done, size_bytes, stage)
        if done != size_bytes or digest.hexdigest() != sha256:
            raise MedrovError(
                ErrorCode.WEIGHTS_CORRUPT,
                f"the file from {url} differs from the manifest in size or SHA-256",
                "Try again later; the download was removed.",
            )


def _chunks(url: str) -> Iterator[bytes]:
    """Yield the bytes at an address."""
    _require_safe(url)
    opener = urllib.request.build_opener(_SafeRedirects)
    try:
        with opener.open(url, timeout=_TIMEOUT_S) as response:
            while chunk := response.read(_CHUNK_BYTES):
                yield chunk
    except (OSError, http.client.HTTPException) as error:
        raise MedrovError(
            ErrorCode.WEIGHTS_MISSING, f"cannot download {url}: {error}", "Check the network and try again."
        ) from error


class _SafeRedirects(urllib.request.HTTPRedirectHandler):
    """Redirect handler for safe addresses only."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        """Return the next request; raise if its address is not safe."""
        _require_safe(newurl)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _require_safe(url: str) -> None:
    """Check that an address is https, or http on the local machine."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        parts, host = urlsplit(""), ""
    if parts.scheme == "https" and host:
        return
    if parts.scheme == "http" and _is_loopback(host):
        return
    raise MedrovError(
        ErrorCode.WEIGHTS_UNTRUSTED, f"{url} is not an https address", "Download the file by other means."
    )


def _is_loopback(host: str) -> bool:
    """Return whether a host is the local machine."""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
