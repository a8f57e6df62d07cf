"""What every text or image encoder offers, and what identifies it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from medrov_cli.core.records.frame import Float32Array, UInt8Array


@dataclass(frozen=True, slots=True)
class EncoderIdentity:
    """What an embedding depends on besides its text or image.

    Attributes
    ----------
    spec
        What the user names: ``minilm``, ``hf-hub:ORG/NAME``, ``local-dir:PATH``.
    name
        The encoder's own name, for people and for the cache.
    revision
        SHA-256 of the files of a local encoder, commit of one from the Hugging Face hub.
    width
        Values of an embedding before it is padded.
    context_length
        Tokens after which a text is cut off.
    uncased
        Whether upper and lower case make no difference to the encoder.
    """

    spec: str
    name: str
    revision: str
    width: int
    context_length: int
    uncased: bool = False

    def canonical(self, text: str) -> str:
        """Return the form of ``text`` that is encoded and cached: plain spaces, one case."""
        plain = " ".join(text.split())
        # Letter by letter, as the tokenizer does it: str.lower knows the Greek final sigma.
        return "".join(letter.lower() for letter in plain) if self.uncased else plain


class TextEncoder(Protocol):
    """Turns texts into unit vectors; knows nothing of detectors."""

    @property
    def identity(self) -> EncoderIdentity:
        """Return what the embeddings depend on."""

    def encode(self, texts: Sequence[str]) -> Float32Array:
        """Return one embedding a text, float32, (texts, identity.width), L2 norm 1.

        An embedding does not depend on the other texts of the call.
        """


class ImageEncoder(Protocol):
    """Turns crops of images into unit vectors, in the space of a text encoder's."""

    @property
    def identity(self) -> EncoderIdentity:
        """Return what the embeddings depend on: that of the text encoder of the same model."""

    def encode_images(self, images_rgb: Sequence[UInt8Array]) -> Float32Array:
        """Return one embedding a crop, float32, (images, identity.width), L2 norm 1.

        Parameters
        ----------
        images_rgb
            uint8, (height, width, 3), RGB, each of any size from one pixel. They are not changed.
        """
