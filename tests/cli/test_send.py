"""``medrov send``: results to a DICOMweb service and to an application entity, each instance once."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from pynetdicom import AE, evt
from pynetdicom.presentation import AllStoragePresentationContexts

from conftest import Medrov
from dicom_objects import write_series
from dicom_results import detection, record_of, write_results
from dicomweb_service import Service

SCHEMA = json.loads(
    (Path(__file__).parents[2] / "docs" / "schemas" / "medrov.send-1.schema.json").read_text(encoding="utf-8")
)
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)

ENVIRONMENT = (
    *("MEDROV_DICOMWEB_USER", "MEDROV_DICOMWEB_PASSWORD", "MEDROV_DICOMWEB_TOKEN"),
    *("MEDROV_TLS_CERTIFICATE", "MEDROV_TLS_KEY", "MEDROV_TLS_CA"),
)


@pytest.fixture(autouse=True)
def no_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ENVIRONMENT:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("medrov_cli.core.pixels.dicomweb.client._FIRST_WAIT_S", 0.001)
    monkeypatch.setattr("medrov_cli.core.sending.cstore._FIRST_WAIT_S", 0.001)


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """Return the folder of a complete run with one report and one presentation state."""
    write_series(tmp_path / "in", 1)
    (image,) = (tmp_path / "in").iterdir()
    folder = tmp_path / "out"
    for name in ("sr", "gsps"):
        write_results(folder, [record_of(image, detection("lung nodule", 0.9, 1, 1, 5, 5))], name)
    (folder / "detections.jsonl").write_text("")
    return folder


def uids_of(folder: Path) -> set[str]:
    return {path.stem for path in folder.glob("*/*.dcm")}


@pytest.fixture
def service() -> Iterator[tuple[str, type[Service]]]:
    """Return the address of a service, and its class."""
    handler = type("OwnService", (Service,), {"stored": [], "headers_seen": [], "failures": []})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/dicom-web", handler
        server.shutdown()


def test_each_instance_is_stored_once_also_by_a_second_command(
    medrov: Medrov, results: Path, service: tuple[str, type[Service]]
) -> None:
    url, own = service
    first = medrov("send", results, "--to", url, "--json")
    assert first.exit_code == 0, first.stderr
    assert first.json == {"schema": "medrov.send/1", "to": url, "stored": 2, "skipped": 0, "refused": []}
    assert len(own.stored) == 2
    assert set(own.stored) == uids_of(results)
    assert medrov("send", results, "--to", url, "--json").json["skipped"] == 2
    assert len(own.stored) == 2


@pytest.mark.parametrize("failure", [503, "lost request", "lost answer"])
def test_a_failed_request_is_repeated_but_nothing_is_stored_twice(
    medrov: Medrov, results: Path, service: tuple[str, type[Service]], failure: int | str
) -> None:
    url, own = service
    own.failures[:] = [failure]
    assert medrov("send", results, "--to", url).exit_code == 0
    assert sorted(own.stored) == sorted(uids_of(results))


def test_after_an_interruption_only_the_rest_is_sent(
    medrov: Medrov, results: Path, service: tuple[str, type[Service]]
) -> None:
    url, own = service
    own.failures[:] = [0, "lost answer"]
    failed = medrov("send", results, "--to", url, "--retries", 0)
    assert failed.exit_code == 1
    assert "run the same command again" in failed.stderr
    assert len(own.stored) == 2
    with (results / "sent.jsonl").open("a") as stream:
        stream.write('{"to": "cut o')
    again = medrov("send", results, "--to", url, "--json")
    assert (again.json["stored"], again.json["skipped"]) == (0, 2)
    assert len(own.stored) == 2
    assert medrov("send", results, "--to", url, "--json").json["skipped"] == 2


def test_a_refused_instance_is_named_and_the_others_are_sent(
    medrov: Medrov, results: Path, service: tuple[str, type[Service]]
) -> None:
    url, own = service
    own.failures[:] = ["failed"]
    done = medrov("send", results, "--to", url, "--json")
    assert done.exit_code == 3
    (refused,) = done.json["refused"]
    assert refused["instance_uid"] in uids_of(results) - set(own.stored)
    assert refused["reason"] == "failure reason 272"
    assert medrov("send", results, "--to", url, "--json").json["stored"] == 1


def test_credentials_come_from_the_environment_alone(
    medrov: Medrov, results: Path, service: tuple[str, type[Service]], monkeypatch: pytest.MonkeyPatch
) -> None:
    url, own = service
    monkeypatch.setenv("MEDROV_DICOMWEB_TOKEN", "secret-token")
    done = medrov("send", results, "--to", url)
    assert own.headers_seen[0]["Authorization"] == "Bearer secret-token"
    texts = [done.stdout, done.stderr, (results / "sent.jsonl").read_text()]
    assert not any("secret-token" in text for text in texts)
    inside = medrov("send", results, "--to", url.replace("127", "user:pass@127"))
    assert inside.exit_code == 2
    assert "pass" not in inside.stderr.replace("MEDROV_DICOMWEB_PASSWORD", "")
    plain = medrov("send", results, "--to", "http://pacs.example/dicom-web")
    assert plain.exit_code == 2
    assert "plain http" in plain.stderr


def test_wrong_credentials_end_the_command(
    medrov: Medrov, results: Path, service: tuple[str, type[Service]]
) -> None:
    url, own = service
    own.failures[:] = [401]
    done = medrov("send", results, "--to", url)
    assert done.exit_code == 1
    assert "MEDROV_DICOMWEB_USER" in done.stderr


@pytest.mark.parametrize("destination", ["https://pacs.example/dicom-web", "PACS@pacs.example:104"])
def test_nothing_is_sent_offline(medrov: Medrov, results: Path, destination: str) -> None:
    done = medrov("send", results, "--to", destination, "--offline")
    assert done.exit_code == 5
    assert "--offline" in done.stderr


@pytest.mark.parametrize(
    "destination", ["pacs", "ftp://host/x", "A@host", "A@host:0", "seventeen letters@host:104", "http://"]
)
def test_a_wrong_destination_is_refused(medrov: Medrov, results: Path, destination: str) -> None:
    done = medrov("send", results, "--to", destination)
    assert done.exit_code == 2
    assert "--to" in done.stderr


def test_a_folder_without_results_is_refused(medrov: Medrov, tmp_path: Path) -> None:
    assert medrov("send", tmp_path, "--to", "A@127.0.0.1:104").exit_code == 2
    (tmp_path / "detections.jsonl").write_text("")
    assert medrov("send", tmp_path, "--to", "A@127.0.0.1:104").exit_code == 4
    assert medrov("send", tmp_path / "none", "--to", "A@127.0.0.1:104").exit_code == 2


@pytest.fixture
def peer() -> Iterator[tuple[str, list[str], list[int]]]:
    """Return the address of a C-STORE provider, what it stores, and the statuses of its next answers."""
    stored: list[str] = []
    statuses: list[int] = []

    def store(event: Any) -> int:
        status = statuses.pop(0) if statuses else 0
        if status == 0:
            stored.append(str(event.request.AffectedSOPInstanceUID))
        return status

    entity = AE("PACS")
    entity.supported_contexts = AllStoragePresentationContexts
    server = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_STORE, store)])
    yield f"PACS@127.0.0.1:{server.server_address[1]}", stored, statuses
    server.shutdown()


def test_an_application_entity_gets_each_instance_once(
    medrov: Medrov, results: Path, peer: tuple[str, list[str], list[int]]
) -> None:
    address, stored, statuses = peer
    statuses[:] = [0xA700]  # out of resources: repeated
    done = medrov("send", results, "--to", address, "--json")
    assert done.exit_code == 0, done.stderr
    assert sorted(stored) == sorted(uids_of(results))
    assert medrov("send", results, "--to", address, "--json").json["skipped"] == 2
    assert len(stored) == 2


def test_an_application_entity_that_refuses_or_is_absent(
    medrov: Medrov, results: Path, peer: tuple[str, list[str], list[int]]
) -> None:
    address, stored, statuses = peer
    statuses[:] = [0xC000]
    done = medrov("send", results, "--to", address, "--json")
    assert done.exit_code == 3
    assert done.json["refused"][0]["reason"] == "status C000"
    VALIDATOR.validate(done.json)
    for wrong in ({"stored": -1}, {"schema": "medrov.send/2"}, {"refused": [{"instance_uid": "x"}]}):
        assert not VALIDATOR.is_valid({**done.json, **wrong})
    assert len(stored) == 1
    absent = medrov("send", results, "--to", "PACS@127.0.0.1:1", "--retries", 1)
    assert absent.exit_code == 1
    assert "PACS@127.0.0.1:1" in absent.stderr
