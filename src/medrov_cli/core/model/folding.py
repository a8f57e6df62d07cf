"""Folding of class embeddings into a few small matrices, without torch.

The head's logit of a region with features ``h`` is ``exp(scale) * <BN(W h + b), t> + bias``, and the
attention's similarity is ``<e, G t + g>``. Both are linear in the image features, so that a vocabulary folds
into one matrix and one column per level, and one matrix per attention. A change of classes replaces these
matrices, without another compilation.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from medrov_cli.core.records.boxes import IntArray
from medrov_cli.core.records.folded_text import FoldedText
from medrov_cli.core.records.frame import Float32Array
from medrov_cli.core.records.regions import RegionColumns

ATTENTIONS = ("12", "15", "18", "21")
"""Layers with text-guided attention, in YOLO-World's numbering."""

LEVELS = 3

EPS = 1e-3
"""Epsilon of the batch norms (ultralytics)."""

Tensors = Mapping[str, npt.NDArray[Any]]
Float64Array = npt.NDArray[np.float64]


def fold_text(tensors: Tensors, embeddings: Float32Array) -> FoldedText:
    """Return the matrices of a set of class embeddings, float32, (classes, 512), L2 norm 1.

    Parameters
    ----------
    tensors
        Tensors of a weights file, by name.
    embeddings
        Class embeddings.
    """
    guides = _adapted(tensors, embeddings)
    adapted = guides[: len(embeddings)]
    kernels, constants = [], []
    for level in range(LEVELS):
        to_features, shift, bias = head_terms(tensors, level)
        kernels.append(adapted @ to_features.astype(np.float32))
        constants.append((adapted @ shift.astype(np.float32) + np.float32(bias))[:, None])
    by_layer = []
    for layer in ATTENTIONS:
        weight, offset, heads = guide_terms(tensors, layer)
        rows = guides @ weight.astype(np.float32) + offset.astype(np.float32)
        by_layer.append(np.ascontiguousarray(rows.reshape(len(guides), heads, -1).transpose(1, 0, 2)))
    return FoldedText(tuple(kernels), tuple(constants), tuple(by_layer))


def join_columns(
    text: FoldedText, learned: RegionColumns, columns: IntArray
) -> tuple[FoldedText, tuple[int, ...]]:
    """Return texts and learned classes as one set of kernels, and the number of kernels of each class.

    The guides stay those of the texts.

    Parameters
    ----------
    text
        Texts.
    learned
        Learned classes.
    columns
        int64, (classes,): the chosen classes, counted over the texts and then the learned classes.
    """
    count = len(text.kernels[0])
    owners = np.concatenate((np.arange(count), count + learned.classes))
    rows = [np.flatnonzero(owners == column) for column in columns.tolist()]
    order = np.concatenate(rows)
    kernels = [
        np.concatenate((own, more))[order] for own, more in zip(text.kernels, learned.kernels, strict=True)
    ]
    constants = [
        np.concatenate((own, more[:, None]))[order]
        for own, more in zip(text.constants, learned.constants, strict=True)
    ]
    joined = FoldedText(tuple(kernels), tuple(constants), text.guides)
    return joined, tuple(len(own) for own in rows)


def head_terms(tensors: Tensors, level: int) -> tuple[Float64Array, Float64Array, float]:
    """Return the terms that give the logits of a level from an adapted text ``t``.

    Returns
    -------
    to_features, shift, bias
        (512, c), (512,) and a number: the logit is ``(t @ to_features) @ h + t @ shift + bias``.
    """
    stem, contrast = f"model.22.cv3.{level}.2", f"model.22.cv4.{level}"
    scale = np.exp(_get(tensors, f"{contrast}.logit_scale"))
    gain = _get(tensors, f"{contrast}.norm.weight") / np.sqrt(
        _get(tensors, f"{contrast}.norm.running_var") + EPS
    )
    offset = _get(tensors, f"{stem}.bias") - _get(tensors, f"{contrast}.norm.running_mean")
    shift = _get(tensors, f"{contrast}.norm.bias") + offset * gain
    weight = _get(tensors, f"{stem}.weight")[:, :, 0, 0]
    bias = float(_get(tensors, f"{contrast}.bias").reshape(-1)[0])
    return gain[:, None] * weight * scale, shift * scale, bias


def guide_terms(tensors: Tensors, layer: str) -> tuple[Float64Array, Float64Array, int]:
    """Return the terms that give the guides of an attention from adapted texts, scaled by its width.

    Returns
    -------
    weight, offset, heads
        (512, heads * width), (heads * width,), and the number of heads.
    """
    stem = f"model.{layer}.attn"
    weight = _get(tensors, f"{stem}.gl.weight")
    heads = len(tensors[f"{stem}.bias"])
    root = math.sqrt(len(weight) // heads)
    return weight.T / root, _get(tensors, f"{stem}.gl.bias") / root, heads


def _adapted(tensors: Tensors, embeddings: Float32Array) -> Float32Array:
    """Return class embeddings after the text adapter, followed by the background, if there is one."""
    text = embeddings
    if "background" in tensors:
        text = np.concatenate((text, tensors["background"].astype(np.float32)[None]))
    if "text_adapter.weight" in tensors:
        weight, bias = (tensors[f"text_adapter.{name}"].astype(np.float32) for name in ("weight", "bias"))
        text = text @ weight.T + bias
    return np.asarray(text / np.linalg.norm(text, axis=1, keepdims=True))


def _get(tensors: Tensors, name: str) -> Float64Array:
    return np.asarray(tensors[name], dtype=np.float64)
