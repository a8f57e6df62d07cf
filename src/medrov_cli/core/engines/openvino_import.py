"""Import of OpenVINO and NNCF without their telemetry.

``import openvino`` sends a report from a separate process, and writes an identifier to the user's home
folder. Both libraries work without the package ``openvino_telemetry``, which this module hides.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import Any

from medrov_cli.core.base.fast_imports import without_collection

_TELEMETRY = "openvino_telemetry"


def load_openvino() -> Any:
    """Import and return the module ``openvino`` without telemetry."""
    forbid_telemetry()
    with without_collection():
        return import_module("openvino")


def forbid_telemetry() -> None:
    """Hide the package ``openvino_telemetry`` from imports, unless it is already imported."""
    hidden: dict[str, ModuleType | None] = sys.modules  # type: ignore[assignment]
    hidden.setdefault(_TELEMETRY, None)
