"""Keep the Hugging Face libraries silent, and off the network where that is asked for."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import warnings
from collections.abc import Iterator

_ENVIRONMENT = {
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "HF_HUB_DISABLE_UPDATE_CHECK": "1",
    "TOKENIZERS_PARALLELISM": "false",  # a fork after use warns otherwise
    "TRANSFORMERS_VERBOSITY": "error",
    "TRANSFORMERS_NO_ADVISORY_WARNINGS": "1",
}


@contextlib.contextmanager
def quiet_hub(*, offline: bool) -> Iterator[None]:
    """Run the body without progress bars, logs, warnings or telemetry.

    Parameters
    ----------
    offline
        Whether the libraries must do with local files.
    """
    os.environ.update(_ENVIRONMENT)
    root = logging.getLogger()
    handlers = list(root.handlers)
    disabled = root.manager.disable
    with contextlib.ExitStack() as stack, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logging.disable(logging.CRITICAL)
        if offline:
            stack.enter_context(_offline())
        try:
            _silence_progress_bars()
            yield
        finally:
            logging.disable(disabled)
            root.handlers[:] = handlers  # open_clip logs to the root, which adds a handler


def _silence_progress_bars() -> None:
    """Switch off the bar that transformers shows while it loads weights."""
    from transformers.utils import logging as transformers_logging

    transformers_logging.disable_progress_bar()
    transformers_logging.set_verbosity_error()


@contextlib.contextmanager
def _offline() -> Iterator[None]:
    """Forbid the network to ``huggingface_hub``, whether it is imported yet or not."""
    before = os.environ.get("HF_HUB_OFFLINE")
    os.environ["HF_HUB_OFFLINE"] = "1"
    constants = sys.modules.get("huggingface_hub.constants")
    if constants is None:
        import huggingface_hub.constants as constants
    was_offline = constants.HF_HUB_OFFLINE
    constants.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = was_offline if before is None else True
        os.environ.pop("HF_HUB_OFFLINE", None)
        if before is not None:
            os.environ["HF_HUB_OFFLINE"] = before
