"""Protocols of text and image encoders, and their identity."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from medrov_cli.core.records.frame import Float32Array, UInt8Array


@dataclass(frozen=True, slots=True)
class EncoderIdentity:
    """Everything that an embedding depends on besides its text or image.

    Attributes
    ----------
    spec
        The user's specification: ``minilm``, ``hf-hub:ORG/NAME``, ``local-dir:PATH``.
    name
        Name of the encoder, for output and for the cache.
    revision
        SHA-256 of the files of a local encoder, commit of one from the Hugging Face hub.
    width
        Values of an embedding before padding.
    context_length
        Tokens after which a text is cut off.
    uncased
        Whether the encoder ignores case.
    """

    spec: str
    name: str
    revision: str
    width: int
    context_length: int
    uncased: bool = False

    def canonical(self, text: str) -> str:
        """Return the form of a text that is encoded and cached: single spaces, one case."""
        plain = " ".join(text.split())
        # Each character alone, as in the tokenizer: str.lower treats the Greek final sigma by context.
        return "".join(letter.lower() for letter in plain) if self.uncased else plain


class TextEncoder(Protocol):
    """Encoder of texts to unit vectors."""

    @property
    def identity(self) -> EncoderIdentity:
        """Return the identity of the encoder."""

    def encode(self, texts: Sequence[str]) -> Float32Array:
        """Return one embedding per text, float32, (texts, identity.width), L2 norm 1.

        An embedding does not depend on the other texts of the call.
        """


class ImageEncoder(Protocol):
    """Encoder of image crops to unit vectors, in the space of a text encoder."""

    @property
    def identity(self) -> EncoderIdentity:
        """Return the identity of the encoder, which is that of the text encoder of the same model."""

    def encode_images(self, images_rgb: Sequence[UInt8Array]) -> Float32Array:
        """Return one embedding per crop, float32, (images, identity.width), L2 norm 1.

        Parameters
        ----------
        images_rgb
            uint8, (height, width, 3), RGB, each of any size from one pixel. They are not changed.
        """
