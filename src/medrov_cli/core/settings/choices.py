"""Choices of options: enums and literal types."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Literal

from medrov_cli.core.base.errors import usage_error
from medrov_cli.core.writers.registry import WRITERS


class Modality(StrEnum):
    """The nine imaging modalities of Omnis (arXiv 2511.20650)."""

    CT = "CT"
    MRI = "MRI"
    XRAY = "X-ray"
    ULTRASOUND = "ultrasound"
    HISTOPATHOLOGY = "histopathology"
    DERMOSCOPY = "dermoscopy"
    FUNDOSCOPY = "fundoscopy"
    ENDOSCOPY = "endoscopy"
    MICROSCOPY = "microscopy"

    @classmethod
    def parse(cls, text: str) -> Modality:
        """Return the modality that ``text`` names, whatever its case.

        Raises
        ------
        ValueError
            If it is none of the nine.
        """
        for member in cls:
            if member.value.casefold() == text.strip().casefold():
                return member
        known = ", ".join(member.value for member in cls)
        raise ValueError(f"unknown modality {text!r}; known: {known}")


class Appearance(StrEnum):
    """How training images are changed without moving a box."""

    PLAIN = "plain"
    MEDICAL = "medical"


class TextStart(StrEnum):
    """What the trained map on class embeddings is before its first step."""

    CENTRED = "centred"
    WHITENED = "whitened"


class Balance(StrEnum):
    """What training images are grouped by, so that those of rare groups are drawn more often."""

    OFF = "off"
    SOURCE = "source"
    MODALITY = "modality"
    CLASS = "class"


class OptimizerName(StrEnum):
    """How weights are moved: by AdamW, or hidden convolutions by orthogonalised steps."""

    ADAMW = "adamw"
    MUON = "muon"


class Teacher(StrEnum):
    """Whose predictions become pseudo-labels: those of the weights' moving average, or as they are."""

    AVERAGE = "average"
    CURRENT = "current"


class Part(StrEnum):
    """What of the network can be kept as it is while the rest is trained."""

    BACKBONE = "backbone"
    NECK = "neck"
    HEAD = "head"
    TEXT = "text"


class Negative(StrEnum):
    """What an image is asked for besides its own classes, in training."""

    RANDOM = "random"
    FEDERATED = "federated"
    BACKGROUND = "background"
    HARD = "hard"


class Tracker(StrEnum):
    """Where a training run is also reported, by that library's own logger."""

    TENSORBOARD = "tensorboard"
    MLFLOW = "mlflow"
    WANDB = "wandb"


Axis = Literal["axial", "coronal", "sagittal"]
"""The plane of the slices: across the body, front to back, or left to right."""


class EngineName(StrEnum):
    """The engines that can be opened; ``auto`` takes the fastest that was measured and is there."""

    AUTO = "auto"
    TORCH = "torch"
    ONNX = "onnx"
    OPENVINO = "openvino"


class Precision(StrEnum):
    """Number format of the forward pass."""

    FP32 = "fp32"
    BF16 = "bf16"


class Phi(StrEnum):
    """What of a DICOM header leaves the program, beside modality, size, spacing and frame.

    ``drop``: the UIDs alone. ``hash``: the UIDs hashed. ``keep``: the UIDs, the patient's id and
    name.
    """

    DROP = "drop"
    HASH = "hash"
    KEEP = "keep"


Split = Literal["train", "val", "test"]


SPLITS: tuple[Split, ...] = ("train", "val", "test")


class SplitName(StrEnum):
    """A split, or the lack of one."""

    TRAIN = "train"
    VAL = "val"
    TEST = "test"
    NONE = "none"


CalibrationMethod = Literal["isotonic", "platt"]


Annotators = Literal["keep", "merge"]
"""What becomes of the boxes that several people have drawn."""


PhantomFormat = Literal["png", "masks", "dicom", "nifti"]
"""Formats of ``data phantom``."""


OUTPUT_FORMATS = tuple(entry.name for entry in WRITERS)
"""What ``--format`` takes."""

OUTPUT_FORMATS_HELP = ", ".join(entry.name + (f" ({entry.help})" if entry.help else "") for entry in WRITERS)


def parse_formats(values: Sequence[str]) -> tuple[str, ...]:
    """Return the names of ``--format a,b --format c``, each once.

    Raises
    ------
    MedrovError
        ``USAGE`` for an unknown one.
    """
    names = [name.strip().lower() for value in values for name in value.split(",")]
    for name in names:
        if name not in OUTPUT_FORMATS:
            raise usage_error(f"--format: unknown {name!r}", f"Give some of {', '.join(OUTPUT_FORMATS)}.")
    return tuple(dict.fromkeys(names))


class ExportFormat(StrEnum):
    """The kinds of files that ``medrov export`` writes."""

    ONNX = "onnx"
    OPENVINO = "openvino"
    TORCHSCRIPT = "torchscript"
    TENSORRT = "tensorrt"
    COREML = "coreml"


class ExportPrecision(StrEnum):
    """Number format of an exported model."""

    FP32 = "fp32"
    FP16 = "fp16"
    BF16 = "bf16"
    INT8 = "int8"
