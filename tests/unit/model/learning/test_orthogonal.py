"""The nearest orthogonal matrix, against the singular value decomposition and ultralytics' own form."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from medrov_cli.core.model.learning.orthogonal import orthogonalize, product_format

SHAPES = [(16, 144), (64, 64), (64, 80), (144, 16), (1, 9)]


def made(rows: int, columns: int, batch: int = 2) -> torch.Tensor:
    generator = torch.Generator().manual_seed(rows * 1000 + columns)
    return torch.randn(batch, rows, columns, generator=generator)


@pytest.mark.parametrize(("rows", "columns"), SHAPES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_directions_stay_and_lengths_become_alike(rows: int, columns: int, dtype: torch.dtype) -> None:
    matrices = made(rows, columns)
    found = orthogonalize(matrices, dtype)
    assert found.dtype is torch.float32
    left, values, right = torch.linalg.svd(matrices, full_matrices=False)
    inside = left.mT @ found @ right.mT  # diagonal in the singular vectors of the matrix itself
    lengths = inside.diagonal(dim1=1, dim2=2)
    off = (inside - torch.diag_embed(lengths)).abs().amax()
    assert off < (1e-3 if dtype is torch.float32 else 0.25)
    large = values > 0.05 * values.amax(dim=1, keepdim=True)
    assert lengths[large].min() > 0.6
    assert lengths[large].max() < 1.25


@pytest.mark.parametrize(("rows", "columns"), SHAPES)
def test_both_formats_give_ultralytics_result(rows: int, columns: int) -> None:
    from medrov_cli.core.model.blocks import Conv  # noqa: F401 - keeps ultralytics off the network

    from ultralytics.optim.muon import zeropower_via_newtonschulz5  # isort: skip

    matrices = made(rows, columns)
    theirs = zeropower_via_newtonschulz5(matrices).float()
    for dtype in (torch.float32, torch.bfloat16):
        ours = orthogonalize(matrices, dtype)
        # bfloat16 has eight bits: a product of five steps is good to a few per cent of its length
        assert (ours - theirs).norm() < 0.06 * theirs.norm()


@given(st.integers(1, 12), st.integers(1, 40), st.integers(0, 2**16))
def test_the_two_forms_of_float32_agree(rows: int, columns: int, seed: int) -> None:
    matrix = torch.randn(1, rows, columns, generator=torch.Generator().manual_seed(seed))
    exact = orthogonalize(matrix.double(), torch.float64)  # never by the Gram matrix
    torch.testing.assert_close(orthogonalize(matrix, torch.float32).double(), exact, atol=2e-3, rtol=0)


def test_zeros_stay_zeros() -> None:
    assert not orthogonalize(torch.zeros(1, 4, 30), torch.float32).any()


def test_a_cpu_multiplies_in_float32_and_a_gpu_in_what_it_computes_in(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert product_format(torch.device("cpu")) is torch.float32
    for computes, expected in ((True, torch.bfloat16), (False, torch.float32)):
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation, own=computes: own)
        assert product_format(torch.device("cuda")) is expected
