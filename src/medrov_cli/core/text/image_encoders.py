"""Lookup of the image tower that belongs to a text encoder."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.text.minilm.encoder import MINILM
from medrov_cli.core.text.openclip.image_tower import OpenClipImageEncoder
from medrov_cli.core.text.openclip.models import FOLDER_PREFIX, HUB_PREFIX, OpenClipModel, find_open_clip
from medrov_cli.core.text.protocol import EncoderIdentity, ImageEncoder

_TOWER_HINT = (
    f"Use --text-encoder {HUB_PREFIX}ORG/NAME or {FOLDER_PREFIX}PATH: "
    "unknown objects need an encoder with an image tower."
)
_HUB_HINT = (
    "Check the name and the network, run once without --offline and MEDROV_OFFLINE, or use "
    f"--text-encoder {FOLDER_PREFIX}PATH with the model's files."
)


@dataclass(frozen=True, slots=True)
class ImageEncoderSource:
    """A located image encoder that is not loaded yet.

    Attributes
    ----------
    identity
        Identity of the encoder, equal to that of the text encoder of the same model.
    load
        Function that loads it onto a torch device; takes seconds, and imports torch.
    """

    identity: EncoderIdentity
    load: Callable[[str], ImageEncoder]


def check_image_tower(spec: str, *, offline: bool = False) -> None:
    """Check that an encoder has an image tower, from its config alone.

    Parameters
    ----------
    spec
        ``hf-hub:ORG/NAME`` or ``local-dir:PATH``. The network is used only for ``hf-hub:``, and
        only for files that are not in the Hugging Face cache.
    offline
        Whether the network is forbidden; ``MEDROV_OFFLINE`` forbids it, too.

    Raises
    ------
    MedrovError
        ``USAGE`` if ``spec`` names no encoder, or one without an image tower;
        ``ENCODER_MISSING``, ``NETWORK_FORBIDDEN``.
    """
    _find(spec, offline)


def locate_image_encoder(spec: str, *, offline: bool = False) -> ImageEncoderSource:
    """Find an image encoder without loading its weights.

    Parameters and errors are those of `check_image_tower`.
    """
    model = _find(spec, offline)
    identity = model.identity()

    def load(device: str) -> ImageEncoder:
        with _hub_hints():
            files = model.files(identity.revision)
        return OpenClipImageEncoder(files, identity, device)

    return ImageEncoderSource(identity, load)


def open_image_encoder(spec: str, *, offline: bool = False, device: str = "cpu") -> ImageEncoder:
    """Find and load an image encoder.

    Parameters and errors are those of `check_image_tower`; ``device`` is a torch device.
    """
    return locate_image_encoder(spec, offline=offline).load(device)


def _find(spec: str, offline: bool) -> OpenClipModel:
    """Return the model, after a check that it has an image tower."""
    if spec == MINILM.spec:
        raise MedrovError(ErrorCode.USAGE, f"text encoder {spec} has no image tower", _TOWER_HINT)
    model = find_open_clip(spec, offline=offline)
    if model is None:
        raise MedrovError(ErrorCode.USAGE, f"unknown text encoder {spec!r}", _TOWER_HINT)
    with _hub_hints():
        config = model.config()
    if not config.has_image_tower:
        raise MedrovError(ErrorCode.USAGE, f"text encoder {spec} has no image tower", _TOWER_HINT)
    return model


@contextlib.contextmanager
def _hub_hints() -> Iterator[None]:
    """Replace hints at the default encoder, which has no image tower."""
    try:
        yield
    except MedrovError as error:
        if f"--text-encoder {MINILM.spec}" not in error.hint:
            raise
        raise MedrovError(error.code, error.message, _HUB_HINT) from error
