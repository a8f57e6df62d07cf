"""Output of an export: checks, a temporary folder beside it, and the move of the finished files."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medrov_cli.core.base.errors import ErrorCode, MedrovError, usage_error
from medrov_cli.core.base.files import bring_file, require_absent, sha256_of_file, whole_file
from medrov_cli.core.base.locks import folder_beside
from medrov_cli.core.engines.exported.export_metadata import ExportMetadata
from medrov_cli.core.settings.choices import ExportFormat
from medrov_cli.core.settings.export import SUFFIXES, ExportSettings

FOLDERS = (ExportFormat.OPENVINO, ExportFormat.COREML)
"""Formats of several files, whose output is a folder."""

STEM = "model"
"""Stem of the files in such a folder."""

_OPENED = (".xml", ".mlpackage")
"""Suffixes of the files that a user opens in such a folder; they are moved there last."""


@dataclass(frozen=True, slots=True)
class ExportResult:
    """Result of an export.

    Attributes
    ----------
    document
        Document ``medrov.export/1``: metadata, and ``files`` with SHA-256; also written beside the model.
    output
        File or folder of the model.
    bytes
        Size of the model.
    """

    document: dict[str, Any]
    output: Path
    bytes: int


def check_output(output: Path, config: ExportSettings) -> None:
    """Refuse an output of the wrong kind, and an existing one without ``overwrite``.

    Raises
    ------
    MedrovError
        ``USAGE``.
    """
    if config.to in FOLDERS and output.exists() and not output.is_dir():
        raise usage_error(f"--output {output} is a file", f"--to {config.to} writes a folder.")
    if config.to not in FOLDERS and output.is_dir():
        raise usage_error(
            f"--output {output} is a folder", f"Name the file: {output / 'model'}{SUFFIXES[config.to]}"
        )
    if config.to not in FOLDERS and output.suffix.lower() != SUFFIXES[config.to]:
        raise usage_error(
            f"--output {output} does not end in {SUFFIXES[config.to]}", "Give a name with this ending."
        )
    if not output.is_dir() or not _is_unfinished(output):
        require_absent(output, overwrite=config.overwrite)


def _is_unfinished(folder: Path) -> bool:
    """Return whether a folder is empty, or has only files of an export that was killed before the end."""
    return all(
        item.name.startswith((f"{STEM}.", f".{STEM}.")) and item.suffix not in _OPENED
        for item in folder.iterdir()
    )


@contextmanager
def folder_for(output: Path) -> Iterator[Path]:
    """Yield a temporary folder on the disk of the output, which one process at a time has.

    Raises
    ------
    MedrovError
        ``USAGE`` if another process writes this output; ``OUTPUT_FAILED``.
    """
    missing = [place for place in output.absolute().parents if not place.exists()]
    try:
        with ExitStack() as stack:
            with output_failures(output):
                output.absolute().parent.mkdir(parents=True, exist_ok=True)
                folder = stack.enter_context(folder_beside(output))
            yield folder
    finally:
        for place in missing:  # a created folder that is not needed
            if place.is_dir() and not any(place.iterdir()):
                place.rmdir()


@contextmanager
def output_failures(output: Path) -> Iterator[None]:
    """Convert errors of the operating system to ``OUTPUT_FAILED``."""
    try:
        yield
    except OSError as error:
        raise MedrovError(
            ErrorCode.OUTPUT_FAILED,
            f"cannot write {output}: {error.strerror or error}",
            "Check the folder's permissions and the free space, then run again.",
        ) from error


def place_files(files: Sequence[Path], metadata: ExportMetadata, output: Path, folder: Path) -> ExportResult:
    """Move finished files to the folder of the output, last the one that a user opens.

    Raises
    ------
    MedrovError
        ``OUTPUT_FAILED``.
    """
    digests = {path.name: sha256_of_file(path) for path in files if path.is_file()}
    document = {**metadata.as_dict(), "files": digests}
    del document["content_sha256"]  # needed in the file only
    size = sum(_size(path) for path in files)
    with whole_file(folder / f"{files[0].stem}.json") as temporary:
        text = json.dumps(document, indent=2, ensure_ascii=False) + "\n"
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace")
    for path in reversed(files):
        if path.is_dir():
            shutil.rmtree(folder / path.name, ignore_errors=True)
            path.rename(folder / path.name)
        else:
            bring_file(path, folder / path.name, link=False)
    return ExportResult(document, output, size)


def _size(path: Path) -> int:
    if path.is_file():
        return path.stat().st_size
    return sum(item.stat().st_size for item in path.rglob("*") if item.is_file())
