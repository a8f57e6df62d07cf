"""Class embeddings for the detector: shipped vocabulary, then cache, then encoder."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from medrov_cli.core.config import DEFAULT_TEXT_ENCODER, TEXT_WIDTH
from medrov_cli.core.records import Float32Array
from medrov_cli.core.text.encoders import encoder_identity, open_encoder


def embed_texts(
    texts: Sequence[str], *, encoder: str = DEFAULT_TEXT_ENCODER, offline: bool = False
) -> Float32Array:
    """Return one embedding a text, float32, (texts, 512), L2 norm 1, zero-padded on the right."""
    identity = encoder_identity(encoder, offline=offline)
    rows = np.zeros((len(texts), TEXT_WIDTH), np.float32)
    rows[:, : identity.width] = open_encoder(encoder, offline=offline).encode(
        [identity.canonical(text) for text in texts]
    )
    return rows
