"""Lookup of text encoders by the user's specification."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.text.minilm.encoder import MINILM, MiniLmEncoder, find_minilm
from medrov_cli.core.text.openclip.models import FOLDER_PREFIX, HUB_PREFIX, find_open_clip
from medrov_cli.core.text.openclip.text_tower import OpenClipEncoder
from medrov_cli.core.text.protocol import EncoderIdentity, TextEncoder


@dataclass(frozen=True, slots=True)
class EncoderSource:
    """A located encoder that is not loaded yet.

    Attributes
    ----------
    identity
        Identity of the encoder.
    load
        Function that loads it. All but the default encoder take seconds, and import torch.
    """

    identity: EncoderIdentity
    load: Callable[[], TextEncoder]


def locate_encoder(spec: str, *, offline: bool = False) -> EncoderSource:
    """Find a text encoder without loading its weights.

    Parameters
    ----------
    spec
        ``minilm``, ``hf-hub:ORG/NAME`` or ``local-dir:PATH``. The network is used only for
        ``hf-hub:``, and only for files that are not in the Hugging Face cache.
    offline
        Whether the network is forbidden; ``MEDROV_OFFLINE`` forbids it, too.

    Raises
    ------
    MedrovError
        ``USAGE`` if ``spec`` names no encoder; ``ENCODER_MISSING``, ``NETWORK_FORBIDDEN``.
    """
    if spec == MINILM.spec:
        return EncoderSource(MINILM, lambda: MiniLmEncoder(find_minilm()))
    model = find_open_clip(spec, offline=offline)
    if model is not None:
        identity = model.identity()
        return EncoderSource(identity, lambda: OpenClipEncoder(model.files(identity.revision), identity))
    raise MedrovError(
        ErrorCode.USAGE,
        f"unknown text encoder {spec!r}",
        f"Use {MINILM.spec}, {HUB_PREFIX}ORG/NAME or {FOLDER_PREFIX}PATH.",
    )


def encoder_identity(spec: str, *, offline: bool = False) -> EncoderIdentity:
    """Return the identity of an encoder without loading its weights.

    Parameters and errors are those of `locate_encoder`.
    """
    return locate_encoder(spec, offline=offline).identity


def open_encoder(spec: str, *, offline: bool = False) -> TextEncoder:
    """Find and load a text encoder.

    Parameters and errors are those of `locate_encoder`.
    """
    return locate_encoder(spec, offline=offline).load()
