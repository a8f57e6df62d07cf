"""Conversion of the outputs of an exported model to candidates."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from medrov_cli.core.base.constants import POOLED
from medrov_cli.core.engines.anchors import keep_above
from medrov_cli.core.engines.exported.export_metadata import ExportMetadata
from medrov_cli.core.records.detections import Candidates
from medrov_cli.core.records.frame import Float32Array

OUTPUTS = ("boxes", "scores", "detections", POOLED)
"""Names of the outputs of exported models."""


def candidates_of(outputs: Mapping[str, Float32Array], floor: float, classes: int) -> Candidates:
    """Return the candidates of one image, without shared memory with the outputs.

    Parameters
    ----------
    outputs
        ``boxes`` (anchors, 4) and ``scores`` (anchors, classes), or ``detections`` (rows, 6); ``pooled``
        (2 * channels,), if the model has a classifier of image kinds.
    floor
        Rows with a lower best score are left out; 0: none are left out.
    classes
        Number of classes.
    """
    pooled = outputs[POOLED].copy() if POOLED in outputs else None
    if "detections" not in outputs:
        found = keep_above(outputs["boxes"], outputs["scores"], floor, pooled)
        return found if floor > 0 else Candidates(found.boxes_xyxy.copy(), found.scores.copy(), pooled)
    rows = outputs["detections"]
    rows = rows[(rows[:, 4] > 0) & (rows[:, 4] >= floor)]
    scores = np.zeros((len(rows), classes), np.float32)
    scores[np.arange(len(rows)), rows[:, 5].astype(np.int64)] = rows[:, 4]
    return Candidates(np.ascontiguousarray(rows[:, :4]), scores, pooled)


def class_count(metadata: ExportMetadata, embeddings: Float32Array | None) -> int:
    """Return the number of classes of a model, or of the embeddings of an open one."""
    if metadata.classes is not None:
        return len(metadata.classes)
    return 0 if embeddings is None else len(embeddings)
