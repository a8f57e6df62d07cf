"""Manifest of the named weights with their SHA-256."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from medrov_cli.core.base.codec import Fields, Rule, flat_document, read_record
from medrov_cli.core.base.constants import GRID, MAX_IMGSZ
from medrov_cli.core.base.documents import read_toml
from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.base.files import whole_file
from medrov_cli.core.base.text_files import DocumentError, read_text
from medrov_cli.core.weights import places
from medrov_cli.core.weights.container import read_metadata, sha256_of
from medrov_cli.core.weights.places import MANIFEST_FILE, formats_path

weights_dir = places.weights_dir
MANIFEST_SCHEMA = "medrov.manifest/1"

_MAX_BYTES = 1 << 40
_SHA256 = re.compile(r"[0-9a-f]{64}")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True, slots=True)
class ManifestEntry:
    """One entry of the manifest.

    Attributes
    ----------
    name
        Name for ``--weights``.
    file
        File name, in the weights folder or in the cache.
    sha256
        SHA-256 of the file, lower-case hexadecimal.
    size_bytes
        Size of the file.
    source
        Origin of the weights, one sentence.
    licence
        SPDX identifier.
    imgsz
        Side of the square model input in pixels.
    text_encoder
        Specification of the text encoder of its training.
    url
        Address for ``medrov weights pull``; null if it is part of the package.
    formats_sha256
        SHA-256 of the file with ranges and losses of number formats; null without one.
    """

    name: str
    file: str
    sha256: str
    size_bytes: Annotated[int, Rule(key="bytes", low=1, high=_MAX_BYTES)]
    source: str
    licence: str
    imgsz: Annotated[int, Rule(low=GRID, high=MAX_IMGSZ)]
    text_encoder: str
    url: Annotated[str | None, Rule(may_be_absent=True)] = None
    formats_sha256: Annotated[str | None, Rule(may_be_absent=True)] = None


def manifest(folder: Path | None = None) -> dict[str, ManifestEntry]:
    """Return the named weights, in the order of the manifest.

    Parameters
    ----------
    folder
        Folder of ``manifest.toml``; that of the package by default.

    Raises
    ------
    MedrovError
        ``weights_missing`` without a manifest, ``weights_corrupt`` if it is malformed.
    """
    path = (folder or weights_dir()) / MANIFEST_FILE
    try:
        document = read_toml(path)
    except OSError as error:
        raise MedrovError(
            ErrorCode.WEIGHTS_MISSING, f"no weights manifest at {path}", "Reinstall medrov."
        ) from error
    except DocumentError as error:
        raise MedrovError(ErrorCode.WEIGHTS_CORRUPT, f"{path} {error}", "Reinstall medrov.") from error
    fields = Fields.from_object(document, str(path))
    fields.choice("schema", (MANIFEST_SCHEMA,))
    items = fields.children("weights") if "weights" in document else []
    entries = [_entry(item) for item in items]
    known = {entry.name: entry for entry in entries}
    fields.require(len(known) == len(entries), "weights", "entries with different names")
    return known


def write_manifest_entry(weights: Path, *, source: str, url: str | None = None) -> ManifestEntry:
    """Add a weights file to the manifest beside it, or replace the entry of its name.

    Comments above the first entry are kept. SHA-256 and size are measured, also of the file with ranges and
    losses of number formats beside it; name, licence, image size and
    text encoder are read from the file's metadata.

    Parameters
    ----------
    weights
        The file, in the folder of the manifest.
    source
        Origin of the weights, one sentence.
    url
        Address of the file.

    Raises
    ------
    MedrovError
        ``weights_missing``, ``weights_corrupt``, ``output_failed``.
    """
    metadata, formats = read_metadata(weights), formats_path(weights)
    entry = ManifestEntry(
        name=metadata.name,
        file=weights.name,
        sha256=sha256_of(weights),
        size_bytes=weights.stat().st_size,
        source=source,
        licence=metadata.licence,
        imgsz=metadata.imgsz,
        text_encoder=metadata.text_encoder.spec,
        url=url,
        formats_sha256=sha256_of(formats) if formats.is_file() else None,
    )
    entries = manifest(weights.parent) | {entry.name: entry}
    path = weights.parent / MANIFEST_FILE
    head = read_text(path).split("\n[[weights]]")[0].rstrip()
    text = "\n\n".join([head, *(_as_toml(item) for item in entries.values())]) + "\n"
    with whole_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return entry


def _entry(fields: Fields) -> ManifestEntry:
    """Return one entry, after a check that its file name contains no folder."""
    name = fields.text("name")
    file = fields.text("file")
    digest = fields.text("sha256")
    plain_file = _NAME.fullmatch(file) is not None and file.endswith(".safetensors")
    fields.require(_NAME.fullmatch(name) is not None, "name", "letters, digits, '.', '_' and '-'")
    fields.require(plain_file, "file", "a .safetensors file name without folders")
    fields.require(_SHA256.fullmatch(digest) is not None, "sha256", "64 lower-case hexadecimal digits")
    return read_record(ManifestEntry, fields)


def _as_toml(entry: ManifestEntry) -> str:
    """Return an entry as a TOML table; strings and numbers of JSON are valid TOML."""
    values = flat_document(entry)
    lines = [f"{key} = {json.dumps(value)}" for key, value in values.items() if value is not None]
    return "\n".join(["[[weights]]", *lines])
