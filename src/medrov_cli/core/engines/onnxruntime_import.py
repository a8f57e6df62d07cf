"""Import of ONNX Runtime without its telemetry.

Without the environment variable, ``import onnxruntime`` writes an identifier of the device to the user's
cache, and sessions look up a server of events.
"""

from __future__ import annotations

import os
from importlib import import_module
from typing import Any


def load_onnxruntime() -> Any:
    """Import and return the module ``onnxruntime`` without telemetry."""
    forbid_onnxruntime_telemetry()
    onnxruntime = import_module("onnxruntime")
    onnxruntime.disable_telemetry_events()  # it may have been imported before
    return onnxruntime


def forbid_onnxruntime_telemetry() -> None:
    """Set the variable that disables telemetry, for libraries that import ONNX Runtime themselves."""
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
