"""Low-rank changes of kernels."""

from __future__ import annotations

import numpy as np
import pytest

from medrov_cli.core.weights.adapter import Adapter


def adapter(rank: int = 1) -> Adapter:
    up = np.array([[1.0], [2.0]], dtype=np.float32).repeat(rank, 1)
    down = np.array([[1.0, 0, 0, -1]], dtype=np.float32).repeat(rank, 0)
    return Adapter({"a.weight": (up, down)})


def test_merged_kernel_is_the_sum() -> None:
    kernel = np.full((2, 1, 2, 2), 0.5, dtype=np.float16)
    other = np.zeros(3, dtype=np.float32)
    merged = adapter().merge({"a.weight": kernel, "b": other})
    assert merged["b"] is other
    assert merged["a.weight"].dtype == np.float16
    assert merged["a.weight"][:, 0].tolist() == [[[1.5, 0.5], [0.5, -0.5]], [[2.5, 0.5], [0.5, -1.5]]]
    assert kernel.max() == 0.5


@pytest.mark.parametrize("shape", [(2, 1, 2, 3), (3, 1, 2, 2), (2, 4)])
def test_a_kernel_of_another_shape_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"a\.weight"):
        adapter().merge({"a.weight": np.zeros(shape, dtype=np.float16)})


def test_arrays_make_the_same_adapter() -> None:
    own = adapter(2)
    again = Adapter.from_arrays({**own.as_arrays(), "kernels": np.zeros(3)}, 2)
    assert again.sha256 == own.sha256
    assert again.sha256 != adapter(1).sha256
    with pytest.raises(ValueError, match="do not fit"):
        Adapter.from_arrays(own.as_arrays(), 3)
    with pytest.raises(ValueError, match="missing"):
        Adapter.from_arrays({}, 1)
    with pytest.raises(ValueError, match="float32"):
        Adapter.from_arrays({name: array.astype(np.float16) for name, array in own.as_arrays().items()}, 2)
