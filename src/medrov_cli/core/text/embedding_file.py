"""File format of text embeddings: safetensors with the texts, the encoder and a checksum in its header.

The shipped vocabulary and every file of the cache have this format.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from medrov_cli.core.base.documents import parse_json
from medrov_cli.core.base.files import whole_file
from medrov_cli.core.records.frame import Float32Array
from medrov_cli.core.text.protocol import EncoderIdentity

SCHEMA = "medrov.embeddings/2"
"""Version of the header."""

NORM_TOLERANCE = 2e-3
"""Tolerance of stored norms: float16 rounds each value by at most 2**-11 of it."""

_TENSOR = "embeddings"
_METADATA_KEY = "medrov"


def write_embeddings(
    path: Path,
    identity: EncoderIdentity,
    texts: Sequence[str],
    embeddings: npt.NDArray[np.float16] | Float32Array,
) -> None:
    """Write embeddings atomically; equal embeddings give equal bytes.

    Parameters
    ----------
    path
        The file; its folder is created if it does not exist.
    identity
        The encoder of the embeddings.
    texts
        Texts in the encoder's canonical form.
    embeddings
        float16 or float32, (texts, identity.width), L2 norm 1.

    Raises
    ------
    MedrovError
        ``OUTPUT_FAILED``.
    """
    from safetensors.numpy import save

    stored = np.ascontiguousarray(embeddings)
    header = {**_header(identity), "texts": list(texts)}
    header["sha256"] = _checksum(header, stored)
    metadata = {_METADATA_KEY: json.dumps(header, ensure_ascii=False, sort_keys=True)}
    content = save({_TENSOR: stored}, metadata=metadata)
    with whole_file(path) as temporary:
        temporary.write_bytes(content)  # safetensors would restrict the permissions to the user


def read_embeddings(path: Path, identity: EncoderIdentity) -> dict[str, Float32Array]:
    """Return the embeddings of a file by text, float32, (identity.width,), L2 norm 1.

    Raises
    ------
    ValueError
        If the file is damaged, or was made by another encoder.
    OSError
        If it cannot be read.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as handle:
            header = parse_json((handle.metadata() or {}).get(_METADATA_KEY, "null"))
            stored = handle.get_tensor(_TENSOR)
    except SafetensorError as error:
        raise ValueError(str(error)) from error
    texts = _checked_texts(header, identity)
    if stored.shape != (len(texts), identity.width) or stored.dtype not in (np.float16, np.float32):
        raise ValueError(f"its embeddings are {stored.dtype} {stored.shape}")
    if header.get("sha256") != _checksum(header, stored):
        raise ValueError("it does not have its checksum")
    rows: Float32Array = stored.astype(np.float32)
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    if not np.all(np.abs(norms - 1) <= NORM_TOLERANCE):  # false for NaN as well
        raise ValueError("its embeddings do not have L2 norm 1")
    if stored.dtype == np.float16:
        rows /= norms  # restores the float32 values of the encoder exactly
    return dict(zip(texts, rows, strict=True))


def _header(identity: EncoderIdentity) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "encoder": identity.name,
        "revision": identity.revision,
        "context_length": identity.context_length,
    }


def _checksum(header: Mapping[str, Any], stored: npt.NDArray[Any]) -> str:
    """Return the SHA-256 of a header, without its checksum, and of the embeddings."""
    facts = {key: value for key, value in header.items() if key != "sha256"}
    text = json.dumps([facts, stored.dtype.name, stored.shape], sort_keys=True)
    return hashlib.sha256(text.encode() + stored.tobytes()).hexdigest()


def _checked_texts(header: Any, identity: EncoderIdentity) -> list[str]:
    """Return the texts of a header, after a check of its schema and encoder."""
    if not isinstance(header, Mapping):
        raise ValueError("it has no medrov metadata")
    for key, value in _header(identity).items():
        if header.get(key) != value:
            raise ValueError(f"its {key} is {header.get(key)!r}, not {value!r}")
    texts = header.get("texts")
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise ValueError("its texts are not a list of strings")
    return texts
