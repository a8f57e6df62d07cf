"""Folders and archives: objects that are no images, copies, zip, tar and gzip, and their limits."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import nibabel as nib
import numpy as np
import pytest
from pydicom.uid import ImplicitVRLittleEndian, RLELossless

from image_files import dicom_dataset, error_of, grey, read_all, read_one, write_dicom
from medrov_cli.core.base.constants import InputLimits
from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.pixels.archives import open_archive
from medrov_cli.core.pixels.inputs import FoundInputs, find_inputs

PIXELS = np.arange(64, dtype=np.uint8).reshape(8, 8)


def image(path: Path, number: int = 1, pixels: np.ndarray[Any, Any] = PIXELS, **attributes: Any) -> Path:
    """Write a slice of a series."""
    path.parent.mkdir(parents=True, exist_ok=True)
    place = {"ImageOrientationPatient": [1, 0, 0, 0, 1, 0], "ImagePositionPatient": [0, 0, number]}
    uids = {"SOPInstanceUID": f"1.2.{number}", "SeriesInstanceUID": "1.2"}
    write_dicom(path, pixels, InstanceNumber=number, **{**place, **uids, **attributes})
    return path


def report(path: Path, sop_class: str, modality: str | None) -> Path:
    """Write an object without pixels."""
    dataset = dicom_dataset(PIXELS, Modality=modality or "OT")
    del dataset[0x00280000:0x7FE10000]
    if modality is None:
        del dataset.Modality
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = sop_class
    dataset.save_as(path, enforce_file_format=True)
    return path


def nifti_pair(values: np.ndarray[Any, Any]) -> tuple[bytes, bytes]:
    """Return the header and the voxels of a pair of files, (z, y, x)."""
    written = nib.Nifti1Pair(values.transpose(2, 1, 0), np.eye(4))
    files = written.make_file_map({"header": io.BytesIO(), "image": io.BytesIO()})
    written.to_file_map(files)
    return files["header"].fileobj.getvalue(), files["image"].fileobj.getvalue()


def names(found: FoundInputs, folder: Path) -> tuple[list[str], list[str]]:
    """Return the inputs and the skipped files below a folder."""
    start = len(str(folder)) + 1
    return [one.path[start:] for one in found.inputs], [one.path[start:] for one in found.skipped]


@pytest.mark.parametrize(
    ("sop_class", "modality"),
    [
        ("1.2.840.10008.5.1.4.1.1.88.33", "SR"),
        ("1.2.840.10008.5.1.4.1.1.88.67", None),
        ("1.2.840.10008.5.1.4.1.1.11.1", "PR"),
        ("1.2.840.10008.5.1.4.1.1.88.59", "KO"),
        ("1.2.840.10008.5.1.4.1.1.481.3", "RTSTRUCT"),
        ("1.2.840.10008.5.1.4.1.1.481.5", "RTPLAN"),
        ("1.2.840.10008.5.1.4.1.1.104.1", "DOC"),
        ("1.2.840.10008.5.1.4.1.1.9.1.1", "ECG"),
        ("1.2.840.10008.5.1.4.1.1.66.1", "REG"),
        ("1.2.840.10008.5.1.4.1.1.66", "MR"),
        ("1.2.840.10008.1.3.10", None),
        ("1.2.840.10008.5.1.4.1.1.91.1", "ANN"),
        ("1.2.840.10008.5.1.4.1.1.131", "OT"),
        ("1.3.12.2.1107.5.9.1", "MR"),
        ("1.3.46.670589.11.0.0.12.2", "MR"),
    ],
)
def test_an_object_that_is_no_image_is_skipped_below_a_folder_alone(
    tmp_path: Path, sop_class: str, modality: str | None
) -> None:
    image(tmp_path / "a" / "1.dcm")
    path = report(tmp_path / "a" / "2.dcm", sop_class, modality)
    found = find_inputs([str(tmp_path / "a")])
    assert names(found, tmp_path / "a") == (["1.dcm"], ["2.dcm"])
    assert "no image" in found.skipped[0].reason
    named = find_inputs([str(path)])
    assert ([one.path for one in named.inputs], named.skipped) == ([str(path)], ())
    assert error_of(path).code is ErrorCode.NO_PIXELS


def test_segmentations_are_skipped_and_parametric_maps_are_not(tmp_path: Path) -> None:
    image(tmp_path / "1.dcm", SOPClassUID="1.2.840.10008.5.1.4.1.1.66.4", Modality="SEG")
    image(tmp_path / "2.dcm", 2, SOPClassUID="1.2.840.10008.5.1.4.1.1.30", Modality="MR")
    assert names(find_inputs([str(tmp_path)]), tmp_path) == (["2.dcm"], ["1.dcm"])


def test_a_spectrum_has_rows_and_is_no_image(tmp_path: Path) -> None:
    image(tmp_path / "1.dcm")
    path = image(tmp_path / "2.dcm", 2, SOPClassUID="1.2.840.10008.5.1.4.1.1.4.2", Modality="MR")
    data = path.read_bytes()
    path.write_bytes(data[: data.index(b"\xe0\x7f\x10\x00")])
    assert names(find_inputs([str(tmp_path)]), tmp_path) == (["1.dcm"], ["2.dcm"])
    assert error_of(path).code is ErrorCode.NO_PIXELS


def test_a_folder_of_reports_is_one_input_that_fails(tmp_path: Path) -> None:
    report(tmp_path / "1.dcm", "1.2.840.10008.5.1.4.1.1.88.33", "SR")
    found = find_inputs([str(tmp_path)])
    assert [one.path for one in found.inputs] == [str(tmp_path)]
    assert len(found.skipped) == 1


def test_a_truncated_image_is_kept(tmp_path: Path) -> None:
    image(tmp_path / "1.dcm")
    data = image(tmp_path / "2.dcm", 2).read_bytes()
    (tmp_path / "2.dcm").write_bytes(data[:200])
    assert names(find_inputs([str(tmp_path)]), tmp_path) == (["1.dcm", "2.dcm"], [])


def test_copies_of_an_instance_are_skipped(tmp_path: Path) -> None:
    image(tmp_path / "1.dcm")
    image(tmp_path / "2.dcm", 2)
    (tmp_path / "3.dcm").write_bytes((tmp_path / "1.dcm").read_bytes())
    for folder, syntax in (("x", ImplicitVRLittleEndian), ("y", RLELossless)):
        dataset = dicom_dataset(
            PIXELS,
            SOPInstanceUID="1.2.2",
            SeriesInstanceUID="1.2",
            InstanceNumber=2,
            ImageOrientationPatient=[1, 0, 0, 0, 1, 0],
            ImagePositionPatient=[0, 0, 2],
        )
        if syntax == RLELossless:
            dataset.compress(RLELossless, generate_instance_uid=False)
        dataset.file_meta.TransferSyntaxUID = syntax
        (tmp_path / folder).mkdir()
        dataset.save_as(tmp_path / folder / "2.dcm", enforce_file_format=True)
    found = find_inputs([str(tmp_path)])
    assert names(found, tmp_path) == (["1.dcm", "2.dcm"], ["3.dcm", "x/2.dcm", "y/2.dcm"])
    assert str(tmp_path / "1.dcm") in found.skipped[0].reason
    assert all("3.dcm" not in path for one in found.inputs for path in one.series)


@pytest.mark.parametrize(
    "change",
    [{"pixels": PIXELS[::-1].copy()}, {"ImagePositionPatient": [0, 0, 9]}, {"SeriesInstanceUID": "1.3"}],
)
def test_other_images_of_the_same_uid_are_kept_with_a_warning(tmp_path: Path, change: dict[str, Any]) -> None:
    image(tmp_path / "1.dcm")
    image(tmp_path / "2.dcm", **change)
    found = find_inputs([str(tmp_path)])
    assert len(found.inputs) == 2
    assert all("SOP Instance UID" in " ".join(one.warnings) for one in found.inputs)


def test_named_copies_are_kept(tmp_path: Path) -> None:
    image(tmp_path / "1.dcm")
    image(tmp_path / "2.dcm")
    assert len(find_inputs([str(tmp_path / "1.dcm"), str(tmp_path / "2.dcm")]).inputs) == 2


def pack(path: Path, members: dict[str, bytes]) -> Path:
    """Write an archive of the kind that its name says."""
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, data in members.items():
                archive.writestr(name, data)
        return path
    mode = {".tar": "w", ".gz": "w:gz", ".tgz": "w:gz", ".bz2": "w:bz2", ".xz": "w:xz"}[path.suffix]
    with tarfile.open(path, mode) as tar:  # type: ignore[call-overload]
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return path


@pytest.fixture
def members(tmp_path: Path) -> dict[str, bytes]:
    """Return two slices, in the wrong order, a report and other files."""
    slices = {f"study/{number}.dcm": image(tmp_path / "s.dcm", 9 - number).read_bytes() for number in (1, 2)}
    side = report(tmp_path / "r.dcm", "1.2.840.10008.5.1.4.1.1.88.33", "SR").read_bytes()
    return {**slices, "study/report.dcm": side, "study/notes.txt": b"x", "__MACOSX/._1.dcm": b"x"}


@pytest.mark.parametrize("name", ["a.zip", "a.tar", "a.tar.gz", "a.tgz", "a.tar.bz2", "a.tar.xz"])
def test_the_images_of_an_archive_are_read(tmp_path: Path, members: dict[str, bytes], name: str) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    path = pack(folder / name, members)
    expected = ([f"{name}/study/2.dcm", f"{name}/study/1.dcm"], [f"{name}/study/report.dcm"])
    for argument in (path, folder):
        found = find_inputs([str(argument)])
        assert names(found, folder) == expected
        assert [grey(read_one(one.path)) for one in found.inputs] == [PIXELS.tolist()] * 2
    assert sorted(folder.iterdir()) == [path]


COMPRESSIONS = [("gz", gzip.compress), ("bz2", bz2.compress), ("xz", lzma.compress)]

NOISE = np.random.default_rng(0).integers(0, 256, (64, 64)).astype(np.uint8)
"""Pixels that no compression makes smaller than the head of a file."""


@pytest.mark.parametrize(
    ("end", "compress"), [("gz", gzip.compress), ("bz2", bz2.compress), ("xz", lzma.compress)]
)
@pytest.mark.parametrize("kind", ["dcm", "png", "tar", "nii"])
def test_compressed_files_are_read(
    tmp_path: Path, end: str, compress: Callable[[bytes], bytes], kind: str
) -> None:
    """As named files, below a folder, and as members of an archive."""
    png = cv2.imencode(".png", NOISE)[1].tobytes()
    content = {
        "dcm": image(tmp_path / "s.dcm", pixels=NOISE).read_bytes(),
        "png": png,
        "tar": pack(tmp_path / "a.tar", {"x.png": png}).read_bytes(),
        "nii": nib.Nifti1Image(NOISE[..., None], np.eye(4)).to_bytes(),
    }[kind]
    folder = tmp_path / "in"
    folder.mkdir()
    path = folder / f"x.{kind}.{end}"
    path.write_bytes(compress(content))
    inside = "/x.png" if kind == "tar" else ""
    packed = pack(tmp_path / "b.zip", {path.name: path.read_bytes()})
    for argument, place in ((path, folder), (folder, folder), (packed, packed)):
        (found,) = find_inputs([str(argument)]).inputs
        assert found.path == f"{place}/{path.name}{inside}"
        assert np.ptp(read_one(found.path).pixels_rgb) > 200


def test_a_tar_file_of_the_old_format_is_read(tmp_path: Path) -> None:
    path = pack(tmp_path / "a.tar", {"x.png": cv2.imencode(".png", NOISE)[1].tobytes()})
    data = bytearray(path.read_bytes())
    data[257:265] = bytes(8)  # "ustar", and its version
    data[148:156] = b" " * 8
    data[148:156] = b"%06o\0 " % sum(data[:512])
    path.write_bytes(data)
    (found,) = find_inputs([str(path)]).inputs
    assert grey(read_one(found.path)) == NOISE.tolist()


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("name", ["a.zip", "a.tar"])
def test_the_last_member_of_a_name_is_read(tmp_path: Path, name: str) -> None:
    old, new = (cv2.imencode(".png", values)[1].tobytes() for values in (PIXELS, PIXELS[::-1]))
    path = pack(tmp_path / name, {"x.png": old, "y.png": old})
    if name == "a.zip":
        with zipfile.ZipFile(path, "a") as archive:
            archive.writestr("x.png", new)
    else:
        with tarfile.open(path, "a") as tar:
            info = tarfile.TarInfo("x.png")
            info.size = len(new)
            tar.addfile(info, io.BytesIO(new))
    found = find_inputs([str(path)]).inputs
    assert [one.path for one in found] == [f"{path}/x.png", f"{path}/y.png"]
    assert grey(read_one(found[0].path)) == PIXELS[::-1].tolist()


LINKS = {"b/soft.png": "../a/x.png", "b/chain.png": "soft.png", "b/folder": "../a", "all": "."}
BROKEN_LINKS = {
    "b/gone.png": "x.png",
    "b/out.png": "../../a/x.png",
    "b/one.png": "two.png",
    "b/two.png": "one.png",
}


@pytest.mark.parametrize("name", ["a.zip", "a.tar"])
def test_links_in_an_archive_are_followed_and_broken_ones_are_skipped(tmp_path: Path, name: str) -> None:
    png = cv2.imencode(".png", PIXELS)[1].tobytes()
    path = pack(tmp_path / name, {"a/x.png": png})
    links = {**LINKS, **BROKEN_LINKS}
    expected = ["a/x.png", "b/chain.png", "b/soft.png"]
    if name == "a.zip":
        with zipfile.ZipFile(path, "a") as archive:
            for link, target in links.items():
                member = zipfile.ZipInfo(link)
                member.external_attr = 0o120777 << 16
                archive.writestr(member, target)
    else:
        expected.insert(2, "b/hard.png")
        with tarfile.open(path, "a") as tar:
            for link, target in {**links, "b/hard.png": "a/x.png"}.items():
                info = tarfile.TarInfo(link)
                info.type = tarfile.LNKTYPE if link == "b/hard.png" else tarfile.SYMTYPE
                info.linkname = target
                tar.addfile(info)
    found = find_inputs([str(path)])
    assert names(found, path) == (expected, sorted(BROKEN_LINKS))
    assert all(grey(read_one(one.path)) == PIXELS.tolist() for one in found.inputs)
    with pytest.raises(MedrovError, match="by its links"):
        open_archive(str(path), InputLimits(archive_bytes=2 * len(png)))


def test_images_of_other_formats_are_read_from_archives(tmp_path: Path) -> None:
    png = cv2.imencode(".png", PIXELS)[1].tobytes()
    (found,) = find_inputs([str(pack(tmp_path / "a.zip", {"x/1.png": png}))]).inputs
    frame = read_one(found.path)
    assert (frame.path, grey(frame)) == (f"{tmp_path}/a.zip/x/1.png", PIXELS.tolist())


def test_archives_in_archives_are_read_to_a_depth(tmp_path: Path, members: dict[str, bytes]) -> None:
    path = pack(tmp_path / "1.zip", members)
    for number in (2, 3, 4):
        path = pack(tmp_path / f"{number}.zip", {"inner.zip": path.read_bytes()})
    found = find_inputs([str(tmp_path / "3.zip")]).inputs
    assert len(found) == 2
    assert grey(read_one(found[0].path)) == PIXELS.tolist()
    deeper = find_inputs([str(tmp_path / "4.zip")])
    assert error_of(deeper.inputs[0].path).code is ErrorCode.TOO_LARGE


@pytest.mark.parametrize(
    ("limits", "word"),
    [({"archive_members": 3}, "3 members"), ({"archive_bytes": 1000}, "1000 bytes")],
)
@pytest.mark.parametrize("name", ["a.zip", "a.tar.gz"])
def test_limits_hold_before_members_are_read(
    tmp_path: Path, members: dict[str, bytes], name: str, limits: dict[str, int], word: str
) -> None:
    path = pack(tmp_path / name, members)
    with pytest.raises(MedrovError, match=word) as caught:
        open_archive(str(path), InputLimits(**limits))
    assert caught.value.code is ErrorCode.TOO_LARGE


def test_a_gzip_bomb_is_stopped_while_it_inflates(tmp_path: Path) -> None:
    path = tmp_path / "a.dcm.gz"
    path.write_bytes(gzip.compress(bytes(10**6)))
    assert error_of(path, inflated_bytes=10**5).code is ErrorCode.TOO_LARGE


def test_names_that_leave_the_archive_are_left_out(tmp_path: Path) -> None:
    data = image(tmp_path / "s.dcm").read_bytes()
    path = pack(tmp_path / "a.tar", {"../1.dcm": data, "/2.dcm": data, "b/../../3.dcm": data, "4.dcm": data})
    assert [one.path for one in find_inputs([str(path)]).inputs] == [f"{path}/4.dcm"]


@pytest.mark.parametrize("name", ["a.zip", "a.tar.gz"])
def test_a_damaged_archive_is_one_input_that_fails(
    tmp_path: Path, members: dict[str, bytes], name: str
) -> None:
    path = pack(tmp_path / name, members)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    found = find_inputs([str(path)]).inputs
    assert [one.path for one in found] == [str(path)]
    assert error_of(path).code in (ErrorCode.DECODE_FAILED, ErrorCode.TRUNCATED)


def test_a_member_that_does_not_exist_is_not_found(tmp_path: Path, members: dict[str, bytes]) -> None:
    path = pack(tmp_path / "a.zip", members)
    assert error_of(path / "study" / "7.dcm").code is ErrorCode.NOT_FOUND


def test_documents_that_are_zip_files_are_no_archives_below_a_folder(tmp_path: Path) -> None:
    image(tmp_path / "1.dcm")
    pack(tmp_path / "a.zip", {"1.dcm": b"x"}).rename(tmp_path / "table.xlsx")
    (tmp_path / "b.7z").write_bytes(b"7z\xbc\xaf\x27\x1c" + bytes(100))
    assert names(find_inputs([str(tmp_path)]), tmp_path) == (["1.dcm"], ["b.7z"])


VOXELS = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
NRRD = "NRRD0005\ntype: uchar\ndimension: 3\nsizes: 4 3 2\nencoding: raw\ndata file: "
META = "NDims = 3\nDimSize = 4 3 2\nElementType = MET_UCHAR\nElementDataFile = "
PAIR = {"a." + end: data for end, data in zip(("hdr", "img"), nifti_pair(VOXELS), strict=True)}


@pytest.mark.parametrize(
    "files",
    [
        PAIR,
        {"a.hdr": PAIR["a.hdr"], "A.IMG.gz": gzip.compress(PAIR["a.img"])},
        {"a.nhdr": f"{NRRD}b.raw\n".encode(), "b.raw": VOXELS.tobytes()},
        {
            "a.nhdr": f"{NRRD}x%d.raw 1 2 1\n".encode(),
            "x1.raw": VOXELS[0].tobytes(),
            "x2.raw": VOXELS[1].tobytes(),
        },
        {"a.mhd": f"{META}deep/b.raw\n".encode(), "deep/b.raw": VOXELS.tobytes()},
        {"a.mhd": f"{META}LIST\n1.z\n2.z\n".encode(), "1.z": VOXELS[0].tobytes(), "2.z": VOXELS[1].tobytes()},
    ],
    ids=["pair", "compressed", "nrrd", "pattern", "metaimage", "list"],
)
@pytest.mark.parametrize("depth", [1, 2])
def test_headers_in_archives_have_their_data_files(
    tmp_path: Path, files: dict[str, bytes], depth: int
) -> None:
    for name, data in files.items():
        path = tmp_path / "in" / "s" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    packed = pack(tmp_path / "a.zip", {f"s/{name}": data for name, data in files.items()} | {"b.raw": b"x"})
    if depth == 2:
        packed = pack(tmp_path / "b.tar", {"a.zip": packed.read_bytes()})
    (found,) = find_inputs([str(packed)]).inputs
    (beside,) = find_inputs([str(tmp_path / "in")]).inputs
    frames = read_all(found.path)
    assert {frame.path for frame in frames} == {found.path}
    assert [grey(frame) for frame in frames] == [grey(frame) for frame in read_all(beside.path)]
    assert len(frames) == 2
    missing = pack(tmp_path / "c.zip", {f"s/{name}": data for name, data in list(files.items())[:1]})
    assert error_of(find_inputs([str(missing)]).inputs[0].path).code is ErrorCode.NOT_FOUND
