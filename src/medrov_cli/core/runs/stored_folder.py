"""Folder of a run on an object store, as the copy of a local folder.

An object appears whole or not at all, but no object can be appended to. Complete files are therefore objects
of the same names, and a journal is pieces below ``.medrov/TOKEN/NAME/`` until it is complete. The object
``.medrov/claim`` names the token of the session that writes: a session that takes over first writes its
pieces, and then the claim, so that the pieces of the claimed token are always the start of one journal.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from medrov_cli.core.base.errors import ErrorCode, MedrovError, usage_error
from medrov_cli.core.base.files import UNFINISHED
from medrov_cli.core.base.store_addresses import open_file_system

HIDDEN = ".medrov"
CLAIM = f"{HIDDEN}/claim"
_PARTIAL = ".partial"
_PIECE_BYTES = 64 << 20
"""Largest piece of a journal, which is in memory while it is stored."""
_AT_A_TIME = 256
"""Files of one request to the library, which transfers them in parallel."""

State = tuple[int, int]
"""Size in bytes and time of the last change in ns of a file."""


@dataclass(frozen=True, slots=True)
class _Piece:
    """Bytes of a journal that were stored: from ``start`` to ``end``, with their CRC-32."""

    start: int
    end: int
    crc: int


class StoredFolder:
    """Objects of one run.

    Parameters
    ----------
    address
        Address of the folder.
    local
        Its copy on this machine.

    Raises
    ------
    MedrovError
        ``OUTPUT_FAILED`` from every method if the store fails; the message has no text of the store.
    """

    def __init__(self, address: str, local: Path) -> None:
        self.address = address.rstrip("/")
        self.local = local
        self.token = ""
        self._system = open_file_system(address)
        self._root = str(self._system._strip_protocol(self.address)).rstrip("/")  # noqa: SLF001 - fsspec's name
        self._stored: dict[str, State] = {}
        self._pieces: dict[str, list[_Piece]] = {}

    def list_objects(self) -> dict[str, int]:
        """Return the size of each object, by its name below the address."""
        with self._failures("list"):
            self._system.invalidate_cache()
            found = self._system.find(self._root, detail=True)
        names = {str(path)[len(self._root) + 1 :]: int(item["size"] or 0) for path, item in found.items()}
        return {name: size for name, size in names.items() if name}

    def read_claim(self) -> str:
        """Return the token of the session that writes; empty: none."""
        with self._failures("read"):
            try:
                return str(self._system.cat_file(self._place(CLAIM)).decode("ascii", "replace"))
            except FileNotFoundError:
                return ""

    def download(self, objects: dict[str, int]) -> None:
        """Replace the local copy with the objects, and with the journals of the session that wrote last."""
        shutil.rmtree(self.local, ignore_errors=True)
        own = f"{HIDDEN}/{self.read_claim()}/"
        shown = [name for name in objects if not name.startswith(f"{HIDDEN}/") and _is_safe(name)]
        for names in _parts(shown):
            for name in names:
                (self.local / name).parent.mkdir(parents=True, exist_ok=True)
            with self._failures("read"):
                self._system.get(
                    [self._place(name) for name in names], [str(self.local / name) for name in names]
                )
        for name in sorted(name for name in objects if name.startswith(own) and _is_safe(name)):
            journal, start = PurePosixPath(name).parts[-2:]
            path = self.local / journal
            if int(start) == (path.stat().st_size if path.exists() else 0):
                with self._failures("read"):
                    content = self._system.cat_file(self._place(name))
                path.parent.mkdir(parents=True, exist_ok=True)
                with path.open("ab") as stream:
                    stream.write(content)
        self._stored = {name: _state(self.local / name) for name in shown}

    def trust(self, objects: dict[str, int]) -> None:
        """Take the objects with the size of their local files as stored."""
        for name, size in objects.items():
            path = self.local / name
            if path.is_file() and path.stat().st_size == size:
                self._stored[name] = _state(path)

    def claim(self, *, is_new: bool) -> str:
        """Write under a new token from now on; return the token.

        Raises
        ------
        MedrovError
            ``USAGE`` if another session made the first claim meanwhile.
        """
        self.token = secrets.token_hex(8)
        self._pieces = {}
        self._store_journals(self._journals())
        with self._failures("write"):
            try:
                mode = "create" if is_new else "overwrite"
                self._system.pipe_file(self._place(CLAIM), self.token.encode(), mode=mode)
            except FileExistsError:
                raise usage_error(
                    f"--output {self.address} is being written by another run",
                    "Wait for its end, or give another --output.",
                ) from None
        return self.token

    def push(self, last: str, *, is_end: bool) -> None:
        """Store what is new: complete files first, then the journals up to the size that they had before.

        Parameters
        ----------
        last
            Name of the file that is stored last.
        is_end
            Whether the run is complete: then ``last`` is stored, too, and the claim is removed.

        Raises
        ------
        MedrovError
            ``USAGE`` if another session has taken over.
        """
        if self.read_claim() != self.token:
            raise usage_error(
                f"another run has taken over --output {self.address} by --resume or --overwrite",
                "Let that run continue.",
            )
        journals = self._journals()
        files = {name: state for name, state in self._files() if self._stored.get(name) != state}
        final = files.pop(last, None)
        self._store_files(files)
        self._store_journals(journals)
        if not is_end:
            return
        gone = [name for name in self._stored if not (self.local / name).exists()]
        self._remove(gone)
        if final is not None:
            self._store_files({last: final})
        self.remove_all(name for name in self.list_objects() if name.startswith(f"{HIDDEN}/"))

    def remove_all(self, names: Iterator[str]) -> None:
        """Remove objects, the claim last."""
        every = sorted(names, key=lambda name: name == CLAIM)
        self._remove([name for name in every if name != CLAIM])
        self._remove([name for name in every if name == CLAIM])

    def _remove(self, names: Sequence[str]) -> None:
        for part in _parts(names):
            with self._failures("write"), contextlib.suppress(FileNotFoundError):
                self._system.rm([self._place(name) for name in part])

    def _files(self) -> Iterator[tuple[str, State]]:
        """Yield the complete files of the local folder, and their states."""
        for parent, _, names in os.walk(self.local):
            for name in names:
                path = Path(parent, name)
                if UNFINISHED.fullmatch(name) is None and not _is_journal(name):
                    with contextlib.suppress(FileNotFoundError):
                        yield path.relative_to(self.local).as_posix(), _state(path)

    def _journals(self) -> dict[str, int]:
        """Return the size of each journal that is not complete."""
        return {path.name: path.stat().st_size for path in self.local.glob(f".*{_PARTIAL}")}

    def _store_files(self, files: dict[str, State]) -> None:
        for names in _parts(list(files)):
            with self._failures("write"):
                self._system.put(
                    [str(self.local / name) for name in names], [self._place(name) for name in names]
                )
            self._stored.update({name: files[name] for name in names})

    def _store_journals(self, sizes: dict[str, int]) -> None:
        """Store the new bytes of each journal, and those that differ from the stored pieces."""
        for name, size in sizes.items():
            pieces = self._pieces.setdefault(name, [])
            with contextlib.suppress(FileNotFoundError), (self.local / name).open("rb") as stream:
                while pieces and not _is_same(stream, pieces[-1], size):
                    self._remove([self._piece_name(name, pieces.pop().start)])
                start = pieces[-1].end if pieces else 0
                stream.seek(start)
                while content := stream.read(min(size - start, _PIECE_BYTES)):
                    with self._failures("write"):
                        self._system.pipe_file(self._place(self._piece_name(name, start)), content)
                    pieces.append(_Piece(start, start + len(content), zlib.crc32(content)))
                    start += len(content)
        for name in [name for name in self._pieces if name not in sizes]:
            if name[1:].removesuffix(_PARTIAL) in self._stored:
                self._remove([self._piece_name(name, piece.start) for piece in self._pieces.pop(name)])

    def _piece_name(self, journal: str, start: int) -> str:
        return f"{HIDDEN}/{self.token}/{journal}/{start:020d}"

    def _place(self, name: str) -> str:
        return f"{self._root}/{name}"

    @contextlib.contextmanager
    def _failures(self, action: str) -> Iterator[None]:
        """Convert errors of the library, which may quote credentials, to ``OUTPUT_FAILED``."""
        try:
            yield
        except (MedrovError, FileNotFoundError):
            raise
        except Exception as error:  # noqa: BLE001 - libraries of stores raise any exception
            raise MedrovError(
                ErrorCode.OUTPUT_FAILED,
                f"the store refuses to {action} below --output {self.address} ({type(error).__name__})",
                "Check the address, the credentials and the network, then run again with --resume.",
            ) from None


def _is_journal(name: str) -> bool:
    return name.startswith(".") and name.endswith(_PARTIAL)


def _is_safe(name: str) -> bool:
    """Return whether the name of an object is the name of a file below a folder."""
    return "\\" not in name and all(part not in ("", ".", "..") for part in name.split("/"))


def _is_same(stream: object, piece: _Piece, size: int) -> bool:
    """Return whether a journal still has the bytes of a piece."""
    if piece.end > size:
        return False
    stream.seek(piece.start)  # type: ignore[attr-defined]
    return zlib.crc32(stream.read(piece.end - piece.start)) == piece.crc  # type: ignore[attr-defined]


def _state(path: Path) -> State:
    found = path.stat()
    return found.st_size, found.st_mtime_ns


def _parts(names: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(names), _AT_A_TIME):
        yield names[start : start + _AT_A_TIME]
