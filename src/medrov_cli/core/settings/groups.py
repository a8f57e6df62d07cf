"""Groups of options that several commands share, and the headings of ``--help``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from medrov_cli.core.base.constants import DEFAULT_WEIGHTS
from medrov_cli.core.base.environment import is_offline
from medrov_cli.core.base.errors import excludes
from medrov_cli.core.engines.registry import ENGINES
from medrov_cli.core.settings.choices import EngineName, Precision
from medrov_cli.core.settings.field import option
from medrov_cli.core.settings.values import Prompt, check_device, check_imgsz, parse_classes

CLASSES_PANEL = "Classes and scores"
DATA_PANEL = "Images and classes"
INPUT_PANEL = "Input"
MODEL_PANEL = "Model"
OUTPUT_PANEL = "Output"

STDIN = "-"
"""In place of a path: standard input."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSettings:
    """The network and the encoder of its class names.

    Attributes
    ----------
    weights
        Name in the manifest, or a ``.safetensors`` file.
    text_encoder
        Spec of the text encoder; null: that of the weights.
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
    """Where and how the network runs.

    Attributes
    ----------
    device
        ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``.
    engine, precision
        What computes, and in which number format.
    imgsz
        Side of the square model input, in pixels; null: that of the weights.
    batch
        Images a forward pass; null: chosen by engine and device.
    offline
        Forbid every use of the network.
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
        help="Number format of the network.",
        panel=MODEL_PANEL,
        affects_result=True,
    )
    imgsz: int | None = option(
        "--imgsz",
        default=None,
        before="--device",
        metavar="PIXELS",
        help="Side of the square model input in pixels, a multiple of 32. Default: from the weights.",
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


@dataclass(frozen=True, slots=True)
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
        help="Minimum score, 0 to 1. Default: the threshold of each class in the weights, else 0.25.",
        panel=CLASSES_PANEL,
        affects_result=True,
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

    @property
    def selection(self) -> SelectionSettings:
        """Return the same selection of raw scores."""
        return SelectionSettings(self.conf, raw_scores=True, iou=self.iou, max_det=self.max_det)


COCO_SELECTION = SelectionSettings(conf=0.001, raw_scores=True, iou=0.6)
"""For scoring: nearly every candidate takes part in the precision-recall curve (COCO's practice)."""

COCO_BATCH = 16
"""Images a forward pass where detections are scored."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassSettings:
    """What is searched for.

    Attributes
    ----------
    classes
        Classes and their synonyms; with none here and in the file, the vocabulary of the weights.
    classes_file
        Text file with one class a line; ``-``: standard input.
    """

    classes: tuple[Prompt, ...] = option(
        "--classes",
        "-c",
        default=(),
        parse=parse_classes,
        metavar="TEXT",
        help='Classes, comma separated: "lung nodule, polyp"; a/b are synonyms of one class.',
        panel=CLASSES_PANEL,
    )
    classes_file: Path | None = option(
        "--classes-file",
        default=None,
        metavar="FILE",
        help="Text file of classes, one per line; - reads stdin.",
        panel=CLASSES_PANEL,
    )

    @property
    def is_empty(self) -> bool:
        """Tell whether no class is named."""
        return not self.classes and self.classes_file is None

    @property
    def reads_stdin(self) -> bool:
        """Tell whether the classes come from standard input."""
        return self.classes_file is not None and str(self.classes_file) == STDIN

    def check(self) -> None:
        """Refuse classes from two places.

        Raises
        ------
        MedrovError
            ``USAGE``.
        """
        if self.classes and self.classes_file is not None:
            raise excludes("--classes", "--classes-file", "Give one.")
