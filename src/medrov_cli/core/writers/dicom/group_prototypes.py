"""Measurement groups made from the first one of their kind.

highdicom makes and checks the first group of a class with some measurements. Further ones differ from it in
tracking, values and regions alone; the rest of their items is shared.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydicom.dataset import Dataset
from pydicom.valuerep import DSfloat

from medrov_cli.core.writers.dicom.plain_items import is_region, plain_item, set_content

_TRACKING = {"112039": "TextValue", "112040": "UID"}
"""Concepts of tracking identifier and tracking UID, and the element of their value."""


def fill_group(
    prototype: Dataset, tracking: tuple[str, str], values: Sequence[float], regions: Sequence[Dataset]
) -> Dataset:
    """Return the container of a group.

    Parameters
    ----------
    prototype
        Container of a group of the same class, with the same measurements.
    tracking
        Tracking identifier and tracking UID.
    values
        Values of its measurements, in order.
    regions
        Content items of its regions.
    """
    numbers = iter(values)
    texts = dict(zip(_TRACKING, tracking, strict=True))
    items: list[Dataset] = []
    is_placed = False
    for item in prototype.ContentSequence:
        concept = str(item.ConceptNameCodeSequence[0].CodeValue)
        if is_region(item):
            items += [] if is_placed else regions
            is_placed = True
        elif item.ValueType == "NUM":
            items.append(_with_number(item, next(numbers)))
        elif concept in texts:
            items.append(_changed(item, **{_TRACKING[concept]: texts[concept]}))
        else:
            items.append(item)
    group = Dataset(dict(prototype.items()))
    set_content(group, items)
    return group


def _with_number(item: Dataset, value: Any) -> Dataset:
    (measured,) = item.MeasuredValueSequence
    exact = {"FloatingPointValue": value} if isinstance(value, float) else {}
    changed = _changed(measured, NumericValue=DSfloat(value, auto_format=True), **exact)
    return _changed(item, MeasuredValueSequence=[changed])


def _changed(item: Dataset, **values: Any) -> Dataset:
    """Return an item with other values."""
    return Dataset(dict(item.items()) | dict(plain_item(**values).items()))
