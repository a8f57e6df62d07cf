"""``medrov weights``: every subcommand for people and as JSON, and every exit code."""

from __future__ import annotations

import http.server
import json
import pickle
import threading
import zipfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from golden_files import compare
from medrov_cli import __version__
from medrov_cli.core.weights import catalogue, container
from weights_fixtures import made_up_calibration, world_checkpoint, write_detector

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(medrov: Callable[..., Any]) -> Run:
    """Return a function that runs ``medrov weights``: exit code, stdout, stderr."""

    def call(*arguments: object) -> tuple[int, str, str]:
        done = medrov("weights", *arguments)
        return done.exit_code, done.stdout, done.stderr

    return call


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return write_detector(tmp_path_factory.mktemp("tiny") / "tiny.safetensors").read_bytes()


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return world_checkpoint(tmp_path_factory.mktemp("pt") / "medrov.pt", "n", classes=("nodule", "polyp"))


@pytest.fixture
def home(tmp_path: Path, tiny: bytes, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a weights folder with one known model, and make its parent the working folder."""
    folder = tmp_path / "weights"
    folder.mkdir()
    (folder / "manifest.toml").write_text('schema = "medrov.manifest/1"\n')
    (folder / "tiny.safetensors").write_bytes(tiny)
    catalogue.write_manifest_entry(folder / "tiny.safetensors", source="a test")
    monkeypatch.setattr("medrov_cli.core.weights.catalogue.weights_dir", lambda: folder)
    monkeypatch.setenv("MEDROV_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.chdir(tmp_path)
    return folder


def golden(name: str, out: str, home: Path) -> dict[str, Any]:
    """Compare a JSON document with the stored one, but for what differs between machines; return it."""
    replace = {str(home.parent): "<folder>", f"medrov {__version__}": "medrov <version>"}
    for file in home.parent.rglob("*.safetensors"):
        replace[container.sha256_of(file)] = "<sha256>"
        replace[f'"bytes": {file.stat().st_size}'] = '"bytes": "<size>"'
    compare(f"weights/{name}.json", out, replace)
    document: dict[str, Any] = json.loads(out)
    return document


def error(out: str) -> dict[str, str]:
    """Return the error of a JSON document."""
    document = json.loads(out)
    assert document["schema"] == "medrov.error/1"
    found: dict[str, str] = document["error"]
    return found


# -- list, show, verify


def test_list(run: Run, home: Path) -> None:
    code, out, err = run("list", "--json")
    assert (code, err) == (0, "")
    golden("list", out, home)
    code, out, err = run("list")
    assert (code, err) == (0, "")
    assert out.split()[:2] == ["name", "state"]
    assert "tiny" in out
    assert "present" in out


def test_list_says_what_is_damaged_or_away(run: Run, home: Path) -> None:
    (home / "tiny.safetensors").write_bytes(b"x")
    assert json.loads(run("list", "--json")[1])["weights"][0]["state"] == "corrupt"
    (home / "tiny.safetensors").unlink()
    assert json.loads(run("list", "--json")[1])["weights"][0]["state"] == "missing"


def test_show(run: Run, home: Path) -> None:
    code, out, err = run("show", "tiny", "--json")
    assert (code, err) == (0, "")
    golden("show", out, home)
    code, out, err = run("show", home / "tiny.safetensors")
    assert (code, err) == (0, "")
    assert "YOLO-World v2 n, 320 px" in out
    assert "lung nodule, polyp, red blood cell" in out
    assert "Research use only; not a medical device." in out


def test_show_says_how_scores_are_calibrated(run: Run, tmp_path: Path) -> None:
    path = write_detector(tmp_path / "fitted.safetensors", calibration=made_up_calibration())
    code, out, err = run("show", path)
    assert (code, err) == (0, "")
    text = " ".join(out.split())
    assert "calibrated (isotonic) on phantoms, val, 320 px" in text
    assert "lung nodule 0.40, red blood cell 0.10; rare classes 0.30" in text
    found = json.loads(run("show", path, "--json")[1])["metadata"]["calibration"]
    assert (found["method"], found["dataset"], found["split"], found["imgsz"]) == (
        "isotonic",
        "phantoms",
        "val",
        320,
    )
    assert found["pooled"] == {
        "name": "",
        "threshold": 0.3,
        "f1": 0.6,
        "raw": [0.2, 0.6],
        "calibrated": [0.0, 1.0],
        "free_threshold": None,
        "box_map": None,
    }
    assert "raw; one threshold for all classes" in run("show", write_detector(tmp_path / "n.safetensors"))[1]


def test_verify(run: Run, home: Path) -> None:
    code, out, err = run("verify", "tiny", "--json")
    assert (code, err) == (0, "")
    document = golden("verify", out, home)
    assert document["sha256"] == catalogue.manifest()["tiny"].sha256
    code, out, err = run("verify", home / "tiny.safetensors")
    assert (code, err) == (0, "")
    assert document["sha256"] in out


def test_damaged_weights_are_code_5(run: Run, home: Path) -> None:
    content = bytearray((home / "tiny.safetensors").read_bytes())
    content[-1] ^= 0xFF
    (home / "tiny.safetensors").write_bytes(content)
    for command in ("show", "verify"):
        code, out, err = run(command, "tiny", "--json")
        assert code == 5
        assert error(out)["code"] == "weights_corrupt"
        assert "SHA-256" in err
    code, out, err = run("verify", "tiny")
    assert (code, out) == (5, "")
    assert err.startswith("error: ")
    assert "hint: " in err


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize("command", ["show", "verify"])
def test_unknown_and_pickled_weights_are_code_5(command: str, run: Run, checkpoint: Path) -> None:
    code, out, _ = run(command, "tinny", "--json")
    assert (code, error(out)["code"]) == (5, "weights_missing")
    assert "Did you mean 'tiny'?" in error(out)["hint"]
    code, out, _ = run(command, checkpoint, "--json")
    assert (code, error(out)["code"]) == (5, "weights_untrusted")
    assert f"medrov weights import {checkpoint}" in error(out)["hint"]


def test_tensors_of_another_size_are_code_5(run: Run, home: Path) -> None:
    path = home / "tiny.safetensors"
    tensors, metadata = container.load_tensors(path), container.read_metadata(path)
    del tensors["model.9.cv1.bn.bias"]
    container.save(home.parent / "holed.safetensors", tensors, metadata)
    code, out, _ = run("verify", home.parent / "holed.safetensors", "--json")
    assert (code, error(out)["code"]) == (5, "weights_corrupt")
    assert "'model.9.cv1.bn.bias' is none" in error(out)["message"]


@pytest.mark.usefixtures("home")
def test_usage_is_code_2(run: Run) -> None:
    for arguments in (["show"], ["nonsense"], ["list", "--nonsense"], ["pull", "a", "b"]):
        code, _, err = run(*arguments)
        assert (code, bool(err)) == (2, True) or arguments == ["show"], arguments


# -- import


def test_import(run: Run, home: Path, checkpoint: Path) -> None:
    folder = home.parent
    (folder / "medrov.pt").write_bytes(checkpoint.read_bytes())
    code, out, err = run("import", "medrov.pt", "--json")
    assert (code, err) == (0, "")
    digest = container.sha256_of(folder / "medrov.pt")
    golden("import", out.replace(digest, "<sha256 of the checkpoint>"), home)
    assert container.verify(folder / "medrov.safetensors").metadata.name == "medrov"
    code, out, err = run("verify", "medrov.safetensors")
    assert (code, err) == (0, "")


def test_import_with_options(run: Run, home: Path, checkpoint: Path) -> None:
    options = (
        "--name",
        "mine",
        "--text-encoder",
        "local-dir:/models/clip",
        "--imgsz",
        "320",
        "-o",
        "out/x.safetensors",
    )
    code, out, err = run("import", checkpoint, *options)
    assert (code, err) == (0, "")
    assert "YOLO-World v2 n, 320 px" in out
    metadata = container.read_metadata(home.parent / "out" / "x.safetensors")
    assert (metadata.name, metadata.text_encoder.spec, metadata.imgsz) == (
        "mine",
        "local-dir:/models/clip",
        320,
    )


@pytest.mark.parametrize(
    ("spec", "width"), [("minilm", 384), ("hf-hub:timm/vit_base_patch32_clip_224.openai", 512)]
)
def test_import_knows_encoders_by_their_spec(
    spec: str, width: int, run: Run, home: Path, checkpoint: Path
) -> None:
    assert run("import", checkpoint, "--text-encoder", spec)[0] == 0
    encoder = container.read_metadata(home.parent / "medrov.safetensors").text_encoder
    assert (encoder.spec, encoder.width) == (spec, width)
    assert encoder.identity


def test_import_keeps_what_is_there(run: Run, home: Path, checkpoint: Path) -> None:
    target = home.parent / "x.safetensors"
    target.write_text("mine")
    code, out, _ = run("import", checkpoint, "-o", target, "--json")
    assert (code, error(out)["code"]) == (2, "usage")
    assert target.read_text() == "mine"
    assert run("import", checkpoint, "-o", target, "--overwrite")[0] == 0
    assert container.read_metadata(target).name == "medrov"


@pytest.mark.parametrize(
    ("option", "value"),
    [("--imgsz", "333"), ("--imgsz", "0"), ("-o", "x.pt"), ("--text-encoder", "word2vec")],
)
@pytest.mark.usefixtures("home")
def test_import_with_wrong_values_is_code_2(option: str, value: str, run: Run, checkpoint: Path) -> None:
    code, out, _ = run("import", checkpoint, option, value, "--json")
    assert (code, error(out)["code"]) == (2, "usage")
    assert value in error(out)["message"]


def test_import_into_no_folder_is_code_1(run: Run, home: Path, checkpoint: Path) -> None:
    (home.parent / "file").write_text("")
    code, out, _ = run("import", checkpoint, "-o", home.parent / "file" / "x.safetensors", "--json")
    assert (code, error(out)["code"]) == (1, "output_failed")


class Touch:
    """A trap: unpickled, it makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


def test_import_of_a_trap_is_code_5_and_does_nothing(run: Run, home: Path) -> None:
    canary, trap = home.parent / "canary", home.parent / "trap.pt"
    with zipfile.ZipFile(trap, "w") as target:
        target.writestr("trap/data.pkl", pickle.dumps(Touch(canary), protocol=2))
    code, out, _ = run("import", trap, "--json")
    assert (code, error(out)["code"]) == (5, "weights_untrusted")
    code, out, err = run("import", trap)
    assert (code, out) == (5, "")
    assert "no code was run" in err
    assert not canary.exists()
    assert not (home.parent / "trap.safetensors").exists()


# -- pull


class Server(http.server.SimpleHTTPRequestHandler):
    """Serve a folder; ``/away/...`` leads to a host without encryption."""

    def do_GET(self) -> None:
        if self.path.startswith("/away/"):
            self.send_response(302)
            self.send_header("Location", "http://medrov.invalid/tiny.safetensors")
            self.end_headers()
        else:
            super().do_GET()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Say nothing."""


@pytest.fixture
def server(home: Path) -> Iterator[str]:
    """Move the known model behind a web server of this machine; yield the server's address."""
    public = home.parent / "public"
    public.mkdir()
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Server, directory=str(public))) as service:
        threading.Thread(target=service.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{service.server_port}"
        catalogue.write_manifest_entry(
            home / "tiny.safetensors", source="a test", url=f"{address}/tiny.safetensors"
        )
        (home / "tiny.safetensors").rename(public / "tiny.safetensors")
        yield address
        service.shutdown()


def test_pull(run: Run, home: Path, server: str) -> None:
    assert json.loads(run("list", "--json")[1])["weights"][0]["state"] == "to_pull"
    code, out, err = run("pull", "tiny", "--json")
    assert code == 0
    assert "pulling tiny" in err
    document = golden("pull", out.replace(server, "http://127.0.0.1:<port>"), home)
    assert Path(document["path"]) == home.parent / "cache" / "weights" / "tiny.safetensors"
    assert run("verify", "tiny")[0] == 0
    code, out, _ = run("pull", "tiny", "--offline")  # it is here already: no network is needed
    assert code == 0
    assert "present" in out


@pytest.mark.usefixtures("server")
def test_pull_while_offline_is_code_5(run: Run, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code, out, _ = run("pull", "tiny", "--offline", "--json")
    assert (code, error(out)["code"]) == (5, "network_forbidden")
    monkeypatch.setenv("MEDROV_OFFLINE", "1")
    code, _, err = run("pull", "tiny")
    assert code == 5
    assert "network is forbidden" in err
    assert not (home.parent / "cache").exists()


@pytest.mark.usefixtures("server")
@pytest.mark.parametrize("content", [b"", b"x", b"x" * 9_000_000])
def test_pull_of_something_else_keeps_nothing(content: bytes, run: Run, home: Path) -> None:
    (home.parent / "public" / "tiny.safetensors").write_bytes(content)
    code, out, _ = run("pull", "tiny", "--json")
    assert (code, error(out)["code"]) == (5, "weights_corrupt")
    assert list((home.parent / "cache" / "weights").iterdir()) == []


def test_pull_from_unsafe_addresses_is_code_5(run: Run, home: Path, server: str) -> None:
    manifest = home / "manifest.toml"
    text = manifest.read_text()
    for url in (
        "http://medrov.invalid/x",
        f"{server}/away/x",
        "file:///etc/passwd",
        "ftp://localhost/x",
        "https:",
        "x",
    ):
        manifest.write_text(text.replace(f"{server}/tiny.safetensors", url))
        code, out, _ = run("pull", "tiny", "--json")
        assert (code, error(out)["code"]) == (5, "weights_untrusted"), url


def test_pull_that_cannot_be_is_code_5(run: Run, home: Path, server: str) -> None:
    (home.parent / "public" / "tiny.safetensors").unlink()
    code, out, _ = run("pull", "tiny", "--json")
    assert (code, error(out)["code"]) == (5, "weights_missing")
    assert "404" in error(out)["message"]
    code, out, _ = run("pull", "medrov-unknown", "--json")
    assert (code, error(out)["code"]) == (5, "weights_missing")
    text = (home / "manifest.toml").read_text()
    (home / "manifest.toml").write_text(text.replace(f'url = "{server}/tiny.safetensors"', ""))
    code, out, _ = run("pull", "tiny", "--json")
    assert (code, error(out)["code"]) == (5, "weights_missing")
    assert "come with the package" in error(out)["message"]
