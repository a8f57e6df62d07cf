"""Vectors from which a fit starts: the text of a class, its examples, or both."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from medrov_cli.core.learning.vector_fit import Rows
from medrov_cli.core.model.folding import Tensors, fold_text
from medrov_cli.core.prediction.embedding_space import EmbeddingSpace, Vector
from medrov_cli.core.records.frame import Float32Array


def text_vectors(tensors: Tensors, embeddings: Float32Array) -> list[Vector]:
    """Return the vector of each class embedding, float32, (classes, 512), L2 norm 1."""
    folded = fold_text(tensors, embeddings)
    kernels = np.stack(folded.kernels, 1).astype(np.float64)  # (classes, levels, c)
    constants = np.concatenate(folded.constants, 1).astype(np.float64)
    return [Vector(*own) for own in zip(kernels, constants, strict=True)]


def starts_of(space: EmbeddingSpace, text: Vector, rows: Rows) -> dict[str, Vector]:
    """Return the three starts of a class by name."""
    direction = space.direction(rows.vectors, rows.levels, rows.weights, rows.positive)
    examples = space.vector(direction)
    both = Vector((text.kernel + examples.kernel) / 2, (text.constant + examples.constant) / 2)
    return {"text": text, "examples": examples, "both": both}


def as_arrays(vectors: Sequence[Vector]) -> tuple[Float32Array, Float32Array]:
    """Return kernels, float32, (levels, vectors, c), and constants, float32, (levels, vectors)."""
    kernels = np.stack([vector.kernel for vector in vectors], 1).astype(np.float32)
    return kernels, np.stack([vector.constant for vector in vectors], 1).astype(np.float32)
