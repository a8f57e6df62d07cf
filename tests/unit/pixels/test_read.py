"""The door of the input side: formats told by content, failures as input errors, silence, privacy."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from image_files import PATIENT, PATIENT_ID, dicom_dataset, error_of, read_one, row, write_dicom
from medrov_cli.core.base.errors import INPUT_ERRORS, ErrorCode
from medrov_cli.core.pixels.inputs import find_inputs
from medrov_cli.core.pixels.read import read_frames
from medrov_cli.core.pixels.sniff import Kind, kind_of_name, sniff_head

PIXELS = row([0, 50, 100], "uint16")


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (b"\x89PNG\r\n\x1a\n", Kind.PNG),
        (b"\xff\xd8\xff\xe0", Kind.JPEG),
        (b"GIF89a", Kind.GIF),
        (b"II*\0", Kind.TIFF),
        (b"MM\0+", Kind.TIFF),
        (b"RIFF\x10\0\0\0WEBPVP8 ", Kind.WEBP),
        (b"RIFF\x10\0\0\0AVI LIST", Kind.VIDEO),
        (b"RIFF\x10\0\0\0WAVEfmt ", None),
        (b"\0\0\0\x18ftypisom", Kind.VIDEO),
        (b"\0\0\0\x18ftypheic", Kind.HEIC),
        (b"\x1aE\xdf\xa3", Kind.VIDEO),
        (b"BM" + bytes(12) + b"\x28\0\0\0", Kind.BMP),
        (b"BMW is a maker of cars", None),
        (bytes(128) + b"DICM", Kind.DICOM),
        (b"\x08\0\x05\0CS\x0a\0ISO_IR 100\x08\0", Kind.DICOM),
        (b"\x08\0\x05\0\x0a\0\0\0ISO_IR 100\x08\0", Kind.DICOM),
        (b"\0\x08\0\x05CS\0\x0aISO_IR 100\0\x08", Kind.DICOM),
        (b"\x08\0\x05\0 some other binary file", None),
        (b"#EXTM3U\nhttp://example.org/a.ts\n", None),
        (b"\x1f\x8b\x08 not deflated", None),
        (b"hello, world", None),
        (b"", None),
    ],
)
def test_content(head: bytes, kind: Kind | None) -> None:
    assert sniff_head(head) is kind


@given(st.binary(max_size=600))
def test_any_bytes_can_be_sniffed(head: bytes) -> None:
    assert sniff_head(head) in {None, *Kind}


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("A.DCM", Kind.DICOM),
        ("x.nii.gz", Kind.NIFTI),
        ("x.gz", None),
        ("a.b.MP4", Kind.VIDEO),
        ("IM01", None),
    ],
)
def test_name(name: str, kind: Kind | None) -> None:
    assert kind_of_name(f"/some/folder.png/{name}") is kind


def test_a_wrong_name_does_not_matter(tmp_path: Path) -> None:
    write_dicom(tmp_path / "scan.png", PIXELS)
    assert read_one(tmp_path / "scan.png").window is not None
    Image.fromarray(np.full((2, 2), 7, np.uint8)).save(tmp_path / "photo.dcm", format="PNG")
    assert read_one(tmp_path / "photo.dcm").pixels_rgb.tolist() == [[[7] * 3] * 2] * 2


def test_no_such_file(tmp_path: Path) -> None:
    assert error_of(tmp_path / "none.dcm").code is ErrorCode.NOT_FOUND
    Path(tmp_path / "a.png").write_bytes(b"x")
    assert error_of(tmp_path / "a.png" / "b.png").code is ErrorCode.NOT_FOUND
    assert error_of("a\0b.png").code is ErrorCode.NOT_FOUND


@pytest.mark.parametrize("address", ["http://host/a.png", "https://host/a.dcm?x=[1]", "ftp://host/a.png"])
def test_addresses_that_are_not_read_are_named(address: str) -> None:
    (found,) = find_inputs([address]).inputs
    error = error_of(found.path)
    assert (error.code, f"{address.partition('//')[0]}//" in error.message) == (ErrorCode.NOT_FOUND, True)


def test_a_folder(tmp_path: Path) -> None:
    assert error_of(tmp_path).code is ErrorCode.UNREADABLE


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_is_refused_instead_of_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    assert error_of(tmp_path / "pipe.png").code is ErrorCode.UNREADABLE


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may read everything")
def test_permission_denied(tmp_path: Path) -> None:
    path = Path(write_dicom(tmp_path / "a.dcm", PIXELS))
    path.chmod(0)
    assert error_of(path).code is ErrorCode.UNREADABLE


def test_an_empty_file(tmp_path: Path) -> None:
    (tmp_path / "a.dcm").write_bytes(b"")
    error = error_of(tmp_path / "a.dcm")
    assert (error.code, "0 bytes" in error.message) == (ErrorCode.TRUNCATED, True)


def test_a_text_file(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("hello")
    (tmp_path / "a.dcm").write_text("hello")
    assert error_of(tmp_path / "a.txt").code is ErrorCode.UNSUPPORTED_FORMAT
    assert "file name indicates DICOM" in error_of(tmp_path / "a.dcm").message


def test_nothing_is_opened_before_the_first_frame_is_asked_for() -> None:
    frames = read_frames("no such file")
    assert iter(frames) is frames


def test_neither_errors_nor_warnings_quote_the_patient(tmp_path: Path) -> None:
    """Headers broken in the places where decoders quote values in their messages."""
    texts = []
    for number, broken in enumerate(
        [
            {"WindowCenter": PATIENT_ID},
            {"RescaleSlope": PATIENT_ID, "RescaleIntercept": "1"},
            {"PhotometricInterpretation": PATIENT_ID},
            {"Modality": PATIENT},
            {"StudyDate": PATIENT},
            {"NumberOfFrames": "17"},
            {"VOILUTFunction": PATIENT_ID, "WindowCenter": "1", "WindowWidth": "2"},
        ]
    ):
        path = tmp_path / f"{number}.dcm"
        dataset = dicom_dataset(PIXELS)
        for keyword, value in broken.items():
            dataset.add_new(keyword, "LO", value)
        dataset.save_as(path, enforce_file_format=True)
        try:
            frame = read_one(path)
        except Exception as error:  # noqa: BLE001 - the test is about every text that comes out
            texts += [str(error), repr(getattr(error, "hint", "")), repr(error.__cause__)]
        else:
            texts += [*frame.warnings, repr(frame.window), repr(frame.modality)]
    assert len(texts) > 7
    assert not any("SECRET" in text or "4711" in text for text in texts)


@given(
    st.binary(min_size=1, max_size=300),
    st.sampled_from([b"", bytes(128) + b"DICM", b"II*\0", b"\x89PNG\r\n\x1a\n", b"GIF89a"]),
)
def test_garbage_is_an_input_error(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, magic: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "garbage"
    path.write_bytes(magic + data)
    assert error_of(path).code in INPUT_ERRORS


READ_ALL = """
import sys
from medrov_cli.core.base.errors import MedrovError
from medrov_cli.core.pixels.read import read_frames

for path in sys.argv[1:]:
    try:
        list(read_frames(path))
    except MedrovError as error:
        print(error.code)
"""


def test_decoders_write_nothing(tmp_path: Path) -> None:
    """In a process of its own, where nothing captures what native code writes."""
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64), np.uint8)).save(tmp_path / "a.jpg")
    jpeg = (tmp_path / "a.jpg").read_bytes()
    (tmp_path / "cut.jpg").write_bytes(jpeg[:1500])
    (tmp_path / "cut.mp4").write_bytes(b"\0\0\0\x18ftypisom" + bytes(200))
    write_jpeg_dicom(tmp_path / "cut.dcm", jpeg[:1500])
    paths = [str(tmp_path / name) for name in ("cut.jpg", "cut.mp4", "cut.dcm")]
    run = subprocess.run([sys.executable, "-c", READ_ALL, *paths], capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["truncated", "decode_failed", "truncated"]
    assert run.stderr == ""


def write_jpeg_dicom(path: Path, codestream: bytes) -> None:
    from pydicom.encaps import encapsulate
    from pydicom.uid import JPEGBaseline8Bit

    dataset = dicom_dataset(np.zeros((64, 64), np.uint8))
    dataset.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    dataset.PixelData = encapsulate([codestream])
    dataset.save_as(path, enforce_file_format=True)


@pytest.mark.parametrize("name", ["a.img", "a.RAW", "a.zraw"])
def test_voxels_without_a_header_are_named(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(bytes(100))
    error = error_of(tmp_path / name)
    assert (error.code, "header" in error.message) == (ErrorCode.UNSUPPORTED_FORMAT, True)
