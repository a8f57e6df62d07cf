"""Run commands in a network of their own, and record every question and connection.

It is started in new namespaces of users, networks and mounts, and replaces ``resolv.conf`` by one that names
its own server. This also shows the questions of native code, which raise no audit events. Its arguments are a
folder for its files, and the commands as a JSON list of argument lists.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
import struct
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

WATCHED = """
import os, sys
def record(event, arguments):
    is_inet = event in ("socket.connect", "socket.sendto") and arguments[0].family in (2, 10)
    if is_inet or event in ("socket.getaddrinfo", "socket.gethostbyname"):
        with open(os.environ["WITNESS_EVENTS"], "a") as stream:
            stream.write(f"{event} {arguments[-1] if is_inet else arguments[0]}\\n")
sys.addaudithook(record)
if os.environ.get("WITNESS_NARROW"):
    from medrov_cli.core.model.scales import SCALES
    SCALES["n"] = (0.33, 1 / 32, 1024)
from medrov_cli.__main__ import main
sys.argv[0] = "medrov"
main()
"""
"""Program that records Python's audit events, and runs the command line; on request with narrow networks."""

_SIOCSIFFLAGS, _UP = 0x8914, 1


def _serve(server: socket.socket, questions: list[str]) -> None:
    """Record the name of each DNS question, and answer that there is no such name."""
    while True:
        packet, sender = server.recvfrom(4096)
        labels, place = [], 12
        while packet[place]:
            labels.append(packet[place + 1 : place + 1 + packet[place]].decode("ascii", "replace"))
            place += 1 + packet[place]
        questions.append(".".join(labels))
        server.sendto(packet[:2] + b"\x81\x83" + packet[4:], sender)


def _files() -> set[str]:
    """Return the files in the home folder, the folder of temporary files and the working folder."""
    places = (Path.home(), Path(os.environ["TMPDIR"]), Path.cwd())
    return {str(path) for place in places for path in place.rglob("*") if path.is_file()}


def _main(folder: Path, commands: list[list[str]]) -> None:
    resolver = folder / "resolv.conf"
    resolver.write_text("nameserver 127.0.0.1\noptions timeout:1 attempts:1\n")
    subprocess.run(["mount", "--bind", resolver, "/etc/resolv.conf"], check=True)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        fcntl.ioctl(control, _SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", _UP))
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind(("127.0.0.1", 53))
    questions: list[str] = []
    threading.Thread(target=_serve, args=(server, questions), daemon=True).start()
    events = folder / "events.txt"
    report: list[dict[str, Any]] = []
    known = _files()
    for command in commands:
        questions.clear()
        events.write_text("")
        done = subprocess.run(
            command,
            capture_output=True,
            encoding="utf-8",
            env={**os.environ, "WITNESS_EVENTS": str(events)},
            check=False,
        )
        seen = [*questions, *events.read_text().splitlines()]
        strays, known = sorted(_files() - known), _files()
        report.append({"code": done.returncode, "stderr": done.stderr, "seen": seen, "strays": strays})
    sys.stdout.write(json.dumps(report))


if __name__ == "__main__":
    _main(Path(sys.argv[1]), json.loads(sys.argv[2]))
