"""``medrov send`` over TLS, with a certificate authority that the test makes."""

from __future__ import annotations

import http.server
import shutil
import ssl
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pynetdicom import AE, evt
from pynetdicom.presentation import AllStoragePresentationContexts

from conftest import Medrov
from dicom_objects import write_series
from dicom_results import detection, record_of, write_results

if shutil.which("openssl") is None:
    pytest.skip("openssl is not installed", allow_module_level=True)

CERTIFICATES = ("MEDROV_TLS_CERTIFICATE", "MEDROV_TLS_KEY", "MEDROV_TLS_CA")


@pytest.fixture(autouse=True)
def no_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*CERTIFICATES, "MEDROV_DICOMWEB_USER", "MEDROV_DICOMWEB_PASSWORD", "MEDROV_DICOMWEB_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("medrov_cli.core.pixels.dicomweb.client._FIRST_WAIT_S", 0.001)
    monkeypatch.setattr("medrov_cli.core.sending.cstore._FIRST_WAIT_S", 0.001)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a certificate authority, and a certificate of 127.0.0.1 that it signed."""
    folder = tmp_path_factory.mktemp("tls")
    (folder / "san").write_text("subjectAltName=IP:127.0.0.1,DNS:localhost\n")
    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    signed_by = ("-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial")
    for command in (
        ("req", "-x509", *key, "-subj", "/CN=test CA", "-days", "2", "-keyout", "ca.key", "-out", "ca.pem"),
        ("req", *key, "-subj", "/CN=127.0.0.1", "-keyout", "own.key", "-out", "own.csr"),
        ("x509", "-req", "-in", "own.csr", *signed_by, "-days", "2", "-extfile", "san", "-out", "own.pem"),
    ):
        subprocess.run(["openssl", *command], cwd=folder, check=True, capture_output=True)
    return folder


@pytest.fixture
def server_context(authority: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority / "own.pem", authority / "own.key")
    return context


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """Return the folder of a complete run with one report."""
    write_series(tmp_path / "in", 1)
    (image,) = (tmp_path / "in").iterdir()
    write_results(tmp_path / "out", [record_of(image, detection("lung nodule", 0.9, 1, 1, 5, 5))], "sr")
    (tmp_path / "out" / "detections.jsonl").write_text("")
    return tmp_path / "out"


class Service(http.server.BaseHTTPRequestHandler):
    """A DICOMweb service that stores everything."""

    protocol_version = "HTTP/1.1"
    bodies: list[bytes]

    def do_POST(self) -> None:
        self.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
        self._answer(b"{}")

    def do_GET(self) -> None:
        self._answer(b"[]")  # a request without an answer may have stored the instance

    def _answer(self, content: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/dicom+json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *arguments: Any) -> None:
        """Print nothing."""


@pytest.fixture
def service(server_context: ssl.SSLContext) -> Iterator[tuple[str, list[bytes]]]:
    """Return the https address of a service, and the bodies that it stores."""
    bodies: list[bytes] = []
    handler = type("OwnService", (Service,), {"bodies": bodies})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.socket = server_context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"https://127.0.0.1:{server.server_port}/dicom-web", bodies
        server.shutdown()


@pytest.fixture
def peer(server_context: ssl.SSLContext) -> Iterator[tuple[str, list[str]]]:
    """Return the address of a C-STORE provider over TLS, and the instances that it stores."""
    stored: list[str] = []

    def store(event: Any) -> int:
        stored.append(str(event.request.AffectedSOPInstanceUID))
        return 0

    entity = AE("PACS")
    entity.supported_contexts = AllStoragePresentationContexts
    server = entity.start_server(
        ("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_STORE, store)], ssl_context=server_context
    )
    yield f"PACS@127.0.0.1:{server.server_address[1]}", stored
    server.shutdown()


def test_dicomweb_over_tls_needs_the_authority(
    medrov: Medrov,
    results: Path,
    service: tuple[str, list[bytes]],
    authority: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    address, bodies = service
    refused = medrov("send", results, "--to", address, "--retries", 0)
    assert refused.exit_code == 1
    assert bodies == []
    monkeypatch.setenv("MEDROV_TLS_CA", str(authority / "ca.pem"))
    done = medrov("send", results, "--to", address, "--json")
    assert done.exit_code == 0, done.stderr
    assert (done.json["stored"], len(bodies)) == (1, 1)


def test_c_store_over_tls_needs_the_authority(
    medrov: Medrov,
    results: Path,
    peer: tuple[str, list[str]],
    authority: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    address, stored = peer
    assert medrov("send", results, "--to", address, "--tls", "--retries", 0).exit_code == 1
    assert stored == []
    monkeypatch.setenv("MEDROV_TLS_CA", str(authority / "ca.pem"))
    done = medrov("send", results, "--to", address, "--tls", "--json")
    assert done.exit_code == 0, done.stderr
    assert stored == [path.stem for path in (results / "sr").iterdir()]
