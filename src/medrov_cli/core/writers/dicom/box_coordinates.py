"""Boxes as coordinates of DICOM objects, and the UIDs that follow a detection through them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from medrov_cli.core.runs.journal import JsonRecord
from medrov_cli.core.writers.dicom.result_identity import derive_uid
from medrov_cli.core.writers.dicom.source_studies import SourceInstance


def box_points(box_xyxy: Sequence[float]) -> npt.NDArray[np.float64]:
    """Return the closed polyline of a box, float64 (5, 2): column, row.

    Coordinates of structured reports (PS3.3, C.18.6.1.1) and of presentation states (C.10.5.1.2) have their
    origin at the top-left corner of the top-left pixel, like the boxes of a record: the numbers are equal.
    """
    x1, y1, x2, y2 = box_xyxy
    return np.array([(x1, y1), (x2, y1), (x2, y2), (x1, y2), (x1, y1)], dtype=np.float64)


def tracking_uid(instance: SourceInstance, record: JsonRecord, row: dict[str, Any]) -> str:
    """Return the UID of a detection, equal in all objects that contain it."""
    coordinates = (f"{value:.2f}" for value in row["box_xyxy"])
    return derive_uid("tracking", instance.uid, str(record["frame"]), row["class"], *coordinates)
