"""MedROV: open-vocabulary detection in medical images, from the command line and from Python.

The public names are imported on first use, so that the command line starts without them (``docs/python.md``).

For research use only; not a medical device.
"""

import importlib
from typing import TYPE_CHECKING, Any

from medrov_cli.core.base.versions import __version__ as __version__

if TYPE_CHECKING:
    from medrov_cli.core.base.errors import MedrovError as MedrovError
    from medrov_cli.core.pixels.read import read_frames as read_frames
    from medrov_cli.core.prediction.predictor import Predictor as Predictor
    from medrov_cli.core.records.detections import Detections as Detections
    from medrov_cli.core.records.detections import Failure as Failure
    from medrov_cli.core.records.frame import Frame as Frame
    from medrov_cli.core.settings.groups import RuntimeSettings as RuntimeSettings
    from medrov_cli.core.settings.groups import SelectionSettings as SelectionSettings

_MODULES = {
    "Detections": "records.detections",
    "Failure": "records.detections",
    "Frame": "records.frame",
    "MedrovError": "base.errors",
    "Predictor": "prediction.predictor",
    "RuntimeSettings": "settings.groups",
    "SelectionSettings": "settings.groups",
    "read_frames": "pixels.read",
}
"""Module of each public name, below ``medrov_cli.core``."""


def __getattr__(name: str) -> Any:
    """Import a public name."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.core.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    """Return the public names."""
    return sorted([*_MODULES, "__version__"])
