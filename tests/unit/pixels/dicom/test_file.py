"""DICOM files as files: encodings, what is missing, what is too large, and what leaves the header."""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
from pydicom.encaps import encapsulate
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.pixels.decoders import base
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLosslessSV1,
    RLELossless,
)

from image_files import (
    PATIENT,
    PATIENT_ID,
    dicom_dataset,
    error_of,
    grey,
    item,
    read_all,
    read_one,
    row,
    write_dicom,
)
from medrov_cli.core.base.errors import ErrorCode
from medrov_cli.core.settings.choices import Modality

PIXELS = row([0, 50, 100], "uint16")
EXPECTED = [[0, 128, 255]]


def test_every_transfer_syntax_of_pydicom_has_a_decoder() -> None:
    decoders = {uid: decoder for uid, (decoder, _) in base._PIXEL_DATA_DECODERS.items()}
    assert len(decoders) >= 16
    missing = [uid.name for uid, decoder in decoders.items() if not decoder.is_available]
    assert missing == []


@pytest.mark.parametrize("with_meta", [True, False])
def test_without_a_preamble_it_is_read_with_a_sentence(tmp_path: Path, with_meta: bool) -> None:
    path = Path(write_dicom(tmp_path / "a.dcm", PIXELS, SpecificCharacterSet="ISO_IR 100"))
    data = path.read_bytes()[132:]
    if not with_meta:
        data = data[12 + int.from_bytes(data[8:12], "little") :]
    path.write_bytes(data)
    frame = read_one(path)
    assert grey(frame) == EXPECTED
    assert any("preamble" in warning for warning in frame.warnings)
    assert any("guessed" in warning for warning in frame.warnings) is not with_meta


def test_implicit_dataset_alone(tmp_path: Path) -> None:
    dataset = dicom_dataset(PIXELS, SpecificCharacterSet="ISO_IR 100")
    buffer = DicomBytesIO()
    buffer.is_implicit_VR, buffer.is_little_endian = True, True
    write_dataset(buffer, dataset)
    path = tmp_path / "no extension"
    path.write_bytes(buffer.getvalue())
    assert grey(read_one(path)) == EXPECTED


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRBigEndian])
def test_other_encodings(tmp_path: Path, syntax: UID) -> None:
    dataset = dicom_dataset(PIXELS)
    dataset.file_meta.TransferSyntaxUID = syntax
    if syntax == ExplicitVRBigEndian:
        dataset.PixelData = PIXELS.astype(">u2").tobytes()
    dataset.save_as(tmp_path / "a.dcm", enforce_file_format=True)
    assert grey(read_one(tmp_path / "a.dcm")) == EXPECTED


def deflated(tmp_path: Path) -> Path:
    dataset = dicom_dataset(np.zeros((512, 512), dtype=np.uint16))
    dataset.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    dataset.save_as(tmp_path / "a.dcm", enforce_file_format=True)
    return tmp_path / "a.dcm"


def test_deflated(tmp_path: Path) -> None:
    assert read_one(deflated(tmp_path)).pixels_rgb.shape == (512, 512, 3)


def test_deflated_without_a_group_length_or_in_zlib_format(tmp_path: Path) -> None:
    path = deflated(tmp_path)
    pixels, data = read_one(path).pixels_rgb, path.read_bytes()
    end = 144 + int.from_bytes(data[140:144], "little")
    wrapped = data[:end] + zlib.compress(zlib.decompress(data[end:], -15))
    for content in (data[:132] + data[144:], wrapped):
        path.write_bytes(content)
        assert (read_one(path).pixels_rgb == pixels).all()


def test_a_data_set_that_names_the_deflated_syntax_elsewhere_is_not_inflated(tmp_path: Path) -> None:
    dataset = dicom_dataset(PIXELS)
    dataset.AvailableTransferSyntaxUID = DeflatedExplicitVRLittleEndian
    dataset.save_as(tmp_path / "a.dcm", enforce_file_format=True)
    assert read_one(tmp_path / "a.dcm").pixels_rgb.shape[:2] == PIXELS.shape


@pytest.mark.parametrize("padding", [2, 100, 4096])
def test_zeros_behind_a_jpeg_stream_are_padding(tmp_path: Path, padding: int) -> None:
    pixels = np.arange(64, dtype=np.uint8).reshape(8, 8)
    dataset = dicom_dataset(pixels)
    dataset.file_meta.TransferSyntaxUID = JPEGLosslessSV1
    dataset.PixelData = encapsulate([bytes(imagecodecs.ljpeg_encode(pixels)) + bytes(padding)])
    dataset["PixelData"].VR = "OB"
    dataset.save_as(tmp_path / "a.dcm", enforce_file_format=True)
    assert grey(read_one(tmp_path / "a.dcm")) == pixels.tolist()


def test_a_deflated_bomb_is_stopped_while_it_inflates(tmp_path: Path) -> None:
    path = deflated(tmp_path)
    assert path.stat().st_size < 5000
    error = error_of(path, inflated_bytes=100_000)
    assert (error.code, "100000" in error.message) == (ErrorCode.TOO_LARGE, True)


def test_a_deflated_file_cut_short(tmp_path: Path) -> None:
    path = deflated(tmp_path)
    path.write_bytes(path.read_bytes()[:-20])
    assert error_of(path).code is ErrorCode.TRUNCATED


@pytest.mark.parametrize(
    ("limits", "word"),
    [({"pixels_per_frame": 5}, "pixels"), ({"frames": 1}, "frames"), ({"inflated_bytes": 23}, "bytes")],
)
def test_limits_hold_before_decoding(tmp_path: Path, limits: dict[str, int], word: str) -> None:
    path = write_dicom(tmp_path / "a.dcm", np.zeros((2, 3, 2), dtype=np.uint16))  # 2 frames, 24 bytes
    assert len(read_all(path)) == 2
    error = error_of(path, **limits)
    assert (error.code, word in error.message) == (ErrorCode.TOO_LARGE, True)


@pytest.mark.parametrize(
    "codestream",
    [
        pytest.param(
            b"\xff\x4f\xff\x51\x00\x29\x00\x00" + (60_000).to_bytes(4, "big") * 2 + bytes(8) + bytes(40),
            id="JPEG 2000",
        ),
        pytest.param(
            b"\xff\xd8\xff\xe0\x00\x04ab\xff\xc0\x00\x11\x08" + (60_000).to_bytes(2, "big") * 2 + bytes(40),
            id="JPEG",
        ),
    ],
)
def test_the_size_inside_a_codestream_counts_too(tmp_path: Path, codestream: bytes) -> None:
    dataset = dicom_dataset(PIXELS)
    dataset.file_meta.TransferSyntaxUID = JPEG2000Lossless if codestream[1] == 0x4F else JPEGBaseline8Bit
    dataset.PixelData = encapsulate([codestream])
    dataset["PixelData"].VR = "OB"
    dataset.save_as(tmp_path / "a.dcm", enforce_file_format=True)
    error = error_of(tmp_path / "a.dcm")
    assert (error.code, "60000 x 60000" in error.message) == (ErrorCode.TOO_LARGE, True)


def rle(tmp_path: Path) -> Path:
    dataset = dicom_dataset(np.arange(2 * 64 * 64, dtype=np.uint16).reshape(2, 64, 64))
    dataset.compress(RLELossless)
    dataset.save_as(tmp_path / "a.dcm", enforce_file_format=True)
    return tmp_path / "a.dcm"


def test_compressed_frames_come_one_by_one(tmp_path: Path) -> None:
    frames = read_all(rle(tmp_path))
    assert [(frame.index, frame.frame_count) for frame in frames] == [(0, 2), (1, 2)]
    assert frames[1].window is not None
    # 4096 values from 4096 to 8191 without 0.5 % at each end
    assert (frames[1].window.center, frames[1].window.width) == pytest.approx((6143.5, 0.99 * 4095))


@pytest.mark.parametrize("kept", [0.3, 0.6, 0.95])
def test_compressed_data_cut_short(tmp_path: Path, kept: float) -> None:
    path = rle(tmp_path)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * kept)])
    error = error_of(path)
    assert error.code is ErrorCode.TRUNCATED
    assert error.hint


def test_fewer_fragments_than_frames(tmp_path: Path) -> None:
    path = rle(tmp_path)
    path.write_bytes(path.read_bytes().replace(b"IS\x02\x002 ", b"IS\x02\x009 "))
    error = error_of(path)
    assert (error.code, "9 frames" in error.message) == (ErrorCode.TRUNCATED, True)


def test_native_data_cut_short_names_the_bytes(tmp_path: Path) -> None:
    path = Path(write_dicom(tmp_path / "a.dcm", PIXELS))
    path.write_bytes(path.read_bytes()[:-2])
    error = error_of(path)
    assert (error.code, error.message) == (ErrorCode.TRUNCATED, "The pixel data has 4 of 6 bytes.")


def test_a_header_cut_short(tmp_path: Path) -> None:
    path = Path(write_dicom(tmp_path / "a.dcm", PIXELS))
    data = path.read_bytes()
    path.write_bytes(data[: data.index(b"\xe0\x7f\x10\x00")])
    assert error_of(path).code is ErrorCode.TRUNCATED


def test_an_object_without_pixels_says_which(tmp_path: Path) -> None:
    dataset = dicom_dataset(PIXELS, Modality="SR", Rows=None, Columns=None)
    del dataset.PixelData
    dataset.save_as(tmp_path / "a.dcm", enforce_file_format=True)
    error = error_of(tmp_path / "a.dcm")
    assert (error.code, "modality SR" in error.message) == (ErrorCode.NO_PIXELS, True)


def test_an_unknown_transfer_syntax(tmp_path: Path) -> None:
    dataset = dicom_dataset(PIXELS)
    dataset.save_as(tmp_path / "a.dcm", enforce_file_format=True)
    path = tmp_path / "a.dcm"
    path.write_bytes(path.read_bytes().replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.99"))
    error = error_of(path)
    assert (error.code, "1.2.840.10008.1.2.99" in error.message) == (ErrorCode.UNSUPPORTED_FORMAT, True)


def test_a_video_transfer_syntax_is_named(tmp_path: Path) -> None:
    dataset = dicom_dataset(PIXELS)
    dataset.file_meta.TransferSyntaxUID = UID("1.2.840.10008.1.2.4.102")
    dataset.PixelData = encapsulate([b"video"])
    dataset["PixelData"].VR = "OB"
    dataset.save_as(tmp_path / "a.dcm", enforce_file_format=True)
    error = error_of(tmp_path / "a.dcm")
    assert (error.code, "MPEG-4" in error.message) == (ErrorCode.UNSUPPORTED_FORMAT, True)


@pytest.mark.parametrize(
    "keyword", ["Rows", "BitsAllocated", "PhotometricInterpretation", "PixelRepresentation"]
)
def test_a_missing_element(tmp_path: Path, keyword: str) -> None:
    path = write_dicom(tmp_path / "a.dcm", PIXELS, **{keyword: None})
    assert error_of(path).code is ErrorCode.BAD_METADATA


@pytest.mark.parametrize(
    ("attributes", "spacing", "word"),
    [
        ({"PixelSpacing": [0.5, 0.25]}, (0.5, 0.25), ""),
        ({"PixelSpacing": [0, 0], "ImagerPixelSpacing": [0.2, 0.1]}, (0.2, 0.1), "detector"),
        ({"NominalScannedPixelSpacing": [0.2, 0.1]}, (0.2, 0.1), "scanner"),
        ({"PixelSpacing": [0.5]}, None, "invalid"),
        ({}, None, ""),
    ],
)
def test_pixel_spacing(
    tmp_path: Path, attributes: dict[str, Any], spacing: tuple[float, float] | None, word: str
) -> None:
    frame = read_one(write_dicom(tmp_path / "a.dcm", PIXELS, **attributes))
    assert frame.pixel_spacing_mm == spacing
    assert any(word in warning for warning in frame.warnings) is bool(word)


def region(delta_cm: float, spatial_format: int = 1, units: int = 3) -> Any:
    return item(
        RegionSpatialFormat=spatial_format,
        PhysicalUnitsXDirection=units,
        PhysicalUnitsYDirection=units,
        PhysicalDeltaX=delta_cm,
        PhysicalDeltaY=-delta_cm,
    )


@pytest.mark.parametrize(
    ("regions", "spacing"),
    [
        ([region(0.02)], (0.2, 0.2)),
        ([region(0.02), region(0.02)], (0.2, 0.2)),
        ([region(0.02), region(0.03)], None),
        ([region(0.02), region(0.02, spatial_format=3)], None),
        ([region(0.02, units=4)], None),
    ],
    ids=["one", "equal", "different", "doppler too", "seconds"],
)
def test_ultrasound_calibration(
    tmp_path: Path, regions: list[Any], spacing: tuple[float, float] | None
) -> None:
    path = write_dicom(tmp_path / "a.dcm", PIXELS, Modality="US", SequenceOfUltrasoundRegions=regions)
    assert read_one(path).pixel_spacing_mm == spacing


@pytest.mark.parametrize(
    ("tag", "modality"),
    [
        ("CT", Modality.CT),
        ("MR", Modality.MRI),
        ("MG", Modality.XRAY),
        ("DX", Modality.XRAY),
        ("US", Modality.ULTRASOUND),
        ("SM", Modality.HISTOPATHOLOGY),
        ("OP", Modality.FUNDOSCOPY),
        ("ES", Modality.ENDOSCOPY),
        ("GM", Modality.MICROSCOPY),
        ("DMS", Modality.DERMOSCOPY),
        ("OT", None),
        ("NM", None),
    ],
)
def test_modality(tmp_path: Path, tag: str, modality: Modality | None) -> None:
    assert read_one(write_dicom(tmp_path / "a.dcm", PIXELS, Modality=tag)).modality is modality


def test_identifiers_are_uids_and_empty_ones_are_null(tmp_path: Path) -> None:
    path = write_dicom(tmp_path / "a.dcm", PIXELS, StudyInstanceUID="1.2.3", SeriesInstanceUID="")
    ids = read_one(path).identifiers
    assert ids is not None
    assert (ids.study_uid, ids.series_uid) == ("1.2.3", None)


def test_the_patient_is_read_only_on_demand(tmp_path: Path) -> None:
    path = write_dicom(tmp_path / "a.dcm", PIXELS)
    silent, asked = read_one(path).identifiers, read_one(path, patient=True).identifiers
    assert silent is not None
    assert (silent.patient_id, silent.patient_name) == (None, None)
    assert asked is not None
    assert (asked.patient_id, asked.patient_name) == (PATIENT_ID, PATIENT)
