"""Objects of label volumes against scipy's labels with 26 neighbours."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from medrov_cli.core.datasets.readers.shared.mask_boxes import annotations_of
from medrov_cli.core.datasets.readers.shared.volume_objects import VolumeObjects


@given(st.integers(0, 2**32 - 1))
def test_parts_of_one_object_have_one_number(seed: int) -> None:
    """The box around the parts with a number is that of scipy's object."""
    rng = np.random.default_rng(seed)
    masks = rng.random((5, 12, 11)) < rng.choice([0.05, 0.15, 0.3])
    objects = VolumeObjects()
    for mask in masks:
        objects.add(mask)
    objects.finish()
    boxes: dict[int | None, list[tuple[float, ...]]] = {}
    areas: dict[int | None, float] = {}
    for number, mask in enumerate(masks):
        for own in objects.numbered(number, annotations_of(mask, "nodule", components=True)):
            x, y, w, h = own.box_xywh
            boxes.setdefault(own.object_number, []).append((number, y, x, number + 1, y + h, x + w))
            areas[own.object_number] = areas.get(own.object_number, 0) + (own.area or 0)
    labels, count = ndimage.label(masks, structure=np.ones((3, 3, 3)))
    expected = {
        (*(side.start for side in found), *(side.stop for side in found), int((labels == index).sum()))
        for index, found in enumerate(ndimage.find_objects(labels), 1)
    }
    assert sorted(key for key in boxes if key is not None) == list(range(1, count + 1))
    ours = {
        (
            *np.min(rows, 0)[:3].astype(int).tolist(),
            *np.max(rows, 0)[3:].astype(int).tolist(),
            int(areas[key]),
        )
        for key, rows in boxes.items()
    }
    assert ours == expected
