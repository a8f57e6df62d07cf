"""Choice and opening of inference engines."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from medrov_cli.core.base.constants import TEXT_WIDTH
from medrov_cli.core.base.errors import ErrorCode, MedrovError, usage_error
from medrov_cli.core.base.plugins import find_entry, load
from medrov_cli.core.engines.interface import Engine, EngineOpener, EngineRequest, Loaders
from medrov_cli.core.engines.registry import ENGINES
from medrov_cli.core.records.frame import Float32Array
from medrov_cli.core.settings.choices import EngineName, Precision
from medrov_cli.core.settings.values import check_device, check_imgsz


def open_engine(
    weights: Path,
    embeddings: Float32Array,
    *,
    imgsz: int,
    loaders: Loaders,
    device: str = "auto",
    engine: EngineName = EngineName.AUTO,
    precision: Precision = Precision.FP32,
    streams: int = 1,
) -> Engine:
    """Load weights into an engine, for a fixed set of classes.

    Parameters
    ----------
    weights
        A weights file.
    embeddings
        Class embeddings, float32, (classes, 512), L2 norm 1.
    imgsz
        Side of the square model input, in pixels.
    loaders
        Functions that build the network for an engine.
    device
        ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``.
    engine, precision
        Name of the engine, and number format.
    streams
        Images in parallel, for engines that support it: 1 for one image, the number of cores for many.

    Raises
    ------
    MedrovError
        ``USAGE`` for an invalid or missing device, an invalid size, or an engine that does not support the
        device or the format; ``DEPENDENCY_MISSING``; ``WEIGHTS_CORRUPT``.
    """
    check_imgsz(imgsz)
    check_device(device)
    if embeddings.ndim != 2 or embeddings.shape[1] != TEXT_WIDTH or not len(embeddings):
        raise ValueError(f"class embeddings are (classes, {TEXT_WIDTH}), not {embeddings.shape}")
    chosen = choose_engine(engine, device, precision)
    entry = find_entry(ENGINES, chosen)
    if entry is None:
        raise ValueError(f"no engine {chosen}")
    opener: EngineOpener = load(entry)
    return opener(EngineRequest(weights, embeddings, imgsz, loaders, device, precision, streams))


def choose_engine(engine: EngineName, device: str, precision: Precision) -> EngineName:
    """Return the engine to open: the requested one, or the fastest available one (docs/performance.md).

    Raises
    ------
    MedrovError
        ``USAGE``, ``DEPENDENCY_MISSING``.
    """
    if engine is EngineName.AUTO:
        if device == "auto":
            device = "gpu" if _sees_gpu() else "cpu"
        if device != "cpu":
            return EngineName.TORCH
        found = [name for name in (EngineName.OPENVINO, EngineName.ONNX) if _is_installed(name)]
        usable = [name for name in found if name is EngineName.OPENVINO or precision is Precision.FP32]
        return usable[0] if usable else EngineName.TORCH
    if engine is EngineName.TORCH:
        return engine
    if device not in ("auto", "cpu"):
        raise usage_error(
            f"--engine {engine} runs on the CPU only, not on --device {device}",
            "Use --engine torch, or leave --device out.",
        )
    if engine is EngineName.ONNX and precision is not Precision.FP32:
        raise usage_error(
            f"--engine onnx does not compute in {precision} on a CPU",
            "Use --engine openvino or torch.",
        )
    if not _is_installed(engine):
        raise MedrovError(
            ErrorCode.DEPENDENCY_MISSING,
            f"--engine {engine}: {_MODULES[engine]} is not installed",
            f"Run: pip install {_MODULES[engine]}",
        )
    return engine


_MODULES = {EngineName.ONNX: "onnxruntime", EngineName.OPENVINO: "openvino"}


def _is_installed(engine: EngineName) -> bool:
    return importlib.util.find_spec(_MODULES[engine]) is not None


def _sees_gpu() -> bool:
    """Return whether the machine has a GPU for torch, without importing torch, which takes seconds."""
    import platform

    if platform.system() == "Darwin":
        return platform.machine() == "arm64"
    return Path("/dev/nvidiactl").exists() or Path("/dev/kfd").exists() or platform.system() == "Windows"
