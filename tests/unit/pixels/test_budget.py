"""Budget of memory: an input above it is an error, inputs share it, and no two wait for each other."""

from __future__ import annotations

import gc
import gzip
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import nibabel
import numpy as np
import pytest
from PIL import Image

from image_files import error_of, read_all
from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.base.ordered import OrderedReader
from medrov_cli.core.pixels.budget import (
    MemoryBudget,
    limit_memory,
    memory_limit_bytes,
    require_plausible,
    reserve,
    reserved_array,
    reserved_bytes,
)
from medrov_cli.core.pixels.read import read_frames
from medrov_cli.core.settings.values import parse_memory

MIB = 1 << 20


@pytest.fixture(autouse=True)
def _default_limit() -> Iterator[None]:
    yield
    limit_memory(None)
    gc.collect()
    assert reserved_bytes() == 0


def write_png(path: Path, side: int = 2000) -> Path:
    noise = np.random.default_rng(0).integers(0, 256, (side // 10, side // 10, 3), dtype=np.uint8)
    Image.fromarray(np.kron(noise, np.ones((10, 10, 1), np.uint8))).save(path)
    return path


def test_image_above_the_budget_is_too_large_and_names_the_option(tmp_path: Path) -> None:
    path = write_png(tmp_path / "a.png")
    assert len(read_all(path)) == 1
    limit_memory(8 * MIB)
    error = error_of(path)
    assert error.code is ErrorCode.TOO_LARGE
    assert "--max-memory" in error.hint


def test_inflated_volume_is_reserved_until_it_is_closed(tmp_path: Path) -> None:
    path = tmp_path / "a.nii.gz"
    voxels = np.zeros((64, 64, 8), np.int16)
    path.write_bytes(gzip.compress(nibabel.Nifti1Image(voxels, np.eye(4)).to_bytes()))
    frames = read_frames(str(path))
    next(frames)
    assert reserved_bytes() >= voxels.nbytes
    frames.close()  # type: ignore[attr-defined]
    gc.collect()
    assert reserved_bytes() == 0
    limit_memory(voxels.nbytes)
    assert error_of(path).code is ErrorCode.TOO_LARGE


def test_array_is_reserved_as_long_as_a_view_of_it_exists() -> None:
    view = reserved_array(1000)[10:20].view(np.uint16)
    assert reserved_bytes() == 1000
    del view
    gc.collect()
    assert reserved_bytes() == 0


def test_second_reader_waits_until_the_first_one_ends() -> None:
    limit_memory(100 * MIB)
    order = []

    def second() -> None:
        with reserve(60 * MIB):
            order.append("second")

    with reserve(60 * MIB):
        thread = threading.Thread(target=second)
        thread.start()
        time.sleep(0.15)
        order.append("first")
    thread.join(10)
    assert order == ["first", "second"]


def test_thread_with_a_reservation_does_not_wait_for_more_but_has_a_limit() -> None:
    limit_memory(100 * MIB)
    with reserve(60 * MIB), reserve(30 * MIB):
        assert reserved_bytes() == 90 * MIB
    with reserve(60 * MIB), pytest.raises(MedrovError) as caught, reserve(60 * MIB):
        pass
    assert caught.value.code is ErrorCode.TOO_LARGE


@pytest.mark.parametrize("threads", [1, 3])
def test_ordered_sources_share_the_budget_in_order_without_a_deadlock(threads: int) -> None:
    limit_memory(100 * MIB)
    used: list[int] = []
    started: list[int] = []

    def read(source: int) -> Iterator[int]:
        if source % 3 == 0:
            time.sleep(0.02)  # a later source asks first
        with reserve((90 if source % 2 else 40) * MIB):
            started.append(source)
            for item in range(6):  # more than the queue of a source holds
                used.append(reserved_bytes())
                yield item

    with OrderedReader(range(9), read, threads) as reader:
        found = list(reader)
    assert found == [(source, item) for source in range(9) for item in range(6)]
    assert started == sorted(started)
    assert max(used) <= 100 * MIB


def test_reading_that_stops_does_not_wait_for_memory() -> None:
    limit_memory(100 * MIB)

    def read(source: int) -> Iterator[int]:
        with reserve(80 * MIB):
            while True:
                yield source

    reader = OrderedReader(range(4), read, 3)
    with reader:
        assert next(iter(reader)) == (0, 0)


def test_default_is_a_quarter_of_the_memory_of_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("medrov_cli.core.pixels.budget.usable_memory_bytes", lambda: 8 << 30)
    assert MemoryBudget().limit_bytes == 2 << 30
    limit_memory(5 * MIB)
    assert memory_limit_bytes() == 5 * MIB


@pytest.mark.parametrize(
    ("text", "size"),
    [("64M", 64 << 20), ("1.5GiB", 3 << 29), ("2g", 2 << 30), ("100000000", 10**8), ("1 TB", 1 << 40)],
)
def test_parse_memory_reads_sizes_with_units(text: str, size: int) -> None:
    assert parse_memory(text) == size


@pytest.mark.parametrize("text", ["", "-1", "4X", "1e9", "1", "63M", "nan", "4 G G"])
def test_parse_memory_refuses_other_texts(text: str) -> None:
    with pytest.raises(MedrovError) as caught:
        parse_memory(text)
    assert caught.value.code is ErrorCode.USAGE
    assert "--max-memory" in caught.value.message


def test_few_bytes_cannot_hold_many_pixels() -> None:
    require_plausible(30_000_000, 10)
    require_plausible(200_000_000, 60_000)
    with pytest.raises(MedrovError):
        require_plausible(200_000_000, 20_000)


@pytest.mark.parametrize("given", [None, 300 * MIB])
def test_opening_a_model_sets_the_budget_of_every_command(
    given: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    from medrov_cli.core.prediction import exported_file, model_file
    from medrov_cli.core.settings.groups import RuntimeSettings

    limit_memory(1000 * MIB)
    monkeypatch.setattr(model_file, "open_engine", lambda request: request)
    monkeypatch.setattr(exported_file, "open_exported", lambda *arguments, **options: options)
    runtime = RuntimeSettings(max_memory=given)
    expected = MemoryBudget(given).limit_bytes
    for kind in (model_file.WeightsFile, exported_file.ExportedFile):
        file = SimpleNamespace(path=Path(), model=None)
        kind.open(file, np.zeros((1, 512)), runtime, imgsz=64, streams=1)  # type: ignore[arg-type]
        assert memory_limit_bytes() == expected
        limit_memory(1000 * MIB)
