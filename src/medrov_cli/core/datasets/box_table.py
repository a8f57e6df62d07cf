"""The boxes of an opened source as arrays."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from medrov_cli.core.datasets.source_set import OpenSource
from medrov_cli.core.records.boxes import IntArray, xywh_to_xyxy


@dataclass(frozen=True, slots=True, eq=False)
class BoxTable:
    """The boxes of a source, as they are written in its file.

    Attributes
    ----------
    xyxy
        float64, (n, 4), in pixels of the stored image; not cut to it.
    image
        int64, (n,), rows of the source's images.
    label
        int64, (n,), rows of the source's ``classes``.
    crowd
        bool, (n,).
    """

    xyxy: npt.NDArray[np.float64]
    image: IntArray
    label: IntArray
    crowd: npt.NDArray[np.bool_]


def box_table(source: OpenSource) -> BoxTable:
    """Return the boxes of a source in the order of its file."""
    row_of = {image.id: row for row, image in enumerate(source.images)}
    label_of = {name: row for row, name in enumerate(source.classes)}
    own = source.annotations
    xywh = np.asarray([a.box_xywh for a in own], dtype=np.float64).reshape(-1, 4)
    return BoxTable(
        xyxy=np.asarray(xywh_to_xyxy(xywh), dtype=np.float64),
        image=np.asarray([row_of[a.image_id] for a in own], dtype=np.int64),
        label=np.asarray([label_of[source.class_of[a.category_id]] for a in own], dtype=np.int64),
        crowd=np.asarray([a.is_crowd for a in own], dtype=np.bool_),
    )
