"""Read COCO instances: JSON files and folders of images."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.datasets.box_forms import BoxForm, judge_form, stated_boxes
from medrov_cli.core.datasets.cases import case_in_path
from medrov_cli.core.datasets.class_rules import umbrella_ids
from medrov_cli.core.datasets.coco import read_document
from medrov_cli.core.datasets.coco_records import CocoAnnotation, CocoDocument, CocoError, CocoImage
from medrov_cli.core.datasets.coco_values import is_box
from medrov_cli.core.datasets.pixel_sizes import mpp_of_record
from medrov_cli.core.datasets.readers.protocol import (
    Reader,
    Reading,
    Unit,
    failing_unit,
    listed,
    several_splits,
)
from medrov_cli.core.datasets.readers.shared.coco_layout import CocoFile, coco_files, find_images
from medrov_cli.core.datasets.readers.shared.image_finder import ImageFinder
from medrov_cli.core.datasets.readers.shared.raster_files import file_stems
from medrov_cli.core.datasets.readers.shared.raster_images import AnnotatedGrid, annotated_file, nothing_in
from medrov_cli.core.datasets.sources import is_pseudo
from medrov_cli.core.datasets.split_names import split_named
from medrov_cli.core.datasets.volume_records import read_object_number, read_volume_slice
from medrov_cli.core.datasets.writers.exported_images import safe_case
from medrov_cli.core.pixels.names import natural_key
from medrov_cli.core.records.annotations import AnnotatedImage, Annotation
from medrov_cli.core.records.volume_slice import VolumeSlice
from medrov_cli.core.settings.choices import Split
from medrov_cli.core.settings.data_convert import ReaderSettings

_HINT = "Give a COCO instances file, or a folder with annotations.json and images/."


@dataclass(frozen=True, slots=True, eq=False)
class _OpenFile:
    """A COCO file with what is judged from all of its records."""

    place: CocoFile
    prefix: str
    images: Sequence[CocoImage]
    annotations: Mapping[Any, Sequence[CocoAnnotation]]
    class_of: Mapping[Any, str]
    umbrellas: tuple[str, ...]
    annotated: frozenset[str]
    form: BoxForm

    def name_of(self, image: CocoImage) -> str:
        """Return what an image is called in reports: unique among the files of an input."""
        return self.prefix + _file_name(image)


def read(config: ReaderSettings) -> Reading:
    """List one unit for each image, in natural order of file names.

    ``split``, ``iscrowd``, ``area``, ``mpp``, ``volume`` and the marks of a detector's boxes and classes are
    kept; a ``case`` is hashed, unless it is a hash.

    Raises
    ------
    MedrovError
        ``not_found`` or ``dataset_invalid``.
    """
    places = coco_files(config.path, config.images)
    files = [_open(place, place.name_below(config.path) if len(places) > 1 else "") for place in places]
    names = [file.name_of(image) for file in files for image in file.images]
    if len(set(names)) != len(names):
        raise _invalid(files[0].place.path, "names one file for two images")
    finders = [ImageFinder(*file.place.folders, base=file.place.path.parent) for file in files]
    records = [
        (file, image, finder) for file, finder in zip(files, finders, strict=True) for image in file.images
    ]
    found, left = find_images(
        finders,
        [[_file_name(image) for image in file.images] for file in files],
        [_split(image, file.place) for file, image, _ in records],
    )
    stems = file_stems([name for number, name in enumerate(names) if number not in left])
    units = [
        failing_unit(name, path)
        if isinstance(path, MedrovError)
        else _unit(file, image, path, stems[name], config, finder.place_of(path))
        for number, ((file, image, finder), name, path) in enumerate(zip(records, names, found, strict=True))
        if number not in left
    ]
    warnings = [text for file in files for text in _warnings(file)]
    warnings += several_splits([names[number] for number in sorted(left)])
    whole = ImageFinder(*(folder for file in files for folder in file.place.folders))
    unused = whole.unused(path for path in found if isinstance(path, Path))
    if unused:
        what = files[0].place.path.name if len(files) == 1 else "the COCO files"
        warnings.append(f"{len(unused)} image file(s) are not in {what} and were left out: {listed(unused)}")
    umbrellas = _umbrellas(files)
    if umbrellas:
        warnings.append(
            f"{listed(umbrellas)} has no boxes and is the supercategory of other classes: not a class"
        )
    class_names = dict.fromkeys(name for file in files for name in file.class_of.values())
    return Reading(
        tuple(units),
        tuple(n for n in class_names if n not in umbrellas),
        tuple(warnings),
        frozenset(class_names) - {name for file in files for name in file.annotated},
    )


def _umbrellas(files: Sequence[_OpenFile]) -> list[str]:
    """Return the names that are a supercategory without boxes in every file."""
    used = {f.class_of[own.category_id] for f in files for boxes in f.annotations.values() for own in boxes}
    return [
        name for name in dict.fromkeys(name for file in files for name in file.umbrellas) if name not in used
    ]


def _unit(
    file: _OpenFile, image: CocoImage, path: Path, stem: str, config: ReaderSettings, place: str
) -> Unit:
    """Return the unit of an image; ``place`` is the path of its file below the folder of images."""
    own = file.annotations[image.id]

    def images_of() -> Iterator[AnnotatedImage]:
        size = image.stated_size
        volume, notes = _volume_of(image)
        found = annotated_file(
            path,
            stem,
            lambda height, width: tuple(_annotation(a, file, height, width) for a in own),
            AnnotatedGrid("its COCO record", size, follows_exif=False),
            case=case_in_path(place, config.case)
            if config.case is not None
            else safe_case(image.fields.get("case"), config.source),
            split=_split(image, file.place),
            notes=notes,
        )
        yield replace(found, mpp=mpp_of_record(image.fields.get("mpp")), volume=volume)

    return Unit(file.name_of(image), images_of)


def _volume_of(image: CocoImage) -> tuple[VolumeSlice | None, tuple[str, ...]]:
    """Return the slice that an image is, and a note if its field has another form than ours."""
    try:
        return read_volume_slice(image), ()
    except CocoError:
        return None, ("a field 'volume' of another form was left out",)


def _warnings(file: _OpenFile) -> Iterator[str]:
    path = file.place.path
    unknown = sorted(
        {str(s) for s in (i.fields.get("split") for i in file.images) if s and not split_named(s)}
    )
    if unknown:
        yield f"{path.name} names unknown splits, which were not used: {listed(unknown)}"
    if file.form.note:
        yield f"{path.name}: {file.form.note}"


def _open(place: CocoFile, prefix: str) -> _OpenFile:
    document = _document(place.path)
    try:
        size_of = {image.id: image.stated_size for image in document.images}
        images = sorted(document.images, key=lambda image: natural_key(_file_name(image)))
        form = judge_form(list(stated_boxes(document.annotations, size_of)))
    except ValueError as error:
        raise _invalid(place.path, f"is not a usable COCO file: {error}") from None
    if not images:
        raise nothing_in(place.path, "no image", _HINT)
    boxes: dict[Any, list[CocoAnnotation]] = {image.id: [] for image in images}
    for annotation in document.annotations:
        boxes[annotation.image_id].append(annotation)
    used = {annotation.category_id for annotation in document.annotations}
    above = umbrella_ids(document.categories, used)
    return _OpenFile(
        place,
        prefix,
        images,
        boxes,
        {category.id: category.name.strip() for category in document.categories},
        tuple(dict.fromkeys(own.name.strip() for own in document.categories if own.id in above)),
        frozenset(own.name.strip() for own in document.categories if not is_pseudo(own)),
        form,
    )


def _document(file: Path) -> CocoDocument:
    """Return the document; images and boxes are checked one by one when they are read."""
    try:
        return read_document(file, check_records=False)
    except OSError:
        raise nothing_in(file, "no readable content", _HINT) from None
    except CocoError as error:
        raise _invalid(file, f"is not a usable COCO file: {error}") from None


def _file_name(image: CocoImage) -> str:
    return image.file_name.replace("\\", "/")


def _annotation(own: CocoAnnotation, file: _OpenFile, height: int, width: int) -> Annotation:
    try:
        box = own.box_xywh
    except CocoError as error:
        what = (
            "has a segmentation that cannot be read"
            if "segmentation" in str(error)
            else "has an annotation without a box"
        )
        raise _bad(what) from None
    if is_box(own.fields.get("bbox")) and tuple(map(float, own.fields["bbox"])) == box:
        box = file.form.box_xywh(box, height, width)
    elif own.extent is not None and own.extent.size_hw not in (None, (height, width)):
        raise _bad("has a segmentation of another size than the image")
    try:
        area = own.area
    except CocoError:
        raise _bad("has an annotation with an area that is not a number") from None
    number = read_object_number(own.fields)
    return Annotation(
        file.class_of[own.category_id],
        box,
        None if file.form.are_fractions else area,
        own.is_crowd,
        record=own.fields,
        object_number=None if number < 0 else number,
    )


def _split(image: CocoImage, place: CocoFile) -> Split | None:
    """Return the split of an image's own field, else of the file."""
    return split_named(image.fields.get("split")) or place.split


def _invalid(file: Path, what: str) -> MedrovError:
    return MedrovError(ErrorCode.DATASET_INVALID, f"{file} {what}", _HINT)


def _bad(what: str) -> MedrovError:
    return MedrovError(
        ErrorCode.BAD_METADATA, f"The COCO record {what}.", "Correct the file, or export it again."
    )


READER: Reader = read
