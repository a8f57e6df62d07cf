"""Shipped vocabulary: embeddings of the lexicon, so that common classes need no encoder."""

from __future__ import annotations

from functools import cache
from importlib.resources import as_file, files
from pathlib import Path

import numpy as np

from medrov_cli.core.records.frame import Float32Array
from medrov_cli.core.text.embedding_file import read_embeddings, write_embeddings
from medrov_cli.core.text.lexicon import lexicon
from medrov_cli.core.text.minilm.encoder import MINILM
from medrov_cli.core.text.protocol import EncoderIdentity, TextEncoder

VOCABULARY = "vocabulary-minilm.safetensors"
"""Name of the asset."""


def shipped_embeddings(identity: EncoderIdentity) -> dict[str, Float32Array]:
    """Return the shipped embeddings of an encoder by canonical text, float32, (width,), L2 norm 1.

    The result is empty for encoders other than the default one.

    Raises
    ------
    ValueError
        If the file is damaged, or was made by another revision of the encoder.
    OSError
        If it cannot be read.
    """
    return _load() if identity.name == MINILM.name else {}


def build_vocabulary(path: Path, encoder: TextEncoder) -> int:
    """Write the embedding of every text of the lexicon, as float16; return their number.

    Raises
    ------
    MedrovError
        ``OUTPUT_FAILED``.
    """
    identity = encoder.identity
    texts = sorted({identity.canonical(text) for entry in lexicon() for text in entry.texts})
    write_embeddings(path, identity, texts, encoder.encode(texts).astype(np.float16))
    return len(texts)


@cache
def _load() -> dict[str, Float32Array]:
    with as_file(files("medrov_cli").joinpath("assets", VOCABULARY)) as path:
        return read_embeddings(path, MINILM)
