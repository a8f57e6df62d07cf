"""Groups of options that several commands share, and headings of ``--help``."""

from __future__ import annotations

from dataclasses import dataclass, replace

from medrov_cli.core.base.constants import DEFAULT_WEIGHTS
from medrov_cli.core.base.environment import is_offline
from medrov_cli.core.engines.registry import ENGINES
from medrov_cli.core.settings.choices import EngineName, Precision
from medrov_cli.core.settings.field import option
from medrov_cli.core.settings.values import check_device, check_imgsz, parse_memory

CLASSES_PANEL = "Classes and scores"
DATA_PANEL = "Images and classes"
INPUT_PANEL = "Input"
MODEL_PANEL = "Model"
OUTPUT_PANEL = "Output"

DEFAULT_CONF = 0.25
"""Lowest score for weights without operating points (ultralytics' ``predict``)."""

CONF_HELP = f"Minimum score, 0 to 1. Default: each class's threshold in the weights, else {DEFAULT_CONF}."
LEARNED_HELP = "File of 'medrov learn' with classes of the dataset; may be repeated."


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSettings:
    """Settings of the weights and the text encoder.

    Attributes
    ----------
    weights
        Name in the manifest, or a ``.safetensors`` file.
    text_encoder
        Specification of the text encoder; null: that of the weights.
    """

    weights: str = option(
        "--weights",
        "-w",
        default=DEFAULT_WEIGHTS,
        metavar="NAME|FILE",
        help="Name from 'medrov weights list', or .safetensors file.",
        panel=MODEL_PANEL,
        affects_result=True,
    )
    text_encoder: str | None = option(
        "--text-encoder",
        default=None,
        metavar="SPEC",
        help="Text encoder: minilm, hf-hub:ORG/NAME or local-dir:FOLDER. Default: from the weights.",
        panel=MODEL_PANEL,
    )


@dataclass(frozen=True, slots=True)
class RuntimeSettings:
    """Settings of the network.

    Attributes
    ----------
    device
        ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``.
    engine, precision
        Inference engine and its number format.
    imgsz
        Longest side of the model input, in pixels; null: that of the weights.
    rectangles
        Whether the model input has the shape of each image, not a square; null: by weights and engine.
    batch
        Images per forward pass; null: by engine and device.
    offline
        Whether the network is forbidden.
    max_memory
        Bytes that all images that are read at a time may need; null: a quarter of the memory.
    """

    device: str = option(
        "--device",
        default="auto",
        metavar="DEVICE",
        help="Device: auto, cpu, cuda, cuda:N or mps.",
        panel=MODEL_PANEL,
    )
    engine: EngineName = option(
        "--engine",
        default=EngineName.AUTO,
        choices=("auto", *(entry.name for entry in reversed(ENGINES))),
        help="Inference engine. auto: openvino on a CPU, torch on a GPU.",
        panel=MODEL_PANEL,
    )
    precision: Precision = option(
        "--precision",
        default=Precision.FP32,
        metavar="FORMAT",
        help="Number format: fp32, bf16, int8, fp16 (on a GPU) or auto (fastest of small loss).",
        panel=MODEL_PANEL,
        affects_result=True,
    )
    imgsz: int | None = option(
        "--imgsz",
        default=None,
        before="--device",
        metavar="PIXELS",
        help="Longest side of the model input in pixels, a multiple of 32. Default: from the weights.",
        panel=MODEL_PANEL,
    )
    rectangles: bool | None = option(
        "--rectangles/--squares",
        default=None,
        before="--device",
        help="Model input of the shape of each image, or square. Default: from the weights; on a GPU square.",
        panel=MODEL_PANEL,
    )
    batch: int | None = option(
        "--batch",
        default=None,
        low=1,
        metavar="IMAGES",
        help="Images per forward pass. Default: 8 on a GPU; on a CPU by its number of cores.",
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
    max_memory: int | None = option(
        "--max-memory",
        default=None,
        parse=parse_memory,
        metavar="SIZE",
        help="Memory for reading images, such as 4G. Default: 1/4 of the machine or container.",
        panel=INPUT_PANEL,
    )

    def check(self) -> None:
        """Refuse an invalid size of the model input, or a text that names no device.

        Raises
        ------
        MedrovError
            ``USAGE``, naming the option.
        """
        if self.imgsz is not None:
            check_imgsz(self.imgsz)
        check_device(self.device)


@dataclass(frozen=True, slots=True)
class SelectionSettings:
    """Selection of detections from the candidates of the network.

    Attributes
    ----------
    conf
        Minimum score in the unit of the output; null: the operating point of each class, or `DEFAULT_CONF`
        if the weights have none.
    raw_scores
        Whether scores are not calibrated.
    iou
        IoU above which the box with the lower score of two boxes of a class is removed.
    max_det
        Maximum number of detections per image, over all classes.
    literal
        Whether broader names that the weights do not know are searched by their texts, not as their kinds.
    """

    conf: float | None = option(
        "--conf", default=None, low=0, high=1, help=CONF_HELP, panel=CLASSES_PANEL, affects_result=True
    )
    raw_scores: bool = option(
        "--raw-scores",
        default=False,
        help="Output uncalibrated scores.",
        panel=CLASSES_PANEL,
        affects_result=True,
    )
    iou: float = option(
        "--iou",
        default=0.7,
        low=0,
        high=1,
        help="IoU above which the box with the lower score of two boxes of a class is removed.",
        panel=CLASSES_PANEL,
        source="ultralytics' predict",
        affects_result=True,
    )
    max_det: int = option(
        "--max-det",
        default=300,
        low=1,
        help="Maximum number of detections per image.",
        panel=CLASSES_PANEL,
        source="ultralytics' predict",
        affects_result=True,
    )
    literal: bool = option(
        "--literal",
        default=False,
        help="Search a broader name (tumor) by its text alone, not as the classes below it (brain tumor).",
        panel=CLASSES_PANEL,
        affects_result=True,
    )

    @property
    def selection(self) -> SelectionSettings:
        """Return the selection with raw scores."""
        return replace(self, raw_scores=True)


COCO_SELECTION = SelectionSettings(conf=0.001, raw_scores=True, iou=0.6)
"""Minimum score of evaluations: nearly every candidate is part of the precision-recall curve (as in COCO)."""

COCO_BATCH = 16
"""Images per forward pass in evaluations."""
