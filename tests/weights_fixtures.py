"""Tiny weights and checkpoints, made by the tests that need them."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import numpy as np

from medrov_cli.core.records.score_maps import CalibrationInfo, ClassCalibration
from medrov_cli.core.weights.container import EMBEDDINGS, save
from medrov_cli.core.weights.metadata import (
    ArchitectureInfo,
    ClassEntry,
    DatasetEntry,
    TextEncoderInfo,
    TrainingInfo,
    WeightsMetadata,
)

SIDE = 320
"""Side of the images on which checkpoints are compared, in pixels."""

CLASSES = ("lung nodule", "polyp", "red blood cell")


def unit_rows(count: int, seed: int = 0) -> np.ndarray:
    """Return random class embeddings, float32, (count, 512), L2 norm 1."""
    rows = np.random.default_rng(seed).standard_normal((count, 512)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def metadata(name: str = "tiny", **changes: Any) -> WeightsMetadata:
    """Return metadata of an n-sized detector with three classes."""
    values: dict[str, Any] = {
        "name": name,
        "architecture": ArchitectureInfo("n", text_adapter=True),
        "text_encoder": TextEncoderInfo("minilm", "all-MiniLM-L6-v2", "53aa5117", 384, 256),
        "imgsz": 320,
        "licence": "AGPL-3.0",
        "created_by": "medrov test",
        "vocabulary": tuple(ClassEntry(name) for name in CLASSES),
        "training": TrainingInfo((DatasetEntry("phantoms", "CC0-1.0"),), "random weights"),
        "results": {"map50": 0.5},
    }
    return WeightsMetadata(**(values | changes))


def made_up_calibration() -> CalibrationInfo:
    """Return a calibration with numbers that are easy to follow: nodules' scores are halved, all others
    squeezed from 0.2 to 0.6 into 0 to 1.
    """
    return CalibrationInfo(
        method="isotonic",
        dataset="phantoms",
        split="val",
        imgsz=320,
        classes=(
            ClassCalibration("lung nodule", 0.4, 0.7, (0.0, 1.0), (0.0, 0.5)),
            ClassCalibration("red blood cell", 0.1, 0.8, (0.2, 0.6), (0.0, 1.0)),
        ),
        pooled=ClassCalibration("", 0.3, 0.6, (0.2, 0.6), (0.0, 1.0)),
    )


def write_detector(
    path: Path, *, seed: int = 0, name: str = "tiny", calibration: CalibrationInfo | None = None
) -> Path:
    """Write a detector of size n with random weights, float16, and its class embeddings."""
    import torch

    from medrov_cli.core.model.checkpoint import detector_tensors
    from medrov_cli.core.model.network import Architecture, Detector

    torch.manual_seed(seed)
    tensors = detector_tensors(Detector(Architecture("n", text_adapter=True)))
    tensors[EMBEDDINGS] = unit_rows(len(CLASSES), seed).astype(np.float16)
    save(path, tensors, metadata(name, calibration=calibration))
    return path


def world_checkpoint(
    path: Path, scale: str, *, unused_branch: bool = True, classes: tuple[str, ...] = (), **facts: Any
) -> Path:
    """Write what ultralytics' trainer leaves: a pickled WorldModel, half precision, random weights.

    ``unused_branch`` adds the branch ``cv5`` that MedROV's released checkpoint has. With
    ``classes``, their embeddings are set as ``set_classes`` does.
    """
    import torch

    importlib.import_module("medrov_cli.core.model.blocks")  # first: it keeps ultralytics off the network
    from ultralytics.nn.tasks import WorldModel

    torch.manual_seed(7)
    model = WorldModel(f"yolov8{scale}-worldv2.yaml", verbose=False)
    model.model[9].cv1.act = torch.nn.SiLU()  # as in 8.3.147; newer versions left the activation out
    _make_lively(model)
    if unused_branch:
        head = model.model[-1]
        head.cv5 = torch.nn.ModuleList(
            torch.nn.Conv2d(branch[0].conv.in_channels, 1, 1) for branch in head.cv2
        )
    if classes:
        model.names = dict(enumerate(classes))
        model.txt_feats = torch.from_numpy(unit_rows(len(classes)))[None]
        model.model[-1].nc = len(classes)
    checkpoint = {
        "epoch": 19,
        "best_fitness": np.float64(0.5),
        "model": None,
        "ema": model.half(),
        "updates": 100,
        "optimizer": torch.optim.AdamW([torch.nn.Parameter(torch.ones(3))]).state_dict(),
        "train_args": {"imgsz": 640, "model": f"yolov8{scale}-worldv2.yaml", "project": None},
        "train_metrics": {"fitness": np.float64(0.5)},
        "date": "2025-11-20T10:00:00",
        "version": "8.3.147",
        "license": "AGPL-3.0 (https://ultralytics.com/license)",
    }
    torch.save(checkpoint | facts, path)
    return path


def smooth_images(count: int, seed: int) -> Any:
    """Return random images with structure at many scales, float32 tensor, (count, 3, SIDE, SIDE), 0 to 1."""
    import torch

    generator = torch.Generator().manual_seed(seed)
    layers = [
        torch.nn.functional.interpolate(
            torch.rand(count, 3, side, side, generator=generator), size=SIDE, mode="bilinear"
        )
        for side in (5, 20, 80)
    ]
    return torch.stack(layers).mean(0)


def _make_lively(model: Any) -> None:
    """Give every layer statistics of its own input, so that the output depends on all of them."""
    import torch

    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.weight, 0.6, 1.2)
            torch.nn.init.normal_(module.bias, 0, 0.3)
            module.momentum = 1.0
    for block in (model.model[index].attn for index in (12, 15, 18, 21)):
        torch.nn.init.normal_(block.bias, 0, 0.3)
    for contrast in model.model[-1].cv4:
        torch.nn.init.constant_(contrast.logit_scale, -0.5)
        torch.nn.init.constant_(contrast.bias, -0.5)
    with torch.no_grad():
        model.train().predict(smooth_images(2, seed=1), txt_feats=torch.from_numpy(unit_rows(80))[None])
    model.eval()
