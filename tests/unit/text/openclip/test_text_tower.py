"""open_clip's real loading code, on tiny models with random weights."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from medrov_cli.core.base.errors import ErrorCode, ExitCode, MedrovError
from medrov_cli.core.text.embedding import embed_texts
from medrov_cli.core.text.encoders import encoder_identity, open_encoder

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.mark.parametrize(("name", "width", "context"), [("clip_folder", 64, 16), ("bert_folder", 48, 24)])
def test_a_folder_gives_what_open_clip_gives(
    request: pytest.FixtureRequest, name: str, width: int, context: int
) -> None:
    folder: Path = request.getfixturevalue(name)
    encoder = open_encoder(f"local-dir:{folder}")
    assert (encoder.identity.width, encoder.identity.context_length) == (width, context)
    rows = encoder.encode(["lung nodule", "polyp"])
    assert rows.shape == (2, width)
    assert rows.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(rows, plain_open_clip(folder, ["lung nodule", "polyp"]), atol=1e-5)
    assert not np.allclose(rows[0], rows[1], atol=1e-4)


def plain_open_clip(folder: Path, texts: list[str]) -> np.ndarray:
    """Encode with open_clip alone, the base model's name replaced in a copy of the config."""
    import open_clip
    import torch

    config = json.loads((folder / "open_clip_config.json").read_text())["model_cfg"]["text_cfg"]
    if "hf_model_name" in config:
        config |= {"hf_model_name": str(folder), "hf_model_pretrained": False}
    model = open_clip.create_model(f"local-dir:{folder}", text_cfg=config).eval()
    tokenizer = open_clip.get_tokenizer(f"local-dir:{folder}")
    with torch.no_grad():
        features = model.encode_text(tokenizer(texts))
    return (features / features.norm(dim=-1, keepdim=True)).numpy()


def test_embeddings_are_padded_to_the_detectors_width(clip_folder: Path) -> None:
    rows = embed_texts(["flying saucer"], encoder=f"local-dir:{clip_folder}")
    assert rows.shape == (1, 512)
    assert not rows[:, 64:].any()


def test_an_embedding_wider_than_512_is_refused_before_loading(clip_folder: Path, tmp_path: Path) -> None:
    config = json.loads((clip_folder / "open_clip_config.json").read_text())
    config["model_cfg"]["embed_dim"] = 768
    (tmp_path / "open_clip_config.json").write_text(json.dumps(config))
    with pytest.raises(MedrovError, match="of width 768; the maximum of the detector is 512") as caught:
        embed_texts(["polyp"], encoder=f"local-dir:{tmp_path}")
    assert caught.value.code is ErrorCode.USAGE


def test_the_revision_changes_with_the_files_and_not_with_the_place(
    clip_folder: Path, tmp_path: Path
) -> None:
    copy = shutil.copytree(clip_folder, tmp_path / "copy")
    before = encoder_identity(f"local-dir:{clip_folder}")
    assert encoder_identity(f"local-dir:{copy}").revision == before.revision
    with (copy / "open_clip_model.safetensors").open("r+b") as stream:
        stream.seek(-1, 2)
        stream.write(b"\x01")
    assert encoder_identity(f"local-dir:{copy}").revision != before.revision


def test_nothing_is_printed_or_logged(bert_folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    open_encoder(f"local-dir:{bert_folder}").encode(["polyp"])
    captured = capfd.readouterr()
    assert (captured.out, captured.err) == ("", "")


@pytest.mark.parametrize(
    "missing", ["open_clip_config.json", "open_clip_model.safetensors", "tokenizer.json", "config.json"]
)
def test_an_incomplete_folder_is_refused(bert_folder: Path, tmp_path: Path, hub: Path, missing: str) -> None:
    folder = shutil.copytree(bert_folder, tmp_path / "model")
    (folder / missing).unlink()
    with pytest.raises(MedrovError) as caught:
        open_encoder(f"local-dir:{folder}")
    assert caught.value.code is ErrorCode.ENCODER_MISSING
    assert caught.value.exit_code is ExitCode.WEIGHTS
    assert caught.value.hint


@pytest.mark.parametrize("config", ["", "[]", "{}", '{"model_cfg": {"embed_dim": 64}}', '{"model_cfg": 3}'])
def test_a_config_that_is_not_open_clips_is_refused(tmp_path: Path, config: str) -> None:
    (tmp_path / "open_clip_config.json").write_text(config)
    with pytest.raises(MedrovError, match="not the config of an open_clip model") as caught:
        encoder_identity(f"local-dir:{tmp_path}")
    assert caught.value.code is ErrorCode.ENCODER_MISSING


def test_weights_that_do_not_fit_are_refused(clip_folder: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(clip_folder, tmp_path / "model")
    path = folder / "open_clip_config.json"
    path.write_text(path.read_text().replace('"embed_dim": 64', '"embed_dim": 32'))
    with pytest.raises(MedrovError, match="cannot load text encoder") as caught:
        open_encoder(f"local-dir:{folder}")
    assert caught.value.code is ErrorCode.ENCODER_MISSING


@pytest.mark.parametrize("name", ["config.json", "tokenizer_config.json"])
def test_a_model_with_code_of_its_own_is_refused(bert_folder: Path, tmp_path: Path, name: str) -> None:
    folder = shutil.copytree(bert_folder, tmp_path / "model")
    content = json.loads((folder / name).read_text())
    (folder / name).write_text(json.dumps({**content, "auto_map": {"AutoModel": "evil.Evil"}}))
    with pytest.raises(MedrovError, match="requires its own code, which is not executed") as caught:
        open_encoder(f"local-dir:{folder}")
    assert caught.value.code is ErrorCode.ENCODER_MISSING


class Trap:
    """Makes a folder when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.path),)


def test_a_pickle_among_the_weights_is_not_executed(clip_folder: Path, tmp_path: Path) -> None:
    import torch

    folder = shutil.copytree(clip_folder, tmp_path / "model")
    (folder / "open_clip_model.safetensors").unlink()
    torch.save({"state_dict": Trap(tmp_path / "sprung")}, folder / "open_clip_pytorch_model.bin")
    with pytest.raises(MedrovError, match="cannot load text encoder") as caught:
        open_encoder(f"local-dir:{folder}")
    assert caught.value.code is ErrorCode.ENCODER_MISSING
    assert not (tmp_path / "sprung").exists()


def test_a_cached_model_of_the_hub_is_used_without_network(
    hub: Path, clip_folder: Path, put_in_hub: Callable[..., Path]
) -> None:
    put_in_hub(hub, "org/tiny", clip_folder)
    for offline in (True, False):
        identity = encoder_identity("hf-hub:org/tiny", offline=offline)
        assert (identity.name, identity.revision, identity.width) == ("org/tiny", COMMIT, 64)
    local = embed_texts(["polyp"], encoder=f"local-dir:{clip_folder}")
    np.testing.assert_array_equal(embed_texts(["polyp"], encoder="hf-hub:org/tiny", offline=True), local)


def test_the_base_models_config_may_come_from_its_own_repository(
    hub: Path, bert_folder: Path, put_in_hub: Callable[..., Path]
) -> None:
    snapshot = put_in_hub(hub, "org/biomed", bert_folder)
    (snapshot / "config.json").unlink()
    with pytest.raises(MedrovError, match="architecture of nobody/not-on-this-machine"):
        embed_texts(["polyp"], encoder="hf-hub:org/biomed", offline=True)
    put_in_hub(hub, "nobody/not-on-this-machine", bert_folder, "config.json")
    rows = embed_texts(["polyp"], encoder="hf-hub:org/biomed", offline=True)
    np.testing.assert_array_equal(rows, embed_texts(["polyp"], encoder=f"local-dir:{bert_folder}"))


def test_cached_texts_need_only_the_config(
    hub: Path, clip_folder: Path, put_in_hub: Callable[..., Path]
) -> None:
    snapshot = put_in_hub(hub, "org/tiny", clip_folder)
    first = embed_texts(["polyp"], encoder="hf-hub:org/tiny", offline=True)
    (snapshot / "open_clip_model.safetensors").unlink()
    np.testing.assert_allclose(
        embed_texts(["polyp"], encoder="hf-hub:org/tiny", offline=True), first, atol=1e-7
    )
    with pytest.raises(MedrovError, match="weights of hf-hub:org/tiny") as caught:
        embed_texts(["liver"], encoder="hf-hub:org/tiny", offline=True)
    assert caught.value.code is ErrorCode.NETWORK_FORBIDDEN


@pytest.mark.parametrize("by_environment", [False, True])
def test_the_hub_is_not_asked_while_offline(
    hub: Path, monkeypatch: pytest.MonkeyPatch, by_environment: bool
) -> None:
    if by_environment:
        monkeypatch.setenv("MEDROV_OFFLINE", "1")
    with pytest.raises(MedrovError) as caught:
        embed_texts(["polyp"], encoder="hf-hub:org/absent", offline=not by_environment)
    assert caught.value.code is ErrorCode.NETWORK_FORBIDDEN
    assert caught.value.exit_code is ExitCode.WEIGHTS
    assert "--offline" in caught.value.hint


def test_a_hub_out_of_reach_is_an_error_that_says_so(hub: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "sleep", lambda _seconds: None)  # the library waits before it tries again
    with pytest.raises(MedrovError, match="cannot get hf-hub:org/absent") as caught:
        embed_texts(["polyp"], encoder="hf-hub:org/absent")
    assert caught.value.code is ErrorCode.ENCODER_MISSING


class Shelf(BaseHTTPRequestHandler):
    """Serves a folder the way the hub serves a model's repository and that of its base model."""

    repositories = ("/org/tiny", "/nobody/not-on-this-machine")

    folder: Path
    asked: list[str]

    def do_HEAD(self) -> None:
        self.respond()

    def do_GET(self) -> None:
        self.respond()

    def respond(self) -> None:
        """Answer with the file's bytes, or with the hub's error codes."""
        self.asked.append(f"{self.command} {self.path}")
        repository, _, rest = self.path.partition("/resolve/")
        path = self.folder / rest.partition("/")[2]
        known = repository in self.repositories
        if not known or not path.is_file():
            self.send_response(404)
            self.send_header("X-Error-Code", "EntryNotFound" if known else "RepoNotFound")
            self.send_header("X-Repo-Commit", COMMIT)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        content = path.read_bytes()
        self.send_response(200)
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content)

    def log_message(self, *_arguments: object) -> None:
        """Stay silent."""


@pytest.fixture
def shelf(hub: Path, bert_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Shelf]]:
    """Run a hub of our own on this machine."""
    import huggingface_hub.constants as constants

    handler = type("Handler", (Shelf,), {"folder": bert_folder, "asked": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    endpoint = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setattr(constants, "ENDPOINT", endpoint)
    monkeypatch.setattr(
        constants, "HUGGINGFACE_CO_URL_TEMPLATE", endpoint + "/{repo_id}/resolve/{revision}/{filename}"
    )
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield handler
    server.shutdown()
    server.server_close()


def test_a_model_is_downloaded_once_and_pinned_to_its_commit(
    shelf: type[Shelf], bert_folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    rows = embed_texts(["polyp"], encoder="hf-hub:org/tiny")
    np.testing.assert_array_equal(rows, embed_texts(["polyp"], encoder=f"local-dir:{bert_folder}"))
    assert encoder_identity("hf-hub:org/tiny", offline=True).revision == COMMIT
    assert any(line.startswith("GET") and "open_clip_model.safetensors" in line for line in shelf.asked)
    shelf.asked.clear()
    embed_texts(["liver"], encoder="hf-hub:org/tiny", offline=True)
    assert shelf.asked == []
    captured = capfd.readouterr()
    assert (captured.out, captured.err) == ("", "")


def test_a_repository_that_there_is_not_is_named(shelf: type[Shelf]) -> None:
    with pytest.raises(MedrovError, match="hf-hub:org/absent") as caught:
        embed_texts(["polyp"], encoder="hf-hub:org/absent")
    assert caught.value.code is ErrorCode.ENCODER_MISSING


def test_a_name_that_is_none_is_a_usage_error(hub: Path) -> None:
    with pytest.raises(MedrovError) as caught:
        embed_texts(["polyp"], encoder="hf-hub:or g/na me", offline=True)
    assert caught.value.code is ErrorCode.USAGE
