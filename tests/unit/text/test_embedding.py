"""From texts to the class embeddings that the detector is handed."""

from __future__ import annotations

import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.settings.values import parse_classes
from medrov_cli.core.text import vocabulary
from medrov_cli.core.text.embedding import embed_prompts, embed_texts, mean_embeddings
from medrov_cli.core.text.lexicon import lexicon
from medrov_cli.core.text.minilm.encoder import MINILM
from medrov_cli.core.text.protocol import TextEncoder
from medrov_cli.core.text.vocabulary import VOCABULARY, build_vocabulary, shipped_embeddings


def test_rows_are_padded_to_512_and_keep_order_and_repeats() -> None:
    rows = embed_texts(["polyp", "liver", "Polyp "])
    assert rows.shape == (3, 512)
    assert rows.dtype == np.float32
    np.testing.assert_array_equal(rows[0], rows[2])
    assert not rows[:, 384:].any()
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-6)


def test_synonyms_are_averaged_then_normalised() -> None:
    a, b = embed_texts(["polyp", "liver"]).astype(np.float64)
    both, single = embed_prompts(parse_classes("polyp/liver, liver"))
    # Two unit vectors at cosine c: their mean has the norm sqrt((1 + c) / 2).
    np.testing.assert_allclose(both, (a + b) / 2 / np.sqrt((1 + a @ b) / 2), atol=1e-6)
    assert a @ b < 0.5
    np.testing.assert_allclose(single, b, atol=1e-6)


def test_means_of_groups_of_any_size_are_those_of_their_rows() -> None:
    rows = np.random.default_rng(0).normal(size=(7, 5)).astype(np.float32)
    groups = [[3], [0, 1, 2], range(2, 7), [6, 6]]
    expected = np.array([rows[list(group)].astype(np.float64).mean(axis=0) for group in groups])
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    means = mean_embeddings(rows, groups)
    assert means.dtype == np.float32
    np.testing.assert_allclose(means, expected, atol=1e-6)


def test_no_prompts_and_no_texts_are_empty_tables() -> None:
    assert embed_texts([]).shape == (0, 512)
    assert embed_prompts([]).shape == (0, 512)


def test_an_encoder_wider_than_the_detector_is_refused() -> None:
    with pytest.raises(MedrovError, match="of width 384; the maximum of the detector is 256") as caught:
        embed_texts(["polyp"], width=256)
    assert caught.value.code is ErrorCode.USAGE


@pytest.mark.parametrize("spec", ["", "bert", "hf-hub:", "hf-hub:name", "hf-hub:/x", "local-dir:", "MiniLM"])
def test_an_unknown_encoder_is_refused(spec: str) -> None:
    with pytest.raises(MedrovError, match="unknown text encoder") as caught:
        embed_texts(["polyp"], encoder=spec)
    assert caught.value.code is ErrorCode.USAGE


def test_the_vocabulary_ships_every_text_of_the_lexicon() -> None:
    shipped = shipped_embeddings(MINILM)
    assert {text for entry in lexicon() for text in entry.texts} == set(shipped)


def test_the_vocabulary_is_what_the_real_encoder_says(minilm: TextEncoder) -> None:
    shipped = shipped_embeddings(MINILM)
    texts = sorted(shipped)[::40]
    assert len(texts) >= 10
    np.testing.assert_allclose([shipped[text] for text in texts], minilm.encode(texts), atol=1e-3)


class CountingEncoder:
    """Axis-aligned unit vectors, so that building the file takes no time."""

    identity = MINILM

    def encode(self, texts: list[str]) -> np.ndarray:
        return np.eye(384, dtype=np.float32)[np.arange(len(texts)) % 384]


def test_building_writes_the_lexicon_as_half_precision(tmp_path: Path) -> None:
    path = tmp_path / "vocabulary.safetensors"
    count = build_vocabulary(path, CountingEncoder())
    assert count == len(shipped_embeddings(MINILM))
    assert count * 768 < path.stat().st_size < count * 768 + 40_000
    first = path.read_bytes()
    build_vocabulary(path, CountingEncoder())
    assert path.read_bytes() == first


def test_a_damaged_vocabulary_is_not_trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original = Path(str(files("medrov_cli").joinpath("assets", VOCABULARY))).read_bytes()
    (tmp_path / "assets").mkdir()
    (tmp_path / "assets" / VOCABULARY).write_bytes(original[:-1000])
    monkeypatch.setattr(vocabulary, "files", lambda _package: tmp_path)
    vocabulary._load.cache_clear()
    before = embed_texts(["polyp"], warn=(warnings := []).append)
    vocabulary._load.cache_clear()
    monkeypatch.undo()
    assert len(warnings) == 1
    assert "vocabulary" in warnings[0]
    np.testing.assert_allclose(before, embed_texts(["polyp"]), atol=1e-3)
    vocabulary._load.cache_clear()


SHIPPED = """
import sys
from medrov_cli.core.text.embedding import embed_prompts
from medrov_cli.core.settings.values import parse_classes
rows = embed_prompts(parse_classes("Lung Nodule/pulmonary nodule, RBC, left  lung"), offline=True)
assert rows.shape == (3, 512)
heavy = {"torch", "transformers", "tokenizers", "open_clip", "huggingface_hub"} & set(sys.modules)
assert not heavy, heavy
"""

UNKNOWN = """
import sys
from medrov_cli.core.text.embedding import embed_texts
assert embed_texts(["flying saucer"]).shape == (1, 512)
assert embed_texts(["flying pancake"]).shape == (1, 512)
assert "tokenizers" in sys.modules
heavy = {"torch", "transformers", "open_clip", "huggingface_hub", "ultralytics", "scipy"} & set(sys.modules)
assert not heavy, heavy
"""


@pytest.mark.parametrize("code", [SHIPPED, UNKNOWN], ids=["shipped", "unknown"])
def test_nothing_heavy_is_imported_and_nothing_is_printed(code: str) -> None:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
