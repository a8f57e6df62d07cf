"""Embeddings on disk, so that a text is encoded once on a machine.

A folder an encoder; what was encoded at once is one file there, and when there are many, their
content becomes one. A file is written whole and never changed: processes that run side by side
lose nothing, and a thousand classes are found in a few milliseconds.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from medrov_cli.core.base.environment import cache_dir
from medrov_cli.core.base.errors import MedrovError
from medrov_cli.core.records.frame import Float32Array
from medrov_cli.core.text.embedding_file import SCHEMA, read_embeddings, write_embeddings
from medrov_cli.core.text.protocol import EncoderIdentity

Warn = Callable[[str], None]
"""Takes a sentence for the user."""

MANY_FILES = 32
"""Number of files of which the next writer makes one: reading 32 takes about 10 ms."""

_SUFFIX = ".safetensors"
_LISTINGS = 10
"""How often the folder is listed at most, until nothing has changed since the listing before: while one is
made, another process may put files together, and then the new file can be missing as well as the old ones."""


@dataclass(frozen=True, slots=True)
class EmbeddingCache:
    """The embeddings of one encoder.

    Attributes
    ----------
    identity
        The encoder.
    folder
        Its own folder; made when the first file is written.
    """

    identity: EncoderIdentity
    folder: Path

    @classmethod
    def default(cls, identity: EncoderIdentity) -> EmbeddingCache:
        """Return the user's cache of an encoder."""
        return cls.within(cache_dir() / "text", identity)

    @classmethod
    def within(cls, parent: Path, identity: EncoderIdentity) -> EmbeddingCache:
        """Return the cache of an encoder in the folder of all encoders."""
        key = json.dumps([SCHEMA, identity.name, identity.revision, identity.context_length])
        return cls(identity, parent / hashlib.sha256(key.encode()).hexdigest()[:32])

    def get(self, texts: Iterable[str], warn: Warn) -> dict[str, Float32Array]:
        """Return the embeddings of those canonical texts that are here, float32, (width,), L2 norm 1.

        A damaged file is removed, after a warning.
        """
        missing = set(texts)
        found: dict[str, Float32Array] = {}
        for _path, embeddings in self._read(warn):
            here = missing & embeddings.keys()
            found.update({text: embeddings[text] for text in here})
            missing -= here
            if not missing:
                break
        return found

    def put(self, embeddings: Mapping[str, Float32Array]) -> bool:
        """Store embeddings, float32, (width,), by canonical text; tell whether that worked."""
        merged = dict(embeddings)
        replaced: list[Path] = []
        if len(self._files()) >= MANY_FILES:
            for path, others in self._read(say_nothing):
                merged.update(others)
                replaced.append(path)
        texts = sorted(merged)
        path = self.folder / f"{hashlib.sha256(json.dumps(texts).encode()).hexdigest()[:32]}{_SUFFIX}"
        try:
            write_embeddings(path, self.identity, texts, np.stack([merged[text] for text in texts]))
        except MedrovError:
            return False
        # Only now, and only what is in the new file: whoever reads meanwhile finds each text.
        for old in replaced:
            if old != path:
                _remove(old)
        return True

    def _read(self, warn: Warn) -> Iterator[tuple[Path, dict[str, Float32Array]]]:
        """Yield every whole file with its embeddings, the largest first."""
        seen: set[Path] = set()
        listed: list[Path] | None = None
        for _listing in range(_LISTINGS):
            before, listed = listed, self._files()
            for path in listed:
                if path in seen:
                    continue
                with contextlib.suppress(FileNotFoundError):  # what is in it is in a file of the next listing
                    embeddings = self._read_file(path, warn)
                    seen.add(path)
                    if embeddings:
                        yield path, embeddings
            if listed == before:
                return

    def _read_file(self, path: Path, warn: Warn) -> dict[str, Float32Array]:
        """Return the embeddings of a file; none if it is damaged."""
        try:
            return read_embeddings(path, self.identity)
        except FileNotFoundError:
            raise
        except (ValueError, OSError) as error:
            warn(f"the cached embeddings in {path} are damaged and are made again: {error}")
            if isinstance(error, ValueError):
                _remove(path)
            return {}

    def _files(self) -> list[Path]:
        """Return the files, the largest first: it holds most of what is asked for."""
        sizes: dict[Path, int] = {}
        with contextlib.suppress(OSError), os.scandir(self.folder) as entries:
            for entry in entries:
                with contextlib.suppress(OSError):  # another process has removed it
                    if entry.name.endswith(_SUFFIX) and entry.is_file():
                        sizes[Path(entry.path)] = entry.stat().st_size
        return sorted(sizes, key=lambda path: (-sizes[path], path.name))


def say_nothing(_message: str) -> None:
    """Drop a warning: results are right either way."""


def _remove(path: Path) -> None:
    with contextlib.suppress(OSError):  # it is gone, or may not be removed: it costs nothing but time
        path.unlink()
