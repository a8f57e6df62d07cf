"""Networks with adapters: merged weights as a file in the cache, from which every engine opens."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from medrov_cli.core.base.environment import cache_dir
from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.records.regions import RegionColumns
from medrov_cli.core.weights import container
from medrov_cli.core.weights.adapter import Adapter
from medrov_cli.core.weights.tensor_digest import digest_of_tensors

ADAPTED_FOLDER = "adapted"
"""Folder of merged weights in the cache."""

MAX_ADAPTED = 8
"""Largest number of merged weights in the cache; those that were used last are kept."""


@dataclass(frozen=True, slots=True, eq=False)
class NetworkColumns:
    """Learned classes by the network that computes them.

    Attributes
    ----------
    plain
        Classes of the network as it is; null: none.
    adapted
        Classes of each adapter; their columns follow the plain ones.
    alone
        Whether these are the only columns.
    """

    plain: RegionColumns | None
    adapted: tuple[tuple[Adapter, RegionColumns], ...] = ()
    alone: bool = False

    @classmethod
    def split(cls, columns: RegionColumns, adapters: Sequence[tuple[Adapter, int]]) -> NetworkColumns:
        """Return the columns of classes; the last belong to adapters, by their numbers of classes."""
        first = columns.count - sum(count for _, count in adapters)
        plain = columns.part(0, first) if first else None
        adapted = []
        for adapter, count in adapters:
            own = replace(columns.part(first, first + count), alone=True)
            adapted.append((adapter, own))
            first += count
        return cls(plain if adapters else columns, tuple(adapted), columns.alone)


def adapted_weights(weights: Path, content_sha256: str, adapter: Adapter) -> Path:
    """Return a weights file with the kernels of an adapter; it is written if the cache does not have it.

    Parameters
    ----------
    weights
        Weights file of the network.
    content_sha256
        SHA-256 of its tensors.
    adapter
        The changes.

    Raises
    ------
    MedrovError
        ``weights_corrupt`` if the adapter does not fit the network; ``output_failed`` if the cache cannot be
        written.
    """
    key = hashlib.sha256(f"{content_sha256} {adapter.sha256}".encode("ascii")).hexdigest()[:32]
    path = cache_dir() / ADAPTED_FOLDER / f"{key}.safetensors"
    try:
        merged = adapter.merge(container.load_tensors(weights))
    except ValueError as error:
        raise MedrovError(
            ErrorCode.WEIGHTS_CORRUPT, f"an adapter does not fit {weights.name}: {error}", "Learn again."
        ) from error
    if not _holds(path, digest_of_tensors(merged)):
        path.parent.mkdir(parents=True, exist_ok=True)
        container.save(path, merged, container.read_metadata(weights))
        _trim(path)
    with suppress(OSError):
        path.touch()
    return path


def _holds(path: Path, digest: str) -> bool:
    """Return whether a file has the tensors of a digest; a damaged one is written again."""
    if not path.is_file():
        return False
    try:
        return container.sha256_of_tensors(path) == digest
    except MedrovError:
        return False


def _trim(own: Path) -> None:
    with suppress(OSError):
        files = sorted(own.parent.glob("*.safetensors"), key=lambda path: path.stat().st_mtime)
        for path in files[:-MAX_ADAPTED]:
            path.unlink(missing_ok=True)
