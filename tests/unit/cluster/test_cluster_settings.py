"""Options of a cluster, files of a node, and replies of a worker."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from conftest import Medrov
from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.cluster.worker import (
    Reply,
    WorkerProcess,
    keep_file,
    require_equal_workers,
    share_files,
    share_model,
)
from medrov_cli.core.settings.cluster_groups import ClusterPlace, parse_place


@pytest.mark.parametrize(
    ("text", "address"), [("ray", ""), ("ray://10.0.0.1:6379", "10.0.0.1:6379"), ("ray://a-b.c:1", "a-b.c:1")]
)
def test_places(text: str, address: str) -> None:
    assert parse_place(text) == ClusterPlace(address)
    assert str(parse_place(text)) == text


@pytest.mark.parametrize("text", ["", "dask", "ray:", "ray://", "ray://host", "ray://a/b:1", "ray://:1 x"])
def test_other_places_are_refused(text: str) -> None:
    with pytest.raises(MedrovError, match="--on") as caught:
        parse_place(text)
    assert caught.value.code is ErrorCode.USAGE


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--workers", "2"), "--workers needs --on"),
        (("--worker-gpus", "1"), "--worker-gpus needs --on"),
        (("--on", "ray", "--offline"), "--offline and --on contradict each other"),
        (("--on", "ray", "--device", "cuda"), "--device cuda with --on needs --worker-gpus"),
        (("--on", "ray", "--workers", "0"), "--workers"),
        (("--on", "spark"), "--on 'spark' is neither"),
    ],
)
def test_contradictions_are_refused(medrov: Medrov, options: tuple[str, ...], words: str) -> None:
    done = medrov("detect", "in", *options)
    assert (done.exit_code, words in " ".join(done.stderr.split())) == (2, True), done.stderr


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("eval", "--workers", "2"), "--workers needs --on"),
        (("eval", "--on", "ray", "--offline"), "--offline and --on contradict each other"),
        (("eval", "--on", "ray", "--predictions", "a.json"), "--on and --predictions contradict each other"),
        (("pseudolabel", "--dry-run", "--worker-cpus", "2"), "--worker-cpus needs --on"),
        (("pseudolabel", "--dry-run", "--on", "ray", "--device", "cuda"), "needs --worker-gpus"),
    ],
)
def test_contradictions_are_refused_for_datasets(
    medrov: Medrov, options: tuple[str, ...], words: str
) -> None:
    command, *rest = options
    done = medrov(command, "data.yaml", *rest)
    assert (done.exit_code, words in " ".join(done.stderr.split())) == (2, True), done.stderr


def test_a_missing_ray_is_refused_with_its_command(medrov: Medrov, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("medrov_cli.core.base.optional.is_installed", lambda package: package != "ray")
    done = medrov("detect", Path(__file__), "--on", "ray")
    assert done.exit_code == 2
    assert "--on ray needs ray, which is not installed" in " ".join(done.stderr.split())


def test_a_file_is_written_once_per_node_and_checked(empty_cache: Path, tmp_path: Path) -> None:
    (tmp_path / "net.xml").write_bytes(b"graph")
    (tmp_path / "net.bin").write_bytes(b"numbers")
    files, contents = share_files([tmp_path / "net.xml", tmp_path / "net.bin"])
    assert len({file.path.parent for file in files}) == 1
    for file, content in zip(files, contents, strict=True):
        keep_file(file, lambda content=content: content)  # type: ignore[misc]
    assert [file.path.read_bytes() for file in files] == [b"graph", b"numbers"]

    def unread() -> np.ndarray:
        raise AssertionError("the file is there")

    keep_file(files[0], unread)
    files[0].path.write_bytes(b"damaged")
    keep_file(files[0], lambda: contents[0])
    assert files[0].path.read_bytes() == b"graph"
    files[1].path.unlink()
    with pytest.raises(MedrovError, match=r"net\.bin arrived damaged") as caught:
        keep_file(files[1], lambda: contents[0])
    assert caught.value.code is ErrorCode.WEIGHTS_CORRUPT
    assert not files[1].path.exists()


class Doubling:
    """A worker that doubles numbers."""

    def __init__(self, settings: int) -> None:
        self.settings = settings

    def describe(self) -> dict[str, int]:
        return {"settings": self.settings}

    def run(self, block: int) -> int:
        if block < 0:
            raise ValueError("John Doe, 1950")
        if block == 0:
            raise MedrovError(ErrorCode.OUT_OF_MEMORY, "no memory", "Buy some.")
        return 2 * block


def test_a_worker_replies_with_values_or_failures_without_data(tmp_path: Path) -> None:
    process = WorkerProcess()
    opened = process.describe(f"{__name__}:Doubling", 3, str(Path.cwd()), [], [])
    if opened.code is not None:  # this module cannot be imported by its name
        pytest.skip(opened.message)
    assert opened.open() == {"settings": 3}
    assert process.run(4).open() == 8
    assert process.run(0) == Reply(None, ErrorCode.OUT_OF_MEMORY, "no memory", "Buy some.")
    failed = process.run(-1)
    assert (failed.code, failed.message) == (ErrorCode.INTERNAL, "unexpected ValueError in a worker")
    lost = WorkerProcess().describe("a:B", 0, str(tmp_path / "none"), [], [])
    assert (lost.code, "has no folder" in lost.message) == (ErrorCode.USAGE, True)


def test_workers_that_differ_are_refused_by_name() -> None:
    require_equal_workers({"engine": "a", "batch": 8}, {"engine": "a", "batch": 8})
    with pytest.raises(MedrovError, match="workers differ in batch: 8 and 1"):
        require_equal_workers({"engine": "a", "batch": 8}, {"engine": "a", "batch": 1})


def test_a_model_has_what_stands_beside_it(tmp_path: Path) -> None:
    for name in ("n.safetensors", "n.formats.json", "m.xml", "m.bin"):
        (tmp_path / name).write_text(name)
    formats = tmp_path / "n.formats.json"
    files, contents = share_model(tmp_path / "n.safetensors", formats)
    assert [file.name for file in files] == ["n.safetensors", "n.formats.json"]
    assert len({file.path.parent for file in files}) == 1
    assert contents[1].tobytes() == b"n.formats.json"
    assert len(share_model(tmp_path / "n.safetensors", tmp_path / "none.json")[0]) == 1
    assert [file.name for file in share_model(tmp_path / "m.xml", formats)[0]] == ["m.xml", "m.bin"]
