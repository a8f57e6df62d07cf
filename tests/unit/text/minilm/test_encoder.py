"""The default encoder: the published weights, or none; on numpy, with the results of transformers."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medrov_cli.core.base.errors import ErrorCode, ExitCode, MedrovError
from medrov_cli.core.text.lexicon import lexicon
from medrov_cli.core.text.minilm import encoder
from medrov_cli.core.text.minilm.encoder import MiniLmEncoder, find_minilm
from medrov_cli.core.text.protocol import TextEncoder

ONE_TOKEN = "polyp "
"""A word that is one piece."""

ODD = [
    "",
    " \n\t",
    "\u200b",
    "\x00",
    "日本語 の テキスト",
    "🙂",
    "İleum ß ﬁ Å e\u0301",
    "Ελληνικά ΣΑΣ",
    "x" * 500,
    "a/b-c_d,.;",
]
LONG = [ONE_TOKEN * count for count in (253, 254, 255, 256, 300)]  # 254 words and two marks fill the context

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)

Reference = Callable[[list[str]], np.ndarray]


@pytest.fixture(scope="module")
def reference() -> Reference:
    """Return the encoder as its authors describe it: transformers, then the mean, then L2."""
    import torch
    from tokenizers import Tokenizer
    from transformers import BertModel

    folder = find_minilm()
    model = BertModel.from_pretrained(folder, local_files_only=True, add_pooling_layer=False).eval()
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(256)

    def encode(texts: list[str]) -> np.ndarray:
        with torch.inference_mode():
            states = [
                model(input_ids=torch.tensor([tokenizer.encode(text).ids])).last_hidden_state[0]
                for text in texts
            ]
            return torch.stack(
                [torch.nn.functional.normalize(state.mean(0), dim=0) for state in states]
            ).numpy()

    return encode


@pytest.mark.parametrize(
    "texts",
    [[text for entry in lexicon() for text in entry.texts][::4], ODD, LONG],
    ids=["lexicon", "odd", "long"],
)
@pytest.mark.slow
def test_embeddings_are_those_of_transformers(
    minilm: TextEncoder, reference: Reference, texts: list[str]
) -> None:
    np.testing.assert_allclose(minilm.encode(texts), reference(texts), rtol=0, atol=1e-6)


@given(text=TEXTS)
def test_the_embedding_of_any_text_is_that_of_transformers(
    minilm: TextEncoder, reference: Reference, text: str
) -> None:
    np.testing.assert_allclose(minilm.encode([text]), reference([text]), rtol=0, atol=1e-6)


@given(texts=st.lists(TEXTS, max_size=4))
@pytest.mark.slow
def test_an_embedding_does_not_depend_on_its_neighbours(minilm: TextEncoder, texts: list[str]) -> None:
    alone = [minilm.encode([text])[0] for text in texts]
    np.testing.assert_array_equal(minilm.encode(texts), np.reshape(alone, (-1, 384)))


def test_the_number_of_threads_does_not_matter() -> None:
    threadpoolctl = pytest.importorskip("threadpoolctl")
    if not any(library["user_api"] == "blas" for library in threadpoolctl.threadpool_info()):
        pytest.skip("numpy's linear algebra has its own mind about threads")
    code = (
        "import sys; from medrov_cli.core.text.encoders import open_encoder;"
        f"sys.stdout.buffer.write(open_encoder('minilm').encode(['lung nodule', {LONG[0]!r}]).tobytes())"
    )
    one, two = (
        subprocess.check_output(
            [sys.executable, "-c", code], env={**os.environ, "OPENBLAS_NUM_THREADS": n, "OMP_NUM_THREADS": n}
        )
        for n in ("1", "2")
    )
    assert len(one) == 2 * 384 * 4
    assert one == two


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


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('"gelu"', '"relu"'),
        ('"absolute"', '"relative_key"'),
        ('"layer_norm_eps"', '"eps"'),
        ('"num_hidden_layers": 6', '"num_hidden_layers": 7'),
        ("{", "["),
    ],
)
def test_a_config_of_another_network_is_refused(tmp_path: Path, before: str, after: str) -> None:
    for name in ("tokenizer.json", "model.safetensors"):
        (tmp_path / name).symlink_to(find_minilm() / name)
    text = (find_minilm() / "config.json").read_text()
    assert before in text
    (tmp_path / "config.json").write_text(text.replace(before, after))
    with pytest.raises(MedrovError) as caught:
        MiniLmEncoder(tmp_path)
    assert caught.value.code is ErrorCode.ENCODER_MISSING
    assert "force-reinstall" in caught.value.hint


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(MedrovError, match=r"config\.json") as caught:
        MiniLmEncoder(tmp_path)
    assert caught.value.code is ErrorCode.ENCODER_MISSING


def test_a_missing_package_is_named_in_the_hint(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoder, "PACKAGE", "no_such_package_at_all")
    with pytest.raises(MedrovError) as caught:
        find_minilm()
    assert caught.value.code is ErrorCode.ENCODER_MISSING
    assert "no-such-package-at-all" in caught.value.hint
