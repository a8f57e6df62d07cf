"""BERT encoder in numpy.

It is written by hand because the import of a framework takes seconds, and a class name has a few tokens:
``detect`` on a CPU imports neither torch nor transformers. Devlin et al. 2018 (arXiv 1810.04805), the
encoder only: no pooler, no dropout, one text at a time, hence no padding and no mask.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from medrov_cli.core.base.documents import read_json
from medrov_cli.core.base.text_files import DocumentError
from medrov_cli.core.records.frame import Float32Array

_WORDS = "embeddings.word_embeddings.weight"

_FAR = 6.0
"""Argument at which erfc is 2e-17, which is negligible beside 1 in float32."""

_DEGREE = 10
"""Degree of the polynomial of `_tail`; its error is 2e-10, far below that of float32."""


@dataclass(frozen=True, slots=True)
class BertConfig:
    """Configuration that the weights do not contain.

    Attributes
    ----------
    layers, heads
        Number of blocks, and of attention heads in each.
    eps
        Added to the variance by the layer norms.
    """

    layers: int
    heads: int
    eps: float

    @classmethod
    def read(cls, path: Path) -> Self:
        """Return the configuration in a ``config.json`` of transformers.

        Raises
        ------
        ValueError
            If it is invalid, or requires another activation or kind of positions.
        OSError
            If it cannot be read.
        """
        try:
            document = read_json(path)
            kinds = (document["hidden_act"], document.get("position_embedding_type", "absolute"))
            config = cls(
                int(document["num_hidden_layers"]),
                int(document["num_attention_heads"]),
                float(document["layer_norm_eps"]),
            )
        except DocumentError as error:
            raise ValueError(f"{path} {error}") from error
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"{path} is not the config of a BERT") from error
        if kinds != ("gelu", "absolute"):
            raise ValueError(f"{path} requires {kinds}; only gelu and absolute positions are supported")
        return config


class Bert:
    """A BERT whose weights are a safetensors file.

    Parameters
    ----------
    weights
        The file. It stays open: of the word embeddings, half of the file, only the rows of the
        tokens are read.
    config
        Configuration of the network.

    Raises
    ------
    ValueError
        If the file is damaged, or lacks a tensor.
    OSError
        If it cannot be read.
    """

    def __init__(self, weights: Path, config: BertConfig) -> None:
        from safetensors import SafetensorError, safe_open

        try:
            file: Any = safe_open(weights, framework="numpy")
            tensors = {name: file.get_tensor(name) for name in file.keys() if name != _WORDS}  # noqa: SIM118
            self._words: Any = file.get_slice(_WORDS)
            positions = tensors["embeddings.position_embeddings.weight"]
            # All tokens belong to the first of the two segments.
            self._places: Float32Array = positions + tensors["embeddings.token_type_embeddings.weight"][0]
            self._norm = _Norm.from_tensors(tensors, "embeddings.LayerNorm", config.eps)
            self._blocks = [
                _Block.from_tensors(tensors, f"encoder.layer.{layer}", config)
                for layer in range(config.layers)
            ]
        except (SafetensorError, KeyError) as error:
            raise ValueError(f"{weights} does not contain the weights of a BERT: {error}") from error

    def __call__(self, tokens: Sequence[int]) -> Float32Array:
        """Return the last hidden state of one text, float32, (tokens, width)."""
        words = np.concatenate([self._words[token : token + 1] for token in tokens])
        state = self._norm(words + self._places[: len(tokens)])
        for block in self._blocks:
            state = block(state)
        return state


@dataclass(frozen=True, slots=True)
class _Linear:
    """Linear layer: ``x`` times the transposed weight, plus the bias."""

    weight: Float32Array
    bias: Float32Array

    @classmethod
    def from_tensors(cls, tensors: dict[str, Float32Array], name: str) -> Self:
        return cls(tensors[f"{name}.weight"], tensors[f"{name}.bias"])

    def __call__(self, x: Float32Array) -> Float32Array:
        result: Float32Array = x @ self.weight.T
        result += self.bias
        return result


@dataclass(frozen=True, slots=True)
class _Norm:
    """Layer norm (arXiv 1607.06450)."""

    weight: Float32Array
    bias: Float32Array
    eps: float

    @classmethod
    def from_tensors(cls, tensors: dict[str, Float32Array], name: str, eps: float) -> Self:
        return cls(tensors[f"{name}.weight"], tensors[f"{name}.bias"], eps)

    def __call__(self, x: Float32Array) -> Float32Array:
        centred = x - x.mean(axis=-1, keepdims=True)
        variance = np.square(centred).mean(axis=-1, keepdims=True)
        result: Float32Array = centred / np.sqrt(variance + self.eps) * self.weight + self.bias
        return result


@dataclass(frozen=True, slots=True)
class _Block:
    """Transformer block: self-attention and two linear layers, each with residual and layer norm."""

    heads: int
    query: _Linear
    key: _Linear
    value: _Linear
    attended: _Linear
    attended_norm: _Norm
    widened: _Linear
    narrowed: _Linear
    narrowed_norm: _Norm

    @classmethod
    def from_tensors(cls, tensors: dict[str, Float32Array], name: str, config: BertConfig) -> Self:
        return cls(
            config.heads,
            _Linear.from_tensors(tensors, f"{name}.attention.self.query"),
            _Linear.from_tensors(tensors, f"{name}.attention.self.key"),
            _Linear.from_tensors(tensors, f"{name}.attention.self.value"),
            _Linear.from_tensors(tensors, f"{name}.attention.output.dense"),
            _Norm.from_tensors(tensors, f"{name}.attention.output.LayerNorm", config.eps),
            _Linear.from_tensors(tensors, f"{name}.intermediate.dense"),
            _Linear.from_tensors(tensors, f"{name}.output.dense"),
            _Norm.from_tensors(tensors, f"{name}.output.LayerNorm", config.eps),
        )

    def __call__(self, x: Float32Array) -> Float32Array:
        x = self.attended_norm(self.attended(self._attention(x)) + x)
        return self.narrowed_norm(self.narrowed(gelu(self.widened(x))) + x)

    def _attention(self, x: Float32Array) -> Float32Array:
        tokens, width = x.shape
        query, key, value = (
            linear(x).reshape(tokens, self.heads, -1).transpose(1, 0, 2)  # heads, tokens, width / heads
            for linear in (self.query, self.key, self.value)
        )
        scores: Float32Array = query @ key.transpose(0, 2, 1)
        scores *= np.float32(1 / math.sqrt(width // self.heads))
        scores -= scores.max(axis=-1, keepdims=True)
        np.exp(scores, out=scores)
        scores /= scores.sum(axis=-1, keepdims=True)
        mixed: Float32Array = (scores @ value).transpose(1, 0, 2).reshape(tokens, width)
        return mixed


def gelu(x: Float32Array) -> Float32Array:
    """Return ``x`` times the normal distribution function of ``x`` (arXiv 1606.08415).

    The error is at most 1.1e-7 of the result, or of 1 if that is larger. scipy contains the error
    function, but its import takes a quarter of a second.
    """
    size = np.abs(x)
    distance = np.minimum(size * np.float32(math.sqrt(0.5)), np.float32(_FAR))
    near: Float32Array = np.reciprocal(np.float32(0.5) * distance + np.float32(1))
    tail = np.full_like(near, _TAIL[0])
    for coefficient in _TAIL[1:]:
        tail *= near
        tail += coefficient
    tail *= np.exp(-np.square(distance))
    tail *= size
    result: Float32Array = np.maximum(x, 0) - tail
    return result


def _tail() -> list[np.float32]:
    """Return a polynomial of ``t = 1 / (1 + z / 2)`` for ``exp(z * z) * erfc(z) / 2``, highest power first.

    The polynomial interpolates the standard library's erfc at Chebyshev nodes.
    """
    least = 1 / (1 + _FAR / 2)
    angles = (np.arange(_DEGREE + 1) + 0.5) * np.pi / (_DEGREE + 1)
    nodes = least + (1 - least) * (1 + np.cos(angles)) / 2
    distances = 2 / nodes - 2
    values = [math.exp(z * z) * math.erfc(z) / 2 for z in distances]
    return [np.float32(value) for value in np.linalg.solve(np.vander(nodes), values)]


_TAIL = _tail()
