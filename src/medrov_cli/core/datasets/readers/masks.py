"""Read a folder of images and a folder of masks.

With ``labels``, an image has one mask, of the same stem (or with ``_mask`` or ``_segmentation`` behind it),
whose values are classes. Without, each class of an image has a mask file of its own: ``STEM_class.png``, or
``class/STEM.png``; whatever is not 0 is of the class.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy.typing as npt

from medrov_cli.core.base.errors import ErrorCode, MedrovError, usage_error
from medrov_cli.core.datasets.cases import case_in_path
from medrov_cli.core.datasets.image_names import fold_name
from medrov_cli.core.datasets.readers.protocol import Reader, Reading, Unit
from medrov_cli.core.datasets.readers.shared.mask_boxes import annotations_in, annotations_of
from medrov_cli.core.datasets.readers.shared.raster_files import file_stems, raster_files, read_mask
from medrov_cli.core.datasets.readers.shared.raster_images import (
    AnnotatedGrid,
    annotated_file,
    expect_size,
    nothing_in,
)
from medrov_cli.core.datasets.split_names import split_of_folders
from medrov_cli.core.records.annotations import AnnotatedImage, Annotation
from medrov_cli.core.settings.data_convert import ReaderSettings

_ENDINGS = ("_mask", "_segmentation")
_LAYOUT_HINT = "Give a folder with images/ and masks/, or the folder of masks, and --images."


@dataclass(frozen=True, slots=True)
class _Folders:
    images: Path
    masks: Path

    @property
    def is_one(self) -> bool:
        return self.images.resolve() == self.masks.resolve()


def read(config: ReaderSettings) -> Reading:
    """List one unit an image.

    Raises
    ------
    MedrovError
        ``usage``, ``not_found`` or ``no_input``.
    """
    folders = _folders(config)
    masks = raster_files(folders.masks)
    images = raster_files(folders.images)
    if folders.is_one:
        if not config.labels:
            raise usage_error(
                "images and masks are in one folder, and --labels is missing.",
                "Name the classes of *_mask.png in --labels, or move the masks to a separate folder.",
            )
        masks = [path for path in masks if _without_ending(_stem(path)) != _stem(path)]
        images = [path for path in images if path not in set(masks)]
    if not images or not masks:
        what = "no image" if not images else "no mask"
        raise nothing_in(folders.masks if images else folders.images, what, _LAYOUT_HINT)
    return (
        _by_value(config, folders, images, masks)
        if config.labels
        else _by_file(config, folders, images, masks)
    )


def _folders(config: ReaderSettings) -> _Folders:
    inside = config.path / "masks"
    masks = inside if inside.is_dir() else config.path
    images = config.images if config.images is not None else config.path / "images"
    for folder in (masks, images):
        if not folder.is_dir():
            raise nothing_in(folder, "no folder", _LAYOUT_HINT)
    return _Folders(images, masks)


def _by_value(config: ReaderSettings, folders: _Folders, images: list[str], masks: list[str]) -> Reading:
    """Pair images and masks whose values are classes."""
    mask_of: dict[str, str] = {}
    for mask in masks:
        key = _without_ending(_stem(mask))
        if key in mask_of:
            raise MedrovError(
                ErrorCode.DATASET_INVALID,
                f"two masks belong to {key}: {mask_of[key]} and {mask}",
                "Leave --labels out if each class has its own mask file.",
            )
        mask_of[key] = mask
    names = file_stems(images)

    own = _masks_of(images, mask_of)
    twins = _twins(images)

    def unit(image: str) -> Unit:
        def images_of() -> Iterator[AnnotatedImage]:
            mask = own.get(image)
            if mask is None:
                raise _alone(
                    "The image has no mask.", "Add a mask; an image without objects needs an empty mask."
                )
            _require_one(image, twins)
            values = read_mask(folders.masks / mask)
            yield annotated_file(
                folders.images / image,
                names[image],
                lambda _height, _width: annotations_in(
                    values, config.labels, components=config.components, min_area=config.min_area
                ),
                AnnotatedGrid("its mask", (values.shape[0], values.shape[1]), follows_exif=False),
                case=case_in_path(image, config.case),
                split=split_of_folders(PurePosixPath(image)),
            )

        return Unit(image, images_of)

    orphans = [mask for mask in mask_of.values() if mask not in own.values()]
    return Reading((*(unit(image) for image in images), *map(_orphan, orphans)), config.labels.class_names)


def _masks_of(images: Sequence[str], mask_of: Mapping[str, str]) -> dict[str, str]:
    """Return the mask of each image: that of its stem, else the only one if letter case is ignored."""
    folded: dict[str, list[str]] = defaultdict(list)
    for stem, mask in mask_of.items():
        folded[fold_name(stem)].append(mask)
    taken = {mask_of[stem] for stem in map(_stem, images) if stem in mask_of}
    found = {}
    for image in images:
        near = [mask for mask in folded[fold_name(_stem(image))] if mask not in taken]
        own = mask_of.get(_stem(image)) or (near[0] if len(near) == 1 else None)
        if own is not None:
            found[image] = own
    return found


def _by_file(config: ReaderSettings, folders: _Folders, images: list[str], masks: list[str]) -> Reading:
    """Pair images with the mask files of their classes."""
    of_image, orphans = _sort_by_image(images, masks)
    names = file_stems(images)
    twins = _twins(images)

    def unit(image: str) -> Unit:
        def images_of() -> Iterator[AnnotatedImage]:
            if of_image[image]:
                _require_one(image, twins)
            read = [(name, read_mask(folders.masks / mask)) for name, mask in sorted(of_image[image])]
            sizes = [(values.shape[0], values.shape[1]) for _, values in read]
            for (name, _), size in zip(read, sizes, strict=True):
                expect_size(*sizes[0], size, f"the mask of {name}")
            yield annotated_file(
                folders.images / image,
                names[image],
                lambda _height, _width: tuple(_objects(read, config)),
                AnnotatedGrid("its mask", sizes[0] if sizes else None, follows_exif=False),
                case=case_in_path(image, config.case),
                split=split_of_folders(PurePosixPath(image)),
            )

        return Unit(image, images_of)

    classes = sorted({name for found in of_image.values() for name, _ in found})
    if not classes:
        raise usage_error(
            "no mask file contains a class name (STEM_class.png or class/STEM.png).",
            "Name the classes of the values with --labels 1=liver,2=kidney, or that of a binary mask.",
        )
    return Reading((*(unit(image) for image in images), *map(_orphan, orphans)), tuple(classes))


def _objects(masks: Sequence[tuple[str, npt.NDArray[Any]]], config: ReaderSettings) -> Iterator[Annotation]:
    for name, values in masks:
        yield from annotations_of(values != 0, name, components=config.components, min_area=config.min_area)


def _sort_by_image(images: list[str], masks: list[str]) -> tuple[dict[str, list[tuple[str, str]]], list[str]]:
    """Return the (class, mask file) pairs of each image, and the masks that belong to none."""
    by_stem: dict[str, list[str]] = defaultdict(list)
    for image in images:
        by_stem[_stem(image)].append(image)
    of_image: dict[str, list[tuple[str, str]]] = {image: [] for image in images}
    orphans = []
    for mask in masks:
        folder, _, rest = _stem(mask).partition("/")
        if rest in by_stem:
            for image in by_stem[rest]:
                of_image[image].append((folder, mask))
            continue
        # The longest stem wins: a_b_polyp belongs to a_b where there is an image a_b.
        whole = _stem(mask)
        cuts = [at for at in range(len(whole) - 2, 0, -1) if whole[at] == "_" and whole[:at] in by_stem]
        if cuts:
            for image in by_stem[whole[: cuts[0]]]:
                of_image[image].append((whole[cuts[0] + 1 :], mask))
        else:
            orphans.append(mask)
    return of_image, orphans


def _twins(images: Sequence[str]) -> frozenset[str]:
    """Return the images that share their stem with another one."""
    uses = Counter(map(_stem, images))
    return frozenset(image for image in images if uses[_stem(image)] > 1)


def _require_one(image: str, twins: frozenset[str]) -> None:
    """Refuse an image whose mask may as well be that of another image."""
    if image in twins:
        raise _alone("Several images have the stem of the mask.", "Give each image its own stem, and a mask.")


def _orphan(mask: str) -> Unit:
    def images_of() -> tuple[AnnotatedImage, ...]:
        raise _alone("The mask has no image.", "Give it the stem of its image, or remove it.")

    return Unit(mask, images_of)


def _alone(message: str, hint: str) -> MedrovError:
    return MedrovError(ErrorCode.NOT_FOUND, message, hint)


def _stem(path: str) -> str:
    """Return a relative path without its suffix."""
    return str(PurePosixPath(path).with_suffix(""))


def _without_ending(stem: str) -> str:
    for ending in _ENDINGS:
        if stem.endswith(ending) and len(stem) > len(ending):
            return stem.removesuffix(ending)
    return stem


READER: Reader = read
