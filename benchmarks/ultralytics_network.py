"""Conversion of a network to ultralytics' WorldModel with its parameters and class embeddings.

The network is imported inside functions, because the import of ultralytics sets the threads of OpenCV to 0.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.benchmarking.benchmark_model import BenchmarkModel

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff"})
"""Suffixes of files that both programs read."""


def check_raster(paths: Sequence[str]) -> None:
    """Refuse files that ultralytics cannot read.

    Raises
    ------
    MedrovError
        ``USAGE``.
    """
    for path in paths:
        if Path(path).suffix.lower() not in SUFFIXES:
            raise MedrovError(
                ErrorCode.USAGE,
                f"ultralytics cannot read {path}",
                "Give PNG, JPEG, BMP, WebP or TIFF files.",
            )


def as_world_model(model: BenchmarkModel) -> Any:
    """Return ultralytics' WorldModel with the parameters and class embeddings, in evaluation mode.

    The text adapter, which ultralytics does not have, is applied to the embeddings; a background is an
    additional last class.

    Raises
    ------
    MedrovError
        ``WEIGHTS_CORRUPT``; ``INTERNAL`` if ultralytics' network has another parameter.
    """
    from ultralytics.nn.tasks import WorldModel

    from medrov_cli.core.model.blocks import Conv
    from medrov_cli.core.model.checkpoint import load_detector

    detector = load_detector(model.path)
    with quiet():
        world: Any = WorldModel(f"yolov8{model.metadata.architecture.scale}-worldv2.yaml", verbose=False)
    ours = {name: value for name, value in detector.state_dict().items() if name.startswith("model.")}
    missing, _ = world.load_state_dict(ours, strict=False)
    lost = [name for name in missing if not name.endswith("num_batches_tracked")]
    if lost:
        raise MedrovError(
            ErrorCode.INTERNAL, f"ultralytics' network has a parameter that ours lacks: {lost[0]}"
        )
    # Newer versions omit an activation of the trained network.
    world.model[9].cv1.act = Conv.default_act
    text = torch.from_numpy(model.classes.embeddings)
    names = list(model.classes.names)
    if detector.architecture.background:
        background: Tensor = detector.get_buffer("background")
        text, names = torch.cat((text, background[None])), [*names, "background"]
    with torch.inference_mode():
        adapted = detector.adapt_text(text)
    world.txt_feats = adapted.clone()[None]
    world.model[-1].nc = len(names)
    world.names = dict(enumerate(names))
    return world.eval().requires_grad_(False)


def save_checkpoint(model: BenchmarkModel, path: Path) -> None:
    """Write the network in the format of ultralytics: a pickled model in half precision."""
    world = as_world_model(model)
    as_yolo(world, model.metadata.architecture.scale)  # sets the fields of a trained model
    torch.save({"model": world.half(), "train_args": {"task": "detect", "imgsz": model.imgsz}}, path)


def as_yolo(world: Any, scale: str) -> Any:
    """Return ultralytics' YOLOWorld with the network."""
    from ultralytics.models import YOLOWorld

    with quiet():
        yolo: Any = YOLOWorld(f"yolov8{scale}-worldv2.yaml", verbose=False)
    world.args, world.task = yolo.model.args, "detect"
    yolo.model = world
    return yolo


@contextmanager
def quiet() -> Iterator[None]:
    """Suppress ultralytics' log during the body."""
    logger = logging.getLogger("ultralytics")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)
