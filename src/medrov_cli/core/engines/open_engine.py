"""Choice and opening of inference engines."""

from __future__ import annotations

from pathlib import Path

from medrov_cli.core.base.constants import TEXT_WIDTH
from medrov_cli.core.base.errors import usage_error
from medrov_cli.core.base.optional import TORCH_NETWORK, is_installed, require_packages
from medrov_cli.core.base.plugins import find_entry, load
from medrov_cli.core.engines.interface import EngineOpener, EngineRequest, RegionEngine
from medrov_cli.core.engines.registry import ENGINES, MODULES
from medrov_cli.core.settings.choices import EngineName, Precision
from medrov_cli.core.settings.groups import RuntimeSettings
from medrov_cli.core.settings.values import check_device, check_imgsz


def open_engine(request: EngineRequest) -> RegionEngine:
    """Load weights into an engine, for a fixed set of classes.

    Raises
    ------
    MedrovError
        ``USAGE`` for an invalid or missing device, an invalid size, or an engine that does not support the
        device or the format; ``DEPENDENCY_MISSING``; ``WEIGHTS_CORRUPT``.
    """
    check_imgsz(request.imgsz)
    check_device(request.runtime.device)
    embeddings = request.embeddings
    if embeddings.ndim != 2 or embeddings.shape[1] != TEXT_WIDTH or not len(embeddings):
        raise ValueError(f"class embeddings are (classes, {TEXT_WIDTH}), not {embeddings.shape}")
    chosen = choose_engine(request.runtime)
    if request.runtime.rectangles and chosen is EngineName.TORCH:
        raise usage_error(
            "--rectangles: the torch engine computes squares only", "Use --engine openvino or onnx, on a CPU."
        )
    entry = find_entry(ENGINES, chosen)
    if entry is None:
        raise ValueError(f"no engine {chosen}")
    opener: EngineOpener = load(entry)
    return opener(request)


def choose_engine(runtime: RuntimeSettings) -> EngineName:
    """Return the engine to open: the requested one, or the fastest available one (docs/performance.md).

    Raises
    ------
    MedrovError
        ``USAGE``, ``DEPENDENCY_MISSING``.
    """
    engine, device, precision = runtime.engine, runtime.device, runtime.precision
    if engine is EngineName.AUTO:
        if device == "auto":
            device = "gpu" if is_installed("torch") and _sees_gpu() else "cpu"
        if device != "cpu":
            _refuse_int8(f"--device {device}", precision)
            require_packages(f"--device {device}", TORCH_NETWORK)
            return EngineName.TORCH
        _refuse_half(precision)
        found = [name for name in (EngineName.OPENVINO, EngineName.ONNX) if is_installed(MODULES[name])]
        is_plain = precision in (Precision.FP32, Precision.AUTO)
        usable = [name for name in found if name is EngineName.OPENVINO or is_plain]
        if not usable:
            if precision is Precision.INT8:
                require_packages("--precision int8", (MODULES[EngineName.OPENVINO],))
            require_packages(f"--engine torch, the only one for --precision {precision},", TORCH_NETWORK)
        return usable[0] if usable else EngineName.TORCH
    if engine is EngineName.TORCH:
        _refuse_int8("--engine torch", precision)
        require_packages("--engine torch", TORCH_NETWORK)
        return engine
    if device not in ("auto", "cpu"):
        raise usage_error(
            f"--engine {engine} runs on the CPU only, not on --device {device}",
            "Use --engine torch, or leave --device out.",
        )
    _refuse_half(precision)
    if engine is EngineName.ONNX and precision not in (Precision.FP32, Precision.AUTO):
        raise usage_error(
            f"--engine onnx does not compute in {precision} on a CPU",
            "Use --engine openvino or torch.",
        )
    require_packages(f"--engine {engine}", (MODULES[engine],))
    return engine


def choose_format(weights: Path, runtime: RuntimeSettings) -> Precision:
    """Return the number format in which :func:`open_engine` opens weights, for ``auto`` the chosen one.

    Raises
    ------
    MedrovError
        ``USAGE``, ``DEPENDENCY_MISSING``, ``WEIGHTS_CORRUPT``.
    """
    engine = choose_engine(runtime)
    if runtime.precision is not Precision.AUTO:
        return runtime.precision
    if engine is EngineName.OPENVINO:
        from medrov_cli.core.engines.cpu_format import choose_cpu_format

        return choose_cpu_format(weights, Precision.AUTO)[0]
    if engine is EngineName.ONNX:
        return Precision.FP32
    from medrov_cli.core.engines.torch_engine import find_device, format_on

    return format_on(find_device(runtime.device).type, Precision.AUTO)


def _refuse_int8(flag: str, precision: Precision) -> None:
    if precision is Precision.INT8:
        raise usage_error(f"{flag} does not compute in int8", "Use --device cpu with --engine openvino.")


def _refuse_half(precision: Precision) -> None:
    if precision is Precision.FP16:
        raise usage_error("--precision fp16 is for GPUs: a CPU emulates it", "Use fp32 or bf16.")


def _sees_gpu() -> bool:
    """Return whether the machine has a GPU for torch, without importing torch, which takes seconds."""
    import platform

    if platform.system() == "Darwin":
        return platform.machine() == "arm64"
    return Path("/dev/nvidiactl").exists() or Path("/dev/kfd").exists() or platform.system() == "Windows"
