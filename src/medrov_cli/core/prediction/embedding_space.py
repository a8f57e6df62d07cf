"""The space of class embeddings, and region vectors in it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from medrov_cli.core.model.folding import LEVELS, Tensors, head_terms
from medrov_cli.core.records.boxes import BoolArray, FloatArray, IntArray
from medrov_cli.core.records.frame import Float32Array


@dataclass(frozen=True, slots=True, eq=False)
class Vector:
    """One vector of a class: ``kernel``, float64, (levels, c), and ``constant``, float64, (levels,)."""

    kernel: FloatArray
    constant: FloatArray


@dataclass(frozen=True, eq=False)
class EmbeddingSpace:
    """Map between region vectors and the space of the class embeddings of a network.

    Attributes
    ----------
    to_features, shifts, biases
        Of each level: (512, c), (512,) and a number. The logit of an embedding ``t`` at a region vector ``h``
        is ``t @ (to_features @ h + shift) + bias``.
    """

    to_features: tuple[FloatArray, ...]
    shifts: tuple[FloatArray, ...]
    biases: tuple[float, ...]

    @classmethod
    def from_tensors(cls, tensors: Tensors) -> EmbeddingSpace:
        """Return the space of the network of a weights file."""
        terms = [head_terms(tensors, level) for level in range(LEVELS)]
        to_features, shifts, biases = zip(*terms, strict=True)
        return cls(to_features, shifts, biases)

    def embed(self, vectors: Float32Array, levels: IntArray) -> FloatArray:
        """Return the region embeddings, float64, (n, 512), of region vectors, (n, c)."""
        found = np.zeros((len(levels), len(self.shifts[0])))
        for level, (to_features, shift) in enumerate(zip(self.to_features, self.shifts, strict=True)):
            own = levels == level
            found[own] = vectors[own] @ to_features.T + shift
        return found

    def vector(self, embedding: FloatArray) -> Vector:
        """Return the vector of an embedding, (512,), in the space of adapted texts."""
        kernel = np.stack([embedding @ to_features for to_features in self.to_features])
        constant = np.array(
            [embedding @ shift + bias for shift, bias in zip(self.shifts, self.biases, strict=True)]
        )
        return Vector(kernel, constant)

    def direction(
        self, vectors: Float32Array, levels: IntArray, weights: FloatArray, positive: BoolArray
    ) -> FloatArray:
        """Return the mean embedding of examples less that of the background, (512,), L2 norm 1.

        Parameters
        ----------
        vectors, levels
            Region vectors, (n, c), and their levels, (n,).
        weights
            Number of anchors that a row stands for, (n,).
        positive
            bool, (n,): rows of examples.
        """
        means = np.zeros((2, len(self.shifts[0])))
        for number, own in enumerate((positive, ~positive)):
            if own.any():
                means[number] = weights[own] @ self.embed(vectors[own], levels[own]) / weights[own].sum()
        difference = means[0] - means[1]
        return np.asarray(difference / max(float(np.linalg.norm(difference)), 1e-12))
