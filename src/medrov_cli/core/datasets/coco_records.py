"""Records of COCO files: images, categories, annotations, results, and documents of them.

A record of a document is a view of its JSON object, so that unknown keys and the order of the keys are
kept when the document is written again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from medrov_cli.core.datasets.coco_values import is_box, is_flag_set, is_number
from medrov_cli.core.datasets.segmentations import Extent, segmentation_extent

Ids = tuple[Any, Any, Any]
"""Identifiers of an annotation, of its image and of its category."""


CROWD_FLAGS = frozenset({"crowd", "iscrowd", "is_crowd", "difficult", "ignore", "ignored"})
"""Names of an annotation's flags (VOC's ``difficult``, COCO's ``iscrowd`` and ``ignore``): an object with one
is neither learned nor counted as found or missed, as COCO treats a crowd."""


class CocoError(ValueError):
    """Fault of a COCO file; the text does not name the file."""


class MissingFieldError(CocoError):
    """A field that a record lacks; ``field`` is its key."""

    def __init__(self, field: str) -> None:
        super().__init__(f"{field!r} is missing")
        self.field = field


@dataclass(frozen=True, slots=True)
class CocoRecord:
    """One JSON object.

    Attributes
    ----------
    fields
        The object with all its keys, in the order of the file.
    """

    fields: Mapping[str, Any]

    def require(self, key: str) -> Any:
        """Return the value of a key; raise `MissingFieldError` if there is none."""
        if key not in self.fields:
            raise MissingFieldError(key)
        return self.fields[key]

    def require_id(self, key: str) -> Any:
        """Return an identifier, a number or a text; raise `CocoError` if it is missing or something else."""
        value = self.require(key)
        if not isinstance(value, str) and not is_number(value):
            raise CocoError(f"{key} is {value!r}, neither a number nor a text")
        return value

    @property
    def id(self) -> Any:
        """Identifier, unique among the images or among the categories."""
        return self.require_id("id")

    def replaced(self, **changes: Any) -> Self:
        """Return the record with other values of some keys."""
        return type(self)({**self.fields, **changes})


class CocoImage(CocoRecord):
    """One image."""

    __slots__ = ()

    @classmethod
    def make(cls, number: int, file_name: str | None, width: int, height: int, **more: Any) -> CocoImage:
        """Return an image; ``more`` are further fields."""
        return cls({"id": number, "file_name": file_name, "width": width, "height": height, **more})

    @property
    def file_name(self) -> str:
        """Path of the file below the folder of images."""
        return str(self.require("file_name"))

    @property
    def height(self) -> int:
        """Pixels."""
        return self._pixels("height")

    @property
    def width(self) -> int:
        """Pixels."""
        return self._pixels("width")

    @property
    def stated_size(self) -> tuple[int, int] | None:
        """Height and width; None where the record states none, or zeros."""
        try:
            size = self.height, self.width
        except CocoError:
            return None
        return size if min(size) > 0 else None

    def _pixels(self, key: str) -> int:
        value = self.require(key)
        try:
            return int(value)
        except (TypeError, ValueError, OverflowError):
            raise CocoError(f"image {self.id} has the {key} {value!r}") from None


class CocoCategory(CocoRecord):
    """One category."""

    __slots__ = ()

    @property
    def name(self) -> str:
        """Class name."""
        return str(self.require("name"))


class CocoAnnotation(CocoRecord):
    """One box of a category on an image."""

    __slots__ = ()

    @classmethod
    def make(
        cls, ids: Ids, box_xywh: Sequence[float], area: float, *, is_crowd: bool = False
    ) -> CocoAnnotation:
        """Return an annotation with the fields that COCO defines for boxes."""
        return cls(_with_ids(ids, {"bbox": list(box_xywh), "area": area, "iscrowd": int(is_crowd)}))

    @property
    def image_id(self) -> Any:
        """Identifier of the image."""
        return self.require_id("image_id")

    @property
    def category_id(self) -> Any:
        """Identifier of the category."""
        return self.require_id("category_id")

    @property
    def box_xywh(self) -> tuple[float, float, float, float]:
        """Left, top, width, height in pixels of the image.

        An annotation whose box is missing, empty or without an area has that of its segmentation.
        """
        box = self.fields.get("bbox")
        if is_box(box):
            extent = None if box[2] * box[3] else self._readable_extent
            left, top, width, height = map(float, box)
            return (left, top, width, height) if extent is None else extent.box_xywh
        extent = self.extent if box in (None, []) else None
        if extent is not None:
            return extent.box_xywh
        self.require("bbox")
        raise CocoError(f"annotation {self.fields.get('id')} has no box of four numbers")

    @property
    def _readable_extent(self) -> Extent | None:
        try:
            return self.extent
        except CocoError:
            return None

    @property
    def extent(self) -> Extent | None:
        """Outer box and area of the segmentation; None if there is none."""
        try:
            return segmentation_extent(self.fields.get("segmentation"))
        except ValueError as error:
            raise CocoError(
                f"annotation {self.fields.get('id')} has a segmentation that cannot be read: {error}"
            ) from None

    @property
    def area(self) -> float | None:
        """Square pixels of the object's mask; None where the file does not state them."""
        value = self.fields.get("area")
        if value is not None and not is_number(value):
            raise CocoError(f"annotation {self.fields.get('id')} has an area that is no number")
        extent = None if value is not None or is_box(self.fields.get("bbox")) else self.extent
        if extent is not None:
            return extent.area
        return None if value is None else float(value)

    @property
    def is_crowd(self) -> bool:
        """Whether the box has several objects, or one that training and scores leave out."""
        return is_flag_set(self.fields.get("iscrowd")) or is_flag_set(self.fields.get("ignore"))

    def with_category(self, category_id: Any) -> CocoAnnotation:
        """Return the annotation in another category."""
        return self.replaced(category_id=category_id)

    def with_ids(self, ids: Ids) -> CocoAnnotation:
        """Return the annotation with other identifiers, and with its area and whether it is a crowd."""
        box, area = self.box_xywh, self.area
        fields = {**self.fields}
        if fields.get("bbox") != list(box):
            fields["bbox"] = list(box)
        if fields.get("area") is None:
            fields["area"] = box[2] * box[3] if area is None else area
        return CocoAnnotation(_with_ids(ids, {**fields, "iscrowd": int(self.is_crowd)}))


@dataclass(frozen=True, slots=True, eq=False)
class CocoDocument:
    """A document of images, annotations and categories.

    Attributes
    ----------
    fields
        The document with all its keys, in the order of the file; the three lists below replace its own.
    images, annotations, categories
        In the order of the file.
    """

    fields: Mapping[str, Any]
    images: tuple[CocoImage, ...]
    annotations: tuple[CocoAnnotation, ...]
    categories: tuple[CocoCategory, ...]

    @property
    def info(self) -> CocoRecord:
        """What the document states about itself; empty where it states nothing."""
        return CocoRecord(self.fields.get("info") or {})

    @property
    def parts(self) -> dict[str, Any]:
        """All keys of the document with their values, the three lists as records."""
        lists = {"images": self.images, "annotations": self.annotations, "categories": self.categories}
        return {**self.fields, **lists}


def numbered_categories(names: Iterable[str]) -> tuple[CocoCategory, ...]:
    """Return a category for each name; identifiers count from 1."""
    return tuple(CocoCategory({"id": number, "name": name}) for number, name in enumerate(names, 1))


def _with_ids(ids: Ids, fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return fields with the identifiers of an annotation, which come first."""
    own, image, category = ids
    head = {"id": own, "image_id": image, "category_id": category}
    return head | {key: value for key, value in fields.items() if key not in head}
