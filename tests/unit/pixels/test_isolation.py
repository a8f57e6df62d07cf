"""A decoder that dies, hangs or eats memory costs one input; the next image is decoded."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import imagecodecs
import numpy as np
import pytest
from PIL import Image
from pydicom import uid

import crashing_decoder as faults
from conftest import Medrov
from detect_fixtures import write_images
from dicom_bytes import fragments, write_encapsulated
from image_files import dicom_dataset, error_of, read_all, read_one
from medrov_cli.core.base.errors import ErrorCode
from medrov_cli.core.pixels import decoder_client, isolation
from medrov_cli.core.pixels.early_decoder import start_needed_decoder
from medrov_cli.core.pixels.read import read_frames
from medrov_cli.core.pixels.stored import stored_pixels

GREY = np.arange(32 * 32, dtype=np.uint16).reshape(32, 32)
STREAM = imagecodecs.jpegls_encode(GREY)


@pytest.fixture
def _crashing(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    tests = str(Path(faults.__file__).parent)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [tests, os.environ.get("PYTHONPATH")])))
    monkeypatch.setattr(decoder_client, "MODULE", faults.__name__)
    monkeypatch.setattr(isolation, "CPU_SECONDS", 0)
    isolation.close_processes()
    yield
    isolation.close_processes()


def write(path: Path, fault: bytes = b"") -> Path:
    stream = faults.marked(STREAM, fault) if fault else STREAM
    dataset = dicom_dataset(
        GREY, BitsStored=12, HighBit=11, SOPInstanceUID=uid.generate_uid(None, [path.name])
    )
    return write_encapsulated(path, dataset, uid.JPEGLSLossless, fragments([[stream]]))


@pytest.mark.usefixtures("_crashing")
@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (faults.ABORT, ErrorCode.DECODE_FAILED),
        (faults.SEGFAULT, ErrorCode.DECODE_FAILED),
        (faults.EXIT, ErrorCode.DECODE_FAILED),
        (faults.HANG, ErrorCode.DECODE_FAILED),
        (faults.MEMORY, ErrorCode.TOO_LARGE),
    ],
)
@pytest.mark.slow
def test_fault_of_a_decoder_is_an_error_and_the_next_image_is_read(
    tmp_path: Path, fault: bytes, code: ErrorCode
) -> None:
    good = read_one(write(tmp_path / "good.dcm"))
    assert error_of(write(tmp_path / "bad.dcm", fault)).code is code
    assert (read_one(tmp_path / "good.dcm").pixels_rgb == good.pixels_rgb).all()


def write_webp(path: Path, fault: bytes = b"") -> Path:
    frames = [Image.fromarray(np.full((16, 24, 3), value, np.uint8)) for value in (10, 230)]
    frames[0].save(path, save_all=True, append_images=frames[1:], lossless=True)
    path.write_bytes(path.read_bytes() + fault)
    return path


def write_video(path: Path) -> Path:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10, (32, 32))
    for value in (10, 230):
        writer.write(np.full((32, 32, 3), value, np.uint8))
    writer.release()
    return path


@pytest.mark.usefixtures("_crashing")
@pytest.mark.parametrize("fault", [faults.ABORT, faults.HANG], ids=["abort", "hang"])
@pytest.mark.slow
def test_fault_within_an_animation_or_a_video_is_an_error(tmp_path: Path, fault: bytes) -> None:
    assert error_of(write_webp(tmp_path / "bad.webp", fault)).code is ErrorCode.DECODE_FAILED
    assert error_of(write_video(tmp_path / f"bad{fault.decode()}.avi")).code is ErrorCode.DECODE_FAILED
    for good in (write_webp(tmp_path / "good.webp"), write_video(tmp_path / "good.avi")):
        assert [int(frame.pixels_rgb.mean()) // 100 for frame in read_all(good)] == [0, 2]


def test_a_stream_that_is_left_gives_its_process_to_the_next_image(tmp_path: Path) -> None:
    isolation.close_processes()
    frames = read_frames(write_webp(tmp_path / "a.webp"))
    next(frames)
    frames.close()
    assert [int(frame.pixels_rgb.mean()) for frame in read_all(tmp_path / "a.webp")] == [10, 230]
    assert len(isolation.own_pool()._idle) == 1


def test_still_images_of_a_dataset_share_a_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[object] = []
    process = decoder_client.DecoderProcess

    def start(*arguments: Any) -> decoder_client.DecoderProcess:
        started.append(arguments)
        return process(*arguments)

    isolation.close_processes()
    monkeypatch.setattr(decoder_client, "DecoderProcess", start)
    for number in range(4):
        Image.fromarray(np.full((8, 9, 3), 40 * number, np.uint8)).save(tmp_path / f"{number}.webp")
        assert stored_pixels(tmp_path / f"{number}.webp") is not None  # takes the first frame alone
    assert len(started) == 1


def test_a_process_is_started_early_for_the_kinds_that_need_one(tmp_path: Path) -> None:
    write_images(tmp_path / "png", 2)
    pictures = sorted(str(path) for path in (tmp_path / "png").iterdir())
    raw = tmp_path / "raw.dcm"
    dicom_dataset(GREY).save_as(raw, enforce_file_format=True)
    for paths, started in (
        ([*pictures, str(raw), str(tmp_path / "absent")], 0),
        ([*pictures, str(write(tmp_path / "ls.dcm"))], 1),
        ([str(write_webp(tmp_path / "a.webp"))], 1),
        ([str(write_video(tmp_path / "a.avi"))], 1),
    ):
        isolation.close_processes()
        start_needed_decoder(paths)
        assert len(isolation.own_pool()._idle) == started, paths


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_no_process_is_started_early_for_a_named_pipe(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")  # without a writer: opening it would not end
    isolation.close_processes()
    start_needed_decoder([str(tmp_path / "pipe.png")])
    assert not isolation.own_pool()._idle


@pytest.mark.usefixtures("_crashing")
@pytest.mark.slow
def test_batch_with_dying_decoders_ends_with_all_records(medrov: Medrov, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    write_images(folder, 30)
    for number, fault in enumerate((faults.ABORT, faults.SEGFAULT, faults.EXIT, faults.ABORT, faults.MEMORY)):
        write(folder / f"{number * 8:03d}_bad.dcm", fault)
        write(folder / f"{number * 8:03d}_good.dcm")
    arguments = ("detect", folder, "--output", tmp_path / "out", "--format", "jsonl", "--imgsz", 64)
    done = medrov(*arguments)
    assert done.exit_code == 3, done.stderr
    lines = (tmp_path / "out" / "detections.jsonl").read_text().splitlines()
    records = {Path(record["path"]).name: record for record in map(json.loads, lines)}
    assert len(records) == 40
    assert {name for name, record in records.items() if "error" in record} == {
        name for name in records if "bad" in name
    }
    assert medrov(*arguments, "--resume").exit_code == 3


def test_values_are_those_of_the_decoder_in_this_process(tmp_path: Path) -> None:
    decoded = isolation.decode_isolated("jpegls", STREAM, need_bytes=1 << 20, samples=GREY.size)
    assert (decoded.values == GREY).all()
    assert decoded.values.dtype == GREY.dtype


def test_exception_of_a_decoder_keeps_its_name_alone() -> None:
    with pytest.raises(isolation.IsolatedError) as caught:
        isolation.decode_isolated("jpegls", b"no stream", need_bytes=1 << 20, samples=1)
    assert "Error" in caught.value.name
    assert str(caught.value) == caught.value.name


def test_process_is_reused_and_a_killed_one_is_replaced() -> None:
    def decode() -> Any:
        return isolation.decode_isolated("jpegls", STREAM, need_bytes=1 << 20, samples=GREY.size)

    decode()
    pool = isolation._pool
    assert pool is not None
    process = pool._idle[-1]
    decode()
    assert pool._idle[-1] is process
    process._process.kill()
    with pytest.raises(Exception, match="ended abnormally"):
        decode()
    assert (decode().values == GREY).all()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_forked_process_has_decoders_of_its_own() -> None:
    isolation.decode_isolated("jpegls", STREAM, need_bytes=1 << 20, samples=GREY.size)
    child = os.fork()
    if child == 0:
        try:
            values = isolation.decode_isolated("jpegls", STREAM, need_bytes=1 << 20, samples=GREY.size).values
            isolation.close_processes()
            os._exit(0 if (values == GREY).all() else 1)
        finally:
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
