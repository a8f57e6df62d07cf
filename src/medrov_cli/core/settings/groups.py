"""Groups of options that several commands share, and the headings of ``--help``."""

from __future__ import annotations

from dataclasses import dataclass, field

from medrov_cli.core.base.constants import Limits
from medrov_cli.core.base.environment import is_offline
from medrov_cli.core.engines.registry import ENGINES
from medrov_cli.core.settings.choices import Axis, EngineName, Precision
from medrov_cli.core.settings.field import option
from medrov_cli.core.settings.values import check_device, check_imgsz
from medrov_cli.core.settings.window import AUTO, WindowSpec

CLASSES_PANEL = "What to find"
DATA_PANEL = "Images and classes"
INPUT_PANEL = "Input"
MODEL_PANEL = "Model"
OUTPUT_PANEL = "Output"


@dataclass(frozen=True, slots=True, kw_only=True)
class RuntimeSettings:
    """Where and how the network runs.

    Attributes
    ----------
    imgsz
        Side of the square model input, in pixels; null: that of the weights.
    device
        ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``.
    engine, precision
        What computes, and in which number format.
    batch
        Images a forward pass; null: chosen by engine and device.
    offline
        Forbid every use of the network.
    """

    imgsz: int | None = option(
        "--imgsz",
        default=None,
        metavar="PIXELS",
        help="Side of the square model input, a multiple of 32. Default: the one of the weights.",
        panel=MODEL_PANEL,
    )
    device: str = option(
        "--device",
        default="auto",
        metavar="DEVICE",
        help="auto, cpu, cuda, cuda:N or mps.",
        panel=MODEL_PANEL,
    )
    engine: EngineName = option(
        "--engine",
        default=EngineName.AUTO,
        choices=("auto", *(entry.name for entry in reversed(ENGINES))),
        help="What runs the network. auto: openvino on a CPU, torch on a GPU.",
        panel=MODEL_PANEL,
    )
    precision: Precision = option(
        "--precision",
        default=Precision.FP32,
        help="Number format of the network.",
        panel=MODEL_PANEL,
        affects_result=True,
    )
    batch: int | None = option(
        "--batch",
        default=None,
        low=1,
        metavar="IMAGES",
        help="Images a forward pass. Default: 8 on a GPU; on a CPU as many as fill it.",
        panel=MODEL_PANEL,
    )
    offline: bool = option(
        "--offline",
        default=False,
        given=bool,
        parse=is_offline,
        help="Forbid every use of the network (also MEDROV_OFFLINE=1).",
        panel=MODEL_PANEL,
    )

    def check(self) -> None:
        """Refuse a bad size of the model input, or a text that names no device.

        Raises
        ------
        MedrovError
            ``USAGE``, naming the option.
        """
        if self.imgsz is not None:
            check_imgsz(self.imgsz)
        check_device(self.device)


@dataclass(frozen=True, slots=True, kw_only=True)
class SelectionSettings:
    """Which candidates of the network become detections.

    Attributes
    ----------
    conf
        Lowest score as it is shown; null: the operating point of each class, 0.25 where the weights have
        none.
    raw_scores
        Scores as the network gives them, without calibration.
    iou
        Of two boxes of a class that overlap more than this IoU, the one with the higher score stays.
    max_det
        Detections an image, over all classes.
    """

    conf: float | None = option(
        "--conf",
        default=None,
        low=0,
        high=1,
        help="Lowest score of a detection. Default: each class's own, stored with the weights, else 0.25.",
        panel=CLASSES_PANEL,
        affects_result=True,
    )
    raw_scores: bool = option(
        "--raw-scores",
        default=False,
        help="Show the network's scores, not calibrated.",
        panel=CLASSES_PANEL,
        affects_result=True,
    )
    iou: float = option(
        "--iou",
        default=0.7,
        low=0,
        high=1,
        help="Overlap from which the weaker of two boxes of a class is dropped.",
        panel=CLASSES_PANEL,
        source="ultralytics' predict",
        affects_result=True,
    )
    max_det: int = option(
        "--max-det",
        default=300,
        low=1,
        help="Most detections in one image.",
        panel=CLASSES_PANEL,
        source="ultralytics' predict",
        affects_result=True,
    )


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
