"""Name and flags of the processor, and its fastest number format for training."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from pathlib import Path

CPUINFO = Path("/proc/cpuinfo")

_BF16_FLAGS = frozenset({"avx512_bf16", "amx_bf16", "bf16", "svebf16"})
"""Flags of CPUs that multiply in bfloat16, as Linux names them: x86 and Arm."""

_INT8_FLAGS = frozenset({"avx512_vnni", "avx_vnni", "amx_int8", "asimddp"})
"""Flags of CPUs that add products of 8-bit integers without saturation: x86 and Arm."""

_TILE_FLAG = "amx_bf16"
"""Flag of CPUs that multiply bfloat16 in tiles."""

_ISA_LIMITS = ("ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA")
_ISA_WITHOUT_AVX512 = frozenset({"SSE41", "AVX", "AVX2", "AVX2_VNNI", "AVX2_VNNI_2"})
_ISA_WITHOUT_INT8 = frozenset({"SSE41", "AVX", "AVX2", "AVX512_CORE"})
_ISA_WITHOUT_BF16 = _ISA_WITHOUT_AVX512 | {"AVX512_CORE", "AVX512_CORE_VNNI"}
"""Values of oneDNN's variable that disable instructions for bfloat16."""

_NO_LIMIT = frozenset({"ALL", "DEFAULT"})
"""Values of oneDNN's variable that disable nothing."""


@dataclass(frozen=True, slots=True)
class PrecisionChoice:
    """Number format and the reason of its choice.

    Attributes
    ----------
    name
        ``bf16``, ``fp16`` or ``fp32``.
    reason
        Reason for users, a clause.
    """

    name: str
    reason: str

    def __str__(self) -> str:
        return f"{self.name}: {self.reason}"


def read_cpu(cpuinfo: Path = CPUINFO) -> tuple[str, list[str]]:
    """Return the CPU's name and flags; empty if the system does not report them."""
    fields: dict[str, str] = {}
    try:
        for line in cpuinfo.read_text(encoding="ascii", errors="replace").splitlines():
            name, _, value = line.partition(":")
            fields.setdefault(name.strip(), value.strip())
    except OSError:
        pass
    return fields.get("model name", ""), fields.get("flags", fields.get("Features", "")).split()


def cpu_precision(cpuinfo: Path = CPUINFO) -> PrecisionChoice:
    """Return the fastest format for training on this CPU: bf16 if the CPU computes in it, else fp32."""
    for name, limit in _isa_limits().items():
        if limit in _ISA_WITHOUT_BF16:
            return PrecisionChoice("fp32", f"{name}={limit} disables bf16 on the CPU")
    _, flags = read_cpu(cpuinfo)
    own = sorted(_BF16_FLAGS.intersection(flags))
    if own:
        return PrecisionChoice("bf16", f"the CPU has bf16 units ({', '.join(own)})")
    if not flags:
        return PrecisionChoice(
            "fp32", f"{platform.system()} does not report whether the CPU computes in bf16"
        )
    return PrecisionChoice("fp32", "the CPU has no units for bf16")


def multiplies_in_int8(cpuinfo: Path = CPUINFO) -> bool:
    """Return whether the CPU has instructions for sums of products of 8-bit integers (VNNI, AMX, Arm dot)."""
    limited = _ISA_WITHOUT_INT8.intersection(_isa_limits().values())
    return not limited and not _INT8_FLAGS.isdisjoint(read_cpu(cpuinfo)[1])


def multiplies_bf16_in_tiles(cpuinfo: Path = CPUINFO) -> bool:
    """Return whether the CPU has AMX for bfloat16, so that bf16 is as fast as int8 or faster (measured)."""
    limited = any("AMX" not in limit and limit not in _NO_LIMIT for limit in _isa_limits().values())
    return not limited and _TILE_FLAG in read_cpu(cpuinfo)[1]


def may_use_avx512() -> bool:
    """Return whether the environment allows AVX-512 in oneDNN and OpenVINO; the CPU is not checked."""
    return not _ISA_WITHOUT_AVX512.intersection(_isa_limits().values())


def _isa_limits() -> dict[str, str]:
    """Return the limits of oneDNN's instruction set in the environment."""
    return {name: os.environ[name].upper() for name in _ISA_LIMITS if name in os.environ}
