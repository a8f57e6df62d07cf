"""Embeddings on disk: found again, never trusted when damaged, safe under parallel processes."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from medrov_cli.core import config
from medrov_cli.core.records import Float32Array
from medrov_cli.core.text import EncoderIdentity, embed_texts
from medrov_cli.core.text.cache import EmbeddingCache

IDENTITY = EncoderIdentity("local-dir:x", "tiny", "r1", width=4, context_length=8)
UNIT = np.array([0.6, 0.0, 0.8, 0.0], np.float32)


def silent(message: str) -> None:
    raise AssertionError(message)


@pytest.fixture
def cache(tmp_path: Path) -> EmbeddingCache:
    return EmbeddingCache(IDENTITY, tmp_path / "text")


def test_an_entry_comes_back_as_it_was(cache: EmbeddingCache) -> None:
    assert cache.get("polyp", silent) is None
    assert cache.put("polyp", UNIT)
    np.testing.assert_allclose(cache.get("polyp", silent), UNIT, atol=1e-7)
    assert cache.get("liver", silent) is None


@pytest.mark.parametrize(
    "other",
    [
        EncoderIdentity("local-dir:x", "tiny", "r2", 4, 8),
        EncoderIdentity("local-dir:x", "tiny", "r1", 4, 16),
        EncoderIdentity("local-dir:x", "huge", "r1", 4, 8),
    ],
    ids=["revision", "context length", "name"],
)
def test_another_encoder_does_not_see_the_entry(cache: EmbeddingCache, other: EncoderIdentity) -> None:
    cache.put("polyp", UNIT)
    assert EmbeddingCache(other, cache.folder).get("polyp", silent) is None


def truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-3])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def foreign(path: Path) -> None:
    save_file({"embeddings": UNIT[None]}, path)


def not_a_number(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-4] + np.float32(np.nan).tobytes())


def long(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-4] + np.float32(3).tobytes())


def of_another_text(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b"polyp", b"liver"))


def of_another_encoder(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b"tiny", b"huge"))


def a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize(
    "damage",
    [truncated, empty, foreign, not_a_number, long, of_another_text, of_another_encoder, a_folder],
    ids=lambda damage: damage.__name__,
)
def test_a_damaged_entry_counts_as_absent_after_a_warning(
    cache: EmbeddingCache, damage: Callable[[Path], None]
) -> None:
    cache.put("polyp", UNIT)
    damage(cache.path_of("polyp"))
    warnings: list[str] = []
    assert cache.get("polyp", warnings.append) is None
    assert len(warnings) == 1
    assert "'polyp' is damaged" in warnings[0]


def test_a_new_text_is_encoded_once_and_a_damaged_entry_again(clip_folder: Path) -> None:
    spec = f"local-dir:{clip_folder}"
    first = embed_texts(["flying saucer"], encoder=spec)
    (entry,) = (config.cache_dir() / "text").rglob("*.safetensors")
    written = entry.read_bytes()
    entry.write_bytes(written[:-1])
    warnings: list[str] = []
    np.testing.assert_allclose(
        embed_texts(["flying saucer"], encoder=spec, warn=warnings.append), first, atol=1e-7
    )
    assert len(warnings) == 1
    assert entry.read_bytes() == written
    embed_texts(["flying saucer"], encoder=spec, warn=silent)


def test_an_unwritable_cache_costs_time_only(
    clip_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("MEDROV_CACHE", str(tmp_path / "file"))
    warnings: list[str] = []
    rows = embed_texts(["a", "b"], encoder=f"local-dir:{clip_folder}", warn=warnings.append)
    assert rows.shape == (2, 512)
    assert any("not writable" in warning for warning in warnings)


def vector(number: int) -> Float32Array:
    return np.eye(4, dtype=np.float32)[number % 4]


def fill(folder: Path, start: int) -> None:
    cache = EmbeddingCache(IDENTITY, folder)
    for number in range(start, start + 60):
        assert cache.put(f"text {number}", vector(number))
        found = cache.get(f"text {number}", silent)
        assert found is not None


def test_four_processes_lose_and_damage_nothing(cache: EmbeddingCache) -> None:
    context = multiprocessing.get_context("fork")
    # Each shares half of its texts with the next one.
    processes = [context.Process(target=fill, args=(cache.folder, 30 * rank)) for rank in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0, 0, 0]
    for number in range(150):
        np.testing.assert_array_equal(cache.get(f"text {number}", silent), vector(number))
    files = [path for path in cache.folder.rglob("*") if path.is_file()]
    assert len(files) == 150
