"""The fence around the network; each test has a process of its own, because the fence cannot be removed."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

FENCED = """
import json, socket
from medrov_cli.core.base.errors import MedrovError
from medrov_cli.core.base.network_fence import forbid_network
forbid_network()
def tried(action):
    try:
        action()
    except MedrovError as error:
        return [error.code.value, isinstance(error, OSError), str(error)]
    except OSError as error:
        return type(error).__name__
    return "done"
def udp(family, address):
    with socket.socket(family, socket.SOCK_DGRAM) as own:
        own.sendto(b"x", address)
server = socket.create_server(("127.0.0.1", 0))
port = server.getsockname()[1]
"""


def outcome(expression: str) -> object:
    script = f"{FENCED}print(json.dumps(tried(lambda: {expression})))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, encoding="utf-8", check=True)
    return json.loads(done.stdout)


@pytest.mark.parametrize(
    ("expression", "name"),
    [
        ("socket.getaddrinfo('example.org', 443)", "example.org"),
        ("socket.getaddrinfo(b'example.org', 443)", "example.org"),
        ("socket.gethostbyname('example.org')", "example.org"),
        ("socket.create_connection(('192.0.2.1', 80), timeout=1)", "192.0.2.1"),
        ("socket.socket(socket.AF_INET6).connect(('2001:db8::1', 80))", "2001:db8::1"),
        ("socket.socket().connect_ex(('192.0.2.1', 80))", "192.0.2.1"),
        ("udp(socket.AF_INET, ('192.0.2.1', 53))", "192.0.2.1"),
    ],
)
def test_access_to_another_machine_is_refused(expression: str, name: str) -> None:
    message = f"access to {name} was refused, because the network is forbidden"
    assert outcome(expression) == ["network_forbidden", True, message]


@pytest.mark.parametrize(
    "expression",
    [
        "socket.create_connection(('127.0.0.1', port))",
        "socket.create_connection(('localhost', port))",
        "socket.socket(socket.AF_INET6, socket.SOCK_DGRAM).connect(('::ffff:127.0.0.1', port))",
        "socket.getaddrinfo(None, 80)",
        "udp(socket.AF_INET, ('127.0.0.1', port))",
    ],
)
def test_this_machine_is_reached(expression: str) -> None:
    assert outcome(expression) == "done"


def test_unix_sockets_are_not_refused() -> None:
    assert outcome("socket.socket(socket.AF_UNIX).connect('/absent')") == "FileNotFoundError"


@pytest.mark.parametrize(
    ("words", "environment", "code"),
    [(["--offline"], "", 5), ([], "1", 5), ([], "", 0), (["--", "--offline"], "", 0)],
)
def test_a_command_is_fenced_while_offline(words: list[str], environment: str, code: int) -> None:
    script = (
        "import sys, typer\n"
        "from medrov_cli import cli\n"
        "app = typer.Typer()\n"
        "@app.command()\n"
        "def reach(paths: list[str] = typer.Argument(None), offline: bool = False) -> None:\n"
        "    sys.audit('socket.getaddrinfo', 'example.org', 443, 0, 0, 0)\n"
        "cli.make_app = lambda *words: app\n"
        "cli.main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, *words],
        env={**os.environ, "MEDROV_OFFLINE": environment},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == code
    assert ("example.org was refused" in done.stderr) == bool(code)
