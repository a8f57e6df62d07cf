"""Slides of tests: written with tifffile and pydicom, small, with a label image that shows a name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
import tifffile
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

SLIDE_CLASS = "1.2.840.10008.5.1.4.1.1.77.1.6"
LABEL_COLOR = (3, 200, 117)
"""Colour of all label images; no other image has it."""


def write_svs(path: Path, image: np.ndarray, *, mpp: float = 0.5) -> Path:
    """Write an Aperio slide with one level, a coarser one, and a label."""
    height, width = image.shape[:2]
    label = np.full((40, 60, 3), LABEL_COLOR, np.uint8)
    about = f"Aperio Image Library v1\r\n{width}x{height} |AppMag = 20|MPP = {mpp}|User = DOE^JANE"
    with tifffile.TiffWriter(path) as tiff:
        plain = {"photometric": "rgb", "metadata": None, "software": False}
        tiff.write(image, tile=(64, 64), description=about, **plain)
        tiff.write(image[::4, ::4].copy(), tile=(64, 64), description=about, **plain)
        tiff.write(label, rowsperstrip=40, description="Aperio\r\nlabel 60x40", subfiletype=1, **plain)
    return path


def write_dicom_slide(
    folder: Path, image: np.ndarray, *, tile: int = 32, sparse: bool = False, parts: int = 1
) -> list[Path]:
    """Write a slide as DICOM with a coarser level and a label; return the files of the finest level.

    Parameters
    ----------
    tile
        Side of a tile; the last ones are padded with black.
    sparse
        State the places of the tiles, and leave out those that are white.
    parts
        Instances of the finest level, as a concatenation.
    """
    folder.mkdir(parents=True, exist_ok=True)
    series, concatenation = generate_uid()[:50], generate_uid()  # short: others are made of it
    label = np.full((32, 32, 3), LABEL_COLOR, np.uint8)
    _write(folder / "label.dcm", label, series, tile=32, kind="LABEL")
    _write(folder / "level1.dcm", image[::4, ::4], series, tile=tile)
    paths = []
    for number in range(parts):
        path = folder / f"level0_{number}.dcm"
        _write(
            path, image, series, tile=tile, sparse=sparse, part=(number, parts), concatenation=concatenation
        )
        paths.append(path)
    return paths


def _write(
    path: Path,
    image: np.ndarray,
    series: str,
    *,
    tile: int,
    kind: str = "VOLUME",
    sparse: bool = False,
    part: tuple[int, int] = (0, 1),
    concatenation: str = "",
) -> None:
    height, width = image.shape[:2]
    across, down = -(-width // tile), -(-height // tile)
    padded = np.zeros((down * tile, across * tile, 3), np.uint8)
    padded[:height, :width] = image
    tiles = [
        (row, column, padded[row * tile : (row + 1) * tile, column * tile : (column + 1) * tile])
        for row in range(down)
        for column in range(across)
    ]
    if sparse:
        tiles = [item for item in tiles if item[2].min() < 255]
    share = -(-len(tiles) // part[1])
    own = tiles[part[0] * share : (part[0] + 1) * share]
    dataset = pydicom.Dataset()
    dataset.file_meta = pydicom.dataset.FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID = SLIDE_CLASS
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID = generate_uid()
    dataset.ImageType = ["ORIGINAL", "PRIMARY", kind, "NONE"]
    dataset.Modality, dataset.PatientName = "SM", "DOE^JANE"
    dataset.StudyInstanceUID, dataset.FrameOfReferenceUID = f"{series}.1", f"{series}.2"
    dataset.SeriesInstanceUID, dataset.InstanceNumber = series, part[0] + 1
    dataset.TotalPixelMatrixRows, dataset.TotalPixelMatrixColumns = height, width
    dataset.Rows = dataset.Columns = tile
    dataset.NumberOfFrames, dataset.SamplesPerPixel, dataset.PlanarConfiguration = len(own), 3, 0
    dataset.PhotometricInterpretation, dataset.PixelRepresentation = "RGB", 0
    dataset.BitsAllocated = dataset.BitsStored = 8
    dataset.HighBit = 7
    if part[1] > 1:
        dataset.ConcatenationUID, dataset.ConcatenationFrameOffsetNumber = concatenation, part[0] * share
    measures = pydicom.Dataset()
    measures.PixelSpacing = [0.0005, 0.0005]
    shared = pydicom.Dataset()
    shared.PixelMeasuresSequence = [measures]
    dataset.SharedFunctionalGroupsSequence = [shared]
    dataset.DimensionOrganizationType = "TILED_SPARSE" if sparse else "TILED_FULL"
    if sparse:
        dataset.PerFrameFunctionalGroupsSequence = [
            _place(row * tile, column * tile) for row, column, _ in own
        ]
    dataset.PixelData = b"".join(np.ascontiguousarray(pixels).tobytes() for _, _, pixels in own)
    dataset.save_as(path, enforce_file_format=True)


def _place(top: int, left: int) -> pydicom.Dataset:
    position = pydicom.Dataset()
    position.RowPositionInTotalImagePixelMatrix, position.ColumnPositionInTotalImagePixelMatrix = (
        top + 1,
        left + 1,
    )
    group = pydicom.Dataset()
    group.PlanePositionSlideSequence = [position]
    return group
