"""A tiny detector and 64 images, exported once for many tests."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from detect_fixtures import VOCABULARY, write_eager_detector
from medrov_cli.core.exporting.run import ExportResult, run_export
from medrov_cli.core.settings.choices import ExportFormat, ExportPrecision
from medrov_cli.core.settings.class_groups import ClassSettings
from medrov_cli.core.settings.export import ExportSettings
from medrov_cli.core.settings.groups import SelectionSettings
from source_folders import Picture, write_source
from weights_fixtures import made_up_calibration

IMAGES = 64
CLASSES = [entry.name for entry in VOCABULARY]


@dataclass
class Workshop:
    """Weights, a dataset, and what was exported of them so far."""

    folder: Path
    weights: Path
    data: Path

    def __post_init__(self) -> None:
        self._made: dict[str, ExportResult] = {}

    def export(self, to: str, precision: str = "fp32", **settings: Any) -> ExportResult:
        """Return an export; the same settings give the same one."""
        key = json.dumps([to, precision, settings], default=str)
        if key not in self._made:
            name = f"export{len(self._made)}"
            suffix = {"onnx": ".onnx", "torchscript": ".torchscript", "torch_export": ".pt2"}.get(to, "")
            chosen = {name: settings.pop(name) for name in ("conf", "iou") if name in settings}
            config = ExportSettings(
                to=ExportFormat(to),
                precision=ExportPrecision(precision),
                weights=str(self.weights),
                data=self.data,
                images=IMAGES,
                output=self.folder / name / f"model{suffix}",
                classes=ClassSettings(classes=settings.pop("classes", ())),
                selection=SelectionSettings(**chosen),
                **settings,
            )
            self._made[key] = run_export(config)
        return self._made[key]


def make_workshop(factory: pytest.TempPathFactory) -> Workshop:
    """Write weights with a calibration, and a split of 64 images with boxes."""
    folder = factory.mktemp("export")
    boxes = [[(CLASSES[n % 3], 5.0 + n % 7, 4.0, 20.0, 30.0)] for n in range(IMAGES)]
    write_source(folder / "noise", [Picture("val", own) for own in boxes], CLASSES)
    (folder / "data.yaml").write_text("name: noise\nsources: [noise]\n")
    weights = write_eager_detector(folder / "eager.safetensors", calibration=made_up_calibration())
    return Workshop(folder, weights, folder / "data.yaml")
