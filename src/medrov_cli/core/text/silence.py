"""Context managers that silence the Hugging Face libraries and forbid them the network."""

from __future__ import annotations

import contextlib
import logging
import os
import warnings
from collections.abc import Iterator
from typing import Any

_ENVIRONMENT = {
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "HF_HUB_DISABLE_UPDATE_CHECK": "1",
    "TOKENIZERS_PARALLELISM": "false",  # prevents a warning of a fork after use
    "TRANSFORMERS_NO_ADVISORY_WARNINGS": "1",
}


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Run the body without logs, warnings, progress bars and telemetry of the libraries."""
    os.environ.update(_ENVIRONMENT)
    root = logging.getLogger()
    handlers = list(root.handlers)
    disabled = logging.root.manager.disable
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logging.disable(logging.CRITICAL)
        try:
            yield
        finally:
            logging.disable(disabled)
            root.handlers[:] = handlers  # open_clip logs to the root logger, which adds a handler


@contextlib.contextmanager
def quiet_offline_models() -> Iterator[None]:
    """Run a body that loads models from local files, silently and without network."""
    with quiet():
        import huggingface_hub.constants
        from transformers.utils import logging as transformers_logging

        transformers_log: Any = transformers_logging
        before = huggingface_hub.constants.HF_HUB_OFFLINE
        huggingface_hub.constants.HF_HUB_OFFLINE = True
        transformers_log.disable_progress_bar()
        transformers_log.set_verbosity_error()
        try:
            yield
        finally:
            huggingface_hub.constants.HF_HUB_OFFLINE = before
