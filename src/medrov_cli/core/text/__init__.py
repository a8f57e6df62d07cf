"""The ``text`` room: what is searched for, as text and as unit vectors."""

from medrov_cli.core.text.embedding import embed_prompts, embed_texts
from medrov_cli.core.text.encoders import EncoderSource, encoder_identity, locate_encoder, open_encoder
from medrov_cli.core.text.interface import EncoderIdentity, TextEncoder
from medrov_cli.core.text.prompts import Prompt, parse_class_lines, parse_classes, read_classes_file
from medrov_cli.core.text.synonyms import modalities_of, synonyms_of

__all__ = [
    "EncoderIdentity",
    "EncoderSource",
    "Prompt",
    "TextEncoder",
    "embed_prompts",
    "embed_texts",
    "encoder_identity",
    "locate_encoder",
    "modalities_of",
    "open_encoder",
    "parse_class_lines",
    "parse_classes",
    "read_classes_file",
    "synonyms_of",
]
