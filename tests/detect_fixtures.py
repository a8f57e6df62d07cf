"""A tiny detector that finds much, small images, and a run of ``detect`` on them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from medrov_cli.core.records.score_maps import CalibrationInfo
from medrov_cli.core.settings.choices import Modality
from medrov_cli.core.weights.container import EMBEDDINGS, save
from medrov_cli.core.weights.metadata import ClassEntry
from weights_fixtures import CLASSES, metadata, unit_rows

IMGSZ = 96
VOCABULARY = (
    ClassEntry("lung nodule", (), (Modality.CT,)),
    ClassEntry("polyp", (), (Modality.ENDOSCOPY,)),
    ClassEntry("red blood cell", ("red blood cell", "erythrocyte"), (Modality.MICROSCOPY,)),
)
"""The classes of the tiny detector, each with one modality that can show it."""


def write_eager_detector(
    path: Path,
    *,
    seed: int = 0,
    vocabulary: Sequence[ClassEntry] = VOCABULARY,
    calibration: CalibrationInfo | None = None,
) -> Path:
    """Write a random detector of size n, scaled so that some scores are high on any image."""
    import torch

    from medrov_cli.core.model.checkpoint import detector_tensors
    from medrov_cli.core.model.network import Architecture, Detector

    torch.manual_seed(seed)
    detector = Detector(Architecture("n", text_adapter=True))
    for module in detector.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = 0.5
    squares = [cv2.resize(noise_image(number), (IMGSZ, IMGSZ)) for number in range(8)]
    images = torch.from_numpy(np.stack(squares)).permute(0, 3, 1, 2) / 255
    text = torch.from_numpy(unit_rows(len(CLASSES), seed))
    with torch.no_grad():
        for _ in range(12):  # until the statistics of the batch norms have settled
            detector.train()(images, text)
        raw = detector.eval()(images, text)
        box_gain, logit_gain = 1.5 / raw.distances.std(), 1.5 / raw.logits.std()
        shift = -3.0 - logit_gain * (raw.logits.mean() - detector.head.cv4[0].bias)
        for boxes, contrast in zip(detector.head.cv2, detector.head.cv4, strict=True):
            boxes[-1].weight.mul_(box_gain)
            contrast.logit_scale.add_(logit_gain.log())
            contrast.bias.copy_(shift)
    tensors = detector_tensors(detector)
    tensors[EMBEDDINGS] = unit_rows(len(vocabulary), seed).astype(np.float16)
    if not vocabulary:
        del tensors[EMBEDDINGS]
    own = metadata("eager", imgsz=IMGSZ, vocabulary=tuple(vocabulary), calibration=calibration)
    save(path, tensors, own)
    return path


def noise_image(seed: int, height: int = 60, width: int = 80) -> np.ndarray:
    """Return a random image with structure, uint8, (height, width, 3)."""
    coarse = np.random.default_rng(seed).integers(0, 256, (8, 10, 3), dtype=np.uint8)
    return np.asarray(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC))


def write_images(folder: Path, count: int, *, first: int = 0) -> list[Path]:
    """Write random PNGs ``000.png``, ``001.png`` ... of 60 x 80 pixels."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{number:03d}.png" for number in range(first, first + count)]
    for number, path in enumerate(paths, first):
        path.write_bytes(cv2.imencode(".png", noise_image(number))[1].tobytes())
    return paths


def folder_bytes(folder: Path) -> dict[str, bytes]:
    """Return every file below a folder, hidden ones too, by relative path."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def detections_of(records: Sequence[Any]) -> list[Any]:
    """Return all detections of some records."""
    return [found for record in records for found in record.get("detections", ())]
