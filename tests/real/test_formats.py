"""Every file of the shared format collection, against the standard's chain by pydicom and nibabel."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pydicom
import pytest
from pydicom.pixels import apply_color_lut, apply_modality_lut, apply_voi_lut, apply_windowing, pixel_array
from pydicom.uid import JPEGBaseline8Bit

from image_files import read_all
from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.pixels.inputs import expand_inputs, find_inputs
from medrov_cli.core.pixels.read import read_frames
from medrov_cli.core.records.frame import Frame

pytestmark = pytest.mark.slow

FORMATS = Path(__file__).parents[2].parent / "shared" / "data" / "formats"
pytestmark = [
    pytest.mark.skipif(not FORMATS.is_dir(), reason="the shared data is not here"),
    pytest.mark.filterwarnings("ignore"),  # pydicom comments on what these files are made to break
]

MANIFEST: list[dict[str, Any]] = (
    json.loads((FORMATS / "manifest.json").read_text(encoding="utf-8")) if FORMATS.is_dir() else []
)
DICOM = [entry for entry in MANIFEST if entry["file"].startswith("dicom/")]
READABLE = [entry["file"] for entry in DICOM if entry["decodes"]]
NIFTI = [entry["file"] for entry in MANIFEST if entry["file"].startswith("nifti/")]
CT_SERIES = "dicom_series/totalsegmentator_ct"
TOTAL = "nifti/totalsegmentator"

REFUSED = {
    "dicom/MR_truncated.dcm": ErrorCode.TRUNCATED,
    "dicom/JPEG-lossy.dcm": ErrorCode.DECODE_FAILED,
    "dicom/ExplVR_LitEndNoMeta.dcm": ErrorCode.NO_PIXELS,
    "dicom/no_meta.dcm": ErrorCode.UNSUPPORTED_FORMAT,
    "dicom/meta_missing_tsyntax.dcm": ErrorCode.BAD_METADATA,
    "dicom/test-SR.dcm": ErrorCode.NO_PIXELS,
    "dicom/waveform_ecg.dcm": ErrorCode.NO_PIXELS,
    "dicom/liver_deflate.dcm": ErrorCode.UNSUPPORTED_FORMAT,
}


def test_the_manifest_is_the_one_that_the_tests_know() -> None:
    assert {entry["file"] for entry in DICOM if not entry["decodes"]} == set(REFUSED)
    assert len(READABLE) == 72
    assert len(MANIFEST) == 122


# --- the independent chain ---------------------------------------------------------------------


def flat_dataset(dataset: pydicom.Dataset, index: int) -> pydicom.Dataset:
    """Return the header of one frame as if it were a single-frame object: functional groups merged in."""
    flat = pydicom.Dataset()
    flat.update({element.tag: element for element in dataset if element.tag.group < 0x7FE0})
    flat.file_meta = dataset.file_meta
    groups = [*dataset.get("SharedFunctionalGroupsSequence", [])[:1]]
    groups += dataset.get("PerFrameFunctionalGroupsSequence", [])[index : index + 1]
    for group in groups:
        for keyword in ("PixelValueTransformationSequence", "FrameVOILUTSequence", "PixelMeasuresSequence"):
            for item in group.get(keyword, []):
                flat.update(item)
    return flat


def expected_grey(
    stored: np.ndarray[Any, Any], header: pydicom.Dataset, volume: np.ndarray[Any, Any] | None = None
) -> np.ndarray[Any, Any]:
    """Return what the standard's chain gives for one frame, as floats from 0 to 255.

    ``volume`` has all frames, whose percentiles are those of each frame in MR.
    """
    is_float = stored.dtype.kind == "f"
    values = apply_modality_lut(stored, header)
    if header.get("VOILUTSequence"):
        full = 2 ** header.VOILUTSequence[0].LUTDescriptor[2] - 1
        return apply_voi_lut(values, header).astype(float) * 255 / full
    if "WindowCenter" not in header and header.get("Modality") == "CT":
        header.WindowCenter, header.WindowWidth = 50, 400  # our documented default for CT
    if "WindowCenter" in header and not is_float:
        low, high = output_range(header)
        return (apply_windowing(values, header).astype(float) - low) * 255 / (high - low)
    if header.get("BitsStored", 16) == 8:
        return values.astype(float)
    if header.get("BitsStored", 16) < 8:
        return values.astype(float) * 255 / (2**header.BitsStored - 1)
    low, high = np.percentile(values if volume is None else apply_modality_lut(volume, header), (0.5, 99.5))
    return np.clip((values.astype(float) - low) * 255 / (high - low), 0, 255)


def output_range(header: pydicom.Dataset) -> tuple[float, float]:
    """Return between which values pydicom's windowing places its output."""
    bits, signed = header.BitsStored, header.PixelRepresentation == 1
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    slope, intercept = header.get("RescaleSlope", 1), header.get("RescaleIntercept", 0)
    return float(low * slope + intercept), float(high * slope + intercept)


def expected_frames(path: Path) -> list[np.ndarray[Any, Any]]:
    """Return every frame of a DICOM file as floats from 0 to 255, (rows, columns) or (rows, columns, 3)."""
    dataset = pydicom.dcmread(path, force=True)
    # The JPEG standard leaves open how chroma is enlarged; libjpeg and libjpeg-turbo differ by 3 levels.
    is_jpeg = dataset.file_meta.TransferSyntaxUID == JPEGBaseline8Bit
    pixels = pixel_array(dataset, decoding_plugin="pillow" if is_jpeg else "")
    color = dataset.SamplesPerPixel == 3
    frames = pixels if pixels.ndim == (4 if color else 3) else pixels[np.newaxis]
    expected = []
    for index, stored in enumerate(frames):
        if color:
            expected.append(stored.astype(float) * 255 / (2**dataset.BitsStored - 1))
        elif dataset.PhotometricInterpretation == "PALETTE COLOR":
            expected.append((apply_color_lut(stored, dataset) // 256).astype(float))
        else:
            volume = frames if dataset.get("Modality") in ("MR", "PT", "NM") else None
            grey = expected_grey(stored, flat_dataset(dataset, index), volume)
            expected.append(255 - grey if dataset.PhotometricInterpretation == "MONOCHROME1" else grey)
    return expected


def assert_equal_to_8_bits(frame: Frame, expected: np.ndarray[Any, Any]) -> None:
    """Compare pixel for pixel; only a value that lies exactly between two integers may go either way."""
    if expected.ndim == 2:
        expected = np.repeat(expected[:, :, np.newaxis], 3, axis=2)
    assert frame.pixels_rgb.shape == expected.shape
    tie = np.abs(expected - np.floor(expected) - 0.5) < 1e-6
    difference = np.abs(frame.pixels_rgb - expected)
    assert (difference[~tie] < 0.5).all()
    assert (difference[tie] < 0.5 + 1e-6).all()


@pytest.mark.parametrize("file", READABLE)
def test_dicom_pixels_are_those_of_the_standard(file: str) -> None:
    # The window of the header, which auto ignores for volumes; LINEAR is not defined for floats.
    frames = read_all(FORMATS / file, "auto" if "float" in file else "tag")
    expected = expected_frames(FORMATS / file)
    assert len(frames) == len(expected)
    for frame, reference in zip(frames, expected, strict=True):
        assert frame.frame_count == len(expected)
        assert_equal_to_8_bits(frame, reference)
        assert frame.pixels_rgb.max() > frame.pixels_rgb.min()


@pytest.mark.parametrize(("file", "code"), REFUSED.items())
def test_what_cannot_be_read_says_why(file: str, code: ErrorCode) -> None:
    with pytest.raises(MedrovError) as caught:
        list(read_frames(str(FORMATS / file)))
    assert caught.value.code is code
    assert caught.value.is_input_error
    assert caught.value.message.endswith(".")
    assert caught.value.hint.endswith(".")
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    ("file", "spacing_mm"),
    [
        ("dicom/CT_small.dcm", (0.661468, 0.661468)),
        ("dicom/eCT_Supplemental.dcm", (0.388672, 0.388672)),
        ("dicom/liver.dcm", (0.810547, 0.810547)),
        ("dicom/RG1_J2KI.dcm", None),  # written as 0
        ("dicom/color-px.dcm", None),
    ],
)
def test_spacing(file: str, spacing_mm: tuple[float, float] | None) -> None:
    assert read_all(FORMATS / file)[0].pixel_spacing_mm == spacing_mm


@pytest.mark.parametrize(
    "file", [name for name in READABLE if name.endswith(("693_UNCR.dcm", "bad_sequence.dcm"))]
)
def test_presets_in_hu(file: str) -> None:
    dataset = pydicom.dcmread(FORMATS / file)
    dataset.WindowCenter, dataset.WindowWidth = -600, 1500
    (frame,) = read_all(FORMATS / file, "lung")
    assert_equal_to_8_bits(frame, expected_grey(pixel_array(dataset), dataset))


def test_second_window_of_a_file() -> None:
    dataset = pydicom.dcmread(FORMATS / "dicom/bad_sequence.dcm")
    dataset.WindowCenter, dataset.WindowWidth = dataset.WindowCenter[1], dataset.WindowWidth[1]
    (frame,) = read_all(FORMATS / "dicom/bad_sequence.dcm", "tag:2")
    assert_equal_to_8_bits(frame, expected_grey(pixel_array(dataset), dataset))
    assert frame.window is not None
    assert (frame.window.center, frame.window.width) == (450, 1500)


# --- folders -----------------------------------------------------------------------------------


def test_every_file_of_the_collection_is_an_input() -> None:
    found = find_inputs([str(FORMATS)])
    files = [str(Path(one.path).relative_to(FORMATS)) for one in (*found.inputs, *found.skipped)]
    assert sorted(files) == sorted(entry["file"] for entry in MANIFEST)
    assert all("copy of" in one.reason or "no image" in one.reason for one in found.skipped)
    assert found == find_inputs([str(FORMATS)])


def test_the_ct_series_is_ordered_by_position() -> None:
    position = {entry["file"]: entry["position"][2] for entry in MANIFEST if CT_SERIES in entry["file"]}
    found = [
        str(Path(found.path).relative_to(FORMATS)) for found in expand_inputs([str(FORMATS / CT_SERIES)])
    ]
    assert len(found) == 20
    assert [position[file] for file in found] == sorted(position.values())
    assert found != sorted(found)  # the names go the other way


def test_the_ct_series_is_read() -> None:
    files = [found.path for found in expand_inputs([str(FORMATS / CT_SERIES)])]
    (frame,) = read_all(files[10], "tag")
    (reference,) = expected_frames(Path(files[10]))
    assert_equal_to_8_bits(frame, reference)
    assert frame.pixel_spacing_mm == (0.9765625, 0.9765625)


# --- NIfTI -------------------------------------------------------------------------------------

VIEWS = {
    "axial": lambda ras: [ras[::-1, ::-1, index].T for index in range(ras.shape[2])],
    "coronal": lambda ras: [ras[::-1, index, ::-1].T for index in range(ras.shape[1])],
    "sagittal": lambda ras: [ras[index, ::-1, ::-1].T for index in range(ras.shape[0])],
}
"""From an array in RAS+ to slices in radiological display, by plane."""


@pytest.mark.parametrize("axis", VIEWS)
@pytest.mark.parametrize("file", NIFTI)
def test_nifti_slices(file: str, axis: str) -> None:
    canonical = nib.as_closest_canonical(nib.load(FORMATS / file)).get_fdata()
    volumes = canonical.reshape(*canonical.shape[:3], -1)
    frames = read_all(FORMATS / file, axis=axis)
    window = frames[0].window
    assert window is not None
    assert window.center is not None
    assert window.width is not None
    low, width = (window.center - window.width / 2, window.width)
    if window.source == "preset":  # LINEAR, PS3.3 C.11.2.1.2.1
        low, width = window.center - 0.5 - (window.width - 1) / 2, window.width - 1
    expected = [view for volume in np.moveaxis(volumes, -1, 0) for view in VIEWS[axis](volume)]
    assert len(frames) == len(expected) == frames[0].frame_count
    for frame, view in zip(frames, expected, strict=True):
        shown = np.nan_to_num(view, nan=-1e30)  # not a number is black
        scaled = np.clip((shown - low) / width, 0, 1) * 255 if width else np.zeros_like(view)
        assert_equal_to_8_bits(frame, scaled)


def organ(name: str) -> np.ndarray[Any, Any]:
    """Return a mask as it is displayed: bool (slices, rows, columns), axial."""
    frames = read_all(FORMATS / TOTAL / f"example_ct_seg_{name}.nii.gz")
    return np.array([frame.pixels_rgb[..., 0] == 255 for frame in frames])


def center(name: str) -> tuple[float, float, float]:
    slices, rows, columns = np.nonzero(organ(name))
    return float(slices.mean()), float(rows.mean()), float(columns.mean())


def test_organs_lie_where_a_radiologist_expects_them() -> None:
    middle = organ("liver").shape[2] / 2
    columns = {
        name: center(name)[2] for name in ("liver", "spleen", "kidney_right", "kidney_left", "gallbladder")
    }
    assert columns["liver"] < middle < columns["spleen"]
    assert columns["kidney_right"] < middle < columns["kidney_left"]
    assert columns["gallbladder"] < middle
    assert center("vertebrae_L1")[1] > center("aorta")[1] > center("pancreas")[1]  # the back is below
    assert center("vertebrae_T12")[0] > center("vertebrae_L1")[0]  # slices go from feet to head


def test_the_ct_under_the_masks_is_shown_the_same_way() -> None:
    frames = read_all(FORMATS / TOTAL / "example_ct_sm.nii.gz", "400,50")
    ct = np.array([frame.pixels_rgb[..., 0] for frame in frames]).astype(float)
    liver, lung = organ("liver"), organ("lung_lower_lobe_left")
    assert ct[liver].mean() > 100
    assert ct[lung].mean() < 20 if lung.any() else True
    assert ct[:, :, ::-1][liver].mean() < ct[liver].mean() - 10  # mirrored, the mask would miss the liver


@pytest.mark.parametrize(
    ("file", "is_ct"),
    [("example_ct.nii.gz", True), ("example_ct_sm.nii.gz", True), ("example_mr_sm.nii.gz", False)],
)
def test_hounsfield_units_are_told_from_other_values(file: str, is_ct: bool) -> None:
    frame = next(read_frames(str(FORMATS / TOTAL / file)))
    assert frame.window is not None
    assert frame.window.source == ("preset" if is_ct else "percentile")
    assert (frame.modality == "CT") is is_ct


# --- privacy -----------------------------------------------------------------------------------


def test_no_text_holds_anything_of_a_patient() -> None:
    secrets = {
        part
        for entry in MANIFEST
        for key in ("patient_name", "patient_id", "institution", "birth")
        for part in str(entry.get(key) or "").replace("^", " ").split()
        if len(part) > 2
    }
    assert len(secrets) > 30
    texts: list[str] = []
    for entry in DICOM:
        try:
            for frame in read_frames(str(FORMATS / entry["file"])):
                texts += [*frame.warnings, str(frame.modality), str(frame.window)]
        except MedrovError as error:
            texts += [error.message, error.hint, str(error.__cause__)]
    said = " ".join(texts)
    words = set(re.findall(r"\w+", said))
    assert "RTPLAN" in words
    assert secrets & words == set()
    assert [secret for secret in secrets if len(secret) > 4 and secret in said] == []
