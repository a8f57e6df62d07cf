"""From what the user names to an open text encoder."""

from __future__ import annotations

from medrov_cli.core.errors import ErrorCode, MedrovError
from medrov_cli.core.text.interface import EncoderIdentity, TextEncoder
from medrov_cli.core.text.minilm import MINILM, MiniLmEncoder, find_minilm


def encoder_identity(spec: str, *, offline: bool = False) -> EncoderIdentity:
    """Return what the embeddings of an encoder depend on, without loading its weights.

    Raises
    ------
    MedrovError
        ``USAGE`` if ``spec`` names no encoder.
    """
    if spec == MINILM.spec:
        return MINILM
    raise MedrovError(ErrorCode.USAGE, f"unknown text encoder {spec!r}", "Use minilm.")


def open_encoder(spec: str, *, offline: bool = False) -> TextEncoder:
    """Load a text encoder.

    Raises
    ------
    MedrovError
        ``USAGE`` if ``spec`` names no encoder, ``ENCODER_MISSING``.
    """
    encoder_identity(spec, offline=offline)
    return MiniLmEncoder(find_minilm())
