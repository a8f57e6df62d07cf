"""Refusal of network access in this process, as a second protection of ``--offline``.

The network is not used while offline anyway. The fence also refuses access by libraries, at Python's audit
events, which no library can go round in Python. Native code raises no such events.
"""

from __future__ import annotations

import socket
import sys
from ipaddress import ip_address
from typing import Any

from medrov_cli.core.base.errors import ErrorCode, MedrovError

_LOOKUPS = frozenset({"socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr"})
_CONNECTIONS = frozenset({"socket.connect", "socket.sendto", "socket.sendmsg"})
_FAMILIES = frozenset({socket.AF_INET, socket.AF_INET6})


class RefusedConnectionError(MedrovError, OSError):
    """``network_forbidden``, for libraries an error of the network: they continue if they need none."""

    def __str__(self) -> str:
        """Return the message."""
        return self.message


def forbid_network() -> None:
    """Refuse connections and look-ups of other machines for the rest of this process.

    Unix sockets, loopback addresses and the name of this machine are allowed: processes of one training use
    them.
    """
    own = socket.gethostname()

    def refuse(event: str, arguments: tuple[Any, ...]) -> None:
        if event in _LOOKUPS:
            host = arguments[0]
        elif event in _CONNECTIONS and arguments[0].family in _FAMILIES and arguments[1] is not None:
            host = arguments[1][0]
        else:
            return
        name = host.decode("ascii", "replace") if isinstance(host, bytes) else str(host or "")
        if name != own and not _is_local(name):
            raise RefusedConnectionError(
                ErrorCode.NETWORK_FORBIDDEN,
                f"access to {name} was refused, because the network is forbidden",
                "Run without --offline and MEDROV_OFFLINE.",
            )

    sys.addaudithook(refuse)


def _is_local(name: str) -> bool:
    if name in ("", "localhost"):
        return True
    try:
        address = ip_address(name.partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return address.is_loopback or address.is_unspecified or bool(mapped and mapped.is_loopback)
