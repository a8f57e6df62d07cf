"""Meters of memory and energy; values are null if the machine does not report them."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

POWERCAP = Path("/sys/class/powercap")
MIB = 1024**2


def resident_mb() -> float | None:
    """Return the current memory of this process, in MiB."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / MIB
    except (OSError, ValueError, IndexError):
        pass
    psutil = _module("psutil")
    return None if psutil is None else psutil.Process().memory_info().rss / MIB


def peak_resident_mb() -> float | None:
    """Return the peak memory of this process, in MiB."""
    resource = _module("resource")
    if resource is None:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return float(peak) / (MIB if sys.platform == "darwin" else 1024)


def peak_cuda_mb() -> float | None:
    """Return the peak memory of tensors on the GPU, in MiB, without importing torch."""
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_available():
        return None
    return float(torch.cuda.max_memory_allocated()) / MIB


def wait_for(device: str) -> None:
    """Wait until a GPU has completed its work."""
    if device.startswith("cuda"):
        sys.modules["torch"].cuda.synchronize()


class EnergyMeter:
    """Meter of the energy of the CPU packages (RAPL) and, if a GPU computes, of the first NVIDIA GPU (NVML).

    Parameters
    ----------
    uses_gpu
        Whether a GPU computes.
    powercap
        Folder of the kernel's counters.
    """

    def __init__(self, *, uses_gpu: bool = False, powercap: Path = POWERCAP) -> None:
        # intel-rapl:0 is a package, intel-rapl:0:1 a part of it.
        self._packages = sorted(path for path in powercap.glob("intel-rapl:*") if path.name.count(":") == 1)
        self._nvml = _started_nvml() if uses_gpu else None

    def read(self) -> dict[str, int]:
        """Return the readable counters, in microjoules."""
        counters = {}
        for path in self._packages:
            try:
                counters[str(path)] = int((path / "energy_uj").read_text(encoding="ascii"))
            except (OSError, ValueError):  # readable by the administrator only, on most systems
                continue
        if self._nvml is not None:
            handle = self._nvml.nvmlDeviceGetHandleByIndex(0)
            counters["nvml"] = 1000 * int(self._nvml.nvmlDeviceGetTotalEnergyConsumption(handle))
        return counters

    def joules(self, before: Mapping[str, int], after: Mapping[str, int]) -> float | None:
        """Return the energy between two readings in joules; null if the machine does not report it."""
        common = before.keys() & after.keys()
        if not common:
            return None
        return sum(self._used(name, before[name], after[name]) for name in common) / 1e6

    @staticmethod
    def _used(name: str, before: int, after: int) -> int:
        if after >= before:
            return after - before
        limit = int((Path(name) / "max_energy_range_uj").read_text(encoding="ascii"))
        return after + limit - before  # the counter has overflowed


def _started_nvml() -> Any | None:
    nvml = _module("pynvml")
    if nvml is None:
        return None
    try:
        nvml.nvmlInit()
        nvml.nvmlDeviceGetTotalEnergyConsumption(nvml.nvmlDeviceGetHandleByIndex(0))
    except nvml.NVMLError:  # no driver, or a GPU without an energy counter
        return None
    return nvml


def _module(name: str) -> ModuleType | Any | None:
    """Return an optional package, or null."""
    try:
        return importlib.import_module(name)
    except ImportError:
        return None
