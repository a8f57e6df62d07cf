"""A real Orthanc on loopback, with its DICOMweb plug-in: Debian's orthanc and orthanc-dicomweb."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterable
from pathlib import Path
from typing import Any

_PLUGINS = ("/usr/share/orthanc/plugins", "/usr/lib/orthanc", "/usr/lib/x86_64-linux-gnu/orthanc")


def find_orthanc() -> tuple[str, str] | None:
    """Return the program and its DICOMweb plug-in; null if they are not installed."""
    program = shutil.which("Orthanc") or shutil.which("Orthanc", path="/usr/sbin")
    plugins = [path for folder in _PLUGINS for path in Path(folder).glob("libOrthancDicomWeb.so*")]
    return (program, str(plugins[0])) if program and plugins else None


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


class OrthancServer:
    """Orthanc with its storage in a folder; it can be killed and started again."""

    def __init__(self, folder: Path) -> None:
        found = find_orthanc()
        assert found is not None
        self._program, plugin = found
        self.http_port, self.dicom_port = free_port(), free_port()
        self.url = f"http://127.0.0.1:{self.http_port}"
        folder.mkdir(parents=True)
        self._config = folder / "orthanc.json"
        self._log = folder / "orthanc.log"
        settings = {
            "Name": "test",
            "StorageDirectory": str(folder / "storage"),
            "IndexDirectory": str(folder / "storage"),
            "HttpPort": self.http_port,
            "DicomPort": self.dicom_port,
            "DicomAet": "ORTHANC",
            "RemoteAccessAllowed": False,
            "AuthenticationEnabled": False,
            "StableAge": 1,
            "Plugins": [plugin],
            "DicomWeb": {"Enable": True, "Root": "/dicom-web/"},
        }
        self._config.write_text(json.dumps(settings))
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen([self._program, self._config], stdout=log, stderr=log)
        for _ in range(600):
            try:
                self.get("/system")
            except OSError:
                assert self._process.poll() is None, self._log.read_text(errors="replace")[-2000:]
                time.sleep(0.1)
            else:
                return
        raise AssertionError("Orthanc does not answer")

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def get(self, path: str) -> Any:
        with urllib.request.urlopen(self.url + path, timeout=20) as answer:
            return json.loads(answer.read())

    def store(self, paths: Iterable[Path]) -> None:
        for path in paths:
            request = urllib.request.Request(f"{self.url}/instances", path.read_bytes(), method="POST")
            with urllib.request.urlopen(request, timeout=20) as answer:
                assert json.loads(answer.read())["Status"] == "Success"

    def new_instances(self) -> int:
        """Return how often an instance was added."""
        changes = self.get("/changes?limit=10000")["Changes"]
        return sum(change["ChangeType"] == "NewInstance" for change in changes)
