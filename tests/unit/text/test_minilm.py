"""The default encoder: the published weights, or none."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from medrov_cli.core.errors import ErrorCode, ExitCode, MedrovError
from medrov_cli.core.text import TextEncoder
from medrov_cli.core.text import minilm as room
from medrov_cli.core.text.minilm import MiniLmEncoder, find_minilm


def test_embeddings_are_unit_vectors_of_384_values(minilm: TextEncoder) -> None:
    rows = minilm.encode(["lung nodule", "polyp"])
    assert rows.shape == (2, 384)
    assert rows.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-6)


@pytest.mark.parametrize(
    ("one", "other", "cosine"),
    [
        ("colon polyp", "colonic polyp", 0.9565),
        ("lung nodule", "pulmonary nodule", 0.9169),
        ("red blood cell", "white blood cell", 0.7136),
        ("optic disc", "optic nerve head", 0.7009),
    ],
)
def test_similarities_are_those_of_sentence_transformers(
    minilm: TextEncoder, one: str, other: str, cosine: float
) -> None:
    rows = minilm.encode([one, other])
    assert rows[0] @ rows[1] == pytest.approx(cosine, abs=1e-4)  # measured with sentence-transformers 6.2


def test_an_embedding_does_not_depend_on_its_neighbours(minilm: TextEncoder) -> None:
    alone = minilm.encode(["polyp"])
    among = minilm.encode(["a much longer text about the left upper lobe of the lung", "polyp"])
    np.testing.assert_array_equal(alone[0], among[1])


@pytest.mark.parametrize("text", ["Colon Polyp", "ÖSOPHAGUS", "İleum", "Iris ΣΑΣ"])
def test_case_makes_no_difference(minilm: TextEncoder, text: str) -> None:
    canonical = minilm.identity.canonical(f"  {text}\n")
    assert canonical != text
    np.testing.assert_allclose(minilm.encode([text]), minilm.encode([canonical]), atol=1e-6)


def test_a_text_beyond_the_context_is_cut_off(minilm: TextEncoder) -> None:
    long = "polyp " * 300
    np.testing.assert_array_equal(minilm.encode([long]), minilm.encode([long + "liver"]))


def test_no_text_is_an_empty_table(minilm: TextEncoder) -> None:
    assert minilm.encode([]).shape == (0, 384)


def test_weights_with_another_hash_are_refused(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    for name in ("config.json", "tokenizer.json"):
        shutil.copy(find_minilm() / name, folder)
    content = bytearray((find_minilm() / "model.safetensors").read_bytes()[:100_000])
    content[-1] ^= 1
    (folder / "model.safetensors").write_bytes(content)
    with pytest.raises(MedrovError, match="is not the published file") as caught:
        MiniLmEncoder(folder)
    assert caught.value.code is ErrorCode.ENCODER_MISSING
    assert caught.value.exit_code is ExitCode.WEIGHTS


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(MedrovError, match=r"config\.json") as caught:
        MiniLmEncoder(tmp_path)
    assert caught.value.code is ErrorCode.ENCODER_MISSING


def test_a_missing_package_is_named_in_the_hint(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "PACKAGE", "no_such_package_at_all")
    with pytest.raises(MedrovError) as caught:
        find_minilm()
    assert caught.value.code is ErrorCode.ENCODER_MISSING
    assert "no-such-package-at-all" in caught.value.hint
