"""Choice and opening of the engines of exported models."""

from __future__ import annotations

from dataclasses import replace

from medrov_cli.core.base.errors import usage_error
from medrov_cli.core.engines.exported.read_exported import ExportedModel
from medrov_cli.core.engines.exported.trial import TrialRequest, require_survived
from medrov_cli.core.engines.interface import Engine
from medrov_cli.core.engines.open_engine import choose_engine
from medrov_cli.core.records.frame import Float32Array
from medrov_cli.core.settings.choices import EngineName, ExportPrecision, Precision
from medrov_cli.core.settings.groups import RuntimeSettings
from medrov_cli.core.settings.values import check_device


def open_exported(
    model: ExportedModel,
    embeddings: Float32Array | None,
    runtime: RuntimeSettings,
    *,
    imgsz: int,
    streams: int = 1,
    is_own: bool = False,
) -> Engine:
    """Load an exported model into an engine, after a trial in another process.

    Parameters
    ----------
    model
        The model, from :func:`read_exported`.
    embeddings
        Class embeddings, float32, (classes, 512), L2 norm 1, of an open model; null for fixed classes.
    runtime
        Device, engine and number format; fp32 is the precision of the file.
    imgsz
        Side of the square model input, in pixels.
    streams
        See :class:`medrov_cli.core.engines.interface.EngineRequest`.
    is_own
        Whether this process wrote the model, so that it needs no trial.

    Raises
    ------
    MedrovError
        ``USAGE`` for a device, size, engine or precision that the file does not support;
        ``DEPENDENCY_MISSING``; ``WEIGHTS_CORRUPT``.
    """
    _check_size(model, imgsz)
    engine = chosen_engine(model, runtime)
    if not is_own:
        request = TrialRequest(
            str(model.path),
            model.sha256,
            engine.value,
            imgsz,
            None if embeddings is None else len(embeddings),
            runtime.precision.value,
            streams,
        )
        require_survived(request)
    return open_untried(model, embeddings, engine, runtime.precision, imgsz=imgsz, streams=streams)


def open_untried(
    model: ExportedModel,
    embeddings: Float32Array | None,
    engine: EngineName,
    precision: Precision,
    *,
    imgsz: int,
    streams: int = 1,
) -> Engine:
    """Load an exported model into an engine in this process; see :func:`open_exported`.

    Raises
    ------
    MedrovError
        ``USAGE``; ``WEIGHTS_CORRUPT``.
    """
    if engine is EngineName.ONNX:
        from medrov_cli.core.engines.exported.onnx_model import ExportedOnnxEngine

        return ExportedOnnxEngine(model.path, model.metadata, embeddings, imgsz)
    from medrov_cli.core.engines.exported.openvino_model import ExportedOpenVinoEngine

    return ExportedOpenVinoEngine(
        model.path, model.sha256, model.metadata, embeddings, imgsz, precision, streams
    )


def chosen_engine(model: ExportedModel, runtime: RuntimeSettings) -> EngineName:
    """Return the engine of :func:`open_exported`, OpenVINO or ONNX Runtime; errors are the same."""
    device = runtime.device
    check_device(device)
    _check_engine(model, runtime.engine, runtime.precision)
    engine = _only_engine(model) or runtime.engine
    precision = Precision.FP32 if runtime.precision is Precision.INT8 else runtime.precision
    device = "cpu" if device == "auto" else device
    chosen = choose_engine(replace(runtime, engine=engine, device=device, precision=precision))
    if chosen is EngineName.TORCH:
        raise usage_error(
            f"--device {device}: exported models run on the CPU only",
            "Use the .safetensors weights on a GPU.",
        )
    return chosen


def _check_size(model: ExportedModel, imgsz: int) -> None:
    own = model.metadata.imgsz
    if own is not None and imgsz != own:
        raise usage_error(
            f"--imgsz {imgsz}: {model.path.name} was exported for {own} pixels",
            f"Leave --imgsz out, or export again with --imgsz {imgsz} or --dynamic.",
        )


def _check_engine(model: ExportedModel, engine: EngineName, precision: Precision) -> None:
    if engine is EngineName.TORCH:
        raise usage_error(f"--engine torch does not run {model.path.name}", "Use --engine openvino or onnx.")
    only = _only_engine(model)
    if engine is not EngineName.AUTO and only not in (None, engine):
        raise usage_error(
            f"--engine {engine} does not run {model.path.name} ({model.metadata.precision})",
            f"Leave --engine out, or export with --to {engine}.",
        )
    own = model.metadata.precision
    is_other = precision is Precision.BF16 and own is ExportPrecision.INT8
    is_other |= precision is Precision.INT8 and own is not ExportPrecision.INT8
    if is_other or precision is Precision.FP16:
        raise usage_error(
            f"--precision {precision}: {model.path.name} was exported in {own}", "Leave --precision out."
        )


def _only_engine(model: ExportedModel) -> EngineName | None:
    """Return the only engine that runs a model; null if both do.

    OpenVINO reads the quantised operators of an ONNX file, but computes other results.
    """
    if model.path.suffix.lower() == ".xml":
        return EngineName.OPENVINO
    return EngineName.ONNX if model.metadata.precision is ExportPrecision.INT8 else None
