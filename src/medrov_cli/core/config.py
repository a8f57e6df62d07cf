"""Settings and constants, each with its source. Standard library only."""

from __future__ import annotations

import os
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

TEXT_WIDTH = 512
"""Width of a class embedding (YOLO-World, arXiv 2401.17270; BiomedCLIP's joint space)."""

GRID = 32
"""Model pixels per cell of the coarsest level (YOLOv8): sides of the model input are multiples."""

STRIDES = (8, 16, 32)
"""Model pixels per grid cell of the three levels (YOLOv8)."""

REG_MAX = 16
"""Bins of a distance's distribution (generalised focal loss, arXiv 2006.04388)."""

MAX_IMGSZ = 4096
"""Largest side of the model input, in pixels."""

DEFAULT_WEIGHTS = "medrov-n"
"""Name, in the manifest, of the weights that come with the package."""

DEFAULT_TEXT_ENCODER = "minilm"
"""Spec of the offline text encoder: all-MiniLM-L6-v2 from an installed package."""

RESEARCH_NOTICE = "Research use only; not a medical device."


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


@dataclass(frozen=True, slots=True)
class Limits:
    """What is refused before decoding, so that no input can exhaust the machine.

    The defaults are far above what clinical images reach: the largest common DICOM
    radiographs have 4,000 x 5,000 pixels, enhanced multi-frame CT some 2,000 frames.
    """

    pixels_per_frame: int = 200_000_000
    frames: int = 20_000
    inflated_bytes: int = 8 * 1024**3
    archive_members: int = 10_000


def is_offline(flag: bool = False) -> bool:
    """Tell whether the network is forbidden, by ``flag`` or ``MEDROV_OFFLINE``."""
    return flag or os.environ.get("MEDROV_OFFLINE", "").lower() not in ("", "0", "false", "no")


def cache_dir() -> Path:
    """Return our cache folder: ``MEDROV_CACHE``, or the user's cache folder. Not created."""
    override = os.environ.get("MEDROV_CACHE")
    if override:
        return Path(override)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "medrov"
