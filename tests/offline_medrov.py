"""Run the real command line in a process that cannot reach any other machine."""

from __future__ import annotations

import socket
import sys
from typing import Any

_connect = socket.socket.connect
_getaddrinfo = socket.getaddrinfo
_LOOPBACK = ("127.0.0.1", "::1", "localhost")


def connect_to_this_machine_only(self: socket.socket, address: Any) -> None:
    """Connect as ever, but refuse every address of another machine."""
    if self.family in (socket.AF_INET, socket.AF_INET6) and address[0] not in _LOOPBACK:
        raise OSError(f"this test may not connect to {address[0]}")
    _connect(self, address)


def no_lookup(host: Any, *arguments: Any, **settings: Any) -> Any:
    """Resolve names of this machine only."""
    if host not in (None, "", *_LOOPBACK, *(name.encode() for name in _LOOPBACK)):
        raise socket.gaierror(socket.EAI_NONAME, f"this test may not look up {host!r}")
    return _getaddrinfo(host, *arguments, **settings)


if __name__ == "__main__":
    socket.socket.connect = connect_to_this_machine_only  # type: ignore[method-assign,assignment]
    socket.getaddrinfo = no_lookup

    from medrov_cli.cli import main

    sys.argv[0] = "medrov"
    main()
