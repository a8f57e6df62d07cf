"""Search of an image by SAHI with the weights of ``medrov`` in ultralytics' YOLO-World."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from medrov_cli.core.base.constants import DEFAULT_WEIGHTS
from medrov_cli.core.base.environment import usable_cores
from medrov_cli.core.benchmarking.benchmark_model import BenchmarkModel
from medrov_cli.core.prediction.classes import ClassList
from medrov_cli.core.records.detections import Detections
from medrov_cli.core.settings.values import Prompt
from medrov_cli.core.weights import container, resolution

CORES = usable_cores()
"""Cores of both programs, counted before the import of ultralytics, which sets ``OMP_NUM_THREADS`` to 1."""


@dataclass(frozen=True)
class SahiWay:
    """Settings of SAHI.

    Attributes
    ----------
    batch
        Tiles per forward pass.
    options
        Arguments of ``get_sliced_prediction`` beside the tiles; empty: its defaults.
    is_openvino
        Whether ultralytics runs its export to OpenVINO instead of torch.
    """

    batch: int
    options: Mapping[str, Any]
    is_openvino: bool = False


_BEST = {
    "postprocess_type": "NMS",
    "postprocess_match_metric": "IOU",
    "perform_standard_pred": False,
}

WAYS: dict[str, SahiWay] = {
    "defaults": SahiWay(1, {}),
    "merging": SahiWay(8, {"perform_standard_pred": False, "force_postprocess_type": True}),
    "best": SahiWay(8, _BEST),
    "openvino": SahiWay(8, _BEST, is_openvino=True),
}
"""``defaults``: those of SAHI, which joins boxes by GREEDYNMM, and by NMS for a lowest score below 0.1.
``merging``: GREEDYNMM for all scores. ``best``: NMS, batches, no search of the whole image. ``openvino``: the
same with ultralytics' export to OpenVINO, which SAHI runs, too."""


class SahiSearch:
    """SAHI with the classes and the lowest score of a comparison, on all cores.

    Parameters
    ----------
    names
        Class names.
    conf
        Lowest score, not calibrated.
    way
        Settings of SAHI.
    folder
        Folder for an exported model.
    """

    def __init__(self, names: Sequence[str], conf: float, way: SahiWay, folder: Path) -> None:
        from sahi.models.ultralytics import UltralyticsDetectionModel

        from ultralytics_network import as_world_model, as_yolo, quiet, save_checkpoint

        self._names, self._way, self._quiet = list(names), way, quiet
        path = resolution.resolve(DEFAULT_WEIGHTS)
        metadata = container.read_metadata(path)
        prompts = [Prompt(name, (name,)) for name in names]
        classes = ClassList.from_prompts(prompts, metadata, encoder=None, offline=True)
        model = BenchmarkModel(path, metadata, classes, metadata.imgsz)
        own: dict[str, Any]
        if way.is_openvino:
            from ultralytics import YOLO

            checkpoint = folder / "network.pt"
            save_checkpoint(model, checkpoint)
            with quiet():
                made = YOLO(str(checkpoint)).export(
                    format="openvino", imgsz=metadata.imgsz, dynamic=True, batch=way.batch, verbose=False
                )
            own = {"model_path": str(made), "task": "detect"}
        else:
            own = {"model": as_yolo(as_world_model(model), metadata.architecture.scale)}
        self._detector = UltralyticsDetectionModel(
            **own,
            device="cpu",
            confidence_threshold=conf,
            image_size=metadata.imgsz,
            category_mapping={str(row): name for row, name in enumerate((*names, "background"))},
        )

    def search(self, pixels: Any, tile: int, overlap: float) -> tuple[Detections, float, float]:
        """Return the detections of an image, the seconds, and the seconds of the processor."""
        import torch

        self._search(pixels[: tile + tile // 2, : tile + tile // 2], tile, overlap)  # the first search loads
        torch.set_num_threads(CORES)
        started, started_cpu = time.perf_counter(), time.process_time()
        rows = self._search(pixels, tile, overlap).object_prediction_list
        seconds, cpu_seconds = time.perf_counter() - started, time.process_time() - started_cpu
        rows = [row for row in rows if row.category.id < len(self._names)]
        boxes = np.array([row.bbox.to_xyxy() for row in rows], dtype=np.float64).reshape(-1, 4)
        scores = np.array([row.score.value for row in rows], dtype=np.float64)
        labels = np.array([row.category.id for row in rows], dtype=np.int64)
        return Detections(boxes, scores, labels), seconds, cpu_seconds

    def _search(self, pixels: Any, tile: int, overlap: float) -> Any:
        from sahi.predict import get_sliced_prediction

        with self._quiet():
            return get_sliced_prediction(
                pixels,
                self._detector,
                slice_height=tile,
                slice_width=tile,
                overlap_height_ratio=overlap,
                overlap_width_ratio=overlap,
                batch_size=self._way.batch,
                verbose=0,
                **self._way.options,
            )
