"""Reading of exported models, and choice and opening of their engines."""

from __future__ import annotations

import base64
import binascii
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from medrov_cli.core.base.constants import TEXT_WIDTH
from medrov_cli.core.base.errors import ErrorCode, MedrovError, usage_error
from medrov_cli.core.engines.exported.export_metadata import (
    METADATA_KEY,
    VOCABULARY_KEY,
    ExportMetadata,
    corrupt,
)
from medrov_cli.core.engines.interface import Engine
from medrov_cli.core.engines.open_engine import choose_engine
from medrov_cli.core.engines.openvino_import import load_openvino
from medrov_cli.core.records.frame import Float32Array
from medrov_cli.core.settings.choices import EngineName, ExportPrecision, Precision
from medrov_cli.core.settings.values import check_device
from medrov_cli.core.weights.container import sha256_of


@dataclass(frozen=True, slots=True, eq=False)
class ExportedModel:
    """An exported model after a check of its integrity.

    Attributes
    ----------
    path
        The ``.onnx`` or ``.xml`` file.
    sha256
        SHA-256 of that file; an ``.xml`` contains the SHA-256 of its ``.bin``.
    metadata
        Metadata of the model.
    vocabulary
        Class embeddings of the vocabulary of an open model, float32, (classes, 512).
    """

    path: Path
    sha256: str
    metadata: ExportMetadata
    vocabulary: Float32Array


def read_exported(path: Path) -> ExportedModel:
    """Read an exported ``.onnx`` or ``.xml`` file, and check its integrity.

    Raises
    ------
    MedrovError
        ``weights_missing``; ``weights_corrupt`` also for a model of another program.
    """
    digest = sha256_of(path)
    slots, content = _read_openvino(path) if path.suffix.lower() == ".xml" else _read_onnx(path)
    text = slots.get(METADATA_KEY)
    if text is None:
        raise MedrovError(
            ErrorCode.WEIGHTS_CORRUPT,
            f"{path} has no medrov metadata: it was not written by `medrov export`",
            "Export the weights: `medrov export --weights NAME --to onnx`.",
        )
    metadata = ExportMetadata.from_json(text, where=str(path))
    if metadata.content_sha256 != content:
        raise corrupt(str(path), "its content does not have the SHA-256 in its metadata")
    vocabulary = np.zeros((0, TEXT_WIDTH), np.float32)
    if metadata.classes is None:
        vocabulary = _vocabulary(slots.get(VOCABULARY_KEY, ""), len(metadata.weights.vocabulary), path)
    return ExportedModel(path, digest, metadata, vocabulary)


def open_exported(
    model: ExportedModel,
    embeddings: Float32Array | None,
    *,
    imgsz: int,
    device: str = "auto",
    engine: EngineName = EngineName.AUTO,
    precision: Precision = Precision.FP32,
    streams: int = 1,
) -> Engine:
    """Load an exported model into an engine.

    Parameters
    ----------
    model
        The model, from :func:`read_exported`.
    embeddings
        Class embeddings, float32, (classes, 512), L2 norm 1, of an open model; null for fixed classes.
    imgsz
        Side of the square model input, in pixels.
    device, engine, precision, streams
        See :func:`medrov_cli.core.engines.open_engine.open_engine`; fp32 means the precision of the file.

    Raises
    ------
    MedrovError
        ``USAGE`` for a device, size, engine or precision that the file does not support;
        ``DEPENDENCY_MISSING``; ``WEIGHTS_CORRUPT``.
    """
    _check_size(model, imgsz)
    if chosen_engine(model, device, engine, precision) is EngineName.ONNX:
        from medrov_cli.core.engines.exported.onnx_model import ExportedOnnxEngine

        return ExportedOnnxEngine(model.path, model.metadata, embeddings, imgsz)
    from medrov_cli.core.engines.exported.openvino_model import ExportedOpenVinoEngine

    return ExportedOpenVinoEngine(
        model.path, model.sha256, model.metadata, embeddings, imgsz, precision, streams
    )


def chosen_engine(model: ExportedModel, device: str, engine: EngineName, precision: Precision) -> EngineName:
    """Return the engine of :func:`open_exported`, OpenVINO or ONNX Runtime; errors are the same."""
    check_device(device)
    _check_engine(model, engine, precision)
    chosen = choose_engine(_only_engine(model) or engine, "cpu" if device == "auto" else device, precision)
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
    if precision is Precision.BF16 and model.metadata.precision is ExportPrecision.INT8:
        raise usage_error(
            f"--precision bf16: {model.path.name} was exported in int8", "Leave --precision out."
        )


def _only_engine(model: ExportedModel) -> EngineName | None:
    """Return the only engine that runs a model; null if both do.

    OpenVINO reads the quantised operators of an ONNX file, but computes other results.
    """
    if model.path.suffix.lower() == ".xml":
        return EngineName.OPENVINO
    return EngineName.ONNX if model.metadata.precision is ExportPrecision.INT8 else None


def _read_onnx(path: Path) -> tuple[dict[str, str], str]:
    import onnx

    try:
        model = onnx.load_model_from_string(path.read_bytes())
    except Exception as error:  # exceptions of protobuf, a dependency of onnx
        raise corrupt(str(path), "not an ONNX file") from error
    if any(tensor.data_location == onnx.TensorProto.EXTERNAL for tensor in model.graph.initializer):
        raise corrupt(str(path), "its tensors are in other files")
    return {prop.key: prop.value for prop in model.metadata_props}, onnx_content_sha256(model)


def onnx_content_sha256(model: Any) -> str:
    """Return the SHA-256 of the graph of an ONNX model, without its metadata."""
    return hashlib.sha256(model.graph.SerializeToString(deterministic=True)).hexdigest()


def _read_openvino(path: Path) -> tuple[dict[str, str], str]:
    try:
        model = load_openvino().Core().read_model(path)
    except RuntimeError as error:
        raise corrupt(str(path), "not a complete OpenVINO model, or its .bin is missing") from error
    slots = {}
    for key, place in OPENVINO_SLOTS.items():
        if model.has_rt_info(list(place)):
            slots[key] = str(model.get_rt_info(list(place)).astype(str))
    return slots, sha256_of(path.with_suffix(".bin"))


OPENVINO_SLOTS = {METADATA_KEY: ("medrov", "metadata"), VOCABULARY_KEY: ("medrov", "vocabulary")}
"""Paths of the keys in rt_info."""


def encode_vocabulary(embeddings: Float32Array) -> str:
    """Encode class embeddings as text for an open model."""
    return base64.b64encode(embeddings.astype("<f2").tobytes()).decode("ascii")


def _vocabulary(text: str, classes: int, path: Path) -> Float32Array:
    if not classes:
        return np.zeros((0, TEXT_WIDTH), np.float32)
    try:
        rows = np.frombuffer(base64.b64decode(text, validate=True), "<f2").reshape(classes, TEXT_WIDTH)
    except (ValueError, binascii.Error) as error:
        raise corrupt(str(path), "the embeddings of its vocabulary are damaged") from error
    embeddings = rows.astype(np.float32)
    norms = np.linalg.norm(embeddings, axis=1, keepdims=True)
    return np.asarray(embeddings / np.where(norms > 0, norms, 1), dtype=np.float32)
