"""Embeddings on disk: found again, never trusted when damaged, safe under parallel processes."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from medrov_cli.core.base.environment import cache_dir
from medrov_cli.core.base.errors import CacheWarning
from medrov_cli.core.records.frame import Float32Array
from medrov_cli.core.text.cache import MANY_FILES, EmbeddingCache
from medrov_cli.core.text.embedding import embed_texts
from medrov_cli.core.text.embedding_file import write_embeddings
from medrov_cli.core.text.protocol import EncoderIdentity

pytestmark = pytest.mark.usefixtures("empty_cache")

IDENTITY = EncoderIdentity("local-dir:x", "tiny", "r1", width=4, context_length=8)
UNIT = np.array([0.6, 0.0, 0.8, 0.0], np.float32)


def silent(message: str) -> None:
    raise AssertionError(message)


@pytest.fixture
def cache(tmp_path: Path) -> EmbeddingCache:
    return EmbeddingCache.within(tmp_path / "text", IDENTITY)


def files_of(cache: EmbeddingCache) -> list[Path]:
    return [path for path in cache.folder.rglob("*") if path.is_file()]


def test_an_entry_comes_back_as_it_was(cache: EmbeddingCache) -> None:
    assert cache.get(["polyp"], silent) == {}
    assert cache.put({"polyp": UNIT})
    found = cache.get(["polyp", "liver"], silent)
    assert list(found) == ["polyp"]
    np.testing.assert_array_equal(found["polyp"], UNIT)


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
    cache.put({"polyp": UNIT})
    assert EmbeddingCache.within(cache.folder.parent, other).get(["polyp"], silent) == {}


def test_texts_that_are_stored_at_once_are_one_file(cache: EmbeddingCache) -> None:
    cache.put({f"text {number}": vector(number) for number in range(1000)})
    assert len(files_of(cache)) == 1
    found = cache.get([f"text {number}" for number in range(1000)], silent)
    assert len(found) == 1000
    assert all(np.array_equal(found[f"text {number}"], vector(number)) for number in range(1000))


def test_many_files_become_one_and_nothing_is_lost(cache: EmbeddingCache) -> None:
    for number in range(MANY_FILES):
        cache.put({f"text {number}": vector(number)})
    assert len(files_of(cache)) == MANY_FILES
    cache.put({"polyp": UNIT})
    assert len(files_of(cache)) == 1
    found = cache.get([*(f"text {number}" for number in range(MANY_FILES)), "polyp"], silent)
    np.testing.assert_array_equal(found.pop("polyp"), UNIT)
    assert len(found) == MANY_FILES
    assert all(np.array_equal(found[f"text {number}"], vector(number)) for number in range(MANY_FILES))


def test_a_damaged_file_is_left_out_when_many_become_one(cache: EmbeddingCache) -> None:
    for number in range(MANY_FILES):
        cache.put({f"text {number}": vector(number)})
    truncated(files_of(cache)[0])
    cache.put({"polyp": UNIT})
    texts = [f"text {number}" for number in range(MANY_FILES)]
    assert len(cache.get([*texts, "polyp"], silent)) == MANY_FILES


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


def of_another_encoder(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b"tiny", b"huge"))


def negated(path: Path) -> None:
    """Change the sign of a number, which changes no norm."""
    content = path.read_bytes()
    number = -np.frombuffer(content[-4:], np.float32)
    path.write_bytes(content[:-4] + number.tobytes())


def turned(path: Path) -> None:
    """Exchange the halves of the numbers, which changes no norm."""
    content = path.read_bytes()
    start = 8 + int.from_bytes(content[:8], "little")
    middle = start + (len(content) - start) // 2
    path.write_bytes(content[:start] + content[middle:] + content[start:middle])


def of_another_text(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b"polyp", b"liver"))


def without_checksum(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b"sha256", b"sha512"))


@pytest.mark.parametrize(
    "damage",
    [
        truncated,
        empty,
        foreign,
        not_a_number,
        long,
        of_another_encoder,
        negated,
        turned,
        of_another_text,
        without_checksum,
    ],
    ids=lambda damage: damage.__name__,
)
def test_a_damaged_file_is_removed_after_a_warning(
    cache: EmbeddingCache, damage: Callable[[Path], None]
) -> None:
    cache.put({"polyp": UNIT})
    (path,) = files_of(cache)
    damage(path)
    warnings: list[str] = []
    assert cache.get(["polyp"], warnings.append) == {}
    assert len(warnings) == 1
    assert f"{path} are damaged" in warnings[0]
    assert not path.exists()


def test_a_folder_with_the_name_of_a_file_is_none(cache: EmbeddingCache) -> None:
    cache.put({"polyp": UNIT})
    (cache.folder / "a.safetensors").mkdir()
    assert list(cache.get(["polyp", "liver"], silent)) == ["polyp"]


def test_entries_in_the_form_of_older_versions_are_not_seen(cache: EmbeddingCache) -> None:
    old = cache.folder.parent / "ab" / f"ab{'0' * 62}.safetensors"
    write_embeddings(old, IDENTITY, ["polyp"], UNIT[None])
    assert cache.get(["polyp"], silent) == {}
    assert cache.put({"polyp": UNIT})
    assert old.exists()


def test_a_new_text_is_encoded_once_and_a_damaged_entry_again(clip_folder: Path) -> None:
    spec = f"local-dir:{clip_folder}"
    first = embed_texts(["flying saucer"], encoder=spec)
    (entry,) = (cache_dir() / "text").rglob("*.safetensors")
    written = entry.read_bytes()
    entry.write_bytes(written[:-1])
    warnings: list[str] = []
    np.testing.assert_allclose(
        embed_texts(["flying saucer"], encoder=spec, warn=warnings.append), first, atol=1e-7
    )
    assert len(warnings) == 1
    assert entry.read_bytes() == written
    embed_texts(["flying saucer"], encoder=spec, warn=silent)


def test_a_changed_entry_changes_no_embedding_and_is_a_warning_of_python(clip_folder: Path) -> None:
    spec = f"local-dir:{clip_folder}"
    first = embed_texts(["flying saucer"], encoder=spec)
    (entry,) = (cache_dir() / "text").rglob("*.safetensors")
    turned(entry)
    with pytest.warns(CacheWarning, match="damaged and are computed again"):
        np.testing.assert_allclose(embed_texts(["flying saucer"], encoder=spec), first, atol=1e-7)


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
    mine = []
    for number in range(start, start + 60):
        assert cache.put({f"text {number}": vector(number)})
        mine.append(f"text {number}")
        assert len(cache.get(mine, silent)) == len(mine)  # nobody's tidying has lost them, even for a moment


def test_four_processes_lose_and_damage_nothing(cache: EmbeddingCache) -> None:
    context = multiprocessing.get_context("fork")
    # Each shares half of its texts with the next one; all together tidy up some seven times.
    processes = [context.Process(target=fill, args=(cache.folder, 30 * rank)) for rank in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0, 0, 0]
    found = cache.get([f"text {number}" for number in range(150)], silent)
    assert len(found) == 150
    assert all(np.array_equal(found[f"text {number}"], vector(number)) for number in range(150))
    assert len(files_of(cache)) <= MANY_FILES + 4
    assert all(path.suffix == ".safetensors" for path in files_of(cache))
