"""Text towers of open_clip models, for example BiomedCLIP."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from medrov_cli.core.records.frame import Float32Array
from medrov_cli.core.text.openclip.load_model import load_model, loading
from medrov_cli.core.text.openclip.models import ModelFiles
from medrov_cli.core.text.protocol import EncoderIdentity
from medrov_cli.core.text.silence import quiet


class OpenClipEncoder:
    """The text tower of an open_clip model, on the CPU.

    Parameters
    ----------
    files
        The model's files.
    identity
        The model's identity.

    Raises
    ------
    MedrovError
        ``ENCODER_MISSING`` if a file is missing, does not fit the others, or requires code of its own.
    """

    def __init__(self, files: ModelFiles, identity: EncoderIdentity) -> None:
        self.identity = identity
        with loading(f"text encoder {identity.spec}"):
            model = load_model(files)
            import open_clip

            self._tokenizer: Any = open_clip.get_tokenizer(f"local-dir:{files.folder}")
        model.visual = None  # saves half of the memory
        self._model: Any = model

    def encode(self, texts: Sequence[str]) -> Float32Array:
        """Return one embedding per text, float32, (texts, identity.width), L2 norm 1."""
        import torch

        rows = np.empty((len(texts), self.identity.width), np.float32)
        with torch.inference_mode(), quiet():
            # One text at a time: the size of a batch would change the last digits.
            for row, text in enumerate(texts):
                rows[row] = self._model.encode_text(self._tokenizer([text]), normalize=True)[0].numpy()
        return rows
