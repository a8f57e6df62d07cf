"""Choices of options: enums and literal types."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Literal, get_args

from medrov_cli.core.base.errors import usage_error
from medrov_cli.core.writers.registry import WRITERS

STDIN = "-"
"""Name of standard input instead of a path."""


class Modality(StrEnum):
    """Imaging modalities of Omnis (arXiv 2511.20650)."""

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
        """Return the modality with the name ``text``, in upper or lower case.

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


class ModalitySource(StrEnum):
    """Origin of the modality of an image."""

    DICOM = "dicom"
    FILE = "file"
    IMAGE_KIND = "image_kind"


class Appearance(StrEnum):
    """Kinds of changes of the pixels of training images."""

    PLAIN = "plain"
    MEDICAL = "medical"


class TextStart(StrEnum):
    """Initial values of the trained text adapter."""

    CENTRED = "centred"
    WHITENED = "whitened"


class Balance(StrEnum):
    """Groups of training images, of which rare ones are drawn more often."""

    OFF = "off"
    SOURCE = "source"
    MODALITY = "modality"
    CLASS = "class"


class OptimizerName(StrEnum):
    """Optimizers: AdamW, or orthogonalised steps for hidden convolutions."""

    ADAMW = "adamw"
    MUON = "muon"


class Teacher(StrEnum):
    """Networks that predict pseudo-labels: the moving average of the weights, or the current weights."""

    AVERAGE = "average"
    CURRENT = "current"


class Part(StrEnum):
    """Parts of the network that can be frozen."""

    BACKBONE = "backbone"
    NECK = "neck"
    HEAD = "head"
    TEXT = "text"


class Negative(StrEnum):
    """Kinds of negative prompts of a training image."""

    RANDOM = "random"
    FEDERATED = "federated"
    BACKGROUND = "background"
    HARD = "hard"


class Tracker(StrEnum):
    """Trackers of a training run."""

    TENSORBOARD = "tensorboard"
    MLFLOW = "mlflow"
    WANDB = "wandb"


Axis = Literal["axial", "coronal", "sagittal"]
"""Plane of the slices."""


class EngineName(StrEnum):
    """Inference engines; ``auto`` is the fastest measured one that is available."""

    AUTO = "auto"
    TORCH = "torch"
    ONNX = "onnx"
    OPENVINO = "openvino"


class Precision(StrEnum):
    """Number format of the forward pass; ``auto`` is the fastest one with a small known loss."""

    FP32 = "fp32"
    FP16 = "fp16"
    BF16 = "bf16"
    INT8 = "int8"
    AUTO = "auto"


class Phi(StrEnum):
    """DICOM identifiers that leave the program, beside modality, size, spacing and frame.

    ``drop``: the UIDs only. ``hash``: the UIDs hashed. ``keep``: the UIDs, the patient's id and
    name.
    """

    DROP = "drop"
    HASH = "hash"
    KEEP = "keep"


Split = Literal["train", "val", "test"]


SPLITS: tuple[Split, ...] = ("train", "val", "test")


class SplitName(StrEnum):
    """Split, or no split."""

    TRAIN = "train"
    VAL = "val"
    TEST = "test"
    NONE = "none"


CalibrationMethod = Literal["isotonic", "platt"]


Annotators = Literal["keep", "merge"]
"""Treatment of boxes of one object by several annotators."""


PhantomFormat = Literal["png", "masks", "dicom", "nifti"]
"""Formats of ``data phantom``."""


OUTPUT_FORMATS = tuple(entry.name for entry in WRITERS)
"""Values of ``--format``."""

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


def parse_planes(values: Sequence[str]) -> tuple[Axis, ...]:
    """Return the planes of ``--planes a,b --planes c``, each once, in the order of `Axis`.

    Raises
    ------
    MedrovError
        ``USAGE`` for an unknown one.
    """
    names = {name.strip().lower() for value in values for name in value.split(",")}
    planes: tuple[Axis, ...] = get_args(Axis)
    if unknown := sorted(names - set(planes)):
        raise usage_error(f"--planes: unknown {unknown[0]!r}", f"Give some of {', '.join(planes)}.")
    return tuple(plane for plane in planes if plane in names)


class ExportFormat(StrEnum):
    """File formats of ``medrov export``."""

    ONNX = "onnx"
    OPENVINO = "openvino"
    TORCH_EXPORT = "torch_export"
    TORCHSCRIPT = "torchscript"
    TENSORRT = "tensorrt"
    COREML = "coreml"


class ExportPrecision(StrEnum):
    """Number format of an exported model."""

    FP32 = "fp32"
    FP16 = "fp16"
    BF16 = "bf16"
    INT8 = "int8"
