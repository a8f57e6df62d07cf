"""Nearest orthogonal matrices by Newton-Schulz iteration.

It is written by hand because torch and ultralytics compute the iteration in bfloat16 on all devices, which
CPUs without units for this format emulate slowly. The coefficients are those of Muon
(https://kellerjordan.github.io/posts/muon/): after five steps every singular value is near 1.
"""

from __future__ import annotations

import torch
from torch import Tensor

STEPS = 5
COEFFICIENTS = (3.4445, -4.7750, 2.0315)
"""Coefficients of x, x^3 and x^5, from the page above."""

_GRAM_FROM = 1.5
"""Ratio of columns to rows from which the iteration on the Gram matrix needs fewer products."""

_EPSILON = 1e-7


def product_format(device: torch.device) -> torch.dtype:
    """Return the number format for the products: bfloat16 on GPUs that compute in it, else float32.

    CPUs use float32 even if they have units for bfloat16: the iteration for float32 needs less than half the
    products, and was faster on such a CPU, too (docs/performance.md).
    """
    if device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False):
        return torch.bfloat16
    return torch.float32


def orthogonalize(matrices: Tensor, dtype: torch.dtype) -> Tensor:
    """Return approximately the nearest orthogonal matrices, with singular values from 0.7 to 1.2.

    Parameters
    ----------
    matrices
        float32, (batch, rows, columns). Zero matrices stay zero.
    dtype
        Number format of the products, see :func:`product_format`.

    Returns
    -------
    Tensor
        float32, (batch, rows, columns).
    """
    rows, columns = matrices.shape[1:]
    wide = matrices if rows <= columns else matrices.mT
    wide = (wide / (torch.linalg.matrix_norm(wide, keepdim=True) + _EPSILON)).to(dtype)
    if dtype is torch.float32 and wide.shape[2] > _GRAM_FROM * wide.shape[1]:
        wide = _by_gram_matrix(wide)
    else:
        wide = _by_matrix(wide)
    return (wide if rows <= columns else wide.mT).to(matrices.dtype)


def _by_matrix(matrices: Tensor) -> Tensor:
    """Iterate on the matrices."""
    linear, cubic, quintic = COEFFICIENTS
    for _ in range(STEPS):
        gram = matrices @ matrices.mT
        factor = torch.baddbmm(gram, gram, gram, beta=cubic, alpha=quintic)
        matrices = torch.baddbmm(matrices, factor, matrices, beta=linear)
    return matrices


def _by_gram_matrix(matrices: Tensor) -> Tensor:
    """Iterate on the small matrix X X^T, and multiply once.

    Every step is a polynomial of the first Gram matrix times X, and such polynomials commute: with B_k the
    factor of step k, the next Gram matrix is B_k G B_k, and the result B_5 ... B_1 X. In bfloat16 the squared
    singular values would be lost to rounding.
    """
    linear, cubic, quintic = COEFFICIENTS
    gram = matrices @ matrices.mT
    product: Tensor | None = None
    for step in range(STEPS):
        factor = torch.baddbmm(gram, gram, gram, beta=cubic, alpha=quintic)
        factor.diagonal(dim1=1, dim2=2).add_(linear)
        product = factor if product is None else factor @ product
        if step < STEPS - 1:
            gram = factor @ gram @ factor
    return matrices if product is None else product @ matrices
