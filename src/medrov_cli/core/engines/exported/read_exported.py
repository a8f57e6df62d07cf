"""Reading of exported models: metadata, class embeddings, and a check of their integrity."""

from __future__ import annotations

import base64
import binascii
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from medrov_cli.core.base.constants import TEXT_WIDTH
from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.base.text_files import DocumentError
from medrov_cli.core.base.xml_documents import read_xml
from medrov_cli.core.engines.exported.export_metadata import (
    KINDS_KEY,
    METADATA_KEY,
    VOCABULARY_KEY,
    ExportMetadata,
    corrupt,
)
from medrov_cli.core.records.frame import Float32Array
from medrov_cli.core.records.image_kinds import KindClassifier, KindTensors
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
    kinds
        Classifier of image kinds; null if the weights have none.
    """

    path: Path
    sha256: str
    metadata: ExportMetadata
    vocabulary: Float32Array
    kinds: KindClassifier | None = None


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
    return ExportedModel(path, digest, metadata, vocabulary, _kinds(slots.get(KINDS_KEY, ""), metadata, path))


def _read_onnx(path: Path) -> tuple[dict[str, str], str]:
    import onnx

    try:
        model = onnx.load_model_from_string(path.read_bytes())
        slots = [(prop.key, prop.value) for prop in model.metadata_props]  # may be no UTF-8
        digest = onnx_content_sha256(model)
    except Exception as error:  # exceptions of protobuf, a dependency of onnx
        raise corrupt(str(path), "not an ONNX file") from error
    if any(tensor.data_location == onnx.TensorProto.EXTERNAL for tensor in model.graph.initializer):
        raise corrupt(str(path), "its tensors are in other files")
    if len(dict(slots)) != len(slots):
        raise corrupt(str(path), "its metadata has a key twice")
    return dict(slots), digest


def onnx_content_sha256(model: Any) -> str:
    """Return the SHA-256 of the graph of an ONNX model, without its metadata."""
    return hashlib.sha256(model.graph.SerializeToString(deterministic=True)).hexdigest()


def _read_openvino(path: Path) -> tuple[dict[str, str], str]:
    try:
        root = read_xml(path)
    except DocumentError as error:
        raise corrupt(str(path), f"not an OpenVINO model: it {error}") from None
    except OSError as error:
        raise corrupt(str(path), "it cannot be read") from error
    slots: dict[str, str] = {}
    for key, place in OPENVINO_SLOTS.items():
        for element in root.findall("/".join(("rt_info", *place))):
            if key in slots:
                raise corrupt(str(path), "its rt_info has a key twice")
            if "value" not in element.attrib:
                raise corrupt(str(path), "its rt_info is not text")
            slots[key] = element.attrib["value"]
    weights = path.with_suffix(".bin")
    if not weights.is_file():
        raise corrupt(str(path), f"not a complete OpenVINO model: {weights.name} is missing")
    return slots, sha256_of(weights)


OPENVINO_SLOTS = {
    METADATA_KEY: ("medrov", "metadata"),
    VOCABULARY_KEY: ("medrov", "vocabulary"),
    KINDS_KEY: ("medrov", "kinds"),
}
"""Paths of the keys in rt_info."""


def encode_vocabulary(embeddings: Float32Array) -> str:
    """Encode class embeddings as text for an open model."""
    return base64.b64encode(embeddings.astype("<f2").tobytes()).decode("ascii")


def encode_kinds(kinds: KindTensors) -> str:
    """Encode the tensors of a classifier of image kinds as text."""
    from safetensors.numpy import save

    return base64.b64encode(save(kinds.as_arrays())).decode("ascii")


def _kinds(text: str, metadata: ExportMetadata, path: Path) -> KindClassifier | None:
    from safetensors import SafetensorError
    from safetensors.numpy import load

    info = metadata.weights.kinds
    if info is None:
        return None
    try:
        arrays = load(base64.b64decode(text, validate=True))
        return KindClassifier(info, KindTensors.from_arrays(arrays, len(info.kinds)))
    except (SafetensorError, ValueError, binascii.Error) as error:
        raise corrupt(str(path), "its classifier of image kinds is damaged") from error


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
