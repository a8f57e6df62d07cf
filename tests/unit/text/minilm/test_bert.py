"""The parts of BERT on numpy that transformers does not vouch for."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save_file

from medrov_cli.core.text.minilm.bert import Bert, BertConfig, gelu


@given(st.floats(-50, 50, width=32))
def test_gelu_is_the_value_times_the_normal_distribution_function(value: float) -> None:
    exact = value * math.erfc(-value / math.sqrt(2)) / 2
    (found,) = gelu(np.array([value], np.float32))
    assert found.dtype == np.float32
    assert abs(float(found) - exact) <= 1.1e-7 * max(1, abs(exact))


def test_gelu_of_a_few_numbers_as_in_tables() -> None:
    found = gelu(np.array([0, 1, -1, 1.959964, 100, -100], np.float32))
    np.testing.assert_allclose(found, [0, 0.841345, -0.158655, 1.959964 * 0.975, 100, 0], atol=1e-6)


@pytest.mark.parametrize("content", [b"", b"no weights", None], ids=["empty", "damaged", "of something else"])
def test_weights_of_something_else_are_refused(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "model.safetensors"
    if content is None:
        save_file({"embeddings.word_embeddings.weight": np.zeros((3, 4), np.float32)}, path)
    else:
        path.write_bytes(content)
    with pytest.raises(ValueError, match="does not contain the weights of a BERT"):
        Bert(path, BertConfig(layers=1, heads=1, eps=1e-12))
