"""Constants, each with its source, and limits of inputs."""

from __future__ import annotations

from dataclasses import dataclass

TEXT_WIDTH = 512
"""Width of a class embedding (YOLO-World, arXiv 2401.17270; BiomedCLIP's joint space)."""

GRID = 32
"""Model pixels per cell of the coarsest level (YOLOv8): sides of the model input are multiples."""

STRIDES = (8, 16, 32)
"""Model pixels per grid cell of the three levels (YOLOv8)."""

REG_MAX = 16
"""Bins of a distance's distribution (generalised focal loss, arXiv 2006.04388)."""

POOLED = "pooled"
"""Name of the output of a graph with the pooled features of an image, from which its kind is classified."""

MAX_IMGSZ = 4096
"""Largest side of the model input, in pixels."""

OPSET = 17
"""ONNX operator set: supported by TensorRT 8.6 and OpenVINO 2022, with all required operators."""

DEFAULT_WEIGHTS = "medrov-n"
"""Name in the manifest of the weights in the package."""

DEFAULT_TEXT_ENCODER = "minilm"
"""Spec of the offline text encoder: all-MiniLM-L6-v2 from an installed package."""

RESEARCH_NOTICE = "Research use only; not a medical device."


@dataclass(frozen=True, slots=True)
class InputLimits:
    """Limits of inputs, checked before decoding, so that no input can exhaust the machine.

    ``pixels_per_frame`` holds for what is decoded whole, ``pixels_per_slide`` for what is read by regions.
    The defaults are far above clinical images: the largest common DICOM radiographs have 4,000 x 5,000
    pixels, and enhanced multi-frame CT about 2,000 frames.
    """

    pixels_per_frame: int = 200_000_000
    pixels_per_slide: int = 40_000_000_000
    frames: int = 20_000
    inflated_bytes: int = 8 * 1024**3
    archive_members: int = 10_000
    archive_bytes: int = 64 * 1024**3
    archive_depth: int = 3


EXPORTED_SUFFIXES = frozenset({".onnx", ".xml"})
"""Limits of exported models in ``detect``."""

MAX_COMPILED = 64
"""Maximum number of compiled models in a cache folder; the least recently used one is removed first."""
