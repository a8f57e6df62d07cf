"""Read NIfTI volumes and volumes of labels, slice by slice, as ``medrov detect`` shows the volume."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from medrov_cli.core.base.constants import InputLimits
from medrov_cli.core.base.errors import ErrorCode, MedrovError, usage_error
from medrov_cli.core.datasets.cases import case_in_path, hashed_case, local_case
from medrov_cli.core.datasets.readers.protocol import Reader, Reading, Unit
from medrov_cli.core.datasets.readers.shared.mask_boxes import annotations_in, class_mask
from medrov_cli.core.datasets.readers.shared.nifti_pairs import (
    LabelFile,
    Pairs,
    described_labels,
    find_pairs,
    stem_of,
)
from medrov_cli.core.datasets.readers.shared.raster_images import nothing_in
from medrov_cli.core.datasets.readers.shared.volume_objects import VolumeObjects
from medrov_cli.core.pixels.input_errors import input_errors
from medrov_cli.core.pixels.open_volume import open_volume
from medrov_cli.core.pixels.volumes.grey import Renderer
from medrov_cli.core.pixels.volumes.slices import Cut, cut_of, plane_of_slice, slice_of
from medrov_cli.core.pixels.volumes.volume import Volume
from medrov_cli.core.records.annotations import AnnotatedImage, Annotation
from medrov_cli.core.records.frame import UInt8Array
from medrov_cli.core.records.volume_slice import VolumeSlice
from medrov_cli.core.settings.data_convert import ReaderSettings
from medrov_cli.core.settings.label_map import LabelMap
from medrov_cli.core.settings.window import WindowSpec, parse_window

_LAYOUT_HINT = (
    "Give a folder with imagesTr/ and labelsTr/, images/ and labels/, or X.nii.gz and X_seg.nii.gz; "
    "or a folder of labels, and --images."
)
_WHOLE = 1e-3
"""A label that is this close to a whole number is that number: scaled files come with rounding."""

_OTHER_GRID_HINT = "Resample the labels to the image's voxels, nearest neighbour."


def read(config: ReaderSettings) -> Reading:
    """List one unit a volume.

    Raises
    ------
    MedrovError
        ``usage``, ``not_found``, ``no_input`` or ``dataset_invalid``.
    """
    spec = parse_window(config.window)
    for folder in (config.path, *((config.images,) if config.images else ())):
        if not folder.is_dir():
            raise nothing_in(folder, "no folder", _LAYOUT_HINT)
    pairs = find_pairs(config.path, config.images)
    label_files = [file for files in pairs.of_image.values() for file in files]
    if not label_files:
        raise nothing_in(config.path, "no volume with labels", _LAYOUT_HINT)
    labels = config.labels or described_labels(config.path)
    if not labels and any(file.class_name is None for file in label_files):
        raise usage_error(
            "--labels is missing, and no dataset.json names the values.",
            "Write --labels 1=liver,2=kidney, or one name for all values but 0.",
        )

    def unit(image: str) -> Unit:
        return Unit(image, partial(_images, config, spec, labels, pairs, image))

    named = {file.class_name for file in label_files if file.class_name is not None}
    by_value = labels.class_names if any(file.class_name is None for file in label_files) else ()
    return Reading(
        (*map(unit, pairs.of_image), *map(_orphan, pairs.orphans)),
        (*by_value, *sorted(named - set(by_value))),
    )


def _images(
    config: ReaderSettings, spec: WindowSpec, labels: LabelMap, pairs: Pairs, relative: str
) -> Iterator[AnnotatedImage]:
    """Yield the slices of a volume in the order and with the numbers of ``detect``."""
    if not pairs.of_image[relative]:
        raise MedrovError(
            ErrorCode.NOT_FOUND,
            "The volume has no labels.",
            "Add labels; a volume without objects needs labels of value 0.",
        )
    with input_errors():
        image = open_volume(str(pairs.images / relative), InputLimits())
        cut = cut_of(image, config.axis)
        render = Renderer(image, spec)
        volumes = [_LabelVolume(config, labels, pairs, file, image, cut) for file in pairs.of_image[relative]]
    name = hashed_case(stem_of(relative))
    case = (
        case_in_path(relative, config.case)
        if config.case is not None
        else local_case(config.source, pairs.volume_of[relative])
    )
    slices, rows, columns = (image.voxels.shape[axis] for axis in cut.axes)
    for volume in range(image.voxels.shape[3]):
        with input_errors():
            for labelled in volumes:
                labelled.number_objects(volume, slices)
        for number in range(0, slices, config.every):
            with input_errors():
                found = [own for labelled in volumes for own in labelled.annotations(volume, number)]
            yield AnnotatedImage(
                name=f"{name}-{volume * slices + number:04d}",
                height=rows,
                width=columns,
                annotations=tuple(found),
                read=partial(_pixels, render, image, cut, volume, number),
                case=case,
                volume=VolumeSlice(
                    name if image.voxels.shape[3] == 1 else f"{name}-{volume}",
                    number,
                    plane_of_slice(image, cut, number),
                    image.is_placed,
                ),
            )


def _pixels(render: Renderer, image: Volume, cut: Cut, volume: int, number: int) -> UInt8Array:
    return render(slice_of(image.voxels, cut, volume, number))


class _LabelVolume:
    """The labels of an image, cut as it is.

    Raises
    ------
    MedrovError
        ``bad_metadata`` if they are not in the image's voxels.
    """

    def __init__(
        self,
        config: ReaderSettings,
        labels: LabelMap,
        pairs: Pairs,
        own: LabelFile,
        image: Volume,
        image_cut: Cut,
    ) -> None:
        self._config, self._own = config, own
        self._labels = labels if own.class_name is None else LabelMap({}, own.class_name)
        self._objects: dict[str, VolumeObjects] = {}
        self._file = open_volume(str(pairs.labels / own.relative), InputLimits())
        if self._file.voxels.dtype.kind not in "biuf" or self._file.is_color:
            raise self._misfit("has voxels that are not real numbers", "Save one integer per voxel.")
        is_placed = self._file.is_placed and image.is_placed
        # Labels that do not say where they lie are taken to lie voxel on voxel.
        self._cut = cut_of(self._file, config.axis) if is_placed else image_cut
        sizes = [
            [file.voxels.shape[axis] for axis in cut.axes]
            for file, cut in ((self._file, self._cut), (image, image_cut))
        ]
        volumes = self._file.voxels.shape[3]
        if sizes[0] != sizes[1] or volumes not in (1, image.voxels.shape[3]):
            shapes = [" x ".join(map(str, file.voxels.shape)) for file in (self._file, image)]
            raise self._misfit(f"has {shapes[0]} voxels, the image {shapes[1]}", _OTHER_GRID_HINT)
        away_mm = np.abs(_corners_mm(self._file, self._cut) - _corners_mm(image, image_cut)).max()
        if is_placed and away_mm > 0.5 * np.nanmin(image.zooms_mm):
            raise self._misfit(f"lies up to {away_mm:.1f} mm away from the image", _OTHER_GRID_HINT)

    def annotations(self, volume: int, number: int) -> Sequence[Annotation]:
        """Return the annotations of a slice; labels of one volume hold for all of the image's."""
        own = self._config
        found = annotations_in(
            self._values(volume, number), self._labels, components=own.components, min_area=own.min_area
        )
        return tuple(
            replace(one, object_number=1)
            if (objects := self._objects.get(one.class_name)) is None
            else objects.numbered(number, [one])[0]
            for one in found
        )

    def number_objects(self, volume: int, slices: int) -> None:
        """Assign numbers to the objects of a volume; without ``components``, all of a class is one object."""
        if self._config.components:
            self._objects = {name: VolumeObjects() for name in self._labels.class_names}
            for number in range(slices):
                values = self._values(volume, number)
                for name, objects in self._objects.items():
                    objects.add(class_mask(values, self._labels, name))
            for objects in self._objects.values():
                objects.finish()

    def _values(self, volume: int, number: int) -> npt.NDArray[np.int64]:
        file = self._file
        stored = slice_of(file.voxels, self._cut, min(volume, file.voxels.shape[3] - 1), number)
        return self._whole_numbers(stored)

    def _whole_numbers(self, stored: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
        values = np.asarray(stored, dtype=np.float64) * self._file.slope + self._file.intercept
        whole = np.rint(values)
        if not (np.abs(values - whole) < _WHOLE).all():
            raise self._misfit("has values that are not whole numbers", "Give labels, not probabilities.")
        return whole.astype(np.int64)

    def _misfit(self, what: str, hint: str) -> MedrovError:
        return MedrovError(ErrorCode.BAD_METADATA, f"The label volume {self._own.relative} {what}.", hint)


def _corners_mm(file: Volume, cut: Cut) -> npt.NDArray[np.float64]:
    """Return where the eight corner voxels lie, (8, 3), in the order of slices, rows and columns as shown."""
    corners = np.zeros((8, 4))
    corners[:, 3] = 1
    for place, (axis, is_backwards) in enumerate(zip(cut.axes, cut.backwards, strict=True)):
        last = file.voxels.shape[axis] - 1
        is_far = np.array([bool(corner >> place & 1) for corner in range(8)])
        corners[:, axis] = np.where(is_far != is_backwards, last, 0)
    placed: npt.NDArray[np.float64] = (corners @ file.affine.T)[:, :3]
    return placed


def _orphan(relative: str) -> Unit:
    def images_of() -> tuple[AnnotatedImage, ...]:
        raise MedrovError(
            ErrorCode.NOT_FOUND,
            "The label volume has no image.",
            "Give it the stem of its image, or remove it.",
        )

    return Unit(relative, images_of)


READER: Reader = read
