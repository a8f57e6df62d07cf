"""Arrays of decoder processes: by shared memory or by the pipe, and processes that do not answer."""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
import pytest
import tifffile

from medrov_cli.core.pixels import decoder_client
from medrov_cli.core.pixels.decoder_client import DeadProcessError, DecoderProcess
from medrov_cli.core.pixels.isolation import decoded_of, request_of
from medrov_cli.core.pixels.shared_buffer import LEAST_BYTES, MOST_BYTES, SharedBuffer

SIZES = (1, LEAST_BYTES - 1, LEAST_BYTES, 3 << 20)


def tiff(path: Path, count: int) -> np.ndarray:
    values = np.random.default_rng(count).integers(0, 256, (1, count), np.uint8)
    tifffile.imwrite(path, values)
    return values


def ask(process: DecoderProcess, path: Path, seconds: float = 60) -> np.ndarray:
    request = request_of("tiff", 64 << 20, 1, {"path": str(path), "page": 0})
    return decoded_of(*process.ask(request, b"", seconds)).values


@pytest.mark.parametrize("shares", [True, False])
def test_arrays_of_every_size_arrive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shares: bool) -> None:
    if not shares:
        monkeypatch.setattr(SharedBuffer, "create", classmethod(lambda _: None))
    process = DecoderProcess()
    assert (process._shared is not None) is shares
    made = [tiff(tmp_path / f"{count}.tiff", count) for count in SIZES]
    found = [ask(process, tmp_path / f"{count}.tiff") for count in SIZES]
    for own, other in zip(found, made, strict=True):  # an array does not change with the next answer
        np.testing.assert_array_equal(own, other)
    process.close()
    process.close()


def test_what_is_larger_than_the_memory_takes_the_pipe() -> None:
    assert SharedBuffer.takes(LEAST_BYTES)
    assert SharedBuffer.takes(MOST_BYTES)
    assert not SharedBuffer.takes(LEAST_BYTES - 1)
    assert not SharedBuffer.takes(MOST_BYTES + 1)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no named pipes")
@pytest.mark.parametrize("polls", [True, False])
def test_a_process_that_waits_for_ever_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, polls: bool
) -> None:
    monkeypatch.setattr(decoder_client, "_CAN_POLL", polls)
    os.mkfifo(tmp_path / "never.tiff")
    process = DecoderProcess()
    begun = time.monotonic()
    with pytest.raises(DeadProcessError):
        ask(process, tmp_path / "never.tiff", seconds=1)
    assert time.monotonic() - begun < 30
    assert process._process.poll() is not None


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="the system has no list of open files")
def test_files_are_closed_with_the_process(tmp_path: Path) -> None:
    tiff(tmp_path / "a.tiff", 9)
    open_files = Path("/proc/self/fd")
    before = len(list(open_files.iterdir()))
    for _ in range(3):
        process = DecoderProcess()
        ask(process, tmp_path / "a.tiff")
        process.close()
    assert len(list(open_files.iterdir())) == before
