"""A DICOMweb service in this process, which can fail."""

from __future__ import annotations

import http.server
import io
import json
import re
import socket
from typing import Any

import pydicom


class Service(http.server.BaseHTTPRequestHandler):
    """A DICOMweb service that fails as its class attributes say."""

    protocol_version = "HTTP/1.1"
    stored: list[str]
    headers_seen: list[Any]
    failures: list[int | str]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.headers_seen.append(dict(self.headers))
        failure = self.failures.pop(0) if self.failures else 0
        uid = self._uid_in(body)
        if failure in (0, "lost answer"):
            self.stored.append(uid)
        if failure in ("lost request", "lost answer"):
            self.connection.shutdown(socket.SHUT_RDWR)  # close() alone waits for the files of the connection
            self.close_connection = True
            return
        answer = {"00081199": {"vr": "SQ", "Value": []}}
        if failure == "failed":
            reason = {"00081197": {"vr": "US", "Value": [272]}}
            answer = {"00081198": {"vr": "SQ", "Value": [reason]}}
        self._answer(failure if isinstance(failure, int) and failure else 200, answer)

    def do_GET(self) -> None:
        uid = re.search(r"(?:SOPInstanceUID|00080018)=([0-9.]+)", self.path)
        assert uid is not None
        found = [{"00080018": {"vr": "UI", "Value": [uid[1]]}}] if uid[1] in self.stored else []
        self._answer(200, found)

    def _uid_in(self, body: bytes) -> str:
        part = body.split(b"\r\n\r\n", 1)[1]
        return str(pydicom.dcmread(io.BytesIO(part), stop_before_pixels=True, force=True).SOPInstanceUID)

    def _answer(self, status: int, document: Any) -> None:
        content = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/dicom+json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *arguments: Any) -> None:
        """Print nothing."""
