"""Images with their boxes as they are written for another tool, and their names there."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any

from medrov_cli.core.base.name_collisions import collision_key
from medrov_cli.core.datasets.cases import local_case, stated_case
from medrov_cli.core.datasets.coco_records import CocoCategory
from medrov_cli.core.datasets.source_set import OpenSource, SourceSet, split_of
from medrov_cli.core.datasets.sources import invalid, is_pseudo
from medrov_cli.core.pixels.exif_orientation import read_orientation
from medrov_cli.core.records.annotations import Annotation
from medrov_cli.core.records.orientation import UPRIGHT, box_to_shown, shown_size
from medrov_cli.core.settings.choices import Modality

_HASHED = re.compile(r"[0-9a-f]{16}")


@dataclass(frozen=True, slots=True)
class ExportedImage:
    """One image on its way out.

    Attributes
    ----------
    name
        Where it stands below ``images/``, with forward slashes, unique in the export.
    file
        The file that is copied.
    height, width
        Pixels.
    boxes
        In the order of the source's file.
    source, modality
        Where it comes from.
    split
        One of ``train``, ``val``, ``test``, ``none``.
    case
        Hashed; null where unknown.
    record
        JSON object of the source; not compared.
    """

    name: str
    file: Path
    height: int
    width: int
    boxes: tuple[Annotation, ...]
    source: str
    modality: Modality
    split: str
    case: str | None
    record: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)

    @property
    def label(self) -> str:
        """Return what the image is called in messages."""
        return f"{self.source}/{self.file.name}"


@dataclass(frozen=True, slots=True)
class ExportHead:
    """Classes of an export, and what is stated about the whole.

    Attributes
    ----------
    categories
        With their other fields, numbered from 1 in order of first use.
    info
        What all sources state equally in ``info``.
    """

    categories: tuple[CocoCategory, ...]
    info: Mapping[str, Any]

    @property
    def classes(self) -> tuple[str, ...]:
        """Return the class names."""
        return tuple(category.name for category in self.categories)


def as_shown(image: ExportedImage) -> ExportedImage:
    """Return an image with its size and boxes as its EXIF orientation shows it."""
    orientation = read_orientation(image.file)
    if orientation == UPRIGHT:
        return image
    stored_hw = (image.height, image.width)
    height, width = shown_size(stored_hw, orientation)
    boxes = tuple(
        replace(own, box_xywh=box_to_shown(own.box_xywh, orientation, stored_hw)) for own in image.boxes
    )
    return replace(image, height=height, width=width, boxes=boxes)


def safe_case(case: Any, source: str) -> str | None:
    """Return a case that says nothing about a patient.

    Parameters
    ----------
    case
        As it is if it is hashed already; else a name, of which only the source knows whom it means. An empty
        one is none.
    source
        What the source is called.
    """
    text = stated_case(case)
    if text is None:
        return None
    return text if _HASHED.fullmatch(text) else local_case(source, text)


def collect(opened: SourceSet, *, splits: Sequence[str], sources: Sequence[str]) -> tuple[ExportedImage, ...]:
    """Return the images of some splits and sources, in the order of the files.

    Images of several sources stand in a folder a source.

    Raises
    ------
    MedrovError
        ``DATASET_INVALID``: there is no source of a name, or two images share a file.
    """
    known = {source.name: source for source in opened.sources}
    for name in sources:
        if name not in known:
            raise invalid(f"there is no source {name!r}", f"Sources: {', '.join(known)}.")
    chosen = [source for source in opened.sources if not sources or source.name in sources]
    found: list[ExportedImage] = []
    for source in chosen:
        folder = f"{_as_folder(source.name)}/" if len(chosen) > 1 else ""
        found += _images_of(source, folder, splits)
    uses = Counter(collision_key(image.name) for image in found)
    twice = [image.name for image in found if uses[collision_key(image.name)] > 1]
    if twice:
        raise invalid(f"two images have the name {twice[0]}", "Give each image its own file name.")
    return tuple(found)


def head_of(opened: SourceSet, sources: Sequence[str]) -> ExportHead:
    """Return the head of an export of some sources, or of all.

    A category has the fields of the first one of its name; a class is one that nobody annotated only if that
    holds in each of the sources that have it.
    """
    documents = [own.document for own in opened.sources if not sources or own.name in sources]
    by_name: dict[str, list[CocoCategory]] = defaultdict(list)
    for category in (category for document in documents for category in document.categories):
        by_name[category.name].append(category)
    categories = []
    for number, (name, own) in enumerate(by_name.items(), 1):
        fields = {"id": number, "name": name, **{k: v for k, v in own[0].fields.items() if k != "id"}}
        if is_pseudo(own[0]) and not all(map(is_pseudo, own)):
            del fields["source"]
        categories.append(CocoCategory(fields))
    first, *others = (document.info.fields for document in documents)
    shared = {k: v for k, v in first.items() if all(k in other and other[k] == v for other in others)}
    return ExportHead(tuple(categories), shared)


def _images_of(source: OpenSource, folder: str, splits: Sequence[str]) -> list[ExportedImage]:
    boxes: dict[Any, list[Annotation]] = defaultdict(list)
    for own in source.annotations:
        name = source.class_of[own.category_id]
        boxes[own.image_id].append(Annotation(name, own.box_xywh, own.area, own.is_crowd, record=own.fields))
    return [
        ExportedImage(
            name=folder + PurePosixPath(image.file_name).as_posix(),
            file=source.path_of(image),
            height=image.height,
            width=image.width,
            boxes=tuple(boxes[image.id]),
            source=source.name,
            modality=source.modality,
            split=split_of(image),
            case=safe_case(image.fields.get("case"), source.name),
            record=image.fields,
        )
        for image in source.images
        if not splits or split_of(image) in splits
    ]


def flat_names(images: Sequence[ExportedImage], blank: str = " ") -> dict[str, str]:
    """Return, by an image's name, a name without folders, whose stem no other image of the export has.

    A slash becomes two underscores, a blank ``blank``; the stem of images that would share one is longer by
    their suffix.
    """
    plain = {image.name: re.sub(r"\s", blank, image.name.replace("/", "__")) for image in images}
    uses = Counter(_stem(flat) for flat in plain.values())
    taken, chosen = set(uses), {}
    for name, wanted in plain.items():
        flat = wanted
        while uses[_stem(wanted)] > 1 and _stem(flat) in taken:
            flat += PurePosixPath(wanted).suffix or "._"
        taken.add(_stem(flat))
        chosen[name] = flat
    return chosen


def _stem(name: str) -> str:
    return collision_key(PurePosixPath(name).stem)


def _as_folder(name: str) -> str:
    """Return a source's name as the name of one folder."""
    plain = re.sub(r"[^\w.\- ]", "_", name).strip(" .")
    return plain or "source"
