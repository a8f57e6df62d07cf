"""Cache of text embeddings on disk, so that each text is encoded once per machine.

Each encoder has a folder. Texts that are encoded together are one file; many files are merged into one. A
file is written atomically and never changed, so that parallel processes lose no embeddings. A thousand
classes are read in a few milliseconds.
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
"""Function that reports a warning to the user."""

MANY_FILES = 32
"""Number of files that the next writer merges into one: reading 32 files takes about 10 ms."""

_SUFFIX = ".safetensors"
_LISTINGS = 10
"""Maximum number of listings of the folder until two of them are equal: while one is made, another process
may merge files, so that both the new file and the old ones are missing from it."""


@dataclass(frozen=True, slots=True)
class EmbeddingCache:
    """Stored embeddings of one encoder.

    Attributes
    ----------
    identity
        Identity of the encoder.
    folder
        Folder of the encoder; created with the first file.
    """

    identity: EncoderIdentity
    folder: Path

    @classmethod
    def default(cls, identity: EncoderIdentity) -> EmbeddingCache:
        """Return the cache of an encoder in the user's cache folder."""
        return cls.within(cache_dir() / "text", identity)

    @classmethod
    def within(cls, parent: Path, identity: EncoderIdentity) -> EmbeddingCache:
        """Return the cache of an encoder in the folder of all encoders."""
        key = json.dumps([SCHEMA, identity.name, identity.revision, identity.context_length])
        return cls(identity, parent / hashlib.sha256(key.encode()).hexdigest()[:32])

    def get(self, texts: Iterable[str], warn: Warn) -> dict[str, Float32Array]:
        """Return the stored embeddings of canonical texts, float32, (width,), L2 norm 1.

        A damaged file is reported and removed.
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
        """Store embeddings, float32, (width,), by canonical text; return whether it succeeded."""
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
        # After the new file exists, and only files that it contains: parallel readers find each text.
        for old in replaced:
            if old != path:
                _remove(old)
        return True

    def _read(self, warn: Warn) -> Iterator[tuple[Path, dict[str, Float32Array]]]:
        """Yield every valid file with its embeddings, the largest first."""
        seen: set[Path] = set()
        listed: list[Path] | None = None
        for _listing in range(_LISTINGS):
            before, listed = listed, self._files()
            for path in listed:
                if path in seen:
                    continue
                with contextlib.suppress(FileNotFoundError):  # its content is in a file of the next listing
                    embeddings = self._read_file(path, warn)
                    seen.add(path)
                    if embeddings:
                        yield path, embeddings
            if listed == before:
                return

    def _read_file(self, path: Path, warn: Warn) -> dict[str, Float32Array]:
        """Return the embeddings of a file; an empty dict if it is damaged."""
        try:
            return read_embeddings(path, self.identity)
        except FileNotFoundError:
            raise
        except (ValueError, OSError) as error:
            warn(f"the cached embeddings in {path} are damaged and are computed again: {error}")
            if isinstance(error, ValueError):
                _remove(path)
            return {}

    def _files(self) -> list[Path]:
        """Return the files, the largest first, which contains most of the requested texts."""
        sizes: dict[Path, int] = {}
        with contextlib.suppress(OSError), os.scandir(self.folder) as entries:
            for entry in entries:
                with contextlib.suppress(OSError):  # removed by another process
                    if entry.name.endswith(_SUFFIX) and entry.is_file():
                        sizes[Path(entry.path)] = entry.stat().st_size
        return sorted(sizes, key=lambda path: (-sizes[path], path.name))


def say_nothing(_message: str) -> None:
    """Discard a warning: results do not depend on the cache."""


def _remove(path: Path) -> None:
    with contextlib.suppress(OSError):  # already removed, or not removable; only time is lost
        path.unlink()
