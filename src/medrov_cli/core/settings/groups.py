"""Groups of settings that several commands share."""

from __future__ import annotations

from dataclasses import dataclass, field

from medrov_cli.core.base.constants import Limits
from medrov_cli.core.settings.choices import Axis
from medrov_cli.core.settings.window import AUTO, WindowSpec


@dataclass(frozen=True, slots=True)
class SelectionConfig:
    """How detections are chosen for scoring.

    Attributes
    ----------
    conf
        COCO practice: nearly every candidate takes part in the precision-recall curve.
    iou
        Threshold of the suppression within a class.
    max_det
        Detections an image, over all classes.
    batch
        Images a forward pass.
    """

    conf: float = 0.001
    iou: float = 0.6
    max_det: int = 300
    batch: int = 16


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """How to turn files into frames.

    Attributes
    ----------
    window
        Grey-level window; `window.parse_window` reads it from text.
    axis
        Plane in which NIfTI volumes are cut. Other formats are read as they are stored.
    limits
        What is refused before decoding.
    patient
        Whether frames of DICOM files carry the patient's id and name.
    """

    window: WindowSpec = AUTO
    axis: Axis = "axial"
    limits: Limits = field(default_factory=Limits)
    patient: bool = False


DEFAULT_OPTIONS = ReadOptions()
