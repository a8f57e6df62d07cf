"""Which volume of labels belongs to which volume: the layouts that are in use."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from medrov_cli.core.base.documents import read_json
from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.base.text_files import DocumentError, is_file
from medrov_cli.core.pixels.inputs import visible_files
from medrov_cli.core.settings.label_map import LabelMap

_SUFFIXES = (".nii.gz", ".nii", ".nii.bz2", ".nii.xz", ".hdr", ".hdr.gz", ".nrrd", ".nhdr", ".mha", ".mhd")
"""Endings of volumes; the voxels of a header are in a file with another ending."""
_FOLDERS = (("imagesTr", "labelsTr"), ("images", "labels"), ("images", "masks"))
_ENDINGS = ("_seg", "_label", "_labels", "_mask", "_segmentation")
_CLASS_ENDING = "_seg_"
_CLASS_FOLDER = "segmentations"
_CHANNEL = re.compile(r"_\d{4}$")
"""How nnU-Net ends the names of images: the number of the contrast."""


@dataclass(frozen=True, slots=True)
class LabelFile:
    """A label volume.

    Attributes
    ----------
    relative
        Below the folder of labels.
    class_name
        Of whatever is not 0 in it; null where its values are classes.
    """

    relative: str
    class_name: str | None


@dataclass(frozen=True, slots=True)
class Pairs:
    """What a folder holds.

    Attributes
    ----------
    images, labels
        Folders.
    of_image
        Label files of each image, both below their folders; images in natural order.
    volume_of
        What each image shows, a stem: two contrasts of nnU-Net show one volume.
    orphans
        Label files without an image.
    """

    images: Path
    labels: Path
    of_image: Mapping[str, Sequence[LabelFile]]
    volume_of: Mapping[str, str]
    orphans: Sequence[str]


def find_pairs(folder: Path, images: Path | None) -> Pairs:
    """Pair the files of a folder of labels and a folder of images, or of one folder with both.

    With the images in a folder of their own, labels have the stem of their image, or that without the
    four digits of a contrast. In one folder they have ``_seg``, ``_label``, ``_labels``, ``_mask`` or
    ``_segmentation`` behind it. In both, ``STEM_seg_CLASS``, and ``segmentations/CLASS`` beside a
    single image, are of one class.
    """
    image_folder, label_folder = _folders(folder, images)
    label_names = volume_files(label_folder)
    is_one = image_folder.resolve() == label_folder.resolve()
    image_names = volume_files(image_folder)
    if is_one:
        label_names = [name for name in label_names if _looks_like_labels(stem_of(name))]
        marked = set(label_names)
        image_names = [name for name in image_names if name not in marked]
    of_image: dict[str, list[LabelFile]] = {name: [] for name in image_names}
    by_stem = _by_stem(image_names)
    volume_of = {name: stem_of(name) for name in image_names}
    orphans = []
    for name in label_names:
        owners, key, class_name = _owners(stem_of(name), by_stem)
        for owner in owners:
            of_image[owner].append(LabelFile(name, class_name))
            volume_of[owner] = key or volume_of[owner]
        if not owners:
            orphans.append(name)
    return Pairs(image_folder, label_folder, of_image, volume_of, orphans)


def _folders(folder: Path, images: Path | None) -> tuple[Path, Path]:
    if images is not None:
        inside = folder / "labels"
        return images, inside if inside.is_dir() else folder
    for image_name, label_name in _FOLDERS:
        if (folder / image_name).is_dir() and (folder / label_name).is_dir():
            return folder / image_name, folder / label_name
    return folder, folder


def volume_files(folder: Path) -> list[str]:
    """Return the volume files below a folder by their names, relative to it, in natural order."""
    return visible_files(folder, lambda path: path.name.lower().endswith(_SUFFIXES))


def stem_of(relative: str) -> str:
    """Return a relative path without the ending of a volume."""
    ends = (end for end in _SUFFIXES if relative.lower().endswith(end))
    return next((relative[: -len(end)] for end in ends), relative)


def _looks_like_labels(stem: str) -> bool:
    path = PurePosixPath(stem)
    return path.name.endswith(_ENDINGS) or _CLASS_ENDING in path.name or path.parent.name == _CLASS_FOLDER


def _by_stem(names: Sequence[str]) -> Mapping[str, Sequence[str]]:
    """Return images by what a label's stem may be, and by their folder, with a slash behind it."""
    found: dict[str, list[str]] = defaultdict(list)
    for name in names:
        stem = stem_of(name)
        for key in dict.fromkeys((stem, _CHANNEL.sub("", stem))):
            found[key].append(name)
        found[f"{PurePosixPath(stem).parent}/"].append(name)
    return found


def _owners(stem: str, by_stem: Mapping[str, Sequence[str]]) -> tuple[Sequence[str], str | None, str | None]:
    """Return the images of a label file, by which stem they were found, and the class that its name says."""
    for key in (stem, *(stem.removesuffix(ending) for ending in _ENDINGS if stem.endswith(ending))):
        if key in by_stem:
            return by_stem[key], key, None
    path = PurePosixPath(stem)
    at = path.name.rfind(_CLASS_ENDING)
    while at > 0:
        key = str(path.parent / path.name[:at])
        if key in by_stem:
            return by_stem[key], key, path.name[at + len(_CLASS_ENDING) :]
        at = path.name.rfind(_CLASS_ENDING, 0, at)
    if path.parent.name == _CLASS_FOLDER:
        beside = by_stem.get(f"{path.parent.parent}/", ())
        if len(beside) == 1:
            return beside, None, path.name
    return (), None, None


def described_labels(folder: Path) -> LabelMap:
    """Return the labels of a ``dataset.json`` of the Medical Segmentation Decathlon or of nnU-Net.

    Empty where there is none. Value 0 is the background.

    Raises
    ------
    MedrovError
        ``dataset_invalid`` if its labels are neither ``{"1": "liver"}`` nor ``{"liver": 1}``.
    """
    file = next(
        (path for path in (folder / "dataset.json", folder.parent / "dataset.json") if is_file(path)), None
    )
    if file is None:
        return LabelMap()
    try:
        labels = read_json(file)["labels"].items()
        pairs = [_value_and_name(key, value) for key, value in labels]
    except DocumentError as error:
        raise MedrovError(ErrorCode.DATASET_INVALID, f"{file} {error}", "Correct the file.") from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise MedrovError(
            ErrorCode.DATASET_INVALID,
            f"{file} has no label with a single value.",
            "Give them with --labels 1=liver,2=kidney.",
        ) from None
    return LabelMap({value: name for value, name in sorted(pairs) if value})


def _value_and_name(key: str, value: Any) -> tuple[int, str]:
    if key.isdecimal():
        return int(key), str(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError
    return value, key
