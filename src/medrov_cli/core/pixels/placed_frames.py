"""Places of all frames of one file: in the patient, or in time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import BinaryIO

from medrov_cli.core.base.constants import InputLimits
from medrov_cli.core.pixels.compression import read_start
from medrov_cli.core.pixels.input_errors import input_errors
from medrov_cli.core.pixels.open_volume import open_volume
from medrov_cli.core.pixels.quiet import silence_python
from medrov_cli.core.pixels.sniff import HEAD_BYTES, Kind, sniff_head
from medrov_cli.core.pixels.source import local_path, open_source
from medrov_cli.core.pixels.volumes.slices import cut_of, plane_of_slice
from medrov_cli.core.pixels.volumes.volume import Volume
from medrov_cli.core.records.finding import VolumeKind
from medrov_cli.core.records.slice_plane import PlacedSlice
from medrov_cli.core.settings.choices import Axis

_VOLUMES = (Kind.NIFTI, Kind.NRRD, Kind.METAIMAGE)


@dataclass(frozen=True, slots=True)
class PlacedFrames:
    """Frames of a file that are a volume, or a sequence in time.

    Attributes
    ----------
    kind
        Origin of the slices.
    slices
        Place of each frame; empty for a sequence in time.
    seconds
        Time of each frame from the first one; empty if unknown, or for a volume.
    frame_seconds
        Time between frames of a video, whose number of frames is known only at its end; null if unknown.
    is_placed
        Whether the file states the orientation in the patient.
    """

    kind: VolumeKind
    slices: tuple[PlacedSlice, ...] = ()
    seconds: tuple[float, ...] = ()
    frame_seconds: float | None = None
    is_placed: bool = True


def read_placed_frames(path: str, frames: int, axis: Axis, limits: InputLimits) -> PlacedFrames | None:
    """Return the places of the frames of a file; null for a file of unrelated images (pages of TIFF).

    Parameters
    ----------
    path
        A file, or a member of an archive.
    frames
        Number of its frames.
    axis
        Plane of the slices of a volume file.
    limits
        Limits of the input.

    Raises
    ------
    MedrovError
        An input code, as for reading the frames.
    """
    with input_errors(), open_source(path, limits) as source:
        kind = sniff_head(read_start(source.file, HEAD_BYTES))
        source.file.seek(0)
        if kind is Kind.DICOM:
            return _dicom_frames(source.file, frames, limits)
        if kind in _VOLUMES:
            with local_path(source, path, limits) as local:
                return _volume_frames(_open_header(local, kind, limits), frames, axis)
        if kind is Kind.VIDEO:
            from medrov_cli.core.pixels.video import video_frame_seconds

            with local_path(source, path, limits) as local:
                return PlacedFrames(VolumeKind.VIDEO, frame_seconds=video_frame_seconds(local))
    return None


def _dicom_frames(file: BinaryIO, frames: int, limits: InputLimits) -> PlacedFrames | None:
    from medrov_cli.core.pixels.dicom.encoding import read_header
    from medrov_cli.core.pixels.dicom.slice_geometry import frame_seconds, placed_slice

    silence_python()
    header = read_header(file, limits).dataset
    slices = tuple(placed_slice(header, frame) for frame in range(frames))
    if len({placed.plane for placed in slices if placed.plane is not None}) > 1:
        return PlacedFrames(VolumeKind.DICOM_FRAMES, slices)
    seconds = frame_seconds(header, frames)
    return PlacedFrames(VolumeKind.DICOM_CINE, seconds=seconds) if seconds else None


def _open_header(path: str, kind: Kind, limits: InputLimits) -> Volume:
    """Open a volume file; of NIfTI, whose voxels may be compressed, the header alone."""
    if kind is not Kind.NIFTI:
        return open_volume(path, limits)
    from medrov_cli.core.pixels.nifti.file import open_nifti_header

    return open_nifti_header(path)


def _volume_frames(volume: Volume, frames: int, axis: Axis) -> PlacedFrames:
    """Return the planes of the slices of a volume file: its affine is in RAS, the planes are in LPS."""
    cut = cut_of(volume, axis)
    shape = volume.voxels.shape
    size_hw = (shape[cut.axes[1]], shape[cut.axes[2]])
    planes = [plane_of_slice(volume, cut, number) for number in range(shape[cut.axes[0]])]
    slices = [
        PlacedSlice(plane, size_hw, float(number_of_volume))
        for number_of_volume in range(frames // len(planes))
        for plane in planes
    ]
    return PlacedFrames(VolumeKind.VOLUME_FILE, tuple(slices), is_placed=volume.is_placed)
