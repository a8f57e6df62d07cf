"""Description of the machine of a measurement."""

from __future__ import annotations

import platform
import sys
from pathlib import Path
from typing import Any

from medrov_cli.core.base.environment import usable_cores
from medrov_cli.core.base.processor import CPUINFO, cpu_precision, read_cpu
from medrov_cli.core.base.versions import versions_of

FLAGS = ("avx2", "avx512f", "avx512_bf16", "avx512_vnni", "avx_vnni", "amx_bf16", "amx_int8", "asimd", "sve")
"""CPU flags that determine the speed of products: vectors, bf16, int8, tiles."""

PACKAGES = ("numpy", "opencv-python", "openvino", "onnxruntime", "torch", "ultralytics", "pydicom")


def describe_machine(cpuinfo: Path = CPUINFO) -> dict[str, Any]:
    """Return the ``machine`` object of the document; it has no date and no host name.

    A GPU is included only if torch is loaded, since its import takes seconds.
    """
    name, flags = read_cpu(cpuinfo)
    precision = cpu_precision(cpuinfo)
    return {
        "cpu": name or platform.processor() or "unknown",
        "cpu_flags": [flag for flag in FLAGS if flag in flags],
        "train_precision": {"name": precision.name, "reason": precision.reason},
        "cores": usable_cores(),
        "gpu": _gpu(),
        "system": f"{platform.system()} {platform.machine()}",
        "versions": versions_of(PACKAGES),
    }


def _gpu() -> str | None:
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_available():
        return None
    return str(torch.cuda.get_device_name())
