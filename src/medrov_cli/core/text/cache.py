"""Embeddings on disk, so that a text is encoded once on a machine.

One small file a text: processes that run side by side never touch each other's entries, and
two that encode the same text write the same bytes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from medrov_cli.core.config import cache_dir
from medrov_cli.core.errors import MedrovError
from medrov_cli.core.records import Float32Array
from medrov_cli.core.text.container import read_embeddings, write_embeddings
from medrov_cli.core.text.interface import EncoderIdentity

Warn = Callable[[str], None]
"""Takes a sentence for the user."""


@dataclass(frozen=True, slots=True)
class EmbeddingCache:
    """The entries of one encoder.

    Attributes
    ----------
    identity
        The encoder.
    folder
        Where the entries of all encoders are; made when the first is written.
    """

    identity: EncoderIdentity
    folder: Path

    @classmethod
    def default(cls, identity: EncoderIdentity) -> EmbeddingCache:
        """Return the user's cache of an encoder."""
        return cls(identity, cache_dir() / "text")

    def path_of(self, text: str) -> Path:
        """Return the file of the entry of a canonical text."""
        identity = self.identity
        key = json.dumps([identity.name, identity.revision, identity.context_length, text])
        digest = hashlib.sha256(key.encode()).hexdigest()
        return self.folder / digest[:2] / f"{digest}.safetensors"

    def get(self, text: str, warn: Warn) -> Float32Array | None:
        """Return the embedding of a canonical text, float32, (width,), L2 norm 1; null if absent.

        A damaged entry counts as absent, after a warning.
        """
        path = self.path_of(text)
        try:
            return read_embeddings(path, self.identity)[text]
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, OSError) as error:
            warn(f"the cached embedding of {text!r} is damaged and is made again ({path}: {error})")
            return None

    def put(self, text: str, embedding: Float32Array) -> bool:
        """Store the embedding of a canonical text, float32, (width,); tell whether that worked."""
        try:
            write_embeddings(self.path_of(text), self.identity, [text], embedding[None])
        except MedrovError:
            return False
        return True
