"""Ultralytics' own predictor of YOLO-World, given our network: what ``detect`` is compared with."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from medrov_cli.core.base.environment import usable_cores
from medrov_cli.core.base.errors import ErrorCode, MedrovError, usage_error
from medrov_cli.core.benchmarking.subject import IOU, MAX_DET, Model
from medrov_cli.core.benchmarking.transplant import as_world_model, as_yolo, quiet
from medrov_cli.core.engines.interface import Engine
from medrov_cli.core.records.boxes import IntArray
from medrov_cli.core.records.frame import Float32Array, UInt8Array

SCORE_TOLERANCE = 1e-3
BOX_TOLERANCE_PX = 0.1
"""Largest differences, over all anchors and classes, with which two networks are the same one."""

BATCHES = (1, 8)

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff"})
"""What both can read."""


@dataclass(frozen=True, slots=True)
class RivalSettings:
    """One way to call the predictor.

    Attributes
    ----------
    batch
        Images a forward pass.
    rect
        Cut the border to multiples of the stride (its default, for images of one shape); else square.
    threads
        Torch's threads; null: those that ultralytics sets, one fewer than there are cores.
    half
        fp16; on a GPU only.
    """

    batch: int
    rect: bool
    threads: int | None
    half: bool = False

    def as_dict(self) -> dict[str, Any]:
        """Return the ``settings`` object of a trial."""
        return {"batch": self.batch, "rect": self.rect, "threads": self.threads, "half": self.half}


class Rival:
    """Ultralytics' predictor with our weights.

    Parameters
    ----------
    model
        The weights, the classes, and the size of the images.
    device
        ``cpu`` or ``cuda``.
    conf
        Lowest score.
    """

    def __init__(self, model: Model, device: str, conf: float) -> None:
        self._imgsz, self._device, self._conf = model.imgsz, device, conf
        self._classes = len(model.classes.names)
        self.world = as_world_model(model)
        self._yolo = as_yolo(self.world, model.metadata.architecture.scale)

    def differences(self, engine: Engine, images_rgb: UInt8Array) -> tuple[float, float]:
        """Return the largest differences to an engine on images, uint8 (n, s, s, 3), before suppression.

        Returns
        -------
        scores, boxes_px
            Over all anchors and classes.
        """
        scores_apart = boxes_apart = 0.0
        for image, ours in zip(images_rgb, engine.infer(images_rgb, 0.0), strict=True):
            boxes, scores = self._raw(image)
            scores_apart = max(scores_apart, float(np.abs(scores - ours.scores).max()))
            boxes_apart = max(boxes_apart, float(np.abs(boxes - ours.boxes_xyxy).max()))
        return scores_apart, boxes_apart

    def require_equal(self, engine: Engine, images_rgb: UInt8Array) -> dict[str, float]:
        """Refuse to compare speeds of networks that do not give the same.

        Raises
        ------
        MedrovError
            ``INTERNAL``.
        """
        scores, boxes_px = self.differences(engine, images_rgb)
        if scores > SCORE_TOLERANCE or boxes_px > BOX_TOLERANCE_PX:
            raise MedrovError(
                ErrorCode.INTERNAL,
                f"ultralytics' network gives other results than ours: scores differ by {scores:.2g}, "
                f"boxes by {boxes_px:.2g} pixels; speeds of different networks are not compared",
                "This version of ultralytics may have changed YOLO-World.",
            )
        return {"score": float(f"{scores:.2g}"), "box_px": float(f"{boxes_px:.2g}")}

    def candidates(self) -> list[RivalSettings]:
        """Return the settings to try."""
        halves = (False, True) if self._device != "cpu" else (False,)
        threads = (None,) if self._device != "cpu" else (None, usable_cores())
        return [
            RivalSettings(batch, rect, count, half)
            for half, count, batch, rect in product(halves, threads, BATCHES, (True, False))
        ]

    def images_per_s(self, settings: RivalSettings, listing: Path) -> float:
        """Predict the files of a list, one a line; return images per second, from files to boxes as lists."""
        with self._predicting(settings, listing) as results:
            started = time.perf_counter()
            images = 0
            for result in results:
                result.boxes.data.tolist()
                images += 1
            self._synchronise()
            return images / (time.perf_counter() - started)

    def detections(
        self, settings: RivalSettings, listing: Path
    ) -> list[tuple[Float32Array, Float32Array, IntArray]]:
        """Return boxes (n, 4) in source pixels, scores (n,) and labels (n,) of every file of a list."""
        with self._predicting(settings, listing) as results:
            rows = [result.boxes.data.float().cpu().numpy() for result in results]
        return [(found[:, :4], found[:, 4], found[:, 5].astype(np.int64)) for found in rows]

    @contextmanager
    def _predicting(self, settings: RivalSettings, listing: Path) -> Iterator[Iterator[Any]]:
        """Hand out its results as they come; all is set up, and no file is read yet."""
        asked = {
            "source": str(listing),
            "stream": True,
            "imgsz": self._imgsz,
            "batch": settings.batch,
            "rect": settings.rect,
            "device": self._device,
            "conf": self._conf,
            "iou": IOU,
            "max_det": MAX_DET,
            "classes": list(range(self._classes)),
            "save": False,
            "verbose": False,
        }
        if settings.half:
            asked["half"] = True
        with quiet(), _own_threads():
            results = self._yolo.predict(**asked)
            if settings.threads is not None:
                torch.set_num_threads(settings.threads)
            self._synchronise()
            yield results

    def _raw(self, image_rgb: UInt8Array) -> tuple[Float32Array, Float32Array]:
        """Return boxes (anchors, 4) and scores (anchors, classes) of a model input, before suppression."""
        pixels = torch.from_numpy(image_rgb).permute(2, 0, 1).float().div(255)[None]
        with torch.inference_mode():
            found = self.world.predict(pixels)[0][0]  # (4 + classes, anchors)
        centre, size = found[:2].T, found[2:4].T
        boxes = torch.cat((centre - size / 2, centre + size / 2), 1)
        return boxes.numpy(), found[4 : 4 + self._classes].T.numpy()

    def _synchronise(self) -> None:
        if self._device.startswith("cuda"):
            torch.cuda.synchronize()


def check_raster(paths: Sequence[str]) -> None:
    """Refuse files that ultralytics cannot read.

    Raises
    ------
    MedrovError
        ``USAGE``.
    """
    for path in paths:
        if Path(path).suffix.lower() not in SUFFIXES:
            raise usage_error(
                f"--against ultralytics: it cannot read {path}",
                "Give PNG, JPEG, BMP, WebP or TIFF files.",
            )


def write_listing(path: Path, files: Sequence[str]) -> Path:
    """Write files, absolute, as a list that the predictor takes as its source."""
    path.write_text("".join(f"{Path(file).absolute()}\n" for file in files), encoding="utf-8")
    return path


@contextmanager
def _own_threads() -> Iterator[None]:
    """Give torch and OpenCV the threads that ultralytics sets, and afterwards those that they had."""
    from ultralytics.utils import NUM_THREADS

    before = torch.get_num_threads(), cv2.getNumThreads()
    torch.set_num_threads(NUM_THREADS)
    cv2.setNumThreads(0)
    try:
        yield
    finally:
        torch.set_num_threads(before[0])
        cv2.setNumThreads(before[1])
