"""Groups of settings that several commands share."""

from __future__ import annotations

from dataclasses import dataclass, field

from medrov_cli.core.base.constants import Limits
from medrov_cli.core.settings.choices import Axis, EngineName, Precision
from medrov_cli.core.settings.window import AUTO, WindowSpec


@dataclass(frozen=True, slots=True)
class RuntimeSettings:
    """Where and how a network runs.

    Attributes
    ----------
    device
        ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``.
    engine, precision
        Inference engine, and number format of the forward pass.
    imgsz
        Side of the square model input, in pixels; that of the model where null.
    batch
        Images in a forward pass; chosen by engine where null.
    offline
        Forbid every use of the network.
    """

    device: str = "auto"
    engine: EngineName = EngineName.AUTO
    precision: Precision = Precision.FP32
    imgsz: int | None = None
    batch: int | None = None
    offline: bool = False


@dataclass(frozen=True, slots=True)
class SelectionSettings:
    """Which detections are kept.

    Attributes
    ----------
    conf
        Lowest score, in the unit of the shown score; the operating point of each class where null
        (0.25 where the weights have none).
    raw_scores
        Show the scores of the network, without calibration.
    iou
        Of two boxes of a class with a larger IoU, the one with the higher score is kept (ultralytics').
    max_det
        Largest number of detections in an image (ultralytics').
    """

    conf: float | None = None
    raw_scores: bool = False
    iou: float = 0.7
    max_det: int = 300


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

    @property
    def selection(self) -> SelectionSettings:
        """Return the same selection of raw scores."""
        return SelectionSettings(self.conf, raw_scores=True, iou=self.iou, max_det=self.max_det)


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
