"""``--output`` on an object store: the objects of a local folder, whole or absent, continued anywhere."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from conftest import Medrov
from detect_fixtures import folder_bytes, write_eager_detector, write_images
from medrov_cli.core.base.environment import cache_dir
from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.runs.stored_folder import CLAIM, StoredFolder
from medrov_cli.core.runs.stored_output import stored_output
from medrov_cli.core.settings.io_groups import OutputSettings
from training_data import make_source

fsspec = pytest.importorskip("fsspec", reason="fsspec is not installed (pip install medrov[remote])")

ADDRESS = "memory://bucket/results"
SMALL = ("--imgsz", 64, "--max-det", 3, "--device", "cpu", "--conf", 0.01, "--classes", "polyp")


@pytest.fixture
def store(empty_cache: Path) -> Iterator[fsspec.AbstractFileSystem]:
    """Yield the store in memory, which is emptied at the end."""
    system = fsspec.filesystem("memory")
    yield system
    for path in system.ls("/", detail=False):
        system.rm(path, recursive=True)


def objects(store: fsspec.AbstractFileSystem, address: str = ADDRESS) -> dict[str, bytes]:
    root = "/" + address.partition("://")[2]
    return {path[len(root) + 1 :]: store.cat_file(path) for path in store.find(root)}


def settings(**values: bool) -> OutputSettings:
    return OutputSettings(folder=Path(ADDRESS), **values)


def local_copy(claimed: OutputSettings) -> Path:
    assert claimed.folder is not None
    assert claimed.place == ADDRESS
    return claimed.folder


def test_the_objects_are_the_files_of_a_folder(
    store: fsspec.AbstractFileSystem, medrov: Medrov, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_images(tmp_path / "in", 3)
    monkeypatch.chdir(tmp_path)
    formats = ("--format", "csv,png")
    assert medrov("detect", "in", *SMALL, *formats, "--output", "disk").exit_code == 0
    done = medrov("detect", "in", *SMALL, *formats, "--output", ADDRESS)
    assert (done.exit_code, f"results in {ADDRESS}" in " ".join(done.stderr.split())) == (0, True), (
        done.stderr
    )
    assert objects(store) == folder_bytes(tmp_path / "disk")
    assert not any((cache_dir() / "stored").iterdir())
    again = medrov("detect", "in", *SMALL, *formats, "--output", ADDRESS)
    assert (again.exit_code, "already contains a run" in " ".join(again.stderr.split())) == (2, True)
    assert medrov("detect", "in", *SMALL, *formats, "--output", ADDRESS, "--resume").exit_code == 0
    assert objects(store) == folder_bytes(tmp_path / "disk")
    assert medrov("detect", "in", *SMALL, "--output", ADDRESS, "--overwrite").exit_code == 0
    assert sorted(objects(store)) == ["detections.jsonl", "run.json"]


def test_a_file_address_is_a_folder(medrov: Medrov, tmp_path: Path) -> None:
    write_images(tmp_path / "in", 1)
    output = (tmp_path / "out").as_uri()
    assert medrov("detect", tmp_path / "in", *SMALL, "--output", output).exit_code == 0
    assert (tmp_path / "out" / "detections.jsonl").exists()


@pytest.mark.slow
def test_eval_and_pseudolabel_write_to_a_store(
    store: fsspec.AbstractFileSystem, medrov: Medrov, tmp_path: Path
) -> None:
    weights = write_eager_detector(tmp_path / "eager.safetensors")
    for name, classes in (("smear", ["polyp"]), ("slides", ["lung nodule"])):
        make_source(tmp_path / "data", name, "microscopy", classes, {"train": 2, "val": 2})
    (tmp_path / "data.yaml").write_text("root: data\nsources: [smear, slides]\npresence: presence.csv\n")
    (tmp_path / "presence.csv").write_text("dataset,polyp,lung nodule\nsmear,1,0\nslides,0,1\n")
    quick = ("-w", weights, "--device", "cpu", "--imgsz", 64, "--bootstrap", 0, "--split", "val")
    yaml = tmp_path / "data.yaml"
    assert medrov("eval", yaml, *quick, "--output", tmp_path / "disk").exit_code == 0
    done = medrov("eval", yaml, *quick, "--output", ADDRESS)
    assert done.exit_code == 0, done.stderr
    assert f"written: {ADDRESS}/report.html" in " ".join(done.stderr.split())
    assert objects(store) == folder_bytes(tmp_path / "disk")
    labels = (
        "-w",
        weights,
        "--device",
        "cpu",
        "--imgsz",
        64,
        "--score",
        0.3,
        "--output",
        "memory://a/labels",
    )
    done = medrov("pseudolabel", yaml, *labels, "--json")
    assert done.exit_code == 0, done.stderr
    assert done.json["output"] == "memory://a/labels"
    text = objects(store, "memory://a/labels")["dataset.yaml"].decode()
    assert f"images: {(tmp_path / 'data' / 'smear' / 'images').resolve().as_posix()}\n" in text


@pytest.mark.parametrize("is_lost", [False, True])
def test_an_interrupted_run_continues_on_this_machine_or_another(
    is_lost: bool, store: fsspec.AbstractFileSystem
) -> None:
    def run() -> None:
        with stored_output(settings(), "all", offline=False) as output:
            folder = local_copy(output)
            (folder / "run.json").write_text("{}")
            (folder / ".all.partial").write_bytes(b"one\ntw")
            (folder / ".x.png.01234567.tmp").write_bytes(b"half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run()
    assert sorted(name for name in objects(store) if not name.startswith(".medrov/")) == ["run.json"]
    if is_lost:
        shutil.rmtree(cache_dir() / "stored")
    with stored_output(settings(resume=True), "all", offline=False) as output:
        folder = local_copy(output)
        assert (folder / ".all.partial").read_bytes() == b"one\ntw"
        (folder / ".all.partial").write_bytes(b"one\n2\n")
        (folder / ".all.partial").rename(folder / "all")
    assert objects(store) == {"run.json": b"{}", "all": b"one\n2\n"}


@pytest.mark.parametrize("piece_bytes", [3, 1 << 20])
def test_pieces_are_the_start_of_one_journal(
    piece_bytes: int, store: fsspec.AbstractFileSystem, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("medrov_cli.core.runs.stored_folder._PIECE_BYTES", piece_bytes)
    folder = StoredFolder(ADDRESS, tmp_path / "local")
    folder.local.mkdir()
    journal = folder.local / ".all.partial"
    first = folder.claim(is_new=True)
    for content in (b"1\n", b"1\n2\n", b"1\n3\n4\n", b"1\n3\n", b"5\n"):
        journal.write_bytes(content)
        folder.push("all", is_end=False)
        other = StoredFolder(ADDRESS, tmp_path / "other")
        other.download(other.list_objects())
        assert (other.local / journal.name).read_bytes() == content
    second = other.claim(is_new=False)
    assert second != first
    (other.local / journal.name).write_bytes(b"5\n6\n")
    other.push("all", is_end=False)
    with pytest.raises(MedrovError, match="another run has taken over") as caught:
        folder.push("all", is_end=False)
    assert caught.value.code is ErrorCode.USAGE
    third = StoredFolder(ADDRESS, tmp_path / "third")
    third.download(third.list_objects())
    assert (third.local / journal.name).read_bytes() == b"5\n6\n"


def test_names_that_leave_the_folder_are_not_followed(
    store: fsspec.AbstractFileSystem, tmp_path: Path
) -> None:
    store.pipe_file("/bucket/results/all", b"x")
    folder = StoredFolder(ADDRESS, tmp_path / "a" / "local")
    folder.download({"all": 1, "../../evil": 1, "/etc/x": 1, "a//b": 1})
    assert sorted(path.name for path in tmp_path.rglob("*") if path.is_file()) == ["all"]


def test_two_new_runs_do_not_share_an_address(store: fsspec.AbstractFileSystem, tmp_path: Path) -> None:
    StoredFolder(ADDRESS, tmp_path / "one").claim(is_new=True)
    with pytest.raises(MedrovError, match="is being written by another run"):
        StoredFolder(ADDRESS, tmp_path / "two").claim(is_new=True)


def test_a_run_is_copied_while_it_writes(
    store: fsspec.AbstractFileSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("medrov_cli.core.runs.stored_output.PUSH_S", 0.01)
    with stored_output(settings(), "all", offline=False) as output:
        folder = local_copy(output)
        (folder / ".all.partial").write_bytes(b"1\n")
        waited = threading.Event()
        for _ in range(500):
            if any(name.endswith(f"/{0:020d}") for name in objects(store)):
                break
            waited.wait(0.01)
        else:
            pytest.fail("nothing was copied")
        assert "all" not in objects(store)
        (folder / ".all.partial").rename(folder / "all")
    assert objects(store) == {"all": b"1\n"}


def test_foreign_objects_and_buckets_are_refused(store: fsspec.AbstractFileSystem, medrov: Medrov) -> None:
    store.pipe_file("/bucket/results/letter.txt", b"mine")
    for more, words in (((), "contains other objects"), (("--overwrite",), "contains other objects")):
        done = medrov("detect", "a.png", *SMALL, "--output", ADDRESS, *more)
        assert (done.exit_code, words in " ".join(done.stderr.split())) == (2, True), done.stderr
    done = medrov("detect", "a.png", *SMALL, "--output", "memory://bucket")
    assert (done.exit_code, "is a whole bucket" in " ".join(done.stderr.split())) == (2, True)
    done = medrov("pseudolabel", "data.yaml", "--shard", "1/2", "--output", ADDRESS)
    assert (done.exit_code, "--shard and --output memory://" in " ".join(done.stderr.split())) == (2, True)
    assert objects(store) == {"letter.txt": b"mine"}


def test_the_network_and_credentials_are_refused(medrov: Medrov) -> None:
    done = medrov("detect", "a.png", "--output", "s3://bucket/out", "--offline")
    assert (done.exit_code, "--output s3:// needs the network" in " ".join(done.stderr.split())) == (5, True)
    done = medrov("detect", "a.png", "--output", "s3://key:secret@bucket/out")
    assert (done.exit_code, "secret" in done.stdout + done.stderr) == (2, False)


def test_errors_of_a_store_are_not_quoted(
    store: fsspec.AbstractFileSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*arguments: object, **options: object) -> None:
        raise RuntimeError("AWS_SECRET=abc")

    def run() -> None:
        with stored_output(settings(), "all", offline=False) as output:
            (local_copy(output) / "all").write_bytes(b"1\n")
            monkeypatch.setattr(type(store), "put", refuse)

    with pytest.raises(MedrovError) as caught:
        run()
    assert caught.value.code is ErrorCode.OUTPUT_FAILED
    assert "abc" not in f"{caught.value} {caught.value.hint}"
    monkeypatch.undo()
    assert CLAIM in objects(store)
