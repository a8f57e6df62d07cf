"""Location of open_clip models in a folder or on the hub, their identity and files."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from medrov_cli.core.base.environment import is_offline
from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.base.files import known_sha256
from medrov_cli.core.base.optional import OPEN_CLIP, require_packages
from medrov_cli.core.text.hub import HubRepository
from medrov_cli.core.text.openclip.config import CONFIG, FOLDER_HINT, ModelConfig
from medrov_cli.core.text.protocol import EncoderIdentity

HUB_PREFIX = "hf-hub:"
FOLDER_PREFIX = "local-dir:"

WEIGHTS = (
    "open_clip_model.safetensors",
    "open_clip_pytorch_model.safetensors",
    "open_clip_pytorch_model.bin",
)
"""Names of weights files, in open_clip's order. ``torch.load(weights_only=True)`` reads ``.bin`` files."""

TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "vocab.txt",
    "vocab.json",
    "merges.txt",
)
"""Possible files of a tokenizer of transformers."""


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """The files of a model, all on this machine.

    Attributes
    ----------
    folder
        Folder with the config, the weights and, unless it is open_clip's own, the tokenizer.
    base_folder
        Folder with the ``config.json`` of the transformers model with the architecture of the text tower;
        null for open_clip's own.
    """

    folder: Path
    base_folder: Path | None


class OpenClipModel(Protocol):
    """A model by its specification; only its config is read before `files`."""

    def config(self) -> ModelConfig:
        """Return its configuration; ``NETWORK_FORBIDDEN``, ``ENCODER_MISSING`` without one."""

    def identity(self) -> EncoderIdentity:
        """Return the identity of its embeddings. Errors are those of `config`."""

    def files(self, revision: str, /) -> ModelFiles:
        """Return its files at the revision of its identity; download files that are not cached.

        Raises
        ------
        MedrovError
            ``NETWORK_FORBIDDEN``, ``ENCODER_MISSING``.
        """


@dataclass(frozen=True, slots=True)
class FolderModel:
    """A model in a folder; the network is never used.

    Attributes
    ----------
    spec
        The user's specification.
    folder
        Folder of its files.
    """

    spec: str
    folder: Path

    def config(self) -> ModelConfig:
        """Return its configuration; ``ENCODER_MISSING`` without a config of open_clip."""
        if not (self.folder / CONFIG).is_file():
            raise MedrovError(ErrorCode.ENCODER_MISSING, f"{self.folder} has no {CONFIG}", FOLDER_HINT)
        return ModelConfig.read(self.folder / CONFIG)

    def identity(self) -> EncoderIdentity:
        """Return the identity; its revision is a hash of all files. Errors are those of `config`."""
        config = self.config()
        total = hashlib.sha256()
        for path in sorted(path for path in self.folder.rglob("*") if path.is_file()):
            total.update(f"{path.relative_to(self.folder).as_posix()} {known_sha256(path)}\n".encode())
        return EncoderIdentity(self.spec, "open_clip", total.hexdigest(), config.width, config.context_length)

    def files(self, _revision: str, /) -> ModelFiles:
        """Return the folder; ``ENCODER_MISSING`` if the base model's config is missing."""
        base_model = self.config().base_model
        if base_model is None:
            return ModelFiles(self.folder, None)
        for candidate in (self.folder, self.folder / base_model):
            if (candidate / "config.json").is_file():
                return ModelFiles(self.folder, candidate)
        return ModelFiles(self.folder, _base_folder(HubRepository(base_model, offline=True)))


@dataclass(frozen=True, slots=True)
class HubModel:
    """A model of the Hugging Face hub.

    Attributes
    ----------
    spec
        The user's specification.
    repository
        Repository of its files.
    """

    spec: str
    repository: HubRepository

    def config(self) -> ModelConfig:
        """Return its configuration; ``NETWORK_FORBIDDEN``, ``ENCODER_MISSING`` without one."""
        return ModelConfig.read(self._config_path())

    def identity(self) -> EncoderIdentity:
        """Return the identity; its revision is the commit. Errors are those of `config`."""
        path = self._config_path()
        config = ModelConfig.read(path)
        commit = path.parent.name  # the cache's layout: snapshots/<commit>/<file>
        return EncoderIdentity(self.spec, self.repository.name, commit, config.width, config.context_length)

    def files(self, revision: str, /) -> ModelFiles:
        """Download files that are not cached; ``NETWORK_FORBIDDEN``, ``ENCODER_MISSING``."""
        for filename in TOKENIZER_FILES:
            self.repository.fetch(filename, revision)
        found = (self.repository.fetch(filename, revision) for filename in WEIGHTS)
        weights = next((path for path in found if path is not None), None)
        if weights is None:
            raise self.repository.absent("weights")
        base_model = ModelConfig.read(weights.parent / CONFIG).base_model
        if base_model is None:
            return ModelFiles(weights.parent, None)
        return ModelFiles(weights.parent, _base_folder(HubRepository(base_model, self.repository.offline)))

    def _config_path(self) -> Path:
        path = self.repository.fetch(CONFIG)
        if path is None:
            raise self.repository.absent(CONFIG)
        return path


def find_open_clip(spec: str, *, offline: bool = False) -> OpenClipModel | None:
    """Return the model of a specification, without reading files; null if it has another form.

    The packages of open_clip must be installed also for embeddings in the cache.

    Parameters
    ----------
    spec
        ``hf-hub:ORG/NAME`` or ``local-dir:PATH``.
    offline
        Whether the network is forbidden; ``MEDROV_OFFLINE`` forbids it, too.

    Raises
    ------
    MedrovError
        ``DEPENDENCY_MISSING``.
    """
    scheme, separator, rest = spec.partition(":")
    if scheme + separator == HUB_PREFIX and rest.count("/") == 1 and all(rest.split("/")):
        require_packages(f"--text-encoder {spec}", OPEN_CLIP)
        return HubModel(spec, HubRepository(rest, is_offline(offline)))
    if scheme + separator == FOLDER_PREFIX and rest:
        require_packages(f"--text-encoder {spec}", OPEN_CLIP)
        return FolderModel(spec, Path(rest).expanduser())
    return None


def _base_folder(repository: HubRepository) -> Path:
    """Return the folder of the ``config.json`` of a base model."""
    config = repository.fetch("config.json")
    if config is None:
        raise MedrovError(
            ErrorCode.ENCODER_MISSING,
            f"the text tower has the architecture of {repository.name}, whose config.json is missing",
            f"Put the config.json of {repository.name} beside {CONFIG}, and use local-dir:.",
        )
    return config.parent
