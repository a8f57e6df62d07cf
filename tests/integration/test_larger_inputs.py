"""Large images in tiles with larger model inputs: the published weights find the same objects."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from medrov_cli.core.base.constants import DEFAULT_WEIGHTS
from medrov_cli.core.pixels.stored import stored_pixels
from medrov_cli.core.prediction.model_file import read_model_file
from medrov_cli.core.prediction.open_predictor import open_parts
from medrov_cli.core.prediction.predictor import Predictor
from medrov_cli.core.records.boxes import iou_matrix
from medrov_cli.core.settings.groups import RuntimeSettings, SelectionSettings
from medrov_cli.core.settings.tile_groups import TileJob, TileSettings, parse_tile

SMEAR = Path(__file__).parents[2] / "examples" / "blood_smear.png"


@pytest.mark.slow
def test_larger_model_inputs_find_what_single_tiles_find() -> None:
    smear = cv2.resize(stored_pixels(SMEAR), (160, 120), interpolation=cv2.INTER_AREA)
    image = np.ascontiguousarray(np.tile(smear, (5, 4, 1)))
    parts = open_parts(
        read_model_file(DEFAULT_WEIGHTS),
        ["red blood cell", "white blood cell"],
        RuntimeSettings(device="cpu", imgsz=96),
        SelectionSettings(),
    )
    parts = replace(parts, tiles=TileJob(settings=TileSettings(tile=parse_tile("48"))))
    (found,) = Predictor(parts).predict([image])
    (single,) = Predictor(replace(parts, open_wide=None)).predict([image])
    assert found.tiling is not None
    assert single.tiling is not None
    assert found.tiling.rule == "--tile; model input of 224 pixels"
    assert (found.tiling.levels[0].tiles, single.tiling.levels[0].tiles) == (42, 342)
    same = iou_matrix(found.boxes_xyxy, single.boxes_xyxy) * (found.labels[:, None] == single.labels)
    assert len(single) > 300
    assert (same.max(1) > 0.5).mean() > 0.95
    assert (same.max(0) > 0.5).mean() > 0.95
