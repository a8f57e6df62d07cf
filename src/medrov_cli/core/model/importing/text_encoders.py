"""Text encoders of foreign checkpoints, and metadata of an encoder from its specification."""

from __future__ import annotations

from medrov_cli.core.base.constants import TEXT_WIDTH
from medrov_cli.core.text.encoders import encoder_identity
from medrov_cli.core.weights.metadata import TextEncoderInfo

CLIP_CONTEXT_LENGTH = 77
"""Tokens of a padded text in CLIP; MedROV's authors use it for BiomedCLIP, too, whose default is 256."""

OPENAI_CLIP = TextEncoderInfo(
    spec="hf-hub:timm/vit_base_patch32_clip_224.openai",
    identity="OpenAI CLIP ViT-B/32",
    width=TEXT_WIDTH,
    context_length=CLIP_CONTEXT_LENGTH,
)
"""The encoder of ultralytics' own yolov8*-worldv2 checkpoints."""

BIOMED_CLIP = TextEncoderInfo(
    spec="hf-hub:microsoft/BiomedCLIP-PubMedBERT_256-vit_base_patch16_224",
    identity="BiomedCLIP",
    width=TEXT_WIDTH,
    context_length=CLIP_CONTEXT_LENGTH,
)
"""The encoder of MedROV (arXiv 2511.20650)."""


def encoder_info(spec: str) -> TextEncoderInfo:
    """Return the metadata of a text encoder from its specification, without downloads.

    Raises
    ------
    MedrovError
        ``usage`` for a specification that names no encoder.
    """
    for known in (BIOMED_CLIP, OPENAI_CLIP):
        if spec == known.spec:
            return known
    if spec.startswith(("hf-hub:", "local-dir:")):
        return TextEncoderInfo(spec)
    found = encoder_identity(spec)
    return TextEncoderInfo(found.spec, found.name, found.revision, found.width, found.context_length)
