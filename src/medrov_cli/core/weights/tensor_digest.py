"""Digest of the tensors of a network."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

KINDS = "kinds."
"""Prefix of the tensors of the classifier of image kinds."""


def digest_of_tensors(tensors: Mapping[str, npt.NDArray[Any]]) -> str:
    """Return the SHA-256 of a network and its class embeddings; the classifier of kinds does not count."""
    digest = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        if name.startswith(KINDS):
            continue
        digest.update(f"{name} {tensor.dtype} {tensor.shape}\n".encode())
        digest.update(np.ascontiguousarray(tensor).tobytes())
    return digest.hexdigest()
