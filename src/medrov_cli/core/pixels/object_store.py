"""Inputs on object stores, by fsspec: ``s3://``, ``gs://``, ``file://``, ``memory://``.

A store is to the readers what an archive is: its objects are members. They are read where they are: the start
of an object for its kind and its header, the whole object for its pixels. Credentials are those of the
libraries (environment, profiles, roles of the machine); no message quotes an error of theirs.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import IO, BinaryIO, cast

from medrov_cli.core.base.constants import InputLimits
from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.base.store_addresses import open_file_system, split_address
from medrov_cli.core.pixels.names import is_shown, natural_key

_IN_MEMORY_BYTES = 64 << 20
"""Size above which a copy of an object is in a temporary file without a name."""
_HEAD_BYTES = 1 << 16
"""Bytes of a request for the start of an object."""
_CHUNK_BYTES = 1 << 20


class _AllNames(tuple[str, ...]):
    """Names of all objects: each may exist, and none is listed."""

    __slots__ = ()

    def __contains__(self, name: object) -> bool:
        """Return true: reading says whether the object exists."""
        return True


class ObjectStore:
    """Objects of a scheme, as members of an archive.

    Parameters
    ----------
    scheme
        Scheme of the addresses.
    limits
        Limits of the size of an object.
    """

    def __init__(self, scheme: str, limits: InputLimits) -> None:
        self.names: tuple[str, ...] = _AllNames()
        self.broken_links: tuple[str, ...] = ()
        self._limits = limits
        self._system = open_file_system(f"{scheme}://")

    def open(self, name: str) -> IO[bytes]:
        """Open an object at its start; bytes are requested as they are read.

        Raises
        ------
        MedrovError
            ``not_found`` or ``unreadable``.
        """
        try:
            return cast(IO[bytes], self._system.open(name, "rb", block_size=_HEAD_BYTES))
        except Exception as error:  # noqa: BLE001 - libraries of stores raise any exception
            raise _failure(error) from None

    def copy(self, name: str) -> BinaryIO:
        """Return a copy of an object, at its start: in memory, or in a temporary file without a name.

        Raises
        ------
        MedrovError
            ``not_found``, ``unreadable`` or ``too_large``.
        """
        content = tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY_BYTES)  # noqa: SIM115 - the caller closes it
        try:
            with self._system.open(name, "rb", block_size=_CHUNK_BYTES) as source:
                while chunk := source.read(_CHUNK_BYTES):
                    content.write(chunk)
                    if content.tell() > self._limits.inflated_bytes:
                        raise MedrovError(
                            ErrorCode.TOO_LARGE,
                            f"The object has more than {self._limits.inflated_bytes} bytes.",
                            "Copy it to a disk, and give the file.",
                        )
        except MedrovError:
            content.close()
            raise
        except Exception as error:  # noqa: BLE001 - as above
            content.close()
            raise _failure(error) from None
        content.seek(0)
        return cast(BinaryIO, content)


@lru_cache(maxsize=8)
def open_store(address: str, limits: InputLimits) -> ObjectStore:
    """Return the store of an address."""
    return ObjectStore(address.partition("://")[0], limits)


def list_folders(address: str) -> Iterator[Sequence[str]]:
    """Yield the addresses of the objects of each folder below an address, in natural order of names.

    Hidden names are left out. Nothing is yielded for an object, and where the store refuses: reading the
    address then says why.
    """
    _, rest = split_address(address)
    system = open_file_system(address)
    top = address.rstrip("/")
    try:
        root = str(system._strip_protocol(address)).rstrip("/")  # noqa: SLF001 - fsspec's own name for it
        if not rest or system.isfile(address):
            return
        for parent, folders, names in system.walk(address):
            folders[:] = sorted(filter(is_shown, folders), key=natural_key)
            below = str(parent).rstrip("/")[len(root) :]
            shown = sorted(filter(is_shown, names), key=natural_key)
            yield [f"{top}{below}/{name}" for name in shown]
    except Exception:  # noqa: BLE001 - see above
        return


def match_addresses(pattern: str) -> list[str]:
    """Return the addresses that match a pattern, in natural order; none where the store refuses."""
    scheme, _ = split_address(pattern)
    try:
        found = open_file_system(pattern).glob(pattern)
    except Exception:  # noqa: BLE001 - as in `list_folders`
        return []
    root = "/" if scheme == "file://" else ""
    return sorted((f"{scheme}{root}{str(path).lstrip('/')}" for path in found), key=natural_key)


def _failure(error: Exception) -> MedrovError:
    if isinstance(error, FileNotFoundError | IsADirectoryError):
        return MedrovError(
            ErrorCode.NOT_FOUND, "The object does not exist.", "Check the spelling of the address."
        )
    if isinstance(error, PermissionError):
        return MedrovError(
            ErrorCode.UNREADABLE, "The store refuses to read the object.", "Check the credentials."
        )
    return MedrovError(
        ErrorCode.UNREADABLE,
        f"The store could not read the object ({type(error).__name__}).",
        "Check the address, the credentials and the network, then run again with --resume.",
    )
