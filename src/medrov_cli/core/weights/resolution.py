"""Resolution of a name or a path to a checked weights file."""

from __future__ import annotations

import difflib
from pathlib import Path

from medrov_cli.core.base.constants import EXPORTED_SUFFIXES
from medrov_cli.core.base.environment import cache_dir
from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.weights import catalogue
from medrov_cli.core.weights.catalogue import ManifestEntry
from medrov_cli.core.weights.container import sha256_of

PICKLE_SUFFIXES = frozenset({".pt", ".pth", ".ckpt", ".pkl", ".bin"})
"""Suffixes of torch checkpoints, which are never opened as weights."""


def pulled_dir() -> Path:
    """Return the folder of downloaded weights, without creating it."""
    return cache_dir() / "weights"


def locate(entry: ManifestEntry) -> Path | None:
    """Return the path of an entry's file on this machine, or null, without a check of its bytes."""
    candidates = (catalogue.weights_dir() / entry.file, pulled_dir() / entry.file)
    return next((path for path in candidates if path.is_file()), None)


def resolve(name_or_path: str, *, reread: bool = False, exported: bool = False) -> Path:
    """Return the weights file of a name in the manifest, or of a path.

    With ``exported``, a model of ``medrov export`` is allowed: an ``.onnx`` or ``.xml`` file, or the folder
    of the latter. Its path is returned without reading it.

    The SHA-256 of a named file is compared with the manifest. The file is read for that if it is new or
    changed, or with ``reread``. A path to a ``.safetensors`` file is not checked: reading it executes no
    code.

    Raises
    ------
    MedrovError
        ``weights_missing``; ``weights_corrupt`` if the SHA-256 differs;
        ``weights_untrusted`` for a pickled checkpoint.
    """
    known = catalogue.manifest()
    if name_or_path in known:
        return _resolve_entry(known[name_or_path], reread)
    path = Path(name_or_path)
    if exported and path.is_dir():
        path = _in_folder(path)
    if not path.is_file():
        raise _missing(name_or_path, known)
    if path.suffix.lower() in PICKLE_SUFFIXES:
        raise MedrovError(
            ErrorCode.WEIGHTS_UNTRUSTED,
            f"{path} is a pickled checkpoint: loading it could execute code",
            f"Convert it with `medrov weights import {path}`.",
        )
    if exported and path.suffix.lower() in EXPORTED_SUFFIXES:
        return path
    if path.suffix.lower() != ".safetensors":
        raise MedrovError(
            ErrorCode.WEIGHTS_CORRUPT,
            f"{path} is not a .safetensors file",
            "See `medrov weights list` for known names.",
        )
    return path


def _in_folder(folder: Path) -> Path:
    """Return the OpenVINO model in a folder."""
    found = sorted(folder.glob("*.xml"))
    if len(found) != 1:
        raise MedrovError(
            ErrorCode.WEIGHTS_MISSING,
            f"{folder} has {len(found)} .xml files, not one",
            "Give the .xml file, or the folder that `medrov export --to openvino` wrote.",
        )
    return found[0]


def _resolve_entry(entry: ManifestEntry, reread: bool) -> Path:
    """Return the checked file of an entry."""
    path = locate(entry)
    if path is None:
        hint = (
            "Reinstall medrov: these weights come with the package."
            if entry.url is None
            else f"Download them with `medrov weights pull {entry.name}`."
        )
        raise MedrovError(ErrorCode.WEIGHTS_MISSING, f"weights {entry.name!r} are not installed", hint)
    if sha256_of(path, reread=reread) != entry.sha256:
        raise MedrovError(
            ErrorCode.WEIGHTS_CORRUPT,
            f"{path} does not have the SHA-256 of {entry.name!r} in the manifest",
            "Reinstall medrov or pull the weights again.",
        )
    return path


def _missing(name_or_path: str, known: dict[str, ManifestEntry]) -> MedrovError:
    """Return the error for an unknown name, with the most similar known one."""
    close = difflib.get_close_matches(name_or_path, known, n=1)
    hint = f"Did you mean {close[0]!r}? " if close else ""
    return MedrovError(
        ErrorCode.WEIGHTS_MISSING,
        f"no weights named {name_or_path!r}, and no such file",
        hint + "See `medrov weights list`.",
    )
