"""Configuration of open_clip models, and the error for unusable files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medrov_cli.core.base.documents import read_json
from medrov_cli.core.base.errors import ErrorCode, MedrovError

CONFIG = "open_clip_config.json"

DEFAULT_CONTEXT_LENGTH = 77
"""Default of open_clip, if the config contains none."""

FOLDER_HINT = f"The folder of local-dir: needs {CONFIG}, weights as safetensors, and tokenizer files."


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """Configuration of the two towers of an open_clip model.

    Attributes
    ----------
    width
        Values of an embedding of a text or an image.
    context_length
        Tokens after which a text is cut off.
    text_settings
        The ``text_cfg``, unchanged.
    has_image_tower
        Whether the config has a ``vision_cfg``.
    """

    width: int
    context_length: int
    text_settings: dict[str, Any]
    has_image_tower: bool

    @classmethod
    def read(cls, path: Path) -> ModelConfig:
        """Return the configuration in a file.

        Raises
        ------
        MedrovError
            ``ENCODER_MISSING`` if it is not a config of open_clip.
        """
        try:
            model = read_json(path)["model_cfg"]
            settings = dict(model["text_cfg"])
            context_length = int(settings.get("context_length", DEFAULT_CONTEXT_LENGTH))
            has_image_tower = isinstance(model.get("vision_cfg"), dict)
            return cls(int(model["embed_dim"]), context_length, settings, has_image_tower)
        except (OSError, ValueError, KeyError, TypeError, OverflowError) as error:
            raise unusable(f"{path} is not the config of an open_clip model", error) from error

    @property
    def base_model(self) -> str | None:
        """Return the transformers model with the architecture of the text tower; null for open_clip's own."""
        return self.text_settings.get("hf_model_name") or None


def unusable(what: str, error: Exception) -> MedrovError:
    """Return the error for a failure of ``what``, with the first line of its cause."""
    lines = str(error).strip().splitlines()
    reason = lines[0] if lines else type(error).__name__
    return MedrovError(ErrorCode.ENCODER_MISSING, f"{what}: {reason}", FOLDER_HINT)
