"""OpenVINO and NNCF without their telemetry.

``import openvino`` alone reports itself to its maker, in a process of its own, and writes an identity
into the user's home. Both libraries do without where the package ``openvino_telemetry`` is absent: so
it is, for as long as this process runs.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import Any

_TELEMETRY = "openvino_telemetry"


def load_openvino() -> Any:
    """Return the module ``openvino``; nothing is sent."""
    forbid_telemetry()
    return import_module("openvino")


def forbid_telemetry() -> None:
    """Make Python find no package ``openvino_telemetry``, if it was not imported yet."""
    hidden: dict[str, ModuleType | None] = sys.modules  # type: ignore[assignment]
    hidden.setdefault(_TELEMETRY, None)
