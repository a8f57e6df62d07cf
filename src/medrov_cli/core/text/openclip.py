"""Text towers of open_clip models, BiomedCLIP among them: from the hub or from a folder."""

from __future__ import annotations

import hashlib
import json
import pickle
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from medrov_cli.core.errors import ErrorCode, MedrovError
from medrov_cli.core.records import Float32Array
from medrov_cli.core.text.hub import HubRepository
from medrov_cli.core.text.interface import EncoderIdentity
from medrov_cli.core.text.quiet import quiet, quiet_offline_models

CONFIG = "open_clip_config.json"

DEFAULT_CONTEXT_LENGTH = 77
"""open_clip's own, where the config names none."""

WEIGHTS = (
    "open_clip_model.safetensors",
    "open_clip_pytorch_model.safetensors",
    "open_clip_pytorch_model.bin",
)
"""Names of weights, in open_clip's order. A ``.bin`` is read by ``torch.load(weights_only=True)``."""

TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "vocab.txt",
    "vocab.json",
    "merges.txt",
)
"""What a tokenizer of transformers may consist of."""

_FOLDER_HINT = f"The folder of local-dir: needs {CONFIG}, weights as safetensors, and tokenizer files."


@dataclass(frozen=True, slots=True)
class TextTower:
    """What the config of an open_clip model says about its text side.

    Attributes
    ----------
    width
        Values of an embedding.
    context_length
        Tokens after which a text is cut off.
    settings
        The ``text_cfg`` as it is.
    """

    width: int
    context_length: int
    settings: dict[str, Any]

    @classmethod
    def read(cls, path: Path) -> TextTower:
        """Return what a config file says.

        Raises
        ------
        MedrovError
            ``ENCODER_MISSING`` if it is not one of open_clip.
        """
        try:
            model = json.loads(path.read_text(encoding="utf-8"))["model_cfg"]
            settings = dict(model["text_cfg"])
            context_length = int(settings.get("context_length", DEFAULT_CONTEXT_LENGTH))
            return cls(int(model["embed_dim"]), context_length, settings)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise _unusable(f"{path} is not the config of an open_clip model", error) from error

    @property
    def base_model(self) -> str | None:
        """Return the transformers model that the tower is built like; null for open_clip's own."""
        return self.settings.get("hf_model_name") or None


class OpenClipEncoder:
    """The text tower of an open_clip model, on the CPU.

    Parameters
    ----------
    folder
        Holds the config, the weights and, unless it is open_clip's own, the tokenizer.
    identity
        As returned by `local_identity` or `hub_identity`.
    base_folder
        Holds the ``config.json`` of the transformers model that the tower is built like; null
        for open_clip's own.

    Raises
    ------
    MedrovError
        ``ENCODER_MISSING`` if something is missing, does not fit together, or wants to run code
        of its own.
    """

    def __init__(self, folder: Path, identity: EncoderIdentity, base_folder: Path | None) -> None:
        self.identity = identity
        settings = {**TextTower.read(folder / CONFIG).settings, "hf_model_pretrained": False}
        if base_folder:
            settings["hf_model_name"] = str(base_folder)
            _refuse_code(base_folder / "config.json")
        _refuse_code(folder / "tokenizer_config.json")
        try:
            with quiet_offline_models():
                import open_clip

                name = f"local-dir:{folder}"
                model = open_clip.create_model(name, require_pretrained=True, text_cfg=settings)
                self._tokenizer: Any = open_clip.get_tokenizer(name)
        except _load_errors() as error:
            raise _unusable(f"cannot load text encoder {identity.spec}", error) from error
        model.visual = None  # half of the memory
        self._model: Any = model.eval()

    @classmethod
    def from_folder(cls, folder: Path, identity: EncoderIdentity) -> OpenClipEncoder:
        """Load a model of a folder, without network.

        Raises
        ------
        MedrovError
            ``ENCODER_MISSING``.
        """
        base_model = TextTower.read(folder / CONFIG).base_model
        if base_model is None:
            return cls(folder, identity, None)
        for candidate in (folder, folder / base_model):
            if (candidate / "config.json").is_file():
                return cls(folder, identity, candidate)
        return cls(folder, identity, _base_folder(HubRepository(base_model, offline=True)))

    @classmethod
    def from_hub(cls, repository: HubRepository, identity: EncoderIdentity) -> OpenClipEncoder:
        """Load a model of the hub at the revision of ``identity``; download what is not cached.

        Raises
        ------
        MedrovError
            ``NETWORK_FORBIDDEN``, ``ENCODER_MISSING``.
        """
        for filename in TOKENIZER_FILES:
            repository.fetch(filename, identity.revision)
        found = (repository.fetch(filename, identity.revision) for filename in WEIGHTS)
        weights = next((path for path in found if path is not None), None)
        if weights is None:
            raise repository.absent("weights")
        folder = weights.parent
        base_model = TextTower.read(folder / CONFIG).base_model
        base_folder = base_model and _base_folder(HubRepository(base_model, repository.offline))
        return cls(folder, identity, base_folder or None)

    def encode(self, texts: Sequence[str]) -> Float32Array:
        """Return one embedding a text, float32, (texts, identity.width), L2 norm 1."""
        import torch

        rows = np.empty((len(texts), self.identity.width), np.float32)
        with torch.inference_mode(), quiet():
            # One by one: the size of a batch would change the last digits.
            for row, text in enumerate(texts):
                rows[row] = self._model.encode_text(self._tokenizer([text]), normalize=True)[0].numpy()
        return rows


def local_identity(spec: str, folder: Path) -> EncoderIdentity:
    """Return the identity of the model in a folder; its revision is a hash of all its files.

    Raises
    ------
    MedrovError
        ``ENCODER_MISSING`` if the folder has no config of open_clip.
    """
    if not (folder / CONFIG).is_file():
        raise MedrovError(ErrorCode.ENCODER_MISSING, f"{folder} has no {CONFIG}", _FOLDER_HINT)
    tower = TextTower.read(folder / CONFIG)
    total = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        with path.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        total.update(f"{path.relative_to(folder).as_posix()} {digest}\n".encode())
    return EncoderIdentity(spec, "open_clip", total.hexdigest(), tower.width, tower.context_length)


def hub_identity(spec: str, repository: HubRepository) -> EncoderIdentity:
    """Return the identity of a model of the hub; its revision is the commit. Only its config is read.

    Raises
    ------
    MedrovError
        ``NETWORK_FORBIDDEN``, ``ENCODER_MISSING``.
    """
    config = repository.fetch(CONFIG)
    if config is None:
        raise repository.absent(CONFIG)
    tower = TextTower.read(config)
    commit = config.parent.name  # the cache's layout: snapshots/<commit>/<file>
    return EncoderIdentity(spec, repository.name, commit, tower.width, tower.context_length)


def _base_folder(repository: HubRepository) -> Path:
    """Return where the ``config.json`` of a base model is."""
    config = repository.fetch("config.json")
    if config is None:
        raise MedrovError(
            ErrorCode.ENCODER_MISSING,
            f"the text tower is built like {repository.name}, whose config.json is missing",
            f"Put the config.json of {repository.name} beside {CONFIG}, and use local-dir:.",
        )
    return config.parent


def _refuse_code(path: Path) -> None:
    """Refuse a config that names Python code beside it: transformers would ask whether to run it."""
    try:
        has_code = path.is_file() and "auto_map" in json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, TypeError) as error:
        raise _unusable(f"{path} is not a config of transformers", error) from error
    if has_code:
        raise MedrovError(
            ErrorCode.ENCODER_MISSING,
            f"{path} wants to run code of its own, which is never run",
            _FOLDER_HINT,
        )


def _load_errors() -> tuple[type[Exception], ...]:
    """Return what open_clip and its libraries raise on files that do not fit together."""
    from safetensors import SafetensorError

    return (OSError, ValueError, KeyError, TypeError, AttributeError, RuntimeError, ImportError,
            AssertionError, pickle.UnpicklingError, SafetensorError)  # fmt: skip


def _unusable(what: str, error: Exception) -> MedrovError:
    lines = str(error).strip().splitlines()
    reason = lines[0] if lines else type(error).__name__
    return MedrovError(ErrorCode.ENCODER_MISSING, f"{what}: {reason}", _FOLDER_HINT)
