"""Loading of open_clip models from files, silently, without network and without running their code."""

from __future__ import annotations

import contextlib
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from medrov_cli.core.base.documents import read_json
from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.text.openclip.config import CONFIG, FOLDER_HINT, ModelConfig, unusable
from medrov_cli.core.text.openclip.models import ModelFiles
from medrov_cli.core.text.silence import quiet_offline_models


@contextlib.contextmanager
def loading(what: str) -> Iterator[None]:
    """Run a body that loads ``what`` from local files.

    Raises
    ------
    MedrovError
        ``ENCODER_MISSING`` for all errors of the libraries on files that do not fit together.
    """
    try:
        with quiet_offline_models():
            yield
    except _load_errors() as error:
        raise unusable(f"cannot load {what}", error) from error


def load_model(files: ModelFiles) -> Any:
    """Return the whole model on the CPU, in evaluation mode. Call it inside `loading`.

    Raises
    ------
    MedrovError
        ``ENCODER_MISSING`` if a config requires code of its own.
    """
    settings = {**ModelConfig.read(files.folder / CONFIG).text_settings, "hf_model_pretrained": False}
    if files.base_folder:
        settings["hf_model_name"] = str(files.base_folder)
        _refuse_code(files.base_folder / "config.json")
    _refuse_code(files.folder / "tokenizer_config.json")
    import open_clip

    name = f"local-dir:{files.folder}"
    return open_clip.create_model(name, require_pretrained=True, text_cfg=settings).eval()


def _refuse_code(path: Path) -> None:
    """Check that a config names no Python code beside it, which transformers would offer to run."""
    try:
        has_code = path.is_file() and "auto_map" in read_json(path)
    except (OSError, ValueError, TypeError) as error:
        raise unusable(f"{path} is not a config of transformers", error) from error
    if has_code:
        raise MedrovError(
            ErrorCode.ENCODER_MISSING,
            f"{path} requires its own code, which is not executed",
            FOLDER_HINT,
        )


def _load_errors() -> tuple[type[Exception], ...]:
    """Return the exceptions of open_clip and its libraries on files that do not fit together."""
    from safetensors import SafetensorError

    return (OSError, ValueError, KeyError, TypeError, AttributeError, RuntimeError, ImportError,
            AssertionError, pickle.UnpicklingError, SafetensorError)  # fmt: skip
