"""What runs in a worker of a cluster: one open object of a procedure, and its answers as plain values."""

from __future__ import annotations

import hashlib
import importlib
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from medrov_cli.core.base.environment import cache_dir
from medrov_cli.core.base.errors import ErrorCode, MedrovError, usage_error
from medrov_cli.core.base.files import whole_file
from medrov_cli.core.records.frame import UInt8Array


class BlockWorker(Protocol):
    """Object of a procedure in a worker. Its methods are called in several threads."""

    def describe(self) -> Any:
        """Return what is equal in all workers of a run."""

    def run(self, block: Any) -> Any:
        """Return the result of a block."""


@dataclass(frozen=True, slots=True)
class SharedFile:
    """File that every node of a run needs.

    Attributes
    ----------
    name
        Name of the file.
    sha256
        SHA-256 of its bytes.
    folder
        SHA-256 of a file that stands beside it; files of one name differ in it.
    """

    name: str
    sha256: str
    folder: str

    @property
    def path(self) -> Path:
        """Return its place in the cache of a node."""
        return cache_dir() / "cluster" / self.folder[:16] / self.name


@dataclass(frozen=True, slots=True)
class Reply:
    """Result of a call in a worker, or its failure.

    Attributes
    ----------
    value
        The result.
    code, message, hint
        Of the failure; the code is null without one.
    """

    value: Any = None
    code: ErrorCode | None = None
    message: str = ""
    hint: str = ""

    def open(self) -> Any:
        """Return the result.

        Raises
        ------
        MedrovError
            The failure.
        """
        if self.code is not None:
            raise MedrovError(self.code, self.message, self.hint)
        return self.value


class WorkerProcess:
    """Actor: opens the object of a procedure once, and keeps it."""

    def __init__(self) -> None:
        self._worker: BlockWorker | None = None

    def describe(
        self, place: str, settings: Any, folder: str, files: Sequence[SharedFile], contents: Sequence[Any]
    ) -> Reply:
        """Open the object, and return its description.

        Parameters
        ----------
        place
            Module and class of the object, as ``module:class``.
        settings
            Argument of the class.
        folder
            Working folder of the driver: relative paths start there.
        files
            Files that the object needs.
        contents
            References to their bytes in the object store of the node.
        """

        def describe() -> Any:
            if self._worker is None:
                enter_folder(folder)
                ray = importlib.import_module("ray")
                for file, reference in zip(files, contents, strict=True):
                    keep_file(file, partial(ray.get, reference))
                module, name = place.split(":")
                self._worker = getattr(importlib.import_module(module), name)(settings)
            return self._worker.describe()

        return _replied(describe)

    def run(self, block: Any) -> Reply:
        """Return the result of a block."""

        def run() -> Any:
            if self._worker is None:
                raise ValueError("the worker is not open")
            return self._worker.run(block)

        return _replied(run)


def enter_folder(folder: str) -> None:
    """Change to the working folder of the driver.

    Raises
    ------
    MedrovError
        ``USAGE``.
    """
    try:
        os.chdir(folder)
    except OSError as error:
        raise usage_error(
            f"a worker has no folder {folder}, in which the run was started",
            "Start the run in a folder that all machines share.",
        ) from error


def keep_file(file: SharedFile, read: Callable[[], UInt8Array]) -> None:
    """Write a file to the cache of this node, unless it is there, and check its SHA-256.

    Parameters
    ----------
    file
        The file.
    read
        Function that returns its bytes, uint8.

    Raises
    ------
    MedrovError
        ``WEIGHTS_CORRUPT``, ``OUTPUT_FAILED``.
    """
    if file.path.is_file() and _sha256(np.fromfile(file.path, dtype=np.uint8)) == file.sha256:
        return
    content = read()
    if _sha256(content) != file.sha256:
        raise MedrovError(
            ErrorCode.WEIGHTS_CORRUPT,
            f"{file.name} arrived damaged at a worker: its SHA-256 differs",
            "Run again with --resume.",
        )
    with whole_file(file.path) as temporary:
        content.tofile(temporary)


def share_files(paths: Sequence[Path]) -> tuple[list[SharedFile], list[UInt8Array]]:
    """Return the files of one folder of the cache, and their bytes; the first gives the folder its name."""
    contents = [np.fromfile(path, dtype=np.uint8) for path in paths]
    digests = [_sha256(content) for content in contents]
    files = [SharedFile(path.name, digest, digests[0]) for path, digest in zip(paths, digests, strict=True)]
    return files, contents


def share_model(path: Path, formats: Path) -> tuple[list[SharedFile], list[UInt8Array]]:
    """Return the files of a model, and their bytes.

    OpenVINO writes a model in two files; weights may have ``formats``, ranges of number formats, beside them.
    """
    if path.suffix == ".xml":
        return share_files([path, path.with_suffix(".bin")])
    return share_files([path, formats] if formats.is_file() else [path])


def _sha256(content: UInt8Array) -> str:
    return hashlib.sha256(content.data).hexdigest()


def _replied(call: Callable[[], Any]) -> Reply:
    try:
        return Reply(call())
    except MedrovError as error:
        return Reply(None, error.code, error.message, error.hint)
    except Exception as error:  # noqa: BLE001 - its text may hold data of a patient, and must not travel
        return Reply(
            None,
            ErrorCode.INTERNAL,
            f"unexpected {type(error).__name__} in a worker",
            "This is a bug: please report it. The command without --on may show more.",
        )


def require_equal_workers(first: Mapping[str, Any], other: Mapping[str, Any]) -> None:
    """Refuse a worker whose description differs from that of the first.

    Raises
    ------
    MedrovError
        ``USAGE``, naming the first field that differs.
    """
    for name, value in first.items():
        if other.get(name) != value:
            raise usage_error(
                f"workers differ in {name}: {value} and {other.get(name)}",
                "Install equal versions on all machines, and give --device and --engine.",
            )
